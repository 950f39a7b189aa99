"""Signals: each feature centered, scaled, signed and cut to -1 to 1, as the mode and the trend leave it; compiled.

    z = direction (value - center) / scale            s = clip(z / signal_full_scales, -1, 1), 0 where abs(z) is too small

Center and scale are the report's median and IQR / 1.349 of its train rows, or, for the fallback, the exponential mean and
standard deviation of the values *before* this one.
"""

from __future__ import annotations

import math

from edgesmith.compiled import kernel
from edgesmith.strategies.v1.layout import (
    AGAINST_TREND,
    BREAKOUT_MIN,
    CENTER,
    COUNT,
    DIRECTION,
    FEATURE_WIDTH,
    FEATURES,
    FIRST_COLUMN,
    IS_MOVE,
    MEANS,
    MULTIPLIER,
    ONLINE,
    ONLINE_WARM,
    ONLINE_WEIGHT,
    SCALE,
    SEEN,
    SIDEWAYS_BREAKOUT,
    SIDEWAYS_MAX,
    SIGNAL_FULL,
    SIGNAL_MIN,
    SIGNALS,
    STRENGTH_MIN,
    THRESHOLD_RATIO,
    TREND_COLUMN,
    TREND_STRONG,
    VARIANCES,
)


@kernel
def generate_signals(view, mode):  # type: ignore[no-untyped-def]
    """Write the signal of every feature to the memory; a missing value is silent and stops no other."""
    count = int(view.params[COUNT])
    silent_below = view.params[SIGNAL_MIN] * view.params[THRESHOLD_RATIO + mode]
    trend = view.features[TREND_COLUMN]
    for place in range(count):
        value = view.features[FIRST_COLUMN + place]
        at = FEATURES + place * FEATURE_WIDTH
        if view.params[ONLINE] != 0.0:
            center, scale = view.memory[MEANS + place], math.sqrt(view.memory[VARIANCES + place])
            warm = view.memory[SEEN + place] >= view.params[ONLINE_WARM]
        else:
            center, scale, warm = view.params[at + CENTER], view.params[at + SCALE], True
        z = view.params[at + DIRECTION] * (value - center) / scale if scale > 0.0 else 0.0
        signal = 0.0
        # A missing value makes z NaN, and the comparisons false.
        if warm and abs(z) >= silent_below and abs(z) > 0.0:
            signal = min(1.0, max(-1.0, z / view.params[SIGNAL_FULL])) * view.params[at + MULTIPLIER + mode]
            signal = _penalized(view, signal, trend, view.params[at + IS_MOVE])
            if abs(signal) < view.params[STRENGTH_MIN]:
                signal = 0.0
        view.memory[SIGNALS + place] = signal


@kernel
def _penalized(view, signal, trend, move):  # type: ignore[no-untyped-def]
    if signal * trend < 0.0 and abs(trend) > view.params[TREND_STRONG]:
        return signal * view.params[AGAINST_TREND]
    if move != 0.0 and abs(trend) <= view.params[SIDEWAYS_MAX] and abs(signal) > view.params[BREAKOUT_MIN]:
        return signal * view.params[SIDEWAYS_BREAKOUT]
    return signal


@kernel
def observe(view):  # type: ignore[no-untyped-def]
    """Take the values of this quote into the running means and deviations."""
    for place in range(int(view.params[COUNT])):
        value = view.features[FIRST_COLUMN + place]
        if value == value:
            _observe(view, place, value)


@kernel
def _observe(view, place, value):  # type: ignore[no-untyped-def]
    seen = view.memory[SEEN + place] + 1.0
    view.memory[SEEN + place] = seen
    # A plain mean until the exponential one has seen enough.
    weight = max(1.0 / seen, view.params[ONLINE_WEIGHT])
    change = value - view.memory[MEANS + place]
    view.memory[MEANS + place] += weight * change
    view.memory[VARIANCES + place] = (1.0 - weight) * (view.memory[VARIANCES + place] + weight * change * change)
