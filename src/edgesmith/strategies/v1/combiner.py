"""The combiner: signals become a side and a confidence; compiled.

With weights w (alpha scores) and signals s of the features that speak:

    weighted    abs(sum w s) / sum w, side of the sum; at least signals_min speak
    majority    share of the larger camp times its mean strength; it has at least signals_min
    unanimous   mean strength, where all agree and at least signals_min speak

This is in [0, 1]; a wide spread takes its part. The confidence is 0.5 + 0.5 of it: 0.5 knows nothing, 1 is certain, and more
agreement is never less confidence.
"""

from __future__ import annotations

from edgesmith.compiled import kernel
from edgesmith.strategies.v1.layout import (
    ACTIVE,
    ALPHA_MEAN,
    COMBINER,
    COMBINERS,
    CONFIDENCE,
    CONFIDENCE_RAW,
    COUNT,
    FEATURE_WIDTH,
    FEATURES,
    SIDE,
    SIGNALS,
    SIGNALS_MIN,
    SPREAD_COLUMN,
    WEIGHT,
    WIDE_KEEP,
    WIDE_SPREAD,
)

WEIGHTED, MAJORITY = float(COMBINERS.index("weighted")), float(COMBINERS.index("majority"))


@kernel
def confidence_of(raw):  # type: ignore[no-untyped-def]
    """Return 0.5 + 0.5 `raw`, held to 0.5 to 1; monotone."""
    return min(1.0, max(0.5, 0.5 + 0.5 * raw))


@kernel
def _camps(view, place, weights, total, longs, shorts, long_sum, short_sum):  # type: ignore[no-untyped-def]
    signal = view.memory[SIGNALS + place]
    weight = view.params[FEATURES + place * FEATURE_WIDTH + WEIGHT]
    if signal > 0.0:
        return weights + weight, total + weight * signal, longs + 1.0, shorts, long_sum + signal, short_sum
    if signal < 0.0:
        return weights + weight, total + weight * signal, longs, shorts + 1.0, long_sum, short_sum - signal
    return weights, total, longs, shorts, long_sum, short_sum


@kernel
def _agreement(kind, needed, weights, total, longs, shorts, long_sum, short_sum):  # type: ignore[no-untyped-def]
    """Return (side, raw confidence); side 0 where the signals give none."""
    if kind == WEIGHTED:
        if longs + shorts < needed or total == 0.0:
            return 0.0, 0.0
        return (1.0 if total > 0.0 else -1.0), abs(total) / weights
    if longs == shorts or max(longs, shorts) < needed:
        return 0.0, 0.0
    side, camp, strength = (1.0, longs, long_sum) if longs > shorts else (-1.0, shorts, short_sum)
    if kind == MAJORITY:
        return side, camp / (longs + shorts) * (strength / camp)
    return (side, strength / camp) if min(longs, shorts) == 0.0 else (0.0, 0.0)


@kernel
def combine(view):  # type: ignore[no-untyped-def]
    """Write side, confidence before and after rescaling, how many signals speak and their mean alpha to the memory."""
    weights = total = longs = shorts = long_sum = short_sum = 0.0
    for place in range(int(view.params[COUNT])):
        weights, total, longs, shorts, long_sum, short_sum = _camps(
            view, place, weights, total, longs, shorts, long_sum, short_sum
        )
    side, raw = _agreement(view.params[COMBINER], view.params[SIGNALS_MIN], weights, total, longs, shorts, long_sum, short_sum)
    if view.features[SPREAD_COLUMN] > view.params[WIDE_SPREAD]:
        raw *= view.params[WIDE_KEEP]
    view.memory[SIDE] = side
    view.memory[ACTIVE] = longs + shorts
    view.memory[ALPHA_MEAN] = weights / (longs + shorts) if longs + shorts > 0.0 else 0.0
    view.memory[CONFIDENCE_RAW] = raw
    view.memory[CONFIDENCE] = confidence_of(raw)
