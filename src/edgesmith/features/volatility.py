"""Features of movement without direction."""

from __future__ import annotations

from edgesmith.features.operator import Mirror, Node, Operator, Unit, Window, register
from edgesmith.features.price import CHANGE, RETURN, SPREAD
from edgesmith.features.rolling import mean_of, std_of


def true_range(spread: float, change: float) -> float:
    """Return the larger of the spread and the absolute change."""
    if change != change:
        return change
    return max(spread, abs(change))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def volatility(window: Window = 20) -> Node:
    """Population standard deviation of the last `window` one-event returns; exactly 0 in a flat window."""
    return std_of(RETURN, window)


@register(unit=Unit.PRICE, mirror=Mirror.EVEN)
def atr(period: Window = 14) -> Node:
    """Mean over the last `period` events of max(spread, abs(m - m[-1])), in price units."""
    return mean_of(Operator(true_range)(SPREAD, CHANGE), period)
