"""Recurrences shared by features; `features.generation` writes them out in compiled kernels.

Rolling sums never subtract. A window is cut in two: the newest values, added up as they come, and what is left of the block
before them, whose sums from each place to its end are worked out once per `window` values. No rounding error outlives its
window, a large value leaves no residue, and a flat window has a standard deviation of exactly 0. The relative error of a
sum of values of one sign, and of a sum of squares about the mean, is at most a few `window` * 2**-53.

Cost per event: O(1) amortized, O(window) on one event in `window`. Blocks are counted in the node's own values, so neither
chunking nor the other features of a program change a bit of the result.

References
----------
Tangwongsan, Hirzel, Schneider, Wu (2015), General incremental sliding-window aggregation (the two stacks).
Chan, Golub, LeVeque (1983), Algorithms for computing the sample variance (merging two sums of squares).
"""

from __future__ import annotations

import functools
import math

from edgesmith.domain.events import Stream
from edgesmith.features.arithmetic import MULTIPLY
from edgesmith.features.operator import KIND, TS_NS, Floats, Ints, Node, Operator, latest

LN_2 = math.log(2.0)


def remember(f: Floats, i: Ints, ring: int, mask: int, tally: int, x: float) -> None:
    """Append `x` to a history unless it is NaN."""
    if x == x:
        f[ring + (i[tally] & mask)] = x
        i[tally] += 1


def lag(f: Floats, i: Ints, ring: int, mask: int, tally: int, x: float, steps: int) -> float:
    """Return the value `steps` values ago."""
    if x != x or i[tally] <= steps:
        return math.nan
    return float(f[ring + ((i[tally] - 1 - steps) & mask)])


def ema(f: Floats, i: Ints, at: int, n: int, x: float, period: int) -> float:
    """Return the exponential average with weight 2 / (period + 1), seeded with the first value; NaN until `period` values."""
    if x != x:
        return math.nan
    value = f[at] + (x - f[at]) * (2.0 / (period + 1.0)) if i[n] > 0 else x
    f[at] = value
    i[n] += 1
    return value if i[n] >= period else math.nan


def rolling_sum(
    f: Floats, i: Ints, at: int, n: int, ring: int, mask: int, tally: int, space: int, x: float, window: int
) -> float:
    """Return the sum of the last `window` values.

    `space[k]` is the sum of the block before, from its value k to its end; `i[n]` counts the values of this block. The mask
    changes no position, which is at most `window`; it tells the compiler that none is negative.
    """
    if x != x:
        return math.nan
    newest = f[at] + x
    position = i[n] + 1
    total = f[space + (position & mask)] + newest
    if position == window:
        tail = 0.0
        for k in range(window - 1, 0, -1):
            tail += f[ring + ((i[tally] - window + k) & mask)]
            f[space + k] = tail
        newest = 0.0
        position = 0
    f[at] = newest
    i[n] = position
    return total if i[tally] >= window else math.nan


def rolling_std(
    f: Floats, i: Ints, at: int, n: int, ring: int, mask: int, tally: int, space: int, x: float, window: int
) -> float:
    """Return the population standard deviation of the last `window` values.

    Four floats for each place k of the block before: the mean from value k to its end, the sum of squares about that mean,
    and the constants 1 / k and k (window - k) / window.
    """
    if x != x:
        return math.nan
    position = i[n] + 1
    place = space + 4 * (position & mask)
    distance = x - f[at]
    mean = f[at] + distance * f[place + 2]
    squares = f[at + 1] + distance * (x - mean)
    apart = mean - f[place]
    total = f[place + 1] + squares + apart * apart * f[place + 3]
    if position == window:
        tail_mean = 0.0
        tail_squares = 0.0
        for k in range(window - 1, 0, -1):
            old = f[ring + ((i[tally] - window + k) & mask)]
            old_distance = old - tail_mean
            tail_mean += old_distance * f[space + 4 * (window - k) + 2]
            tail_squares += old_distance * (old - tail_mean)
            f[space + 4 * k] = tail_mean
            f[space + 4 * k + 1] = tail_squares
        mean = 0.0
        squares = 0.0
        position = 0
    f[at] = mean
    f[at + 1] = squares
    i[n] = position
    return math.sqrt(total * (1.0 / window)) if i[tally] >= window else math.nan


def std_workspace(window: int) -> tuple[float, ...]:
    """Return the initial workspace of `rolling_std`: nothing seen, and its two constants for each place."""
    places = [(0.0, 0.0, 1.0 / k if k else 0.0, k * (window - k) / window) for k in range(window + 1)]
    return tuple(number for place in places for number in place)


def fade(f: Floats, i: Ints, n: int, ts_ns: int, kind: int, x: float, own: int, half_life_ns: int) -> float:
    """Return 2 ** (-age / half_life_ns) of the x before: on events of stream `own` until this x, on others until now."""
    if x != x:
        return math.nan
    elapsed_ns = max(ts_ns - i[n + 1], 0) if i[n] > 0 else 0
    if kind == own:
        i[n] = 1
        i[n + 1] = max(ts_ns, i[n + 1])
    return math.exp(-LN_2 * elapsed_ns / half_life_ns)


def faded_sum(f: Floats, i: Ints, at: int, n: int, kind: int, factor: float, x: float, own: int, warmup_events: int) -> float:
    """Return the sum of x, all of it so far multiplied by `factor`; only events of stream `own` add to it."""
    if x != x or factor != factor:
        return math.nan
    value = f[at] * factor
    if kind == own:
        value = value + x
        f[at] = value
        i[n] += 1
    return value if i[n] >= warmup_events else math.nan


