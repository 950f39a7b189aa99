"""The gate between a signal and an intent: regime, signal, cooldown, spread, in this order; compiled.

The first check that fails names the reason, and reasons are few and stable, so they can be counted. Trend is judged in the
direction of the signal: a sale needs a market that does not rise too fast, as a purchase needs one that does not fall too
fast. The cooldown counts from the last fill, so an order that was refused or missed delays nothing. Exits do not pass here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from edgesmith.compiled import kernel
from edgesmith.errors import InputError

# Volatility and spread ratios are held to 0 to this by their features.
RATIO_MAX = 5.0
CONFIDENCE_LOW, CONFIDENCE_HIGH = 0.5, 1.0


class GateReason(IntEnum):
    """Why the gate blocked; the numbers are stable."""

    PASSED = 0
    TREND = 1
    VOLATILITY = 2
    SPREAD_REGIME = 3
    SIGNAL = 4
    COOLDOWN = 5
    SPREAD = 6


PASSED, TREND, VOLATILITY = int(GateReason.PASSED), int(GateReason.TREND), int(GateReason.VOLATILITY)
SPREAD_REGIME, SIGNAL = int(GateReason.SPREAD_REGIME), int(GateReason.SIGNAL)
COOLDOWN, SPREAD = int(GateReason.COOLDOWN), int(GateReason.SPREAD)


class GateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate asks for.

    Parameters
    ----------
    trend_min : -1 to 1
        Least trend strength in the direction of the signal; -1 lets everything pass, 0 only what goes with the trend.
    volatility_ratio_min, spread_ratio_max : 0 to 5
        Bounds of the regime: recent volatility and spread against their usual.
    confidence_min : 0.5 to 1
    cooldown_ms : time since the last fill
    spread_bps_max : of the mid price
    """

    trend_min: Annotated[float, Meta(ge=-1.0, le=1.0)] = -0.5
    volatility_ratio_min: Annotated[float, Meta(ge=0.0)] = 0.0
    spread_ratio_max: Annotated[float, Meta(gt=0.0)] = 2.0
    confidence_min: float = 0.75
    cooldown_ms: Annotated[float, Meta(ge=0.0, le=86_400_000.0)] = 5_000.0
    spread_bps_max: Annotated[float, Meta(gt=0.0, le=10_000.0)] = 10.0


def check_gate(config: GateConfig, confidence_reached: float, volatility_ratio_reached: float = RATIO_MAX) -> None:
    """Refuse a gate that nothing could pass: each bounded quantity must be able to reach its threshold."""
    require_reachable("gate confidence_min", config.confidence_min, CONFIDENCE_LOW, confidence_reached)
    require_reachable("gate volatility_ratio_min", config.volatility_ratio_min, 0.0, volatility_ratio_reached)
    require_reachable("gate trend_min", config.trend_min, -1.0, 1.0)


def require_reachable(name: str, threshold: float, low: float, high: float) -> None:
    """Raise InputError where a quantity between `low` and `high` can never reach `threshold`, or is never below it."""
    if threshold > high + 1e-12:
        raise InputError(f"{name} was {threshold:g}, but what it is compared with reaches {high:g} at most: lower it")
    if threshold < low:
        raise InputError(
            f"{name} was {threshold:g}, but what it is compared with is never below {low:g}: expected {low:g} or more"
        )


@kernel
def judge_gate(  # type: ignore[no-untyped-def]
    direction, confidence, trend, volatility_ratio, spread_ratio, since_fill_ns, spread_share,
    trend_min, volatility_ratio_min, spread_ratio_max, confidence_min, cooldown_ns, spread_share_max,
):  # fmt: skip
    """Return PASSED or the first reason to block; every comparison with NaN blocks."""
    if not direction * trend >= trend_min:
        return TREND
    if not volatility_ratio >= volatility_ratio_min:
        return VOLATILITY
    if not spread_ratio <= spread_ratio_max:
        return SPREAD_REGIME
    if not confidence >= confidence_min:
        return SIGNAL
    if not since_fill_ns >= cooldown_ns:
        return COOLDOWN
    if not spread_share <= spread_share_max:
        return SPREAD
    return PASSED
