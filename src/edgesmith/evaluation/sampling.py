"""Read features and quotes off an event sequence on a regular grid of the receive clock; compiled.

A *segment* is a run of quotes without a gap. Rows exist for the grid instants t inside a segment: from its first quote to
its last one. Row t holds the feature row in force at t: after the last event received at or before t. For each latency l
the quote in force at t + l is kept beside it, as soon as a later quote (or the segment's end) proves that it was the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO

DONE, FULL, CLOSED, DISORDERED = range(4)

GRID_STATE: np.dtype[Any] = np.dtype(
    [
        ("open", "<i8"),  # 1 inside a segment
        ("last_recv", "<i8"),
        ("quote_recv", "<i8"),
        ("first_index", "<i8"),  # grid index of row 0
        ("filled", "<i8"),  # rows written
        ("mid", "<f8"),
        ("spread", "<f8"),
    ]
)


@kernel
def sample_events(
    events: NDArray[Any],
    features: NDArray[np.float64],
    start: int,
    instrument: int,
    grid_ns: int,
    gap_ns: int,
    latencies: NDArray[np.int64],
    state: NDArray[Any],
    resolved: NDArray[np.int64],
    latest: NDArray[np.float64],
    rows: NDArray[np.float64],
    mids: NDArray[np.float64],
    spreads: NDArray[np.float64],
) -> tuple[int, int]:
    """Take events from `start` on; return the index of the next event to take and why the loop stopped there.

    `features` (events, width) is the feature row after each event, `latest` the one carried between calls. One row more than
    `FULL` allows is kept free for the end of a segment.
    """
    st = state[0]
    source = -1
    stop = events.shape[0]
    reason = DONE
    for i in range(start, events.shape[0]):
        ev = events[i]
        now = ev.ts_recv
        if now < st.last_recv:
            stop, reason = i, DISORDERED
            break
        st.last_recv = now
        if st.open == 1 and now - st.quote_recv > gap_ns:
            stop, reason = i, CLOSED
            break
        if st.open == 1 and not _fill_rows(now, grid_ns, state, features, source, latest, rows):
            stop, reason = i, FULL
            break
        if ev.instrument != instrument:
            continue
        if ev.kind == KIND_BBO:
            # By key: as an attribute, `flags` is numpy's own on plain records.
            if st.open == 1 and (ev["flags"] & FLAG_AFTER_GAP) != 0:
                stop, reason = i, CLOSED
                break
            _take_quote(now, ev.bid_price, ev.ask_price, grid_ns, latencies, state, resolved, mids, spreads)
        source = i
    if source >= 0:
        latest[:] = features[source]
    return stop, reason


@kernel
def _fill_rows(
    now: int,
    grid_ns: int,
    state: NDArray[Any],
    features: NDArray[np.float64],
    source: int,
    latest: NDArray[np.float64],
    rows: NDArray[np.float64],
) -> bool:
    st = state[0]
    while (st.first_index + st.filled) * grid_ns < now:
        if st.filled >= rows.shape[0] - 1:
            return False
        if source >= 0:
            rows[st.filled] = features[source]
        else:
            rows[st.filled] = latest
        st.filled += 1
    return True


@kernel
def _take_quote(
    now: int,
    bid_price: float,
    ask_price: float,
    grid_ns: int,
    latencies: NDArray[np.int64],
    state: NDArray[Any],
    resolved: NDArray[np.int64],
    mids: NDArray[np.float64],
    spreads: NDArray[np.float64],
) -> None:
    st = state[0]
    if st.open == 1:
        _resolve(now - 1, grid_ns, latencies, state, resolved, mids, spreads)
    else:
        st.open = 1
        st.first_index = -(-now // grid_ns)
        st.filled = 0
        resolved[:] = 0
    usable = bid_price > 0.0 and ask_price >= bid_price and ask_price < np.inf
    st.mid = (bid_price + ask_price) / 2.0 if usable else np.nan
    st.spread = ask_price - bid_price if usable else np.nan
    st.quote_recv = now


@kernel
def _resolve(
    until_ns: int,
    grid_ns: int,
    latencies: NDArray[np.int64],
    state: NDArray[Any],
    resolved: NDArray[np.int64],
    mids: NDArray[np.float64],
    spreads: NDArray[np.float64],
) -> None:
    st = state[0]
    for j in range(latencies.shape[0]):
        while (st.first_index + resolved[j]) * grid_ns + latencies[j] <= until_ns:
            mids[j, resolved[j]] = st.mid
            spreads[j, resolved[j]] = st.spread
            resolved[j] += 1


@kernel
def close_segment(
    end_ns: int,
    grid_ns: int,
    latencies: NDArray[np.int64],
    state: NDArray[Any],
    resolved: NDArray[np.int64],
    latest: NDArray[np.float64],
    rows: NDArray[np.float64],
    mids: NDArray[np.float64],
    spreads: NDArray[np.float64],
) -> None:
    """End the segment at `end_ns`: rows after it never were, quotes up to it are known."""
    st = state[0]
    _resolve(end_ns, grid_ns, latencies, state, resolved, mids, spreads)
    while (st.first_index + st.filled) * grid_ns <= end_ns and st.filled < rows.shape[0]:
        rows[st.filled] = latest
        st.filled += 1
    while st.filled > 0 and (st.first_index + st.filled - 1) * grid_ns > end_ns:
        st.filled -= 1
    st.open = 0
