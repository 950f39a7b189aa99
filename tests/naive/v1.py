"""StrategyV1 the obvious way: lists and branches, one quote at a time, from its documentation."""

from __future__ import annotations

import math
from typing import Any

NONE, HOLD = 0, math.nan


class NaiveV1:
    """Decides like StrategyV1; `selection` and `config` are the strategy's own."""

    def __init__(self, strategy: Any) -> None:
        self.config, self.features = strategy.config, strategy.selection.features
        self.hold_ns = strategy.selection.hold_ns
        self.history: list[list[float]] = [[] for _ in self.features]
        self.running: list[tuple[float, float]] = [(0.0, 0.0) for _ in self.features]
        self.last_fill: int | None = None
        self.opened: int | None = None
        self.held = 0.0

    def mode(self, ratio: float) -> str:
        if ratio > self.config.volatility_high_ratio:
            return "high"
        return "low" if ratio < self.config.volatility_low_ratio else "normal"

    def signal(self, place: int, value: float, mode: str, trend: float) -> float:
        one, config = self.features[place], self.config
        if one.center is None:
            seen = len(self.history[place])
            center, variance = self.running[place]
            scale = math.sqrt(variance)
            if seen < min(config.standardize_events, 500):
                return 0.0
        else:
            center, scale = one.center, one.scale
        if math.isnan(value) or scale == 0.0:
            return 0.0
        z = one.direction * (value - center) / scale
        if z == 0.0 or abs(z) < config.signal_min_scales * getattr(config, f"{mode}_threshold_ratio"):
            return 0.0
        signal = max(-1.0, min(1.0, z / config.signal_full_scales))
        follows = one.direction > 0
        if one.move and ((mode == "low" and not follows) or (mode == "high" and follows)):
            signal *= -1.0 if one.center is None else config.against_mode_ratio
        if abs(trend) > config.trend_strong and signal * trend < 0:
            signal *= config.against_trend_ratio
        elif one.move and abs(trend) <= config.sideways_trend_max and abs(signal) > config.breakout_signal_min:
            signal *= config.sideways_breakout_ratio
        return signal if abs(signal) >= config.strength_min else 0.0

    def observe(self, place: int, value: float) -> None:
        if math.isnan(value):
            return
        self.history[place].append(value)
        weight = max(1.0 / len(self.history[place]), 2.0 / (self.config.standardize_events + 1.0))
        mean, variance = self.running[place]
        change = value - mean
        self.running[place] = mean + weight * change, (1.0 - weight) * (variance + weight * change * change)

    def combined(self, signals: list[float], spread_ratio: float) -> tuple[int, float, float]:
        """Side, confidence, mean alpha of those that speak."""
        config = self.config
        heard = [(signal, one.alpha) for signal, one in zip(signals, self.features, strict=True) if signal != 0.0]
        longs, shorts = [s for s, _ in heard if s > 0], [s for s, _ in heard if s < 0]
        side, raw = 0, 0.0
        if config.combiner == "weighted" and len(heard) >= config.signals_min:
            total = sum(s * alpha for s, alpha in heard)
            side = (total > 0) - (total < 0)
            raw = abs(total) / sum(alpha for _, alpha in heard)
        elif config.combiner != "weighted" and len(longs) != len(shorts):
            camp = max(longs, shorts, key=len)
            if len(camp) >= config.signals_min and (config.combiner == "majority" or len(camp) == len(heard)):
                side = 1 if camp is longs else -1
                raw = len(camp) / len(heard) * abs(sum(camp)) / len(camp)
        if spread_ratio > config.wide_spread_ratio:
            raw *= config.wide_spread_keep_ratio
        alpha = sum(alpha for _, alpha in heard) / len(heard) if heard else 0.0
        return side, 0.5 + raw / 2, alpha

    def gate(self, side: int, confidence: float, state: tuple[float, float, float], since: float, spread_bps: float) -> str:
        config = self.config
        volatility, trend, spread_ratio = state
        checks = [
            ("gate_trend", side * trend >= config.gate_trend_min),
            ("gate_volatility", volatility >= config.gate_volatility_ratio_min),
            ("gate_spread_regime", spread_ratio <= config.gate_spread_ratio_max),
            ("gate_signal", confidence >= config.gate_confidence_min),
            ("gate_cooldown", since >= config.gate_cooldown_ms * 1e6),
            ("gate_spread", spread_bps <= config.gate_spread_bps_max),
        ]
        return next((name for name, passed in checks if config.gate and not passed), "")

    def size(self, mode: str, confidence: float, alpha: float, lot: float) -> float:
        config = self.config
        size = {"fixed": 1.0, "confidence": confidence, "alpha": confidence * alpha}[config.sizing] * config.base_qty
        size = min(size * getattr(config, f"{mode}_size_ratio"), config.max_qty)
        if size < lot * (1 - 1e-6):
            return lot if lot <= config.base_qty and lot <= config.max_qty else 0.0
        return math.floor(size / lot + 1e-6) * lot

    def decide(
        self, ts: int, quote: tuple[float, float], held: float, pending: float, row: list[float], lot: float
    ) -> tuple[str, float]:
        """What becomes of a quote, and the position wanted."""
        if held != self.held:
            self.last_fill = ts
            if held * self.held <= 0:
                self.opened = ts
            self.held = held
        volatility, trend, spread_ratio = row[:3]
        mode = self.mode(volatility)
        signals = [self.signal(place, value, mode, trend) for place, value in enumerate(row[3:])]
        side, confidence, alpha = self.combined(signals, spread_ratio)
        for place, value in enumerate(row[3:]):
            self.observe(place, value)
        ready = not any(math.isnan(value) for value in row[:3])
        if pending:
            return "in_flight", HOLD
        if held:
            return self.holding(ts - (self.opened or 0), ready, side, confidence, 1 if held > 0 else -1)
        if not ready:
            return "warming_up", HOLD
        if side == 0:
            return "no_signal", HOLD
        if confidence < self.config.confidence_min:
            return "low_confidence", HOLD
        bid, ask = quote
        since = math.inf if self.last_fill is None else ts - self.last_fill
        blocked = self.gate(side, confidence, (volatility, trend, spread_ratio), since, (ask - bid) / ((ask + bid) / 2) * 1e4)
        if blocked:
            return blocked, HOLD
        size = self.size(mode, confidence, alpha, lot)
        return ("entered", side * size) if size else ("below_lot", HOLD)

    def holding(self, held_ns: int, ready: bool, side: int, confidence: float, held_side: int) -> tuple[str, float]:
        config = self.config
        if held_ns >= self.hold_ns:
            return "exit_time", 0.0
        if not ready or held_ns < config.hold_s_min * 1e9:
            return "holding", HOLD
        if side == -held_side and confidence >= config.confidence_min:
            return "exit_opposite", 0.0
        for_it = confidence if side == held_side else 1.0 - confidence
        return ("exit_confidence", 0.0) if for_it < config.confidence_exit else ("holding", HOLD)
