"""Features of what flow does to the price: Kyle's lambda, flow that was absorbed, and how one-sided volume is (VPIN)."""

from __future__ import annotations

import math
from typing import Annotated

from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO, Stream
from edgesmith.features.arithmetic import MAGNITUDE, MULTIPLY, OVER, SUBTRACT
from edgesmith.features.flow import QUOTE_FLOW, SIGNED_QTY, mean_depth, signed_flow
from edgesmith.features.operator import (
    FLAGS,
    KIND,
    QUOTES_AND_TRADES,
    TRADE_QTY,
    TRADE_SIDE,
    TS_NS,
    DurationNs,
    Floats,
    Ints,
    Mirror,
    Node,
    Operator,
    Range,
    Unit,
    latest,
    register,
    require,
)
from edgesmith.features.price import MID, RETURN
from edgesmith.features.rolling import LN_2, faded_sum_of

BPS = 1e4


def impact_slope(
    f: Floats, i: Ints, at: int, n: int, ts_ns: int, kind: int, flags: int, flow: float, mid: float, own: int, grid_ns: int,
    half_life_ns: int,
) -> float:  # fmt: skip
    """Return the slope, through the origin, of the relative change of mid in a grid step on the flow in that step.

    `f` holds the flow of this step, mid at its start and now, and the faded sums of flow * flow and flow * change; `i` the
    number of this step, that of the first one, and whether there was one. A step with a gap in the quotes begins anew.
    """
    if flow != flow or not mid > 0.0:
        return math.nan
    step = ts_ns // grid_ns
    if i[n + 2] == 0:
        f[at + 1] = mid
        i[n] = step
        i[n + 1] = step
        i[n + 2] = 1
    elif step > i[n]:
        factor = math.exp(-LN_2 * (step - i[n]) * grid_ns / half_life_ns)
        f[at + 3] = (f[at + 3] + f[at] * f[at]) * factor
        f[at + 4] = (f[at + 4] + f[at] * (f[at + 2] / f[at + 1] - 1.0)) * factor
        f[at] = 0.0
        f[at + 1] = f[at + 2]
        i[n] = step
    if kind == KIND_BBO and (flags & FLAG_AFTER_GAP) != 0:
        f[at] = 0.0
        f[at + 1] = mid
    if kind == own:
        f[at] += flow
    f[at + 2] = mid
    settled = (step - i[n + 1]) * grid_ns >= half_life_ns
    return f[at + 4] / f[at + 3] if settled and f[at + 3] > 0.0 else math.nan


def bucket_imbalance(
    f: Floats, i: Ints, at: int, n: int, space: int, ts_ns: int, side: float, qty: float, bucket_ns: int, half_life_ns: int,
    buckets: int,
) -> float:  # fmt: skip
    """Return the mean of abs(bought - sold) / volume over the last `buckets` buckets of equal volume.

    A bucket holds what was traded in `bucket_ns` on average, as known when it begins; time and volume fade alike. `f` holds
    the faded volume and time, the size of the bucket, how full it is, its signed volume, and the mean; `i` the last instant,
    the first one, whether there was one, and the number of full buckets. A trade counts as `buckets` + 1 buckets at most.
    """
    if qty != qty or side != side:
        return math.nan
    if i[n + 2] == 0:
        i[n] = ts_ns
        i[n + 1] = ts_ns
        i[n + 2] = 1
    factor = math.exp(-LN_2 * max(ts_ns - i[n], 0) / half_life_ns)
    i[n] = max(ts_ns, i[n])
    f[at] = f[at] * factor + qty
    f[at + 1] = f[at + 1] * factor + (1.0 - factor) * half_life_ns / LN_2
    size = f[at] / f[at + 1] * bucket_ns if i[n] - i[n + 1] >= bucket_ns else 0.0
    if f[at + 2] == 0.0:
        f[at + 2] = size
    full = i[n + 3]
    left = min(qty, (buckets + 1) * f[at + 2])
    while left > 0.0:
        room = f[at + 2] - f[at + 3]
        part = min(left, room)
        f[at + 3] += part
        f[at + 4] += side * part
        left -= part
        if part == room:
            f[space + full % buckets] = abs(f[at + 4]) / f[at + 2]
            full += 1
            f[at + 2] = size
            f[at + 3] = 0.0
            f[at + 4] = 0.0
    if full != i[n + 3] and full >= buckets:
        total = 0.0
        for k in range(buckets):
            total += f[space + k]
        f[at + 5] = total / buckets
    i[n + 3] = full
    return f[at + 5] if full >= buckets else math.nan


