"""Where StrategyV1's numbers lie in `view.params`, `view.memory`, `view.features` and `view.trace`; read by compiled code."""

from __future__ import annotations

from enum import IntEnum

from edgesmith.strategies.gate import GateReason

# view.features: the state of the market, then the selected features.
VOLATILITY_COLUMN, TREND_COLUMN, SPREAD_COLUMN, FIRST_COLUMN = 0, 1, 2, 3

# view.params
COUNT, ONLINE, ONLINE_WEIGHT, ONLINE_WARM = 0, 1, 2, 3
SIGNAL_MIN, SIGNAL_FULL = 4, 5
VOLATILITY_LOW, VOLATILITY_HIGH = 6, 7
SIZE_RATIO, THRESHOLD_RATIO = 8, 11  # one per mode
TREND_STRONG, AGAINST_TREND, SIDEWAYS_MAX, BREAKOUT_MIN, SIDEWAYS_BREAKOUT = 14, 15, 16, 17, 18
WIDE_SPREAD, WIDE_KEEP = 19, 20
COMBINER, SIGNALS_MIN, STRENGTH_MIN, CONFIDENCE_MIN = 21, 22, 23, 24
SIZING, BASE_QTY, MAX_QTY = 25, 26, 27
HOLD_MIN_NS, HOLD_MAX_NS, CONFIDENCE_EXIT = 28, 29, 30
GATE_ON, GATE_TREND, GATE_VOLATILITY, GATE_SPREAD_RATIO, GATE_CONFIDENCE, GATE_COOLDOWN_NS, GATE_SPREAD = range(31, 38)
FEATURES, FEATURE_WIDTH = 40, 8
# Within the numbers of one feature; MULTIPLIER is one per mode.
CENTER, SCALE, DIRECTION, WEIGHT, IS_MOVE, MULTIPLIER = 0, 1, 2, 3, 4, 5

# view.memory
QUOTES, HELD_QTY, HAS_FILL, FILL_S, FILL_NS, OPENED_S, OPENED_NS = 0, 1, 2, 3, 4, 5, 6
MODE, SIDE, ACTIVE, ALPHA_MEAN, CONFIDENCE_RAW, CONFIDENCE, SIZE = 7, 8, 9, 10, 11, 12, 13
OUTCOMES = 16  # one counter per outcome
SIGNALS, MEANS, VARIANCES, SEEN = 40, 56, 72, 88  # one per feature

# view.trace, after which each feature has its six.
TRACE_HEAD = (
    "mode",
    "volatility_ratio",
    "trend_strength",
    "spread_ratio",
    "bid_price",
    "ask_price",
    "held_qty",
    "held_ns",
    "since_fill_ns",
    "signals",
    "side",
    "alpha_mean",
    "confidence_raw",
    "confidence",
    "size_qty",
)
TRACE_FEATURE = ("value", "center", "scale", "signal", "weight", "seen")

COMBINERS = ("weighted", "majority", "unanimous")
SIZINGS = ("fixed", "confidence", "alpha")


class Outcome(IntEnum):
    """How a quote ended for the strategy; the numbers are stable."""

    WARMING_UP = 1
    IN_FLIGHT = 2
    HOLDING = 3
    NO_SIGNAL = 4
    LOW_CONFIDENCE = 5
    GATE_TREND = 6
    GATE_VOLATILITY = 7
    GATE_SPREAD_REGIME = 8
    GATE_SIGNAL = 9
    GATE_COOLDOWN = 10
    GATE_SPREAD = 11
    BELOW_LOT = 12
    ENTERED = 13
    EXIT_TIME = 14
    EXIT_OPPOSITE = 15
    EXIT_CONFIDENCE = 16


# A gate reason r is outcome GATE_FIRST + r.
GATE_FIRST = int(Outcome.GATE_TREND) - int(GateReason.TREND)

CODES: dict[int, tuple[str, str]] = {
    Outcome.WARMING_UP: ("warming_up", "a feature of the market's state has no value yet"),
    Outcome.IN_FLIGHT: ("in_flight", "an order is on its way"),
    Outcome.HOLDING: ("holding", "the position is kept"),
    Outcome.NO_SIGNAL: ("no_signal", "too few signals speak, or they do not agree"),
    Outcome.LOW_CONFIDENCE: ("low_confidence", "the combined confidence is below what a decision needs"),
    Outcome.GATE_TREND: ("gate_trend", "the trend is too much against the signal"),
    Outcome.GATE_VOLATILITY: ("gate_volatility", "the market is too calm"),
    Outcome.GATE_SPREAD_REGIME: ("gate_spread_regime", "the spread is too wide for this market"),
    Outcome.GATE_SIGNAL: ("gate_signal", "the confidence is below what the gate needs"),
    Outcome.GATE_COOLDOWN: ("gate_cooldown", "the last fill is too recent"),
    Outcome.GATE_SPREAD: ("gate_spread", "the spread costs too much"),
    Outcome.BELOW_LOT: ("below_lot", "the size is below the smallest order the venue takes"),
    Outcome.ENTERED: ("entered", "every check passed"),
    Outcome.EXIT_TIME: ("exit_time", "the longest holding time is over"),
    Outcome.EXIT_OPPOSITE: ("exit_opposite", "the signal turned"),
    Outcome.EXIT_CONFIDENCE: ("exit_confidence", "the confidence for the position is gone"),
}
