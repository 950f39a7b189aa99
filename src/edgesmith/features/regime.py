"""Features that name a state of the market: calm or wild, rising or falling, tight or wide."""

from __future__ import annotations

from typing import Annotated

from edgesmith.features.arithmetic import RELATIVE_CHANGE
from edgesmith.features.operator import Mirror, Node, Operator, Range, Ratio, Unit, Window, register, require
from edgesmith.features.price import MID, RETURN, SPREAD
from edgesmith.features.rolling import ema_of, lag_of, mean_of, std_of


def band_label(x: float, mean: float, low_ratio: float, high_ratio: float) -> float:
    """Return 0 where x / mean is below `low_ratio`, 2 where above `high_ratio`, else 1; 1 where the mean is 0."""
    if mean == 0.0:
        return 1.0
    ratio = x / mean
    if ratio != ratio:
        return ratio
    return 0.0 if ratio < low_ratio else 2.0 if ratio > high_ratio else 1.0


def trend_label(fast: float, slow: float, fast_change: float, threshold_ratio: float) -> float:
    """Return 1 where fast is above slow and rising faster than the threshold, -1 for the mirror image, else 0."""
    if slow != slow or fast_change != fast_change:
        return slow + fast_change
    if fast > slow and fast_change > threshold_ratio:
        return 1.0
    return -1.0 if fast < slow and fast_change < -threshold_ratio else 0.0


@register(unit=Unit.LABEL, mirror=Mirror.EVEN)
def regime_volatility(short: Window = 20, long: Window = 100, low_ratio: Ratio = 0.5, high_ratio: Ratio = 2.0) -> Node:
    """Volatility over `short` against its own mean over the last `long` events: 0 below low_ratio, 2 above high_ratio, else 1."""
    _require_band("regime_volatility", low_ratio, high_ratio)
    volatility = std_of(RETURN, short)
    return Operator(band_label)(volatility, mean_of(volatility, long), params=(low_ratio, high_ratio))


@register(unit=Unit.LABEL, mirror=Mirror.ODD)
def regime_trend(fast: Window = 10, slow: Window = 30, threshold_ratio: Annotated[float, Range(0.0, 1.0)] = 1e-6) -> Node:
    """1 where EMA_fast > EMA_slow and the one-event relative change of EMA_fast > threshold_ratio; -1 mirrored; else 0.

    The threshold is relative to the price, so it means the same at any price level: 1e-6 is 0.01 bps per event. Symbols
    with coarse ticks still trend more often: 70 % of ADAUSDT events against 9 % of BTCUSDT events in the captures.
    """
    require(fast < slow, f"regime_trend: fast was {fast}, expected less than slow ({slow})")
    average = ema_of(MID, fast)
    change = RELATIVE_CHANGE(average, lag_of(average, 1))
    return Operator(trend_label)(average, ema_of(MID, slow), change, params=(threshold_ratio,))


@register(unit=Unit.LABEL, mirror=Mirror.EVEN)
def regime_spread(window: Window = 100, low_ratio: Ratio = 0.5, high_ratio: Ratio = 2.0) -> Node:
    """Spread against its own mean over the last `window` events: 0 below low_ratio, 2 above high_ratio, else 1."""
    _require_band("regime_spread", low_ratio, high_ratio)
    return Operator(band_label)(SPREAD, mean_of(SPREAD, window), params=(low_ratio, high_ratio))


def _require_band(feature: str, low_ratio: float, high_ratio: float) -> None:
    require(low_ratio <= high_ratio, f"{feature}: low_ratio was {low_ratio}, expected at most high_ratio ({high_ratio})")
