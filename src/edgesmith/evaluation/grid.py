"""Feature rows at the instants of a regular grid of the receive clock, without labels: the rows a panel has.

A row at t is the feature row in force at t, after the last event received at or before t. Rows exist inside segments: from
the first quote to the last one of a run of quotes without a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.records import as_records, records
from edgesmith.domain.units import format_ns
from edgesmith.errors import OrderingError
from edgesmith.evaluation.sampling import CLOSED, DISORDERED, DONE, GRID_STATE, close_segment, sample_events

CHUNK_ROWS = 8_192
_NO_LATENCIES = np.empty(0, np.int64)


class GridRows(NamedTuple):
    """Consecutive rows: instants (int64 ns) and features (rows, width); valid until the next ones."""

    ts_ns: NDArray[np.int64]
    features: NDArray[np.float64]


class GridSampler:
    """Turns batches of one instrument's events and their feature rows into rows on a grid."""

    def __init__(self, grid_ns: int, gap_ns: int, width: int, instrument: int = 0) -> None:
        self._grid_ns = grid_ns
        self._gap_ns = gap_ns
        self._instrument = instrument
        # A full buffer must hold some row that a later quote cannot undo.
        self._rows = np.empty((CHUNK_ROWS + gap_ns // grid_ns + 2, width), np.float64)
        self._no_prices = np.empty((0, len(self._rows)), np.float64)
        self._resolved = np.empty(0, np.int64)
        self._latest = np.full(width, np.nan)
        self._state = records(GRID_STATE)
        self._state[0]["last_recv"] = np.iinfo(np.int64).min

    def feed(self, events: NDArray[Any], features: NDArray[np.float64]) -> Iterator[GridRows]:
        """Take a batch of events in receive order with the feature row after each; yield rows whenever there are many."""
        events = as_records(events)
        state, at, reason = self._state[0], 0, -1
        while reason != DONE:
            at, reason = sample_events(
                events,
                features,
                at,
                self._instrument,
                self._grid_ns,
                self._gap_ns,
                _NO_LATENCIES,
                self._state,
                self._resolved,
                self._latest,
                self._rows,
                self._no_prices,
                self._no_prices,
            )
            if reason == DISORDERED:
                raise OrderingError(
                    f"event received at {format_ns(int(events[at]['ts_recv']))} came after one received at "
                    f"{format_ns(int(state['last_recv']))}; expected receive order"
                )
            if reason == CLOSED:
                # Where the gap is only a flag, the instant of the flagged event belongs to what comes after it.
                yield from self._close(min(int(state["quote_recv"]), int(events[at]["ts_recv"]) - 1))
            elif reason != DONE:
                certain = int(state["quote_recv"]) // self._grid_ns - int(state["first_index"]) + 1
                yield self._taken(min(certain, int(state["filled"])))

    def finish(self) -> Iterator[GridRows]:
        """End the segment at its last quote and yield the rows still held."""
        if self._state[0]["open"]:
            yield from self._close(int(self._state[0]["quote_recv"]))

    def _close(self, end_ns: int) -> Iterator[GridRows]:
        state, prices, more = self._state[0], self._no_prices, True
        while more:
            close_segment(
                end_ns, self._grid_ns, _NO_LATENCIES, self._state, self._resolved, self._latest, self._rows, prices, prices
            )
            yield self._taken(int(state["filled"]))
            more = int(state["first_index"]) * self._grid_ns <= end_ns

    def _taken(self, count: int) -> GridRows:
        state = self._state[0]
        first, left = int(state["first_index"]), int(state["filled"]) - count
        ts_ns = np.arange(first, first + count, dtype=np.int64) * self._grid_ns
        rows = self._rows[:count].copy()
        self._rows[:left] = self._rows[count : count + left]
        state["first_index"], state["filled"] = first + count, left
        return GridRows(ts_ns, rows)
