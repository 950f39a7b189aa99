"""StrategyV1, the Python face: settings and a feature report in, numbers for the compiled decision out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.domain.units import BPS, NS_PER_MS, NS_PER_S
from edgesmith.features.catalog import feature
from edgesmith.features.operator import FeatureSpec
from edgesmith.strategies.v1 import decision, layout
from edgesmith.strategies.v1.config import Mode, V1Config
from edgesmith.strategies.v1.layout import CODES, Outcome
from edgesmith.strategies.v1.presets import PRESETS
from edgesmith.strategies.v1.selection import Selection, select
from edgesmith.strategies.v1.validation import validate
from edgesmith.trading.strategy import CompiledStrategy
from edgesmith.trading.trace import TraceColumn

# Quotes until the fallback's means and deviations are worth something.
ONLINE_WARM_EVENTS = 500
# Outcomes in the order a quote passes them: what is left after each goes on to the next.
FUNNEL = tuple(outcome for outcome in Outcome if outcome <= Outcome.BELOW_LOT)
EXITS = (Outcome.EXIT_TIME, Outcome.EXIT_OPPOSITE, Outcome.EXIT_CONFIDENCE)


class StrategyV1(CompiledStrategy):
    """Read the best features as the regime says, act when they agree and the gate lets it pass, leave in time."""

    name = "v1"
    Config = V1Config
    presets = PRESETS
    streams = (Stream.BBO,)
    trace_codes = CODES
    decide = staticmethod(decision.decide)

    def __init__(self, config: V1Config | None = None) -> None:
        super().__init__(config)
        self.selection: Selection = select(self.config)
        self._state = tuple(
            feature(name).named(f"state_{name}") for name in ("volatility_ratio", "trend_strength", "spread_ratio")
        )
        validate(self.config, self.selection, self._state[0])

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """Return the state of the market, then the selected features."""
        return (*self._state, *(one.spec for one in self.selection.features))

    @property
    def resolved(self) -> dict[str, Any]:
        """Return the selection."""
        return self.selection.described()

    @property
    def fitted_ns(self) -> tuple[int, int] | None:
        """Return the interval of the feature report."""
        return self.selection.fitted_ns

    def params(self) -> tuple[float, ...]:
        """Return the settings and the selection as numbers, as `layout` says."""
        config, chosen = self.config, self.selection.features
        numbers = np.zeros(layout.FEATURES + len(chosen) * layout.FEATURE_WIDTH)
        for place, value in _settings(config, self.selection).items():
            numbers[place] = value
        for place, one in enumerate(chosen):
            at = layout.FEATURES + place * layout.FEATURE_WIDTH
            numbers[at + layout.CENTER] = one.center or 0.0
            numbers[at + layout.SCALE] = one.scale or 0.0
            numbers[at + layout.DIRECTION] = one.direction
            numbers[at + layout.WEIGHT] = one.alpha
            numbers[at + layout.IS_MOVE] = one.move
            numbers[at + layout.MULTIPLIER : at + layout.FEATURE_WIDTH] = one.multipliers(config)
        return tuple(numbers.tolist())

    @property
    def trace_columns(self) -> tuple[TraceColumn, ...]:
        """Return the columns of the trace: the state, the judgment, then each feature's."""
        modes = tuple(mode.name.lower() for mode in Mode)
        head = [TraceColumn(name, modes if name == "mode" else ()) for name in layout.TRACE_HEAD]
        columns = [one.spec.name for one in self.selection.features]
        return (*head, *(TraceColumn(f"{what}_{column}") for column in columns for what in layout.TRACE_FEATURE))

    def funnel(self, memory: NDArray[np.float64]) -> dict[str, Any]:
        """Return how many quotes came, where each ended, and how many passed every check."""
        counts = {outcome: int(memory[layout.OUTCOMES + outcome]) for outcome in Outcome}
        return {
            "quotes": int(memory[layout.QUOTES]),
            "steps": _steps(int(memory[layout.QUOTES]) - sum(counts[one] for one in EXITS), counts),
            "entered": counts[Outcome.ENTERED],
            "exits": {CODES[one][0]: counts[one] for one in EXITS},
        }


def _steps(entering: int, counts: dict[Outcome, int]) -> Sequence[dict[str, Any]]:
    steps, left = [], entering
    for outcome in FUNNEL:
        left -= counts[outcome]
        steps.append({"reason": CODES[outcome][0], "why": CODES[outcome][1], "stopped": counts[outcome], "left": left})
    return steps


def _settings(config: V1Config, selection: Selection) -> dict[int, float]:
    gate = config.gate_config
    return {
        layout.COUNT: len(selection.features),
        layout.ONLINE: selection.online,
        layout.ONLINE_WEIGHT: 2.0 / (config.standardize_events + 1.0),
        layout.ONLINE_WARM: min(config.standardize_events, ONLINE_WARM_EVENTS),
        layout.SIGNAL_MIN: config.signal_min_scales,
        layout.SIGNAL_FULL: config.signal_full_scales,
        layout.VOLATILITY_LOW: config.volatility_low_ratio,
        layout.VOLATILITY_HIGH: config.volatility_high_ratio,
        **_by_mode(layout.SIZE_RATIO, config.low_size_ratio, config.normal_size_ratio, config.high_size_ratio),
        **_by_mode(
            layout.THRESHOLD_RATIO, config.low_threshold_ratio, config.normal_threshold_ratio, config.high_threshold_ratio
        ),
        layout.TREND_STRONG: config.trend_strong,
        layout.AGAINST_TREND: config.against_trend_ratio,
        layout.SIDEWAYS_MAX: config.sideways_trend_max,
        layout.BREAKOUT_MIN: config.breakout_signal_min,
        layout.SIDEWAYS_BREAKOUT: config.sideways_breakout_ratio,
        layout.WIDE_SPREAD: config.wide_spread_ratio,
        layout.WIDE_KEEP: config.wide_spread_keep_ratio,
        layout.COMBINER: layout.COMBINERS.index(config.combiner),
        layout.SIGNALS_MIN: config.signals_min,
        layout.STRENGTH_MIN: config.strength_min,
        layout.CONFIDENCE_MIN: config.confidence_min,
        layout.SIZING: layout.SIZINGS.index(config.sizing),
        layout.BASE_QTY: config.base_qty,
        layout.MAX_QTY: config.max_qty,
        layout.HOLD_MIN_NS: config.hold_s_min * NS_PER_S,
        layout.HOLD_MAX_NS: selection.hold_ns,
        layout.CONFIDENCE_EXIT: config.confidence_exit,
        layout.GATE_ON: config.gate,
        layout.GATE_TREND: gate.trend_min,
        layout.GATE_VOLATILITY: gate.volatility_ratio_min,
        layout.GATE_SPREAD_RATIO: gate.spread_ratio_max,
        layout.GATE_CONFIDENCE: gate.confidence_min,
        layout.GATE_COOLDOWN_NS: gate.cooldown_ms * NS_PER_MS,
        layout.GATE_SPREAD: gate.spread_bps_max * BPS,
    }


def _by_mode(place: int, momentum: float, balanced: float, mean_reversion: float) -> dict[int, float]:
    values = {Mode.MOMENTUM: momentum, Mode.BALANCED: balanced, Mode.MEAN_REVERSION: mean_reversion}
    return {place + mode: value for mode, value in values.items()}
