"""The position: how large it may be, how long it is held, and when it is left; compiled.

There is one position at a time and it is entered once: never added to, never turned over in one order. What is held is read from
the ledger, so a refused order changes nothing, and a stop-loss that closes it is noticed.
"""

from __future__ import annotations

import math

from edgesmith.compiled import kernel
from edgesmith.domain.units import NS_PER_S
from edgesmith.strategies.v1.layout import (
    ALPHA_MEAN,
    BASE_QTY,
    CONFIDENCE,
    CONFIDENCE_EXIT,
    CONFIDENCE_MIN,
    FILL_NS,
    FILL_S,
    HAS_FILL,
    HELD_QTY,
    HOLD_MAX_NS,
    HOLD_MIN_NS,
    MAX_QTY,
    OPENED_NS,
    OPENED_S,
    SIDE,
    SIZE_RATIO,
    SIZING,
    SIZINGS,
    Outcome,
)

HOLDING, EXIT_TIME = int(Outcome.HOLDING), int(Outcome.EXIT_TIME)
EXIT_OPPOSITE, EXIT_CONFIDENCE = int(Outcome.EXIT_OPPOSITE), int(Outcome.EXIT_CONFIDENCE)
FIXED, BY_CONFIDENCE = float(SIZINGS.index("fixed")), float(SIZINGS.index("confidence"))
LOT_TOLERANCE = 1e-6


@kernel
def note_fills(view):  # type: ignore[no-untyped-def]
    """Notice that the position changed: something of ours was filled."""
    held, before = view.position_qty, view.memory[HELD_QTY]
    if held == before:
        return
    # Seconds and nanoseconds apart: a float64 cannot hold an instant to the nanosecond.
    seconds, rest = float(view.ts // NS_PER_S), float(view.ts % NS_PER_S)
    view.memory[HAS_FILL] = 1.0
    view.memory[FILL_S], view.memory[FILL_NS] = seconds, rest
    if held * before <= 0.0:
        view.memory[OPENED_S], view.memory[OPENED_NS] = seconds, rest
    view.memory[HELD_QTY] = held


@kernel
def _since(view, second, rest):  # type: ignore[no-untyped-def]
    return (float(view.ts // NS_PER_S) - second) * 1e9 + (float(view.ts % NS_PER_S) - rest)


@kernel
def since_fill_ns(view):  # type: ignore[no-untyped-def]
    """Return the time since the last fill, infinite before the first."""
    if view.memory[HAS_FILL] == 0.0:
        return math.inf
    return _since(view, view.memory[FILL_S], view.memory[FILL_NS])


@kernel
def held_ns(view):  # type: ignore[no-untyped-def]
    """Return how long the position has been held; 0 where there is none."""
    return _since(view, view.memory[OPENED_S], view.memory[OPENED_NS]) if view.position_qty != 0.0 else 0.0


@kernel
def judge_holding(view, ready):  # type: ignore[no-untyped-def]
    """Return the outcome for a position that is held: why it is left, or HOLDING."""
    held_for = held_ns(view)
    if held_for >= view.params[HOLD_MAX_NS]:
        return EXIT_TIME
    if not ready or held_for < view.params[HOLD_MIN_NS]:
        return HOLDING
    side = 1.0 if view.position_qty > 0.0 else -1.0
    confidence = view.memory[CONFIDENCE]
    if view.memory[SIDE] == -side and confidence >= view.params[CONFIDENCE_MIN]:
        return EXIT_OPPOSITE
    # Confidence for the side held: a weak signal the other way leaves none.
    for_it = confidence if view.memory[SIDE] == side else 1.0 - confidence
    return EXIT_CONFIDENCE if for_it < view.params[CONFIDENCE_EXIT] else HOLDING


@kernel
def entry_qty(view, mode):  # type: ignore[no-untyped-def]
    """Return the size to enter with, a whole number of lots; 0 where the smallest order is larger than it may be."""
    size = view.params[BASE_QTY]
    if view.params[SIZING] != FIXED:
        size *= view.memory[CONFIDENCE]
        if view.params[SIZING] != BY_CONFIDENCE:
            size *= view.memory[ALPHA_MEAN]
    size = min(size * view.params[SIZE_RATIO + mode], view.params[MAX_QTY])
    lots = math.floor(size / view.lot + LOT_TOLERANCE)
    if lots >= 1.0:
        return lots * view.lot
    return view.lot if view.lot <= min(view.params[BASE_QTY], view.params[MAX_QTY]) else 0.0
