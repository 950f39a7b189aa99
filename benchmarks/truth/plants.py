"""Worlds with something in them: is it found, called by the right word, and sized right."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from benchmarks.truth.desk import PLANTED, Desk, desk_of
from edgesmith.edges.discovery.result import Cell, DiscoveryResult
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.validation.frozen import frozen_replay
from edgesmith.edges.validation.gates import Gates
from edgesmith.edges.validation.pipeline import ValidationConfig, validate
from edgesmith.edges.verdict import Verdict

# A world of hours instead of weeks: days cannot be asked for, blocks can.
SCALED = ValidationConfig(gates=Gates(days_min=1, onsets_min=100), folds=4)
HOURS = 12
DISCOVERED = 0.5
CARRIED_MAX = 6


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
    """One world: what the frozen replay of one fixed edge measured there; sums for the truth over all worlds."""

    seed: int
    trades: int
    gross_sum_bps: float
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
            trigger=Trigger(bounds=(Bound(feature=text, low=0.93),)),
            side=1,
            horizon_ns=5_000_000_000,
            latency_ns=50_000_000,
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
    trades = found.trades
    if not len(trades.ts_ns):
        return None
    return CoverageRow(
        seed=seed,
        trades=len(trades.ts_ns),
        gross_sum_bps=float(trades.gross_bps.sum()),
        net_bps=found.net_bps.mean,
        net_low_bps=found.net_bps.low,
        net_high_bps=found.net_bps.high,
    )


def coverage_summary(rows: list[CoverageRow], fees_bps: float) -> dict[str, float]:
    """Return the share of intervals that hold the truth, pooled over all worlds, and the mean error of the estimates.

    Each world is judged by the mean of all others, which its own noise is not part of.
    """
    trades = np.array([row.trades for row in rows], np.float64)
    sums = np.array([row.gross_sum_bps for row in rows])
    others = (sums.sum() - sums) / (trades.sum() - trades) - fees_bps
    held = [row.net_low_bps <= truth <= row.net_high_bps for row, truth in zip(rows, others, strict=True)]
    truth = float(sums.sum() / trades.sum())
    weighted = float(np.average([row.net_bps + fees_bps for row in rows]))
    return {"worlds": len(rows), "coverage": float(np.mean(held)), "truth_gross_bps": truth, "bias_ratio": weighted / truth - 1.0}
