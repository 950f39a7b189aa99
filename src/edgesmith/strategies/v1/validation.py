"""Refuse settings under which nothing could ever trade: every threshold must be one its quantity can reach.

The prior system's gate stood at 0.6 above a score that ended at 0.56, and a whole day passed without an order or a word.
"""

from __future__ import annotations

import math

from edgesmith.errors import InputError
from edgesmith.features.operator import FeatureSpec
from edgesmith.strategies.gate import CONFIDENCE_LOW, check_gate, require_reachable
from edgesmith.strategies.v1.config import Mode, V1Config
from edgesmith.strategies.v1.selection import Selected, Selection


def validate(config: V1Config, selection: Selection, volatility: FeatureSpec) -> None:
    """Raise InputError, one line, on the first setting that cannot work with this selection."""
    _check_order(config)
    if config.signals_min > len(selection.features):
        raise InputError(
            f"signals_min was {config.signals_min}, but only {len(selection.features)} features are in use "
            f"({', '.join(one.spec.name for one in selection.features)}): lower it, or alpha_min"
        )
    if config.hold_s_min * 1e9 > selection.hold_ns:
        raise InputError(
            f"hold_s_min was {config.hold_s_min:g}, but a position is left after {selection.hold_ns / 1e9:g} s: lower it"
        )
    reached = confidence_reached(config, selection)
    volatility_reached = volatility_ratio_reached(volatility)
    require_reachable("confidence_min", config.confidence_min, CONFIDENCE_LOW, reached)
    if config.gate:
        check_gate(config.gate_config, reached, volatility_reached)
    if config.volatility_high_ratio >= volatility_reached:
        raise InputError(
            f"volatility_high_ratio was {config.volatility_high_ratio:g}, but the volatility ratio reaches "
            f"{volatility_reached:.3g} at most: no market would ever be one of high volatility, lower it"
        )


def _check_order(config: V1Config) -> None:
    pairs = (
        ("volatility_low_ratio", config.volatility_low_ratio, "volatility_high_ratio", config.volatility_high_ratio),
        ("sideways_trend_max", config.sideways_trend_max, "trend_strong", config.trend_strong),
        ("confidence_exit", config.confidence_exit, "confidence_min", config.confidence_min),
        ("signal_min_scales", config.signal_min_scales, "signal_full_scales", config.signal_full_scales),
    )
    for low_name, low, high_name, high in pairs:
        if low > high:
            raise InputError(f"{low_name} was {low:g}, expected at most {high_name} ({high:g})")
    if not config.confidence_exit >= 0.0:
        raise InputError(f"confidence_exit was {config.confidence_exit:g}, expected 0 or more")


def volatility_ratio_reached(volatility: FeatureSpec) -> float:
    """Return the largest value the ratio can have: the short window is part of the long one."""
    params = dict(volatility.params)
    return math.sqrt(params["long"] / params["short"])


def confidence_reached(config: V1Config, selection: Selection) -> float:
    """Return what the confidence cannot exceed in any mode: all signals as full as they go, and on one side."""
    return 0.5 + 0.5 * max(_raw_reached(mode, config, selection.features) for mode in Mode)


def _signal_reached(mode: Mode, config: V1Config, one: Selected) -> float:
    return min(1.0, one.scales_reached / config.signal_full_scales) * abs(one.multipliers(config)[mode])


def _raw_reached(mode: Mode, config: V1Config, features: tuple[Selected, ...]) -> float:
    full = sorted((-_signal_reached(mode, config, one), one.alpha) for one in features)
    heard = [(-strength, alpha) for strength, alpha in full if -strength >= config.strength_min and strength < 0.0]
    if len(heard) < config.signals_min:
        return 0.0
    # No mean of at least so many is above the mean of the fullest; a weighted one is below the fullest of all.
    if config.combiner == "weighted":
        return max(strength for strength, _ in heard)
    return sum(strength for strength, _ in heard[: config.signals_min]) / config.signals_min
