"""One decision of StrategyV1: the steps in order, each counted, and written down where a trace is kept; compiled."""

from __future__ import annotations

import math
from typing import Any

from edgesmith.compiled import kernel
from edgesmith.strategies.gate import PASSED, judge_gate
from edgesmith.strategies.v1.combiner import combine
from edgesmith.strategies.v1.layout import (
    ACTIVE,
    ALPHA_MEAN,
    CENTER,
    CONFIDENCE,
    CONFIDENCE_MIN,
    CONFIDENCE_RAW,
    COUNT,
    FEATURE_WIDTH,
    FEATURES,
    FIRST_COLUMN,
    GATE_CONFIDENCE,
    GATE_COOLDOWN_NS,
    GATE_FIRST,
    GATE_ON,
    GATE_SPREAD,
    GATE_SPREAD_RATIO,
    GATE_TREND,
    GATE_VOLATILITY,
    MEANS,
    MODE,
    ONLINE,
    OUTCOMES,
    QUOTES,
    SCALE,
    SEEN,
    SIDE,
    SIGNALS,
    SIZE,
    SPREAD_COLUMN,
    TRACE_FEATURE,
    TRACE_HEAD,
    TREND_COLUMN,
    VARIANCES,
    VOLATILITY_COLUMN,
    WEIGHT,
    Outcome,
)
from edgesmith.strategies.v1.modes import select_mode
from edgesmith.strategies.v1.position import entry_qty, held_ns, judge_holding, note_fills, since_fill_ns
from edgesmith.strategies.v1.signals import generate_signals, observe

WARMING_UP, IN_FLIGHT, HOLDING = int(Outcome.WARMING_UP), int(Outcome.IN_FLIGHT), int(Outcome.HOLDING)
NO_SIGNAL, LOW_CONFIDENCE = int(Outcome.NO_SIGNAL), int(Outcome.LOW_CONFIDENCE)
BELOW_LOT, ENTERED = int(Outcome.BELOW_LOT), int(Outcome.ENTERED)
TRACE_PLACES, TRACE_WIDTH = len(TRACE_HEAD), len(TRACE_FEATURE)
# What `view.trace_level` says.
TRACE_DECISIONS, TRACE_REFUSALS = 1, 2


@kernel
def _gate(view):  # type: ignore[no-untyped-def]
    if view.params[GATE_ON] == 0.0:
        return PASSED
    return judge_gate(
        view.memory[SIDE], view.memory[CONFIDENCE],
        view.features[TREND_COLUMN], view.features[VOLATILITY_COLUMN], view.features[SPREAD_COLUMN],
        since_fill_ns(view), 2.0 * (view.ask_price - view.bid_price) / (view.ask_price + view.bid_price),
        view.params[GATE_TREND], view.params[GATE_VOLATILITY], view.params[GATE_SPREAD_RATIO], view.params[GATE_CONFIDENCE],
        view.params[GATE_COOLDOWN_NS], view.params[GATE_SPREAD],
    )  # fmt: skip


@kernel
def _judge(view, ready, mode):  # type: ignore[no-untyped-def]
    """Return the outcome of this quote; the size of an entry is left in the memory."""
    view.memory[SIZE] = 0.0
    if view.pending_qty != 0.0:
        return IN_FLIGHT
    if view.position_qty != 0.0:
        return judge_holding(view, ready)
    if not ready:
        return WARMING_UP
    if view.memory[SIDE] == 0.0:
        return NO_SIGNAL
    if view.memory[CONFIDENCE] < view.params[CONFIDENCE_MIN]:
        return LOW_CONFIDENCE
    blocked = _gate(view)
    if blocked != PASSED:
        return GATE_FIRST + blocked
    view.memory[SIZE] = entry_qty(view, mode)
    return ENTERED if view.memory[SIZE] > 0.0 else BELOW_LOT


@kernel
def _write_trace(view, outcome):  # type: ignore[no-untyped-def]
    trace = view.trace
    trace[0], trace[1], trace[2] = view.memory[MODE], view.features[VOLATILITY_COLUMN], view.features[TREND_COLUMN]
    trace[3], trace[4], trace[5] = view.features[SPREAD_COLUMN], view.bid_price, view.ask_price
    trace[6], trace[7], trace[8] = view.position_qty, held_ns(view), since_fill_ns(view)
    trace[9], trace[10], trace[11] = view.memory[ACTIVE], view.memory[SIDE], view.memory[ALPHA_MEAN]
    trace[12], trace[13], trace[14] = view.memory[CONFIDENCE_RAW], view.memory[CONFIDENCE], view.memory[SIZE]
    for place in range(int(view.params[COUNT])):
        out, at = TRACE_PLACES + place * TRACE_WIDTH, FEATURES + place * FEATURE_WIDTH
        online = view.params[ONLINE] != 0.0
        trace[out] = view.features[FIRST_COLUMN + place]
        trace[out + 1] = view.memory[MEANS + place] if online else view.params[at + CENTER]
        trace[out + 2] = math.sqrt(view.memory[VARIANCES + place]) if online else view.params[at + SCALE]
        trace[out + 3] = view.memory[SIGNALS + place]
        trace[out + 4] = view.params[at + WEIGHT]
        trace[out + 5] = view.memory[SEEN + place]
    view.trace_code = outcome


def decide(view: Any) -> float:
    """Return the position wanted: a new one, none, or NaN for no change."""
    view.memory[QUOTES] += 1.0
    note_fills(view)
    mode = select_mode(view)
    state = view.features[VOLATILITY_COLUMN] + view.features[TREND_COLUMN] + view.features[SPREAD_COLUMN]
    ready = state == state
    generate_signals(view, mode)
    combine(view)
    view.memory[MODE] = mode
    outcome = _judge(view, ready, mode)
    view.memory[OUTCOMES + outcome] += 1.0
    decided = outcome >= ENTERED
    refused = view.memory[SIDE] != 0.0 and outcome >= LOW_CONFIDENCE
    if (decided and view.trace_level >= TRACE_DECISIONS) or (refused and view.trace_level >= TRACE_REFUSALS):
        _write_trace(view, outcome)
    if view.params[ONLINE] != 0.0:
        observe(view)
    if outcome == ENTERED:
        return float(view.memory[SIDE] * view.memory[SIZE])
    return 0.0 if decided else math.nan