def _slope(flow: Node, heard: frozenset[Stream], grid_ns: int, half_life_ns: int) -> Node:
    (own,) = flow.consumes
    operator = Operator(
        impact_slope,
        initial=(0.0,) * 5,
        counters=3,
        hears=heard,
        warmup_ns=_time_to_settle,
    )
    return operator(TS_NS, KIND, FLAGS, latest(flow), latest(MID), params=(int(own), grid_ns, half_life_ns))


def _time_to_settle(_own: int, grid_ns: int, half_life_ns: int) -> int:
    return max(half_life_ns - grid_ns, 0)


def _kyle(grid_ns: int, half_life_ns: int) -> Node:
    require(grid_ns <= half_life_ns, f"grid_ns was {grid_ns}, expected at most half_life_ns ({half_life_ns})")
    return _slope(OVER(SIGNED_QTY, latest(mean_depth(half_life_ns, 1))), QUOTES_AND_TRADES, grid_ns, half_life_ns)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def kyle_lambda(grid_ns: DurationNs = 1_000_000_000, half_life_ns: DurationNs = 60_000_000_000) -> Node:
    """Bps mid moved per mean depth of signed volume: slope over grid steps, each fading by half every `half_life_ns`.

    References
    ----------
    Kyle (1985), Continuous auctions and insider trading.
    """
    return MULTIPLY(_kyle(grid_ns, half_life_ns), params=(BPS,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def order_flow_impact(grid_ns: DurationNs = 1_000_000_000, half_life_ns: DurationNs = 60_000_000_000) -> Node:
    """Bps mid moved per mean depth of order flow imbalance: slope over grid steps, each fading by half every `half_life_ns`.

    References
    ----------
    Cont, Kukanov, Stoikov (2014), The price impact of order book events.
    """
    require(grid_ns <= half_life_ns, f"grid_ns was {grid_ns}, expected at most half_life_ns ({half_life_ns})")
    flow = OVER(QUOTE_FLOW, mean_depth(half_life_ns, 1))
    return MULTIPLY(_slope(flow, frozenset({Stream.BBO}), grid_ns, half_life_ns), params=(BPS,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def absorbed_flow(half_life_ns: DurationNs = 10_000_000_000, slope_half_life_ns: DurationNs = 60_000_000_000) -> Node:
    """abs(signed volume) * lambda - abs(return of mid), in bps, over one faded past: what flow should have moved it.

    Lambda is kyle_lambda on a grid of 1 s over `slope_half_life_ns`.
    """
    slope = MULTIPLY(_kyle(1_000_000_000, max(slope_half_life_ns, 1_000_000_000)), params=(BPS,))
    expected = MULTIPLY(MAGNITUDE(signed_flow(half_life_ns, 1)), slope)
    moved = faded_sum_of(RETURN, RETURN, half_life_ns, 1)
    return SUBTRACT(expected, latest(MAGNITUDE(MULTIPLY(moved, params=(BPS,)))))


Buckets = Annotated[int, Range(2, 1_000)]
_VPIN = Operator(
    bucket_imbalance,
    initial=(0.0,) * 6,
    counters=4,
    workspace=lambda _bucket_ns, _half_life_ns, buckets: (0.0,) * buckets,
    warmup_ns=lambda bucket_ns, _half_life_ns, _buckets: bucket_ns,
)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def vpin(bucket_ns: DurationNs = 10_000_000_000, half_life_ns: DurationNs = 600_000_000_000, buckets: Buckets = 20) -> Node:
    """Mean of abs(bought - sold) / volume over the last `buckets` buckets of equal volume, 0 to 1; a state, not a forecast.

    A bucket holds what is traded in `bucket_ns` on average, the average fading by half every `half_life_ns`. Sides are the
    takers' own, not classified from prices.

    References
    ----------
    Easley, Lopez de Prado, O'Hara (2012), Flow toxicity and liquidity in a high-frequency world.
    Andersen, Bondarenko (2014), VPIN and the flash crash.
    """
    return _VPIN(TS_NS, TRADE_SIDE, TRADE_QTY, params=(bucket_ns, half_life_ns, buckets))
