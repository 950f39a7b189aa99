"""The five named settings of StrategyV1.

They are the prior system's, with confidences moved from its 0 to 1 onto 0.5 to 1 and set where signals can be: two of its
five could never trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "high_frequency": {
        "top_n": 3,
        "alpha_min": 0.3,
        "strength_min": 0.2,
        "signals_min": 1,
        "confidence_min": 0.65,
        "base_qty": 0.005,
        "max_qty": 0.05,
        "hold_s_min": 0.5,
        "confidence_exit": 0.45,
        "gate_trend_min": -0.7,
        "gate_confidence_min": 0.7,
        "gate_cooldown_ms": 3_000.0,
        "gate_spread_bps_max": 5.0,
    },
    "quality": {
        "top_n": 7,
        "alpha_min": 0.3,
        "combiner": "unanimous",
        "strength_min": 0.35,
        "confidence_min": 0.75,
        "base_qty": 0.02,
        "max_qty": 0.2,
        "gate_trend_min": -0.3,
        "gate_spread_ratio_max": 1.5,
        "gate_confidence_min": 0.8,
        "gate_cooldown_ms": 10_000.0,
        "gate_spread_bps_max": 5.0,
    },
    "aggressive": {
        "alpha_min": 0.25,
        "combiner": "majority",
        "strength_min": 0.2,
        "signals_min": 1,
        "confidence_min": 0.6,
        "sizing": "confidence",
        "base_qty": 0.02,
        "max_qty": 0.15,
        "high_size_ratio": 0.75,
        "high_threshold_ratio": 1.2,
        "low_size_ratio": 1.2,
        "low_threshold_ratio": 0.7,
        "normal_size_ratio": 1.0,
        "normal_threshold_ratio": 0.9,
        "hold_s_min": 0.5,
        "confidence_exit": 0.45,
        "gate_trend_min": -1.0,
        "gate_confidence_min": 0.65,
        "gate_cooldown_ms": 2_000.0,
        "gate_spread_bps_max": 20.0,
    },
    "conservative": {
        "alpha_min": 0.35,
        "combiner": "unanimous",
        "strength_min": 0.4,
        "confidence_min": 0.75,
        "sizing": "fixed",
        "base_qty": 0.005,
        "max_qty": 0.05,
        "high_size_ratio": 0.25,
        "high_threshold_ratio": 2.0,
        "low_size_ratio": 0.75,
        "low_threshold_ratio": 1.0,
        "normal_size_ratio": 0.5,
        "normal_threshold_ratio": 1.2,
        "gate_trend_min": -0.2,
        "gate_spread_ratio_max": 1.5,
        "gate_confidence_min": 0.8,
        "gate_cooldown_ms": 15_000.0,
        "gate_spread_bps_max": 3.0,
    },
}
