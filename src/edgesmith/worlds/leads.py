"""Which of two markets moves first: lagged correlation, and what one does after a move of the other, by reaction latency."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError

WINDOW_NS = 50 * NS_PER_MS
# A move of the leader: more than this, in bps, within this time.
MOVE_BPS = 1.0
MOVE_NS = 100 * NS_PER_MS
NEXT_NS = 500 * NS_PER_MS
LATENCIES_MS = (0, 20, 50, 100)
SPAN_S_MIN = 30.0


class LatencyMean(msgspec.Struct, frozen=True, kw_only=True):
    """What the follower does on average, in the direction of the leader's move, from `latency_ms` after it; standard error."""

    latency_ms: int
    mean_bps: float
    error_bps: float


class LeadFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How a leader and a follower hang together on the clock they were received by.

    Correlations are of mid returns over windows of 50 ms: both the same window; the follower's next one; the leader's next one
    after the follower's. `moves` are instants, 50 ms apart, at which the leader has moved by more than 1 bp in 100 ms; `next` is
    the follower's following half second.
    """

    span_s: float
    same_correlation: float
    next_correlation: float
    reverse_correlation: float
    moves: int
    next: tuple[LatencyMean, ...]


def lead_facts(leader: NDArray[Any], follower: NDArray[Any]) -> LeadFacts:
    """Compare two EVENT arrays of one instrument each, over the time both cover."""
    one, two = _Path(leader), _Path(follower)
    start_ns, end_ns = max(one.start_ns, two.start_ns), min(one.end_ns, two.end_ns)
    if end_ns - start_ns < SPAN_S_MIN * NS_PER_S:
        raise InputError(
            f"the two markets have {max(0, end_ns - start_ns) / NS_PER_S:.1f} s in common, expected at least {SPAN_S_MIN:g} s"
        )
    grid_ns = np.arange(start_ns, end_ns, WINDOW_NS, dtype=np.int64)
    first, second = np.diff(one.bps_at(grid_ns)), np.diff(two.bps_at(grid_ns))
    at_ns = grid_ns[(grid_ns >= start_ns + MOVE_NS) & (grid_ns < end_ns - NEXT_NS - LATENCIES_MS[-1] * NS_PER_MS)]
    moved = one.bps_at(at_ns) - one.bps_at(at_ns - MOVE_NS)
    hits = np.abs(moved) > MOVE_BPS
    at_ns, signs = at_ns[hits], np.sign(moved[hits])
    return LeadFacts(
        span_s=(end_ns - start_ns) / NS_PER_S,
        same_correlation=_correlation(first, second),
        next_correlation=_correlation(first[:-1], second[1:]),
        reverse_correlation=_correlation(second[:-1], first[1:]),
        moves=len(at_ns),
        next=tuple(_latency_mean(two, at_ns, signs, latency) for latency in LATENCIES_MS),
    )


def _latency_mean(path: _Path, at_ns: NDArray[np.int64], signs: NDArray[np.float64], latency_ms: int) -> LatencyMean:
    entry_ns = at_ns + latency_ms * NS_PER_MS
    gains = signs * (path.bps_at(entry_ns + NEXT_NS) - path.bps_at(entry_ns))
    known = len(gains) > 1
    return LatencyMean(
        latency_ms=latency_ms,
        mean_bps=float(gains.mean()) if known else 0.0,
        error_bps=float(gains.std(ddof=1) / np.sqrt(len(gains))) if known else 0.0,
    )


def _correlation(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    spread = float(one.std() * two.std())
    return float(((one - one.mean()) * (two - two.mean())).mean() / spread) if spread else 0.0


class _Path:
    # The log mid price, in bps, as received.

    def __init__(self, events: NDArray[Any]) -> None:
        quotes = events[events["kind"] == KIND_BBO]
        if not len(quotes):
            raise InputError("one of the two markets has no quotes, expected both streams `bbo`")
        order = np.argsort(quotes["ts_recv"], kind="stable")
        self._received_ns = quotes["ts_recv"][order]
        self._bps = 1e4 * np.log((quotes["bid_price"] + quotes["ask_price"])[order] / 2.0)
        self.start_ns, self.end_ns = int(self._received_ns[0]), int(self._received_ns[-1])

    def bps_at(self, instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        return self._bps[np.maximum(np.searchsorted(self._received_ns, instants_ns, side="right") - 1, 0)]
