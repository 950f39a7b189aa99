"""The panel: features at decision times beside their forward labels, streamed in bounded memory.

Decision times are the instants of a fixed grid of the receive clock, not the events, so that busy moments do not count more
than quiet ones. The panel holds one chunk of rows and as many more as the longest label needs; the chunks are the same
whatever the size of the event batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import FLAG_AFTER_GAP
from edgesmith.domain.records import as_records, records
from edgesmith.domain.units import format_ns
from edgesmith.errors import DataError, OrderingError
from edgesmith.evaluation.labels import LABEL_LIMIT_BPS, MOMENTS, ColumnGroup, LabelSpec, label_layout, label_rows
from edgesmith.evaluation.sampling import CLOSED, DISORDERED, DONE, GRID_STATE, close_segment, sample_events

CHUNK_ROWS = 8_192


class GroupRows(NamedTuple):
    """Labels of one column group: for the chunk's rows `rows` (int64), `labels` (rows, columns x 6)."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]


class PanelChunk(NamedTuple):
    """Consecutive rows: instants (int64 ns), features (rows, width), labels of each column group; valid until the next chunk."""

    ts_ns: NDArray[np.int64]
    features: NDArray[np.float64]
    groups: tuple[GroupRows, ...]


class Panel:
    """Turns batches of events and their feature rows into panel chunks of one instrument."""

    def __init__(self, spec: LabelSpec, groups: tuple[ColumnGroup, ...], *, instrument: int, width: int) -> None:
        self._spec = spec
        self._groups = groups
        self._instrument = instrument
        self._layouts = [label_layout(spec, group.columns) for group in groups]
        self._latencies = np.array(sorted(set(spec.latencies_ns)), np.int64)
        self._lag_rows = max(spec.horizons_ns) // spec.grid_ns
        unresolved_rows = (spec.gap_ns + int(self._latencies[-1])) // spec.grid_ns + 2
        capacity = CHUNK_ROWS + self._lag_rows + unresolved_rows + 1
        self._rows = np.empty((capacity, width), np.float64)
        self._mids = np.empty((len(self._latencies), capacity), np.float64)
        self._spreads = np.empty_like(self._mids)
        self._resolved = np.zeros(len(self._latencies), np.int64)
        self._latest = np.full(width, np.nan)
        self._state = records(GRID_STATE)
        self._state[0]["last_recv"] = np.iinfo(np.int64).min

    def feed(self, events: NDArray[Any], features: NDArray[np.float64]) -> Iterator[PanelChunk]:
        """Take a batch of events in receive order with the feature row after each; yield the chunks that became complete."""
        events = as_records(events)
        at, reason = 0, -1
        while reason != DONE:
            at, reason = sample_events(
                events,
                features,
                at,
                self._instrument,
                self._spec.grid_ns,
                self._spec.gap_ns,
                self._latencies,
                self._state,
                self._resolved,
                self._latest,
                self._rows,
                self._mids,
                self._spreads,
            )
            if reason == DISORDERED:
                raise OrderingError(
                    f"event received at {format_ns(int(events[at]['ts_recv']))} came after one received at "
                    f"{format_ns(int(self._state[0]['last_recv']))}; expected receive order"
                )
            if reason == CLOSED:
                yield from self._close(self._segment_end_ns(events[at]))
            elif reason != DONE:
                yield from self._emit(max(0, int(self._resolved.min()) - self._lag_rows))

    def finish(self) -> Iterator[PanelChunk]:
        """Yield the rows still held; labels that reach beyond the last quote are missing."""
        if self._state[0]["open"]:
            yield from self._close(int(self._state[0]["quote_recv"]))

    def _segment_end_ns(self, event: Any) -> int:
        quote_ns = int(self._state[0]["quote_recv"])
        flagged = int(event["flags"]) & FLAG_AFTER_GAP
        return min(quote_ns, int(event["ts_recv"]) - 1) if flagged else quote_ns

    def _close(self, end_ns: int) -> Iterator[PanelChunk]:
        close_segment(
            end_ns,
            self._spec.grid_ns,
            self._latencies,
            self._state,
            self._resolved,
            self._latest,
            self._rows,
            self._mids,
            self._spreads,
        )
        yield from self._emit(int(self._state[0]["filled"]))

    def _emit(self, ready: int) -> Iterator[PanelChunk]:
        state = self._state[0]
        base = int(state["first_index"])
        # Slices no larger than a chunk: a closing segment may hold far more rows than one.
        for begin in range(0, ready, CHUNK_ROWS):
            yield self._chunk(base, begin, min(ready, begin + CHUNK_ROWS))
        kept = int(state["filled"]) - ready
        self._rows[:kept] = self._rows[ready : ready + kept]
        for series in (self._mids, self._spreads):
            series[:, :kept] = series[:, ready : ready + kept]
        state["first_index"], state["filled"] = base + ready, kept
        self._resolved -= ready

    def _chunk(self, base: int, begin: int, end: int) -> PanelChunk:
        ts_ns = np.arange(base + begin, base + end, dtype=np.int64) * self._spec.grid_ns
        groups = tuple(
            self._label(group, layout, base, begin, end) for group, layout in zip(self._groups, self._layouts, strict=True)
        )
        return PanelChunk(ts_ns, self._rows[begin:end], groups)

    def _label(
        self, group: ColumnGroup, layout: tuple[NDArray[np.int64], NDArray[np.int64]], base: int, begin: int, end: int
    ) -> GroupRows:
        every = group.grid_ns // self._spec.grid_ns
        rows = np.arange(begin + (-(base + begin)) % every, end, every, dtype=np.int64)
        labels = np.empty((len(rows), len(group.columns) * MOMENTS), np.int64)
        fees_bps = self._spec.fee_in_bps + self._spec.fee_out_bps
        broken = int(label_rows(self._mids, self._spreads, self._resolved, rows, layout[0], layout[1], fees_bps, labels))
        if broken >= 0:
            raise DataError(
                f"a label at {format_ns((base + broken) * self._spec.grid_ns)} was beyond {LABEL_LIMIT_BPS:.0f} bps; "
                "expected a price that moves less: check the quotes around that instant with `edgesmith lake verify`"
            )
        return GroupRows(rows - begin, labels)
