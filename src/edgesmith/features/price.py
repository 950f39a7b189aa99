"""Features of the price level: mid price, spread, one-event return, averages, rate of change."""

from __future__ import annotations

from edgesmith.features.arithmetic import DIVIDE, MULTIPLY, RELATIVE_CHANGE, SUBTRACT
from edgesmith.features.operator import ASK_PRICE, BID_PRICE, Mirror, Node, Operator, Unit, Window, register
from edgesmith.features.rolling import ema_of, lag_of


def middle(bid_price: float, ask_price: float) -> float:
    """Return (bid + ask) / 2."""
    return (bid_price + ask_price) / 2.0


MID = Operator(middle)(BID_PRICE, ASK_PRICE)
SPREAD = SUBTRACT(ASK_PRICE, BID_PRICE)
CHANGE = SUBTRACT(MID, lag_of(MID, 1))
RETURN = RELATIVE_CHANGE(MID, lag_of(MID, 1))


@register(unit=Unit.PRICE, mirror=Mirror.LEVEL)
def mid_price() -> Node:
    """m = (bid + ask) / 2."""
    return MID


@register(unit=Unit.PRICE, mirror=Mirror.EVEN)
def spread() -> Node:
    """s = ask - bid, in price units; 0 or negative where the book is locked or crossed."""
    return SPREAD


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def return_1() -> Node:
    """r = (m - m[-1]) / m[-1]; NaN where m[-1] is not positive."""
    return RETURN


@register(unit=Unit.PRICE, mirror=Mirror.LEVEL)
def ema(period: Window = 14) -> Node:
    """EMA of m with weight 2 / (period + 1), seeded with the first m."""
    return ema_of(MID, period)


@register(unit=Unit.PRICE, mirror=Mirror.ODD)
def ema_slope(period: Window = 14, lookback: Window = 5) -> Node:
    """(EMA - EMA[-lookback]) / lookback, in price units per event; EMA of m over `period`."""
    average = ema_of(MID, period)
    return DIVIDE(SUBTRACT(average, lag_of(average, lookback)), params=(float(lookback),))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def roc(period: Window = 10) -> Node:
    """100 (m - m[-period]) / m[-period]; NaN where m[-period] is not positive."""
    return MULTIPLY(RELATIVE_CHANGE(MID, lag_of(MID, period)), params=(100.0,))
