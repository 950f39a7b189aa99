"""Features that name a state of the market: calm or wild, rising or falling, tight or wide."""

from __future__ import annotations

import math
from typing import Annotated

from edgesmith.features.arithmetic import NEGATIVE_PART, POSITIVE_PART, RELATIVE_CHANGE
from edgesmith.features.operator import Mirror, Node, Operator, Range, Ratio, Unit, Window, register, require
from edgesmith.features.price import CHANGE, MID, RETURN, SPREAD
from edgesmith.features.rolling import ema_of, lag_of, mean_of, std_of, sum_of


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


def above_zero(x: float) -> float:
    """Return x, or NaN where it is not positive."""
    return x if x > 0.0 else math.nan


def held_ratio(x: float, usual: float) -> float:
    """Return x / usual held to 0 to 5; 1 where `usual` is 0."""
    if usual == 0.0:
        return 1.0
    ratio = x / usual
    return 5.0 if ratio > 5.0 else ratio


def trend_of(fast: float, before: float, slow: float, noise: float, gain: float) -> float:
    """Return tanh(gain (0.7 (fast - slow) / slow + 0.3 (fast - before) / before) / noise); 0 where there is no noise."""
    if noise == 0.0:
        return 0.0
    return math.tanh(gain * (0.7 * ((fast - slow) / slow) + 0.3 * ((fast - before) / before)) / noise)


def straightness(x: float, before: float, rise: float, fall: float) -> float:
    """Return abs(x - before) / (rise + fall) held to 1; 0 where there was no way."""
    way = rise + fall
    if way == 0.0:
        return 0.0
    share = abs(x - before) / way
    return 1.0 if share > 1.0 else share


# A locked or crossed book says nothing about how wide the spread usually is.
POSITIVE_SPREAD = Operator(above_zero)(SPREAD)


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


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def volatility_ratio(short: Window = 20, long: Window = 100) -> Node:
    """Standard deviation of the last `short` returns over that of the last `long`, held to 0 to 5; 1 in a flat market.

    A flat short window in a market that moved is 0: calm, not usual.
    """
    require(short < long, f"volatility_ratio: short was {short}, expected less than long ({long})")
    return Operator(held_ratio)(std_of(RETURN, short), std_of(RETURN, long))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def trend_strength(fast: Window = 10, slow: Window = 30, steps: Window = 4, noise: Window = 100, gain: Ratio = 0.5) -> Node:
    """tanh(gain (0.7 (F - S) / S + 0.3 (F - F[-steps]) / F[-steps]) / N), -1 to 1: EMAs F, S of m, N the volatility.

    N is the standard deviation of the last `noise` returns, so the value means the same for every symbol: on a random walk it
    is about 0.6 in size, whatever the tick. 0 where nothing moved.
    """
    require(fast < slow, f"trend_strength: fast was {fast}, expected less than slow ({slow})")
    average = ema_of(MID, fast)
    inputs = (average, lag_of(average, steps), ema_of(MID, slow), std_of(RETURN, noise))
    return Operator(trend_of)(*inputs, params=(gain,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def spread_ratio(window: Window = 100) -> Node:
    """Spread over its mean of the last `window` events, held to 0 to 5; NaN in a locked or crossed book, which is not counted."""
    return Operator(held_ratio)(POSITIVE_SPREAD, mean_of(POSITIVE_SPREAD, window))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def trend_efficiency(window: Window = 100) -> Node:
    """abs(m - m[-window]) over the way m went between, 0 to 1: 1 for a straight line, 0 where it came back or never moved."""
    rise, fall = sum_of(POSITIVE_PART(CHANGE), window), sum_of(NEGATIVE_PART(CHANGE), window)
    return Operator(straightness)(MID, lag_of(MID, window), rise, fall)


def _require_band(feature: str, low_ratio: float, high_ratio: float) -> None:
    require(low_ratio <= high_ratio, f"{feature}: low_ratio was {low_ratio}, expected at most high_ratio ({high_ratio})")
