"""What an edge would keep if it were entered as a maker, as two bounds: filled when touched, and filled behind the whole queue.

Nobody knows our place in a queue that was never ours, so a maker's result is not estimated but bounded, decision by decision, by
two replays through the same engine: in one the first print at our price fills us, in the other only what is left after all that
stood there when we came. Both decide at the same instants, and what the second fills the first has filled before. The fills are
what is bounded: where those in between are bad ones, the second may keep more.
"""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import BPS
from edgesmith.edges.discovery.config import COST_TIERS
from edgesmith.edges.edge import EdgeSpec, EntryKind
from edgesmith.edges.validation.frozen import kept, trades_of
from edgesmith.edges.validation.replays import Record, Task
from edgesmith.evaluation.intervals import Interval, mean_interval


class MakerBound(msgspec.Struct, frozen=True, kw_only=True):
    """One bound; bps, intervals of 90 %.

    `net` is per filled trade, `decision` the same money spread over all decisions, filled or not. `adverse_bps` is how much less
    the mid price moved to the side of the edge after the decisions that were filled than after all of them, over the horizon.
    """

    entry: EntryKind
    decisions: int
    fills: int
    waited_ns: float | None
    net_bps: float | None
    net_low_bps: float | None
    net_high_bps: float | None
    decision_bps: float | None
    decision_low_bps: float | None
    decision_high_bps: float | None
    adverse_bps: float | None

    @property
    def fill_ratio(self) -> float | None:
        """Return the share of decisions that were filled."""
        return self.fills / self.decisions if self.decisions else None


class MakerBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Both bounds of one edge, at a maker's fee on the way in and the edge's own on the way out."""

    fee_in_bps: float
    fee_out_bps: float
    touch: MakerBound
    queue: MakerBound

    @property
    def sentence(self) -> str:
        """Return both bounds in words."""
        return f"filled when touched {_words(self.touch)}; behind the whole queue {_words(self.queue)}"


def _words(bound: MakerBound) -> str:
    if bound.net_bps is None:
        return f"0 of {bound.decisions:,}"
    low = "unknown" if bound.net_low_bps is None else f"{bound.net_low_bps:.2f}"
    each = f"keep {bound.net_bps:.2f} bps each, at least {low}, {bound.decision_bps or 0.0:.2f} a decision"
    return f"{bound.fills:,} of {bound.decisions:,} {each}"


def as_maker(spec: EdgeSpec, entry: EntryKind, instrument: Instrument) -> EdgeSpec:
    """Return the edge entered as a maker, at what a maker of its tier pays: the instrument's own fee where the tier says none.

    An edge that is a maker's already keeps its fees.
    """
    if spec.entry != "taker":
        return replace(spec, entry=entry)
    tier = spec.cost_tier.replace("_taker", "_maker_taker")
    fee_in_bps = COST_TIERS[tier][0] if tier in COST_TIERS else instrument.maker_fee_ratio / BPS
    name = tier if tier in COST_TIERS else f"{spec.cost_tier}_maker_in"
    return replace(spec, entry=entry, cost_tier=name, fee_in_bps=min(fee_in_bps, spec.fee_in_bps))


def maker_tasks(spec: EdgeSpec, instrument: Instrument, block_ns: int) -> list[Task]:
    """Return the two replays that bound an edge entered as a maker: touched, and behind the queue."""
    entries: tuple[EntryKind, EntryKind] = ("maker_touch", "maker_queue")
    return [Task(as_maker(spec, entry, instrument), spec.latency_ns, block_ns) for entry in entries]


def maker_bounds(tasks: list[Task], records: list[Record], seed: int) -> MakerBounds:
    """Return the bounds from the replays of `maker_tasks`."""
    touch, queue = (_bound(task, record, seed) for task, record in zip(tasks, records, strict=True))
    return MakerBounds(fee_in_bps=tasks[0].spec.fee_in_bps, fee_out_bps=tasks[0].spec.fee_out_bps, touch=touch, queue=queue)


def _bound(task: Task, record: Record, seed: int) -> MakerBound:
    spec = task.spec
    decided = kept(task, record)
    filled = record.left_ns[decided] > 0
    trades = trades_of(task, record)
    at_ns = record.decided_ns[decided]
    every = np.zeros(len(at_ns))
    every[filled] = trades.net_bps
    net = _over_blocks(at_ns[filled], trades.net_bps, task.block_ns, seed)
    decision = _over_blocks(at_ns, every, task.block_ns, seed)
    moved = spec.side * (record.mid_out[decided] / record.mid_in[decided] - 1.0) / BPS
    waited = (record.entered_ns[decided] - at_ns)[filled]
    return MakerBound(
        entry=spec.entry,
        decisions=len(at_ns),
        fills=int(filled.sum()),
        waited_ns=float(waited.mean()) if len(waited) else None,
        net_bps=_finite(net.mean),
        net_low_bps=_finite(net.low),
        net_high_bps=_finite(net.high),
        decision_bps=_finite(decision.mean),
        decision_low_bps=_finite(decision.low),
        decision_high_bps=_finite(decision.high),
        adverse_bps=float(moved.mean() - moved[filled].mean()) if filled.any() else None,
    )


def _over_blocks(at_ns: NDArray[np.int64], values: NDArray[np.float64], block_ns: int, seed: int) -> Interval:
    _, place = np.unique(at_ns // block_ns, return_inverse=True)
    return mean_interval(np.bincount(place).astype(np.float64), np.bincount(place, values).astype(np.float64), seed=seed)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
