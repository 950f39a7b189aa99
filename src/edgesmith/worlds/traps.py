"""Traps: columns and joins that look ahead, each the way people do it by mistake, and each beside its honest twin.

A trap turns a tape and decision instants into a column that seems to know the future, because it does. A method that does not
say LEAK has believed it (`evaluation.leak` finds them all: a value that changes when later events are taken away was not known).
The honest twin is the same idea without the mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO, KIND_TRADE
from edgesmith.domain.units import BPS, NS_PER_MS, NS_PER_S
from edgesmith.errors import UnknownNameError

HORIZON_NS = 5 * NS_PER_S
_CLOCK_ERROR_NS = 1_270 * NS_PER_MS

# A column: its value at each instant, from a tape in venue order.
Column = Callable[[NDArray[Any], NDArray[np.int64]], NDArray[np.float64]]


class TrapTruth(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of a trap: how it looks ahead, and the only right verdict."""

    name: str
    summary: str
    right: Literal["LEAK"] = "LEAK"


@dataclass(frozen=True)
class Trap:
    """A leaking column with its honest twin."""

    name: str
    summary: str
    leaking: Column
    honest: Column


def forward_bps(tape: NDArray[Any], instants_ns: NDArray[np.int64], horizon_ns: int = HORIZON_NS) -> NDArray[np.float64]:
    """Return the move of the mid price over the horizon after each instant; NaN where the tape does not reach."""
    now, then = _mid_at(tape, instants_ns), _mid_at(tape, instants_ns + horizon_ns)
    ends_ns = _quotes(tape)["ts_recv"].max(initial=0)
    return np.where(instants_ns + horizon_ns <= ends_ns, (then / now - 1.0) / BPS, np.nan)


def _quotes(tape: NDArray[Any]) -> NDArray[Any]:
    return tape[tape["kind"] == KIND_BBO]


def _mid_at(tape: NDArray[Any], instants_ns: NDArray[np.int64], clock: str = "ts_recv") -> NDArray[np.float64]:
    quotes = _quotes(tape)
    mid = (quotes["bid_price"] + quotes["ask_price"]) / 2.0
    if not len(mid):
        return np.full(len(instants_ns), np.nan)
    at = np.searchsorted(quotes[clock], instants_ns, side="right") - 1
    return np.where(at >= 0, mid[np.maximum(at, 0)], np.nan)


def _past_bps(tape: NDArray[Any], instants_ns: NDArray[np.int64], span_ns: int = HORIZON_NS) -> NDArray[np.float64]:
    return (_mid_at(tape, instants_ns) / _mid_at(tape, instants_ns - span_ns) - 1.0) / BPS


def _mid_around_trade(tape: NDArray[Any], instants_ns: NDArray[np.int64], wait_ns: int) -> NDArray[np.float64]:
    # The last trade's price against a mid price: that before it, or one it has already moved.
    trades = tape[tape["kind"] == KIND_TRADE]
    at = np.searchsorted(trades["ts_recv"], instants_ns, side="right") - 1
    received_ns = np.where(at >= 0, trades["ts_recv"][np.maximum(at, 0)], instants_ns)
    return (_mid_at(tape, received_ns + wait_ns) / _mid_at(tape, received_ns - NS_PER_MS) - 1.0) / BPS


