"""Counts, ranks and spans of the last values; `features.generation` writes them out in compiled kernels.

A count of signs is a sum of small multiples of 1/2, which floats add and subtract without error, so it is kept by adding the
newest and taking away the oldest. A rank is read off a tree of counts over the steps of a logarithmic scale, where adding,
removing and asking visit at most 13 places each, whatever the window.

References
----------
Fenwick (1994), A new data structure for cumulative frequency tables.
"""

from __future__ import annotations

import math

from edgesmith.features.arithmetic import MULTIPLY
from edgesmith.features.operator import TS_NS, Floats, Ints, Node, Operator
from edgesmith.features.rolling import lag_of

# 64 steps a doubling, from 2**-32 to 2**32: values closer than 1.1 % may share a step and then count as equal. Equal values
# that were added up in another order differ in their last bits; a finer scale would let those bits decide the rank.
STEPS = 4_096
STEPS_PER_DOUBLING = 64
DOUBLINGS_BELOW_ONE = 32


def magnitude_step(x: float) -> float:
    """Return the step of the scale x lies in, 0 for 0 and below, the last one for all beyond the end."""
    if x <= 0.0:
        return 0.0
    if x != x:
        return x
    fraction, exponent = math.frexp(x)
    step = (exponent - 1 + DOUBLINGS_BELOW_ONE) * STEPS_PER_DOUBLING + int((fraction - 0.5) * 2.0 * STEPS_PER_DOUBLING)
    return float(min(max(step, 1), STEPS - 1))


def windowed_rank(f: Floats, i: Ints, ring: int, mask: int, tally: int, space: int, step: float, window: int) -> float:
    """Return the share of the last `window` steps, the newest included, that are at most the newest.

    `f[space + 1]` to `f[space + STEPS]` is the tree.
    """
    if step != step:
        return math.nan
    place = int(step) + 1
    oldest = 0
    if i[tally] > window:
        oldest = int(f[ring + ((i[tally] - 1 - window) & mask)]) + 1
    if oldest != place:
        up = place
        while up <= STEPS:
            f[space + up] += 1.0
            up += up & -up
        if oldest > 0:
            up = oldest
            while up <= STEPS:
                f[space + up] -= 1.0
                up += up & -up
    if i[tally] < window:
        return math.nan
    total = 0.0
    down = place
    while down > 0:
        total += f[space + down]
        down &= down - 1
    return total / window


def rolling_tally(f: Floats, i: Ints, at: int, ring: int, mask: int, tally: int, x: float, window: int) -> float:
    """Return the sum of the last `window` values, each a small multiple of 1/2, so that no rounding ever happens."""
    if x != x:
        return math.nan
    total = f[at] + x
    if i[tally] > window:
        total -= f[ring + ((i[tally] - 1 - window) & mask)]
    f[at] = total
    return total if i[tally] >= window else math.nan


def elapsed_ns(f: Floats, i: Ints, n: int, ts_ns: int, x: float) -> float:
    """Return the nanoseconds since the first value of x, which a float holds exactly for a hundred days."""
    if x != x:
        return math.nan
    if i[n] == 0:
        i[n] = 1
        i[n + 1] = ts_ns
    return float(ts_ns - i[n + 1])


def per_second(now_ns: float, before_ns: float, count: float) -> float:
    """Return `count` over the seconds between two instants; an instant apart by nothing counts as one nanosecond."""
    if before_ns != before_ns:
        return before_ns
    return count * 1e9 / max(now_ns - before_ns, 1.0)


_MAGNITUDE_STEP = Operator(magnitude_step)
_RANK = Operator(
    windowed_rank,
    reads_back=lambda window: window,
    workspace=lambda _window: (0.0,) * (STEPS + 1),
    warmup=lambda window: window,
)
_TALLY = Operator(rolling_tally, initial=(0.0,), reads_back=lambda window: window, warmup=lambda window: window)
_ELAPSED = Operator(elapsed_ns, counters=2)
_PER_SECOND = Operator(per_second)


def rank_of(x: Node, window: int) -> Node:
    """Return the share of the last `window` values of x, the newest included, that are at most the newest; x is 0 or more."""
    return _RANK(_MAGNITUDE_STEP(x), params=(window,))


def tally_of(x: Node, window: int) -> Node:
    """Return the sum of the last `window` values of x, which are multiples of 1/2."""
    return _TALLY(x, params=(window,))


def tally_mean_of(x: Node, window: int) -> Node:
    """Return the mean of the last `window` values of x, which are multiples of 1/2."""
    return MULTIPLY(tally_of(x, window), params=(1.0 / window,))


def rate_of(x: Node, window: int) -> Node:
    """Return how many values of x a second the last `window` of them came at, on the receive clock."""
    elapsed = _ELAPSED(TS_NS, x)
    return _PER_SECOND(elapsed, lag_of(elapsed, window - 1), params=(window - 1.0,))
