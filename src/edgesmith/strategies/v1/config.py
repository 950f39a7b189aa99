"""What can be set of StrategyV1, flat: every setting can be given on a command line and swept."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from edgesmith.strategies.gate import GateConfig
from edgesmith.trading.strategy import StrategyConfig

FEATURES_MAX = 16

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Signed = Annotated[float, Meta(ge=-1.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]
NotNegative = Annotated[float, Meta(ge=0.0)]


class Mode(IntEnum):
    """How signals are read; the numbers are stable."""

    MOMENTUM = 0
    BALANCED = 1
    MEAN_REVERSION = 2


class V1Config(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of StrategyV1; the defaults are the preset `default`.

    Parameters
    ----------
    preset
        The name these settings started from; a preset's own settings come first, others given beside it win.
    report, top_n, alpha_min
        Path of a `features_report.json`: the `top_n` best features with an alpha score of at least `alpha_min` are used, with
        the report's median, scale and direction. Without a path the fallback (roc, ema_slope, volatility) is used.
    standardize_events
        The fallback centers and scales each feature by its mean and deviation over about so many quotes, as they come.
    signal_min_scales, signal_full_scales
        In scales from the center: a value nearer than the first (times the mode's `threshold_ratio`) is silent, one as far
        as the second is a full signal of 1.
    volatility_low_ratio, volatility_high_ratio
        Below the first the mode is momentum, above the second mean reversion, between them balanced.
    high_, low_, normal_size_ratio and _threshold_ratio
        What a mode makes of the order size, and of `signal_min_scales`.
    against_mode_ratio
        What remains of a move signal whose measured direction does not fit the mode.
    trend_strong, against_trend_ratio
        Above this trend strength, what remains of a signal against the trend.
    sideways_trend_max, breakout_signal_min, sideways_breakout_ratio
        Below this trend strength, what remains of a move signal larger than the second.
    wide_spread_ratio, wide_spread_keep_ratio
        Above this ratio of the spread to its usual, what remains of the confidence.
    combiner, signals_min, strength_min, confidence_min
        How signals become one, how many must speak, how loud each must be, and the confidence (0.5 to 1) to act on.
    sizing, base_qty, max_qty
        fixed: base_qty; confidence: times the confidence; alpha: times the confidence and the mean alpha of the signals that
        speak. All times the mode's size ratio, rounded down to lots but at least one, at most max_qty.
    hold_s_min, hold_s_max, confidence_exit
        A position is left after hold_s_max (0: the report's horizon, or 30 s); after hold_s_min, when the signal turns with
        confidence_min, or the confidence for the position falls below confidence_exit. It is 0.5 without a signal, and one less
        the confidence of a signal the other way.
    gate and gate_*
        Whether entries pass the gate, and its settings (`strategies.gate`).
    """

    preset: str = "default"
    report: str = ""
    top_n: Annotated[int, Meta(ge=1, le=FEATURES_MAX)] = 5
    alpha_min: Share = 0.3
    standardize_events: Annotated[int, Meta(ge=100, le=10_000_000)] = 5_000
    signal_min_scales: NotNegative = 0.5
    signal_full_scales: Positive = 2.0
    volatility_low_ratio: Positive = 0.7
    volatility_high_ratio: Positive = 1.4
    high_size_ratio: Positive = 0.5
    high_threshold_ratio: Positive = 1.5
    low_size_ratio: Positive = 1.0
    low_threshold_ratio: Positive = 0.8
    normal_size_ratio: Positive = 0.75
    normal_threshold_ratio: Positive = 1.0
    against_mode_ratio: Share = 0.25
    trend_strong: Share = 0.8
    against_trend_ratio: Share = 0.5
    sideways_trend_max: Share = 0.2
    breakout_signal_min: Share = 0.7
    sideways_breakout_ratio: Share = 0.7
    wide_spread_ratio: Positive = 1.5
    wide_spread_keep_ratio: Share = 0.7
    combiner: Literal["weighted", "majority", "unanimous"] = "weighted"
    signals_min: Annotated[int, Meta(ge=1, le=FEATURES_MAX)] = 2
    strength_min: Share = 0.3
    confidence_min: float = 0.7
    sizing: Literal["fixed", "confidence", "alpha"] = "alpha"
    base_qty: Positive = 0.01
    max_qty: Positive = 0.1
    hold_s_min: NotNegative = 2.0
    hold_s_max: NotNegative = 0.0
    confidence_exit: float = 0.4
    gate: bool = True
    gate_trend_min: Signed = -0.5
    gate_volatility_ratio_min: NotNegative = 0.0
    gate_spread_ratio_max: Positive = 2.0
    gate_confidence_min: float = 0.75
    gate_cooldown_ms: Annotated[float, Meta(ge=0.0, le=86_400_000.0)] = 5_000.0
    gate_spread_bps_max: Annotated[float, Meta(gt=0.0, le=10_000.0)] = 10.0

    @property
    def gate_config(self) -> GateConfig:
        """Return the gate's settings."""
        return GateConfig(
            trend_min=self.gate_trend_min,
            volatility_ratio_min=self.gate_volatility_ratio_min,
            spread_ratio_max=self.gate_spread_ratio_max,
            confidence_min=self.gate_confidence_min,
            cooldown_ms=self.gate_cooldown_ms,
            spread_bps_max=self.gate_spread_bps_max,
        )