def _post_trade_quote(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return _mid_around_trade(tape, instants_ns, HORIZON_NS)


def _pre_trade_quote(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return _mid_around_trade(tape, instants_ns, 0)


def _mixed_clocks(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    # Quotes on a clock that runs behind look received before they were sent.
    return (_mid_at(tape, instants_ns + _CLOCK_ERROR_NS) / _mid_at(tape, instants_ns) - 1.0) / BPS


def _one_clock(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return _past_bps(tape, instants_ns, _CLOCK_ERROR_NS)


def _first_move_after(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    # "The next price": that of the first quote after the instant that moved.
    quotes = _quotes(tape)
    mid = (quotes["bid_price"] + quotes["ask_price"]) / 2.0
    moved = np.flatnonzero(np.diff(mid, prepend=np.nan) != 0.0)
    after = np.searchsorted(quotes["ts_recv"][moved], instants_ns, side="right")
    found = after < len(moved)
    following = np.where(found, mid[moved[np.minimum(after, len(moved) - 1)]], np.nan)
    return (following / _mid_at(tape, instants_ns) - 1.0) / BPS


def _last_move_before(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return _past_bps(tape, instants_ns, NS_PER_S)


def _mean_mid(tape: NDArray[Any], instants_ns: NDArray[np.int64], offsets_s: range) -> NDArray[np.float64]:
    return np.mean([_mid_at(tape, instants_ns + offset * NS_PER_S) for offset in offsets_s], axis=0)


def _centered_average(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return (_mean_mid(tape, instants_ns, range(-5, 6)) / _mid_at(tape, instants_ns) - 1.0) / BPS


def _trailing_average(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return (_mean_mid(tape, instants_ns, range(-10, 1)) / _mid_at(tape, instants_ns) - 1.0) / BPS


def _whole_sample_score(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    # Far below the mean of all prices, later ones included, prices have nowhere to go but up.
    mid = _mid_at(tape, instants_ns)
    all_mids = (_quotes(tape)["bid_price"] + _quotes(tape)["ask_price"]) / 2.0
    return (all_mids.mean() - mid) / all_mids.std()


def _score_so_far(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    mid = _mid_at(tape, instants_ns)
    count = np.arange(1, len(mid) + 1)
    mean = np.cumsum(mid) / count
    return (mean - mid) / np.sqrt(np.maximum(np.cumsum((mid - mid[:1]) ** 2) / count - (mean - mid[:1]) ** 2, 1e-12))


def _segments(instants_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    return instants_ns // (2 * HORIZON_NS) * (2 * HORIZON_NS)


def _smoothed_state(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    # A segmentation of the whole sample knows how the segment an instant lies in will end.
    starts_ns = _segments(instants_ns)
    return np.sign(_mid_at(tape, starts_ns + 2 * HORIZON_NS) - _mid_at(tape, starts_ns))


def _filtered_state(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.sign(_mid_at(tape, instants_ns) - _mid_at(tape, _segments(instants_ns)))


def _open_label(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    # The label of the row a second before, which ends inside the test set.
    return forward_bps(tape, instants_ns - NS_PER_S)


def _closed_label(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return _past_bps(tape, instants_ns)


def _bar_at_open(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    opens_ns = instants_ns // HORIZON_NS * HORIZON_NS
    return (_mid_at(tape, opens_ns + HORIZON_NS) / _mid_at(tape, opens_ns) - 1.0) / BPS


def _bar_at_close(tape: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return _bar_at_open(tape, instants_ns - HORIZON_NS)


_TRAPS = (
    Trap("T1", "the quote after a trade is joined to the trade", _post_trade_quote, _pre_trade_quote),
    Trap("T2", "quotes on the receive clock, decisions on the venue's, 1.27 s apart", _mixed_clocks, _one_clock),
    Trap("T3", "the first price after an instant stands for the price at it", _first_move_after, _last_move_before),
    Trap("T4", "an average is centered on the instant it is used at", _centered_average, _trailing_average),
    Trap("T5", "a score is scaled by mean and deviation of the whole sample", _whole_sample_score, _score_so_far),
    Trap("T6", "states are smoothed over the whole sample instead of filtered", _smoothed_state, _filtered_state),
    Trap("T7", "training labels end inside the test set", _open_label, _closed_label),
    Trap("T8", "bars are stamped with their opening instant", _bar_at_open, _bar_at_close),
)
TRAPS: dict[str, Trap] = {trap.name: trap for trap in _TRAPS}


def find_trap(name: str) -> Trap:
    """Return the trap called `name`."""
    if name not in TRAPS:
        raise UnknownNameError("trap", name, TRAPS)
    return TRAPS[name]


def trap_truth(name: str) -> TrapTruth:
    """Return the truth record of a trap."""
    trap = find_trap(name)
    return TrapTruth(name=trap.name, summary=trap.summary)
