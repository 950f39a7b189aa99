"""Worlds with something in them: is it found, called by the right word, and sized right."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from benchmarks.truth.desk import PLANTED, Desk, desk_of
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.result import Cell, DiscoveryResult
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.validation.frozen import frozen_replay
from edgesmith.edges.validation.gates import Gates
from edgesmith.edges.validation.pipeline import ValidationConfig, validate
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import code_panel
from edgesmith.evaluation.labels import LabelSpec
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program

# A world of hours instead of weeks: days cannot be asked for, blocks can.
SCALED = ValidationConfig(gates=Gates(days_min=1, onsets_min=100), folds=4)
HOURS = 12
DISCOVERED = 0.5
CARRIED_MAX = 6
# The edge whose size is measured: what P1 plants.
BOOK, BOOK_HIGH = "imbalance_ema", 0.93
HORIZON_NS, LATENCY_NS = 5 * NS_PER_S, 50 * NS_PER_MS


class PlantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world: how often discovery said what, and the verdict of validation on the best of what it carried over."""

    world: str
    seed: int
    expected: str
    discovered: dict[str, int]
    matched: bool
    verdicts: tuple[str, ...]
    verdict: str
    net_bps: float | None
    net_low_bps: float | None
    sentence: str


def plant_row(job: tuple[str, int, str, str]) -> PlantRow:
    """Search the first part of a world and validate the best candidates on the rest; the plant is on `feature`."""
    name, seed, expected, feature = job
    with desk_of(name, seed, HOURS) as desk:
        first_ns, last_ns = desk.source.span(desk.index)
        cut_ns = first_ns + int(DISCOVERED * (last_ns - first_ns))
        config = msgspec.structs.replace(PLANTED, seed=seed)
        result = desk.search(config, cut_ns)
        real = [cell for cell in result.cells if cell.verdict in (Verdict.CANDIDATE, Verdict.REJECT_COST) and cell.depth == 1]
        carried = _carried(result)
        cards = _validated(desk, result, config, carried, cut_ns, last_ns) if carried else []
    best = min(cards, key=lambda card: (card.verdict.rank, -(card.findings.net_bps or 0.0)), default=None)
    return PlantRow(
        world=name,
        seed=seed,
        expected=expected,
        discovered={key: count for key, count in result.counts.items() if count},
        matched=any(cell.feature == feature for cell in real),
        verdicts=tuple(card.verdict.value for card in cards),
        verdict=_said(result) if best is None else best.verdict.value,
        net_bps=None if best is None else best.findings.net_bps,
        net_low_bps=None if best is None else best.findings.net_low_bps,
        sentence=result.sentence if best is None else best.sentence,
    )


def _carried(result: DiscoveryResult) -> list[Cell]:
    found = sorted((cell for cell in result.cells if cell.verdict is Verdict.CANDIDATE), key=lambda cell: cell.strength)
    return found[:CARRIED_MAX]


def _said(result: DiscoveryResult) -> str:
    # Nothing was carried over: the strongest word of the search stands.
    order = (Verdict.REJECT_COST, Verdict.REJECT_NULL, Verdict.INSUFFICIENT)
    return next(one.value for one in order if result.counts.get(one.value, 0) or one is order[-1])


def spec_of(desk: Desk, result: DiscoveryResult, cell: Cell) -> EdgeSpec:
    """Return the edge that a cell claims."""
    texts = {one.name: str(one) for one in desk.program.features}
    bounds = tuple(
        Bound(feature=texts[one.feature], low=one.lower, high=one.upper, missing=one.lower is None and one.upper is None)
        for one in cell.bounds
    )
    return EdgeSpec(
        venue=desk.instrument.venue,
        symbol=desk.instrument.symbol,
        trigger=Trigger(bounds=bounds),
        side=1 if cell.side > 0 else -1,
        horizon_ns=cell.horizon_ns,
        latency_ns=cell.latency_ns,
        cost_tier=result.cost_tier,
        fee_in_bps=result.fee_in_bps,
        fee_out_bps=result.fee_out_bps,
        grid_ns=result.config.grid_ns,
        gap_ns=result.config.gap_ns,
        features_hash=desk.program.program_id,
        bins_hash="truth",
        code_sha256="truth",
    )


def _validated(desk: Desk, result: DiscoveryResult, config: Any, carried: list[Cell], first_ns: int, last_ns: int) -> list[Any]:
    panel = desk.panel(result, config, first_ns, last_ns)
    specs = [spec_of(desk, result, cell) for cell in carried]
    return validate(specs, panel, desk.partitions, SCALED, trials=len(specs))


class CoverageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world: what the frozen replay of one fixed edge measured there, beside what the world's own record says of it.

    All moves are from mid price to mid price. `true_gross_bps` is the record's, of its `decisions`: onsets of both sides, whether
    or not one is still held. `labeled_gross_bps` is what labels say of `labeled` such onsets, `label_sum_bps` what they say of
    the `free` onsets to the side of the edge while nothing is held, which a replay trades. `spread_bps` took both half spreads.
    """

    seed: int
    decisions: int
    true_gross_bps: float
    labeled: int
    labeled_gross_bps: float
    free: int
    label_sum_bps: float
    trades: int
    gross_bps: float
    spread_bps: float
    net_bps: float
    net_low_bps: float
    net_high_bps: float


def coverage_row(job: tuple[str, int, int]) -> CoverageRow | None:
    """Replay book pressure of the planted size over some hours of a world; None where nothing was traded."""
    name, seed, hours = job
    with desk_of(name, seed, hours) as desk:
        text = next(str(one) for one in desk.program.features if one.name == "imbalance_ema")
        spec = EdgeSpec(
            venue=desk.instrument.venue,
            symbol=desk.instrument.symbol,
            trigger=Trigger(bounds=(Bound(feature=text, low=BOOK_HIGH),)),
            side=1,
            horizon_ns=HORIZON_NS,
            latency_ns=LATENCY_NS,
            cost_tier="truth",
            fee_in_bps=2.5,
            fee_out_bps=2.5,
            grid_ns=500_000_000,
            gap_ns=30_000_000_000,
            features_hash=desk.program.program_id,
            bins_hash="truth",
            code_sha256="truth",
        )
        found = frozen_replay(desk.partitions, spec, block_ns=300 * 10**9, seed=seed)
        claim = _claim_of(desk)
        every, free = _labeled(desk)
    trades = found.trades
    if not len(trades.ts_ns):
        return None
    return CoverageRow(
        seed=seed,
        decisions=claim["decisions"],
        true_gross_bps=claim["gross_bps"],
        labeled=len(every),
        labeled_gross_bps=float(every.mean()),
        free=len(free),
        label_sum_bps=float(free.sum()),
        trades=len(trades.ts_ns),
        gross_bps=float(trades.gross_bps.mean()) + found.spread_bps,
        spread_bps=found.spread_bps,
        net_bps=found.net_bps.mean,
        net_low_bps=found.net_bps.low,
        net_high_bps=found.net_bps.high,
    )


def _claim_of(desk: Desk) -> dict[str, Any]:
    truth = desk.partitions[0].meta.truth
    assert truth is not None, "a simulated world without its truth"
    claim: dict[str, Any] = truth["claims"][0]
    return claim


def _labeled(desk: Desk) -> tuple[np.ndarray, np.ndarray]:
    # Moves after the onsets of both sides, and after those of the buying side at which nothing is held; at a latency of 50 ms.
    first_ns, last_ns = desk.source.span(desk.index)
    labels = LabelSpec(
        horizons_ns=(HORIZON_NS,), latencies_ns=(LATENCY_NS,), fee_in_bps=0.0, fee_out_bps=0.0, grid_ns=PLANTED.grid_ns
    )
    bins = [FeatureBins(BOOK, (-BOOK_HIGH, BOOK_HIGH))]
    panel = code_panel(desk.source, desk.index, Program([feature(BOOK)]), labels, bins, first_ns, last_ns, lake=None)
    steps, every, free = HORIZON_NS // PLANTED.grid_ns, [], []
    for at in panel.days:
        day = panel.open_day(at)
        mids, codes = day.grid.mids[0], day.codes[0, : day.grid.rows]
        for side, code in ((1, 2), (-1, 0)):
            began = np.flatnonzero((codes == code) & ~np.r_[False, codes[:-1] == code])
            began = began[began + steps < len(mids)]
            moves = side * (mids[began + steps] / mids[began] - 1.0) * 1e4
            every.append(moves[np.isfinite(moves)])
            held_until = -1
            for row, move in zip(began.tolist(), moves.tolist(), strict=True):
                if side > 0 and row > held_until and np.isfinite(move):
                    free.append(move)
                    held_until = row + steps
    return np.concatenate(every), np.array(free)


def coverage_summary(rows: list[CoverageRow], fees_bps: float) -> dict[str, float]:
    """Return the share of intervals that hold the truth after cost, and how far labels and replay are from what was planted.

    Labels are held against the worlds' own records, onset by onset; the replay, which has one position at a time, against labels
    of the onsets it is free for, over all worlds: what one world drew by luck is not what was planted.
    """

    def pooled(value: str, weight: str) -> float:
        weights = [getattr(row, weight) for row in rows]
        return float(np.average([getattr(row, value) for row in rows], weights=weights))

    recorded, labeled = pooled("true_gross_bps", "decisions"), pooled("labeled_gross_bps", "labeled")
    free = sum(row.label_sum_bps for row in rows) / sum(row.free for row in rows)
    replayed, kept = pooled("gross_bps", "trades"), free - pooled("spread_bps", "trades") - fees_bps
    biases = {"label_bias_ratio": labeled / recorded - 1.0, "replay_bias_ratio": replayed / free - 1.0}
    return {
        "worlds": len(rows),
        "coverage": float(np.mean([row.net_low_bps <= kept <= row.net_high_bps for row in rows])),
        "truth_gross_bps": recorded,
        "one_at_a_time_gross_bps": free,
        **biases,
        "bias_ratio": max(biases.values(), key=abs),
    }