def standing_mean(f: Floats, i: Ints, at: int, n: int, ts_ns: int, x: float, half_life_ns: int) -> float:
    """Return the mean of x over past time, time fading by half every `half_life_ns`; x stands until the next one.

    Before any time has passed it is x. `f[at]` is the mean, `f[at + 1]` the weight of all time, `f[at + 2]` the x before.
    """
    if x != x:
        return math.nan
    factor = math.exp(-LN_2 * max(ts_ns - i[n + 1], 0) / half_life_ns) if i[n] > 0 else 1.0
    weight = f[at + 1] * factor + (1.0 - factor)
    mean = f[at] + (f[at + 2] - f[at]) * ((1.0 - factor) / weight) if weight > 0.0 else x
    f[at] = mean
    f[at + 1] = weight
    f[at + 2] = x
    i[n] = 1
    i[n + 1] = max(ts_ns, i[n + 1])
    return mean


def standing_score(f: Floats, i: Ints, at: int, n: int, ts_ns: int, x: float, half_life_ns: int) -> float:
    """Return (x - mean) / std of x over past time, weighted as in `standing_mean`; 0 while x never moved."""
    if x != x:
        return math.nan
    share = 1.0 - math.exp(-LN_2 * max(ts_ns - i[n + 1], 0) / half_life_ns) if i[n] > 0 else 0.0
    weight = f[at + 1] * (1.0 - share) + share
    mean = x
    squares = 0.0
    if weight > 0.0:
        distance = f[at + 2] - f[at]
        mean = f[at] + distance * (share / weight)
        squares = f[at + 3] * (1.0 - share) + share * distance * (f[at + 2] - mean)
    f[at] = mean
    f[at + 1] = weight
    f[at + 2] = x
    f[at + 3] = squares
    i[n] = 1
    i[n + 1] = max(ts_ns, i[n + 1])
    return (x - mean) / math.sqrt(squares / weight) if squares > 0.0 else 0.0


def peak(f: Floats, i: Ints, at: int, n: int, ts_ns: int, x: float, half_life_ns: int) -> float:
    """Return the larger of x and the peak before, which fades by half every `half_life_ns`."""
    if x != x:
        return math.nan
    faded = f[at] * math.exp(-LN_2 * max(ts_ns - i[n + 1], 0) / half_life_ns) if i[n] > 0 else x
    value = max(x, faded)
    f[at] = value
    i[n] = 1
    i[n + 1] = max(ts_ns, i[n + 1])
    return value


_LAG = Operator(lag, reads_back=lambda steps: steps, warmup=lambda steps: steps + 1)
_EMA = Operator(ema, initial=(0.0,), counters=1, warmup=lambda period: period)
_ROLLING_SUM = Operator(
    rolling_sum,
    initial=(0.0,),
    counters=1,
    reads_back=lambda window: window,
    workspace=lambda window: (0.0,) * (window + 1),
    warmup=lambda window: window,
)
_ROLLING_STD = Operator(
    rolling_std,
    initial=(0.0, 0.0),
    counters=1,
    reads_back=lambda window: window,
    workspace=std_workspace,
    warmup=lambda window: window,
)


def lag_of(x: Node, steps: int) -> Node:
    """Return x as it was `steps` values ago."""
    return _LAG(x, params=(steps,))


def ema_of(x: Node, period: int) -> Node:
    """Return the exponential average of x with weight 2 / (period + 1)."""
    return _EMA(x, params=(period,))


def sum_of(x: Node, window: int) -> Node:
    """Return the sum of the last `window` values of x."""
    return _ROLLING_SUM(x, params=(window,))


def mean_of(x: Node, window: int) -> Node:
    """Return the mean of the last `window` values of x."""
    return MULTIPLY(sum_of(x, window), params=(1.0 / window,))


def std_of(x: Node, window: int) -> Node:
    """Return the population standard deviation of the last `window` values of x."""
    return _ROLLING_STD(x, params=(window,))


@functools.cache
def _fading(heard: frozenset[Stream]) -> tuple[Operator, Operator]:
    return (
        Operator(fade, counters=2, hears=heard),
        Operator(
            faded_sum, initial=(0.0,), counters=1, hears=heard, warmup=lambda own, warmup_events: {Stream(own): warmup_events}
        ),
    )


def faded_sum_of(x: Node, clock: Node, half_life_ns: int, warmup_events: int, also: frozenset[Stream] = frozenset()) -> Node:
    """Return the sum of x, each value fading by half every `half_life_ns`, as of each event of its stream and of `also`.

    `clock` is a number exactly where x is one; sums with the same clock share the work of fading.
    """
    (own,) = x.consumes
    fading, summing = _fading(x.consumes | also)
    if also:
        clock, x = latest(clock), latest(x)
    factor = fading(TS_NS, KIND, clock, params=(int(own), half_life_ns))
    return summing(KIND, factor, x, params=(int(own), warmup_events))


_STANDING_MEAN = Operator(standing_mean, initial=(0.0, 0.0, 0.0), counters=2)
_STANDING_SCORE = Operator(standing_score, initial=(0.0, 0.0, 0.0, 0.0), counters=2)
_PEAK = Operator(peak, initial=(0.0,), counters=2)


def standing_mean_of(x: Node, half_life_ns: int) -> Node:
    """Return the mean of x over past time, time fading by half every `half_life_ns`."""
    return _STANDING_MEAN(TS_NS, x, params=(half_life_ns,))


def standing_score_of(x: Node, half_life_ns: int) -> Node:
    """Return how many standard deviations x is from its mean over past time, time fading by half every `half_life_ns`."""
    return _STANDING_SCORE(TS_NS, x, params=(half_life_ns,))


def peak_of(x: Node, half_life_ns: int) -> Node:
    """Return the largest x so far, fading by half every `half_life_ns`."""
    return _PEAK(TS_NS, x, params=(half_life_ns,))
