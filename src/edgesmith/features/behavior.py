"""Features of how the market behaves: pressure, momentum, reversion, pace, and how calm it has become."""

from __future__ import annotations

import math
from typing import Annotated

from edgesmith.features.arithmetic import NEGATIVE_PART, POSITIVE_PART, SUBTRACT
from edgesmith.features.counting import rank_of, rate_of, tally_mean_of, tally_of
from edgesmith.features.flow import IMBALANCE
from edgesmith.features.operator import Mirror, Node, Operator, Range, Ratio, Unit, Window, register, require
from edgesmith.features.price import CHANGE, MID, RETURN
from edgesmith.features.regime import POSITIVE_SPREAD, spread_ratio, trend_strength, volatility_ratio
from edgesmith.features.rolling import ema_of, lag_of, std_of, sum_of

Switch = Annotated[int, Range(0, 1)]
# At least two values make a rate or a rank.
LongWindow = Annotated[int, Range(2, 65_536)]


def sign(x: float) -> float:
    """Return 1, -1 or 0."""
    if x != x:
        return x
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0


def moved(x: float) -> float:
    """Return 1 where x is not 0."""
    if x != x:
        return x
    return 0.0 if x == 0.0 else 1.0


def balance(gain: float, loss: float) -> float:
    """Return (gain - loss) / (gain + loss); 0 where both are 0."""
    if gain + loss == 0.0:
        return 0.0
    return (gain - loss) / (gain + loss)


def net_share(net: float, moves: float) -> float:
    """Return net / moves; 0 where nothing moved."""
    if moves == 0.0:
        return 0.0
    return net / moves


def reversal(now: float, before: float) -> float:
    """Return 1 where the sign changed, 0 where it is the same, 1/2 where either return is 0."""
    product = sign(now) * sign(before)
    return 0.5 - 0.5 * product


def compression(fast: float, slow: float) -> float:
    """Return (slow - fast) / slow, held to -1 to 1."""
    # Comparisons written so that NaN passes through.
    share = (slow - fast) / slow
    return -1.0 if share < -1.0 else 1.0 if share > 1.0 else share


def squashed(x: float, gain: float) -> float:
    """Return tanh(gain x)."""
    return math.tanh(gain * x)


def half_difference(a: float, b: float) -> float:
    """Return (a - b) / 2."""
    return (a - b) / 2.0


def steadiness(volatility_std: float, trend_std: float, spread_std: float) -> float:
    """Return 0.4 (1 - s_v) + 0.4 (1 - s_t) + 0.2 (1 - s_s), each s held to 1."""
    parts = volatility_std + trend_std + spread_std
    if parts != parts:
        return parts
    return 0.4 * (1.0 - min(volatility_std, 1.0)) + 0.4 * (1.0 - min(trend_std, 1.0)) + 0.2 * (1.0 - min(spread_std, 1.0))


def calm(ratio: float, compressed: float, rank: float) -> float:
    """Return 0.4 (2 - ratio held to 0..1) + 0.3 (compressed + 1) / 2 + 0.3 (1 - rank)."""
    if ratio != ratio:
        return ratio
    return 0.4 * min(max(2.0 - ratio, 0.0), 1.0) + 0.15 * (compressed + 1.0) + 0.3 * (1.0 - rank)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def liquidity_pressure(period: Window = 10) -> Node:
    """EMA over `period` of (bid_qty - ask_qty) / (bid_qty + ask_qty), -1 to 1; an event without size is not counted."""
    return ema_of(IMBALANCE, period)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def return_momentum(window: Window = 20, by_size: Switch = 1) -> Node:
    """(G - L) / (G + L), -1 to 1: sums G, L of rises and falls of m over the last `window` changes; 0 where nothing moved.

    With `by_size` 0 each change counts by its sign alone.
    """
    if by_size:
        return Operator(balance)(sum_of(POSITIVE_PART(CHANGE), window), sum_of(NEGATIVE_PART(CHANGE), window))
    return Operator(net_share)(tally_of(Operator(sign)(CHANGE), window), tally_of(Operator(moved)(CHANGE), window))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def regime_stability(window: LongWindow = 100) -> Node:
    """0.4 (1 - s_v) + 0.4 (1 - s_t) + 0.2 (1 - s_s), 0 to 1: s is the standard deviation over `window` of a regime feature.

    The features are volatility_ratio, trend_strength and spread_ratio at their defaults. All are free of scale, and a
    standard deviation of 1 or more counts as no stability at all.
    """
    parts = [std_of(part, window) for part in (volatility_ratio(), trend_strength(), spread_ratio())]
    return Operator(steadiness)(*parts)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def spread_compression(fast: Window = 10, slow: Window = 50) -> Node:
    """(S - F) / S held to -1 to 1: EMAs F, S of the spread; above 0 it tightens; NaN in a locked or crossed book."""
    require(fast < slow, f"spread_compression: fast was {fast}, expected less than slow ({slow})")
    return Operator(compression)(ema_of(POSITIVE_SPREAD, fast), ema_of(POSITIVE_SPREAD, slow))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def imbalance_acceleration(period: Window = 10, smoothing: Window = 5, gain: Ratio = 100.0) -> Node:
    """tanh(gain A), A the EMA over `smoothing` of the one-event change of the EMA over `period` of the size imbalance."""
    pressure = ema_of(IMBALANCE, period)
    return Operator(squashed)(ema_of(SUBTRACT(pressure, lag_of(pressure, 1)), smoothing), params=(gain,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def micro_reversion(window: Window = 50) -> Node:
    """Mean over `window` of 1 where a return turns on the one before, 0 where it goes on, 1/2 where either is 0."""
    return tally_mean_of(Operator(reversal)(RETURN, lag_of(RETURN, 1)), window)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def quote_intensity(window: LongWindow = 20, ranks: LongWindow = 200) -> Node:
    """Share of the last `ranks` quote rates that are at most the newest, above 0 to 1; a rate spans `window` quotes.

    Quotes received in one instant count as 1 ns apart: the fastest there is, not a missing value.
    """
    return rank_of(rate_of(MID, window), ranks)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def behavior_divergence(window: Window = 20, period: Window = 10) -> Node:
    """(return_momentum - liquidity_pressure) / 2, -1 to 1: far from 0 where prices go one way and sizes lean the other."""
    return Operator(half_difference)(return_momentum(window), liquidity_pressure(period))


# A mirrored market has other returns, if hardly, and where two of them were equal the rank jumps.
@register(unit=Unit.RATIO, mirror=Mirror.NONE)
def volatility_compression_score(ranks: LongWindow = 50) -> Node:
    """0.4 C(2 - volatility_ratio) + 0.3 (spread_compression + 1) / 2 + 0.3 (1 - R), 0 to 1: how far the market has calmed.

    C holds to 0..1; R is the share of the last `ranks` volatilities (over 20 returns) that are at most the newest.
    """
    return Operator(calm)(volatility_ratio(), spread_compression(), rank_of(std_of(RETURN, 20), ranks))
