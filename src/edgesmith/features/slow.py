"""Features that move over minutes: what a regime is made of."""

from __future__ import annotations

from edgesmith.features.arithmetic import DIVIDE, MULTIPLY
from edgesmith.features.operator import DurationNs, Mirror, Node, Operator, Unit, register
from edgesmith.features.price import MID, RETURN, SPREAD
from edgesmith.features.rolling import LN_2, faded_sum_of, standing_mean_of

MINUTE_NS = 60_000_000_000
BPS = 1e4
WARMUP_EVENTS = 100


def size(x: float) -> float:
    """Return abs(x)."""
    return abs(x)


def straight(net: float, way: float) -> float:
    """Return abs(net) / way held to 1; 0 where there was no way."""
    if way != way:
        return way
    return min(abs(net) / way, 1.0) if way > 0.0 else 0.0


def unit_of(x: float) -> float:
    """Return 1 where x is a number."""
    return 1.0 if x == x else x


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def mean_spread(half_life_ns: DurationNs = MINUTE_NS) -> Node:
    """Mean over past time of the spread in bps of m, time fading by half every `half_life_ns`."""
    return standing_mean_of(MULTIPLY(DIVIDE(SPREAD, MID), params=(BPS,)), half_life_ns)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def quote_rate(half_life_ns: DurationNs = MINUTE_NS) -> Node:
    """Quotes a second: their number, each fading by half every `half_life_ns`, over the time they stand for."""
    counted = faded_sum_of(Operator(unit_of)(MID), MID, half_life_ns, WARMUP_EVENTS)
    return MULTIPLY(counted, params=(LN_2 * 1e9 / half_life_ns,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def path_efficiency(half_life_ns: DurationNs = MINUTE_NS) -> Node:
    """abs(sum of r) / sum of abs(r), 0 to 1, each return fading by half every `half_life_ns`: 1 for a straight line."""
    net, way = (faded_sum_of(x, RETURN, half_life_ns, WARMUP_EVENTS) for x in (RETURN, Operator(size)(RETURN)))
    return Operator(straight)(net, way)
