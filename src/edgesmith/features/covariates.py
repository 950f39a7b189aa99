"""Features of everything around the book: marks, funding, open interest, the clock."""

from __future__ import annotations

import math

from edgesmith.features.arithmetic import MULTIPLY, RELATIVE_CHANGE
from edgesmith.features.operator import (
    FUNDING_DUE_NS,
    FUNDING_RATE,
    INDEX_PRICE,
    MARK_PRICE,
    OPEN_INTEREST,
    TS_NS,
    DurationNs,
    Mirror,
    Node,
    Operator,
    Unit,
    latest,
    register,
)
from edgesmith.features.price import MID
from edgesmith.features.rolling import standing_mean_of

BPS = 1e4
NS_PER_MINUTE = 60 * 10**9
MINUTES_PER_DAY = 1_440


def minutes_until(ts_ns: int, due_ns: float) -> float:
    """Return the minutes until `due_ns`; 0 once it has passed."""
    if due_ns != due_ns:
        return math.nan
    return max(due_ns - ts_ns, 0.0) / NS_PER_MINUTE


def minute_of(ts_ns: int) -> float:
    """Return the minute of the UTC day."""
    return float(ts_ns // NS_PER_MINUTE % MINUTES_PER_DAY)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def mark_basis() -> Node:
    """(mark - index) / index, in bps; NaN where the venue gives no index."""
    return MULTIPLY(RELATIVE_CHANGE(MARK_PRICE, INDEX_PRICE), params=(BPS,))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def index_basis() -> Node:
    """(m - index) / index, in bps: how far this market trades from the venue's spot basket, as of the last of both."""
    return MULTIPLY(RELATIVE_CHANGE(latest(MID), latest(INDEX_PRICE)), params=(BPS,))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def funding_rate() -> Node:
    """The rate last announced, in bps per funding interval; above 0 longs pay."""
    return MULTIPLY(FUNDING_RATE, params=(BPS,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def funding_due() -> Node:
    """Minutes until funding is paid next; 0 from then until the next announcement."""
    return Operator(minutes_until)(TS_NS, latest(FUNDING_DUE_NS))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def open_interest_change(half_life_ns: DurationNs = 600_000_000_000) -> Node:
    """Open interest over its mean over past time, minus 1, in bps; time fades by half every `half_life_ns`."""
    return MULTIPLY(RELATIVE_CHANGE(OPEN_INTEREST, standing_mean_of(OPEN_INTEREST, half_life_ns)), params=(BPS,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def minute_of_day() -> Node:
    """Minute of the UTC day of this event's receive time, 0 to 1439."""
    return Operator(minute_of)(TS_NS)
