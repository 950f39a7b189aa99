"""Forward labels with the cost of the round trip inside them, and how they are grouped.

For a decision at t, a latency l and a horizon h, both in time of the receive clock:

    g(t) = 1e4 (mid(t+l+h) - mid(t+l)) / mid(t+l)                                   gross move, bps
    c(t) = 1e4 (spread(t+l) + spread(t+l+h)) / (2 mid(t+l)) + fee_in + fee_out      cost of taking twice, bps

A price at an instant is the last quote received at or before it. A long earns g - c, a short -g - c. A label is missing,
not zero, when the span from t to t+l+h leaves the quotes or crosses a gap in them.

Labels are integers from the start, so that any sum of them is the same whatever the order: 1e-4 bps for g and c, 1e-4
bps^2 for their products (a one-tick move of a large coin is 0.02 bps, so coarser squares would vanish).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import SILENCE_NS
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_S, format_duration_ns
from edgesmith.errors import InputError

SUM_UNITS = 10_000
SQUARE_UNITS = 10_000
# n, sum g, sum c, sum g^2, sum g c, sum c^2
MOMENTS = 6
N, G, C, GG, GC, CC = range(MOMENTS)

# A label beyond this is a broken price. With it a block of so many rows cannot overflow int64.
LABEL_LIMIT_BPS = 20_000.0
BLOCK_ROWS_MAX = 24 * NS_PER_HOUR // (50 * NS_PER_MS)
GRID_NS_MIN = 10 * NS_PER_MS

# No quote for this long means that data was lost, not that the market stood still.
GAP_NS = SILENCE_NS
GRID_NS = 100 * NS_PER_MS
COARSE_GRID_NS = NS_PER_S
COARSE_ABOVE_NS = 10 * NS_PER_S

# Blocks nest, so sums of short ones are sums of long ones.
BLOCK_LADDER_NS = (NS_PER_MINUTE, 5 * NS_PER_MINUTE, 30 * NS_PER_MINUTE, 2 * NS_PER_HOUR, 6 * NS_PER_HOUR, 24 * NS_PER_HOUR)
BLOCK_HORIZONS = 20
BLOCK_COUNT_MAX = 1_500


class LabelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which labels to compute: every latency with every horizon, one fee per side."""

    horizons_ns: tuple[int, ...]
    latencies_ns: tuple[int, ...]
    fee_in_bps: float
    fee_out_bps: float
    gap_ns: int = GAP_NS
    grid_ns: int = GRID_NS

    def __post_init__(self) -> None:
        if self.grid_ns < GRID_NS_MIN or COARSE_GRID_NS % self.grid_ns:
            raise InputError(f"grid_ns was {self.grid_ns}, expected a divisor of one second, at least {GRID_NS_MIN}")
        for horizon_ns in self.horizons_ns:
            step_ns = self.grid_of(horizon_ns)
            if horizon_ns <= 0 or horizon_ns % step_ns:
                raise InputError(
                    f"horizon was {format_duration_ns(horizon_ns)}, expected a positive multiple of the decision grid "
                    f"({format_duration_ns(step_ns)})"
                )
        if any(latency_ns < 0 for latency_ns in self.latencies_ns):
            raise InputError(f"latencies_ns were {self.latencies_ns}, expected values >= 0")
        if not self.horizons_ns or not self.latencies_ns:
            raise InputError("labels need at least one horizon and one latency")
        if self.gap_ns < self.grid_ns:
            raise InputError(f"gap_ns was {self.gap_ns}, expected at least one grid step ({self.grid_ns})")

    def grid_of(self, horizon_ns: int) -> int:
        """Return the decision grid of a horizon: fine up to 10 s, one second above."""
        return self.grid_ns if horizon_ns <= COARSE_ABOVE_NS else COARSE_GRID_NS


class ColumnGroup(msgspec.Struct, frozen=True):
    """The (latency, horizon) pairs that share a decision grid and a block length."""

    block_ns: int
    grid_ns: int
    columns: tuple[tuple[int, int], ...]


def block_length_ns(horizon_ns: int, span_ns: int) -> int:
    """Return the block length for a horizon: 20 horizons, at least a minute, at most 1,500 blocks in the span.

    Rounded up to 1, 5, 30 minutes, 2, 6 or 24 hours.
    """
    wanted_ns = max(BLOCK_HORIZONS * horizon_ns, span_ns // BLOCK_COUNT_MAX)
    return next((rung_ns for rung_ns in BLOCK_LADDER_NS if rung_ns >= wanted_ns), BLOCK_LADDER_NS[-1])


def column_groups(spec: LabelSpec, span_ns: int) -> tuple[ColumnGroup, ...]:
    """Group the labels of `spec` by block length and decision grid, shortest first."""
    grouped: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for horizon_ns in sorted(set(spec.horizons_ns)):
        shape = (block_length_ns(horizon_ns, span_ns), spec.grid_of(horizon_ns))
        grouped.setdefault(shape, []).extend((latency_ns, horizon_ns) for latency_ns in sorted(set(spec.latencies_ns)))
    return tuple(ColumnGroup(block_ns, grid_ns, tuple(columns)) for (block_ns, grid_ns), columns in sorted(grouped.items()))


def label_layout(spec: LabelSpec, columns: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each column, the index of its latency and its horizon in grid steps."""
    latencies = sorted(set(spec.latencies_ns))
    which = [latencies.index(latency_ns) for latency_ns, _ in columns]
    shift = [horizon_ns // spec.grid_ns for _, horizon_ns in columns]
    return np.array(which, np.int64), np.array(shift, np.int64)


def moments_bps(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Convert integer moments (last axis: n, g, c, gg, gc, cc) to counts, bps and bps^2."""
    units: NDArray[Any] = np.array([1.0, SUM_UNITS, SUM_UNITS, SQUARE_UNITS, SQUARE_UNITS, SQUARE_UNITS])
    return np.asarray(sums / units, dtype=np.float64)
