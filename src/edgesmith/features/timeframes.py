"""Features that compare one measure at half-lives four times apart: fast minus slow, agreement in sign, compression."""

from __future__ import annotations

from edgesmith.features.arithmetic import AGREEMENT, MULTIPLY, OVER, RELATIVE_CHANGE, SUBTRACT
from edgesmith.features.flow import IMBALANCE, WarmupEvents, order_flow, trade_flow
from edgesmith.features.operator import DurationNs, Mirror, Node, Operator, Unit, register
from edgesmith.features.price import MID
from edgesmith.features.realized import per_root_second, variation_of
from edgesmith.features.rolling import standing_mean_of

BPS = 1e4
APART = 4


def _trend(half_life_ns: int) -> Node:
    # Mid against its mean over past time, in bps.
    return MULTIPLY(RELATIVE_CHANGE(MID, standing_mean_of(MID, half_life_ns)), params=(BPS,))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def trade_flow_shift(half_life_ns: DurationNs = 1_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """trade_flow_imbalance at half-life h minus that at 4 h, -2 to 2; above 0 where buyers are coming in."""
    fast, slow = (trade_flow(half_life_ns * scale, warmup_events) for scale in (1, APART))
    return SUBTRACT(fast, slow)


@register(unit=Unit.LABEL, mirror=Mirror.ODD)
def trade_flow_agreement(half_life_ns: DurationNs = 1_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """1 where trade_flow_imbalance is above 0 at half-lives h, 4 h and 16 h, -1 where below 0 at all, else 0."""
    return AGREEMENT(*(trade_flow(half_life_ns * scale, warmup_events) for scale in (1, APART, APART**2)))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def order_flow_shift(half_life_ns: DurationNs = 1_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """order_flow_imbalance at half-life h minus that at 4 h divided by 4: flow per time, fast against slow."""
    fast, slow = (order_flow(half_life_ns * scale, warmup_events) for scale in (1, APART))
    return SUBTRACT(fast, MULTIPLY(slow, params=(1.0 / APART,)))


@register(unit=Unit.LABEL, mirror=Mirror.ODD)
def order_flow_agreement(half_life_ns: DurationNs = 1_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """1 where order_flow_imbalance is above 0 at half-lives h, 4 h and 16 h, -1 where below 0 at all, else 0."""
    return AGREEMENT(*(order_flow(half_life_ns * scale, warmup_events) for scale in (1, APART, APART**2)))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def queue_shift(half_life_ns: DurationNs = 1_000_000_000) -> Node:
    """Mean queue_imbalance over past time at half-life h minus that at 4 h, -2 to 2."""
    fast, slow = (standing_mean_of(IMBALANCE, half_life_ns * scale) for scale in (1, APART))
    return SUBTRACT(fast, slow)


@register(unit=Unit.LABEL, mirror=Mirror.ODD)
def queue_agreement(half_life_ns: DurationNs = 1_000_000_000) -> Node:
    """1 where mean queue_imbalance over past time is above 0 at half-lives h, 4 h and 16 h, -1 where below 0, else 0."""
    return AGREEMENT(*(standing_mean_of(IMBALANCE, half_life_ns * scale) for scale in (1, APART, APART**2)))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def trend_shift(half_life_ns: DurationNs = 1_000_000_000) -> Node:
    """Mean of m over past time at half-life h against that at 4 h, in bps; above 0 in a rise."""
    fast, slow = (standing_mean_of(MID, half_life_ns * scale) for scale in (1, APART))
    return MULTIPLY(RELATIVE_CHANGE(fast, slow), params=(BPS,))


@register(unit=Unit.LABEL, mirror=Mirror.ODD)
def trend_agreement(half_life_ns: DurationNs = 1_000_000_000) -> Node:
    """1 where m is above its mean over past time at half-lives h, 4 h and 16 h, -1 where below all three, else 0."""
    return AGREEMENT(*(_trend(half_life_ns * scale) for scale in (1, APART, APART**2)))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def realized_compression(half_life_ns: DurationNs = 10_000_000_000) -> Node:
    """realized_volatility on a grid of h / 10 at half-life h over that at 4 h; below 1 where it calms down."""
    grid_ns = max(half_life_ns // 10, 1)
    volatility = Operator(per_root_second)
    fast, slow = (
        volatility(variation_of(grid_ns, half_life_ns * scale, bipower=False), params=(grid_ns,)) for scale in (1, APART)
    )
    return OVER(fast, slow)
