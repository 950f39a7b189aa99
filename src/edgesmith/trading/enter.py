"""The ways into the compiled step of one engine: for chunks of events, for events that come one at a time, and up to an event.

Every array passed into compiled code costs 0.2 us, a function 25 us; a chunk does not notice, a live event does. So the live
and the stepwise entry are handed what never changes in a run once, as addresses. All enter the same `advance`: the same bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.orders import DECISION, FILL
from edgesmith.domain.records import JIT_DISABLED
from edgesmith.trading.addresses import address, array_at
from edgesmith.trading.entry import advance
from edgesmith.trading.recorder import BUFFER_ROWS
from edgesmith.trading.state import BOOK, CURVE, MAX_CURVE, PRICE_CURVE, RUN, TRACE, TRACE_ROWS, VIEW

if TYPE_CHECKING:
    from edgesmith.trading.engine import Engine

Enter = Callable[[NDArray[Any], NDArray[np.float64]], int]
EnterUntil = Callable[[NDArray[Any], NDArray[np.float64], int], int]


def chunk_entry(engine: Engine, decide: Any) -> Enter:
    """Return `enter(events, features)`, which advances `engine` over them and returns why it stopped."""
    enter_until = _plain_entry(constant_arrays(engine), decide)
    return lambda events, features: enter_until(events, features, len(events))


def live_entry(engine: Engine, decide: Any) -> Enter:
    """Return `enter(events, features)`, which does the same 25 us sooner; it takes a second to compile."""
    enter_until = stepwise_entry(engine, decide)
    return lambda events, features: enter_until(events, features, len(events))


def stepwise_entry(engine: Engine, decide: Any) -> EnterUntil:
    """Return `enter(events, features, stop)`, which advances to event `stop` at most; as quick to enter as `live_entry`."""
    arrays = constant_arrays(engine)
    if JIT_DISABLED:
        return _plain_entry(arrays, decide)
    compiled = _compiled(decide)
    table = np.array([len(engine.instruments), *(address(array) for array in arrays)], np.int64)

    def enter(events: NDArray[Any], features: NDArray[np.float64], stop: int, _kept: Any = arrays) -> int:
        # `_kept` keeps alive what the table points at.
        stop_reason: int = compiled(table, events, features, stop)
        return stop_reason

    return enter


def _plain_entry(arrays: tuple[NDArray[Any], ...], decide: Any) -> EnterUntil:
    step = advance()
    run, books, views, fills, decisions, trace, curve, prices = arrays

    def enter(events: NDArray[Any], features: NDArray[np.float64], stop: int) -> int:
        step(run, books, views, events, features, stop, fills, decisions, trace, curve, prices, decide)
        return int(run["stop_reason"][0])

    return enter


def constant_arrays(engine: Engine) -> tuple[NDArray[Any], ...]:
    """Return what compiled code writes to in a run; the same arrays from its first event to its last."""
    recorder, curves = engine.recorder, engine.curves
    buffers = recorder.fills, recorder.decisions, recorder.trace
    return engine.run, engine.books, engine.views, *buffers, curves.equity, curves.prices


@functools.cache
def _compiled(decide: Any) -> Callable[..., int]:
    step = advance()

    def enter(table, events, features, stop):  # type: ignore[no-untyped-def]
        count = table[0]
        run = array_at(table[1], 1, RUN)
        books = array_at(table[2], count, BOOK)
        views = array_at(table[3], count, VIEW)
        fills = array_at(table[4], BUFFER_ROWS, FILL)
        decisions = array_at(table[5], BUFFER_ROWS, DECISION)
        trace = array_at(table[6], TRACE_ROWS, TRACE)
        curve = array_at(table[7], MAX_CURVE, CURVE)
        prices = array_at(table[8], MAX_CURVE * count, PRICE_CURVE)
        step(run, books, views, events, features, stop, fills, decisions, trace, curve, prices, decide)
        return run[0].stop_reason

    # Not cached on disk: the address of `decide` is part of it.
    compiled: Callable[..., int] = numba.njit(nogil=True)(enter)
    return compiled
