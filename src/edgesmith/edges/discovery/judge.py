"""From block sums to verdicts: measure every cell, test the family, say what each number means."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.result import Cell
from edgesmith.edges.discovery.verdict import decide, sentence
from edgesmith.evaluation.bins import MISSING, SLOTS, FeatureBins
from edgesmith.evaluation.blocks import BlockSums
from edgesmith.evaluation.labels import GG, C, ColumnGroup, G, N, moments_bps
from edgesmith.evaluation.significance import (
    FlipResult,
    Influence,
    benjamini_hochberg,
    critical_value,
    detectable_effect,
    effective_rows,
    excess_influence,
    mean_influence,
    sign_flip,
)

Floats = NDArray[np.float64]


class Place(NamedTuple):
    """Which bin of which feature a cell is."""

    feature: int
    code: int

    @property
    def slot(self) -> int:
        """Return where the block sums keep the cell."""
        return SLOTS - 1 if self.code == MISSING else self.code


class GroupCells(NamedTuple):
    """Measured cells of one column group; arrays over (columns x places), column by column."""

    group: ColumnGroup
    excess: Influence
    net: Influence
    n: Floats
    n_eff: Floats
    cost_bps: Floats
    side: Floats
    testable: NDArray[np.bool_]


class Judged(NamedTuple):
    """All cells, sorted by feature, bin, latency and horizon, and the critical |T| of the family."""

    cells: tuple[Cell, ...]
    critical_t: float


class _Tests(NamedTuple):
    """Results over all cells; NaN where not tested."""

    p_cell: Floats
    p_family: Floats
    q_value: Floats
    p_net: Floats
    p_net_family: Floats
    critical_t: float


def places_of(bins: tuple[FeatureBins, ...]) -> tuple[Place, ...]:
    """Return every cell there is to look at, the missing ones too; known before a row is tested."""
    return tuple(Place(index, code) for index, one in enumerate(bins) for code in (*range(one.count), MISSING))


def judge(bins: tuple[FeatureBins, ...], sums: tuple[BlockSums, ...], config: DiscoveryConfig) -> Judged:
    """Test every cell of every column group as one family and give each its verdict."""
    places = places_of(bins)
    measured = [_measure(one, places, config) for one in sums]
    tests = _test(measured, config)
    cells: list[Cell] = []
    offset = 0
    for group in measured:
        mde = detectable_effect(group.excess, tests.critical_t, NormalDist().inv_cdf(config.power))
        for index in range(len(group.n)):
            column, place = group.group.columns[index // len(places)], places[index % len(places)]
            cells.append(
                _cell(bins[place.feature], place.code, column, group, index, tests, offset + index, float(mde[index]), config)
            )
        offset += len(group.n)
    ordered = sorted(cells, key=lambda cell: (cell.feature, cell.bin, cell.latency_ns, cell.horizon_ns))
    return Judged(tuple(ordered), tests.critical_t)


def _measure(sums: BlockSums, places: tuple[Place, ...], config: DiscoveryConfig) -> GroupCells:
    stacked = sums.stacked()
    features = np.array([place.feature for place in places])
    slots = np.array([place.slot for place in places])
    # (blocks, columns x places, moments); every feature has each row once, so the first holds the totals.
    columns = range(len(sums.group.columns))
    cells = moments_bps(np.concatenate([stacked[:, features, slots, column] for column in columns], axis=1))
    totals = moments_bps(
        np.concatenate([np.repeat(stacked[:, :1, :, j].sum(axis=2), len(places), axis=1) for j in columns], axis=1)
    )
    n, s, n_all, s_all = cells[..., N], cells[..., G], totals[..., N], totals[..., G]
    excess = excess_influence(n, s, n_all, s_all)
    side = np.where(excess.excess < 0, -1.0, 1.0)
    net = mean_influence(n, side * s - cells[..., C])
    pooled, pooled_all = cells.sum(axis=0), totals.sum(axis=0)
    n_eff = effective_rows(
        pooled[:, N], pooled[:, G], pooled[:, GG], pooled_all[:, N], pooled_all[:, G], pooled_all[:, GG], excess.standard_error
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        cost_bps = pooled[:, C] / pooled[:, N]
    testable = (excess.blocks >= config.blocks_min) & (excess.blocks_effective >= config.blocks_effective_min)
    return GroupCells(sums.group, excess, net, pooled[:, N], n_eff, cost_bps, side, testable)


def _test(measured: list[GroupCells], config: DiscoveryConfig) -> _Tests:
    testable = np.concatenate([group.testable for group in measured])
    excess = _flip(measured, [group.excess.psi for group in measured], testable, config, one_sided=False)
    p_family = _spread(excess.p_family, testable)
    net = _flip(measured, [group.net.psi for group in measured], testable, config, one_sided=True)
    # Only cells that differ from the rest are asked whether they pay, so only those share that error rate.
    real = testable & (np.nan_to_num(p_family, nan=1.0) <= config.alpha)
    paying = _flip(measured, [group.net.psi for group in measured], real, config, one_sided=True)
    return _Tests(
        _spread(excess.p_cell, testable),
        p_family,
        _spread(benjamini_hochberg(excess.p_cell), testable),
        _spread(net.p_cell, testable),
        _spread(paying.p_family, real),
        critical_value(excess, config.alpha),
    )


def _flip(
    measured: list[GroupCells], psis: list[Floats], chosen: NDArray[np.bool_], config: DiscoveryConfig, *, one_sided: bool
) -> FlipResult:
    families, offset = [], 0
    for group, psi in zip(measured, psis, strict=True):
        stream = group.group.block_ns + group.group.grid_ns
        families.append((stream, psi[:, chosen[offset : offset + psi.shape[1]]]))
        offset += psi.shape[1]
    return sign_flip(families, flips=config.flips, seed=config.seed, one_sided=one_sided)


def _spread(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    out = np.full(len(chosen), np.nan)
    out[chosen] = values
    return out


def _cell(
    bins: FeatureBins,
    code: int,
    column: tuple[int, int],
    group: GroupCells,
    index: int,
    tests: _Tests,
    at: int,
    mde: float,
    config: DiscoveryConfig,
) -> Cell:
    latency_ns, horizon_ns = column
    lower, upper = bins.bounds(code)
    testable = bool(group.testable[index])
    error = group.excess.standard_error[index]
    mde_bps = _number(mde) if testable else None
    p_family, p_paying = float(tests.p_family[at]), float(tests.p_net_family[at])
    net_bps, cost_bps, side = float(group.net.mean[index]), float(group.cost_bps[index]), int(group.side[index])
    verdict = decide(testable=testable, p_family=p_family, p_net=p_paying, net_bps=net_bps, mde_bps=mde_bps, alpha=config.alpha)
    return Cell(
        feature=bins.name,
        bin=code,
        lower=lower,
        upper=upper,
        text=bins.text(code),
        horizon_ns=horizon_ns,
        latency_ns=latency_ns,
        n=int(group.n[index]),
        n_eff=float(group.n_eff[index]),
        blocks=int(group.excess.blocks[index]),
        blocks_effective=float(group.excess.blocks_effective[index]),
        side=side,
        gross_bps=_number(group.excess.mean[index]),
        excess_bps=_number(group.excess.excess[index]) if error > 0 else None,
        cost_bps=_number(cost_bps),
        net_bps_best_side=_number(net_bps),
        t_excess=_number(group.excess.excess[index] / error) if error > 0 else None,
        p_cell=_number(tests.p_cell[at]),
        p_family=_number(p_family),
        q_value=_number(tests.q_value[at]),
        p_net=_number(tests.p_net[at]),
        p_net_family=_number(p_paying),
        mde_bps=mde_bps,
        verdict=verdict,
        sentence=sentence(
            verdict,
            side=side,
            horizon_ns=horizon_ns,
            gross_bps=side * float(group.excess.mean[index]),
            cost_bps=cost_bps,
            p=p_paying,
            mde_bps=mde_bps,
            blocks=int(group.excess.blocks[index]),
            blocks_effective=float(group.excess.blocks_effective[index]),
        ),
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
