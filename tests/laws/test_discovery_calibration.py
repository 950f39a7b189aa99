"""The tests hold what they promise on worlds whose truth is known; each named after the trap it guards."""

from __future__ import annotations

from functools import cache

import numpy as np

from builders_discovery import WORLD_FEATURES, World, codes_of, judged, null_world, pooled, sums_of
from edgesmith.edges.discovery.judge import Judged
from edgesmith.edges.discovery.result import Cell
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.bins import MISSING

WORLDS = 160
NOMINAL = 0.05
POWER_WORLDS = 40


@cache
def null_results(drift_bps: float = 0.0, worlds: int = WORLDS) -> tuple[Judged, ...]:
    return tuple(judged(null_world(seed, drift_bps=drift_bps)) for seed in range(worlds))


def discoveries(result: Judged) -> int:
    return sum(cell.verdict in (Verdict.CANDIDATE, Verdict.REJECT_COST) for cell in result.cells)


def test_t09_family_wise_error_holds_where_counting_rows_fails() -> None:
    false = np.mean([discoveries(result) > 0 for result in null_results()])
    assert false <= NOMINAL + 2 * np.sqrt(NOMINAL * (1 - NOMINAL) / WORLDS), false
    naive = [t for seed in range(10) for t in welch(null_world(seed))]
    assert np.mean(np.abs(naive) > 1.96) > 0.3, "the naive test should fail on these worlds, or they are too kind"


def welch(world: World) -> list[float]:
    # Momentum, persistent, volatility: the features that change slower than the label.
    sums = pooled(world)[[0, 1, 3], :12]
    rest = sums.sum(axis=1, keepdims=True) - sums
    with np.errstate(invalid="ignore"):
        n, n_rest = sums[..., 0], rest[..., 0]
        mean, mean_rest = sums[..., 1] / n, rest[..., 1] / n_rest
        variance = sums[..., 2] * 1e4 / n - mean**2
        variance_rest = rest[..., 2] * 1e4 / n_rest - mean_rest**2
        error = np.sqrt(variance / n + variance_rest / n_rest)
    return list(((mean - mean_rest) / error)[n > 0])


def test_t09_effective_rows_are_far_fewer_than_rows() -> None:
    shares = [
        cell.n_eff / cell.n
        for result in null_results()[:20]
        for cell in result.cells
        if cell.feature == "persistent" and cell.p_cell
    ]
    assert 0.05 < np.median(shares) < 0.5, np.median(shares)


def test_t09_p_values_are_uniform_under_the_null() -> None:
    rng = np.random.default_rng(0)
    p = np.sort([rng.choice([cell.p_cell for cell in result.cells if cell.p_cell is not None]) for result in null_results()])
    ranks = np.arange(1, WORLDS + 1) / WORLDS
    distance = max(np.max(ranks - p), np.max(p - ranks + 1 / WORLDS))
    assert distance <= 1.36 / np.sqrt(WORLDS), distance


def test_t11_cells_of_unequal_variance_keep_their_size() -> None:
    # The lowest volatility cells are where a test that trusts the pooled mean goes wrong.
    p = [
        cell.p_cell
        for result in null_results()
        for cell in result.cells
        if cell.feature == "volatility" and cell.bin in (0, 1, 2) and cell.p_cell
    ]
    assert len(p) > 100
    assert np.mean(np.array(p) < NOMINAL) < 0.09, np.mean(np.array(p) < NOMINAL)


def test_t12_a_trend_is_not_an_edge() -> None:
    results = null_results(drift_bps=0.8, worlds=40)
    assert min(abs(cell.gross_bps) for cell in results[0].cells if cell.n > 3_000) > 1.0, "the trend should be plain to see"
    assert np.mean([discoveries(result) > 0 for result in results]) <= 0.125


def planted(seed: int, effect_bps: float, feature: str = "quick", code: int = 11, cost_bps: float = 4.0) -> tuple[Cell, Judged]:
    world = null_world(seed)
    _bins, _, codes = sums_of(world)
    inside = codes[:, WORLD_FEATURES.index(feature)] == code
    result = judged(World(world.features, world.gross_bps + effect_bps * inside, np.full(len(inside), cost_bps)))
    return next(cell for cell in result.cells if (cell.feature, cell.bin) == (feature, code)), result


def test_detectable_effect_is_found_as_often_as_promised() -> None:
    found = []
    for seed in range(POWER_WORLDS):
        promised = next(cell.mde_bps for cell in null_results()[seed].cells if (cell.feature, cell.bin) == ("quick", 11))
        assert promised is not None
        cell, _ = planted(seed, promised)
        found.append(cell.verdict is not Verdict.REJECT_NULL)
    # Three standard errors about 80 %.
    assert 0.61 <= np.mean(found) <= 0.99, np.mean(found)


def test_half_of_the_detectable_effect_is_mostly_missed() -> None:
    found = []
    for seed in range(15):
        promised = next(cell.mde_bps for cell in null_results()[seed].cells if (cell.feature, cell.bin) == ("quick", 11))
        assert promised is not None
        found.append(planted(seed, promised / 2)[0].verdict is not Verdict.REJECT_NULL)
    assert np.mean(found) < 0.5


def test_t19_missing_values_are_a_cell_of_their_own() -> None:
    world = null_world(3)
    rng = np.random.default_rng(3)
    absent = np.repeat(rng.random(len(world.features) // 10) < 0.1, 10)
    world.features[absent, WORLD_FEATURES.index("persistent")] = np.nan
    result = judged(World(world.features, world.gross_bps + 6.0 * absent, world.cost_bps))
    real = [cell for cell in result.cells if cell.verdict is Verdict.REJECT_COST and (cell.net_low_bps or 0.0) > 0.0]
    assert [(cell.feature, cell.bin, cell.text) for cell in real] == [("persistent", MISSING, "persistent is missing")]
    bins, _, codes = sums_of(world)
    assert (codes_of(world.features, bins) == codes).all()
    assert pooled(world)[WORLD_FEATURES.index("persistent"), -1, 0] == absent[len(codes) // 5 :].sum()


def test_few_blocks_or_few_that_matter_are_insufficient() -> None:
    assert {cell.verdict for cell in judged(null_world(4, rows=10_000)).cells} == {Verdict.INSUFFICIENT}
    world = null_world(5)
    world.features[:, 2] = 0.0
    world.features[::600, 2] = 1.0
    burst = slice(30_000, 30_200)
    world.features[burst, 2] = 1.0
    world.gross_bps[burst] += 300.0
    cells = {cell.bin: cell for cell in judged(world).cells if cell.feature == "quick"}
    assert cells[1].blocks > 30 and cells[1].blocks_effective < 20
    assert cells[1].verdict is Verdict.INSUFFICIENT and cells[1].mde_bps is None
