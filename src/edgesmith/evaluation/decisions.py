"""Decision times: features and quotes on a fixed grid of the receive clock, streamed, and laid out day by day.

Decisions are made at the instants of a grid, not at events, so that busy moments do not count more than quiet ones. The rows are
the same whatever the size of the event batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import FLAG_AFTER_GAP
from edgesmith.domain.records import as_records, records
from edgesmith.domain.units import format_ns
from edgesmith.errors import DataError, OrderingError
from edgesmith.evaluation.labels import GAP_NS, LABEL_LIMIT_BPS, MOMENTS, ColumnGroup, LabelSpec, label_layout
from edgesmith.evaluation.sampling import CLOSED, DISORDERED, DONE, GRID_STATE, close_segment, sample_events
from edgesmith.evaluation.sources import FeatureProgram
from edgesmith.evaluation.targets import label_grid

CHUNK_ROWS = 8_192
# Rows whose labels are held at once.
LABEL_ROWS = 1_024


class GridRows(NamedTuple):
    """Consecutive rows of one segment.

    Row i is at grid instant `first_index` + i. `features` (rows, width); `mids` and `spreads` (latencies, rows) at the instant
    plus each latency, NaN where the segment ended before. `closes`: the segment ends with these rows.
    """

    grid_ns: int
    first_index: int
    features: NDArray[np.float64]
    mids: NDArray[np.float64]
    spreads: NDArray[np.float64]
    closes: bool

    @property
    def ts_ns(self) -> NDArray[np.int64]:
        """Return the instant of each row."""
        return np.arange(self.first_index, self.first_index + len(self.features), dtype=np.int64) * self.grid_ns


class DecisionSampler:
    """Turns batches of events and their feature rows into grid rows of one instrument."""

    def __init__(
        self, width: int, *, grid_ns: int, latencies_ns: tuple[int, ...] = (0,), gap_ns: int = GAP_NS, instrument: int = 0
    ) -> None:
        self._grid_ns = grid_ns
        self._gap_ns = gap_ns
        self._instrument = instrument
        self._latencies = np.array(sorted(set(latencies_ns)), np.int64)
        unresolved_rows = (gap_ns + int(self._latencies[-1])) // grid_ns + 2
        capacity = CHUNK_ROWS + unresolved_rows + 1
        self._rows = np.empty((capacity, width), np.float64)
        self._mids = np.empty((len(self._latencies), capacity), np.float64)
        self._spreads = np.empty_like(self._mids)
        self._resolved = np.zeros(len(self._latencies), np.int64)
        self._latest = np.full(width, np.nan)
        self._state = records(GRID_STATE)
        self._state[0]["last_recv"] = np.iinfo(np.int64).min

    def feed(self, events: NDArray[Any], features: NDArray[np.float64]) -> Iterator[GridRows]:
        """Take a batch of events in receive order with the feature row after each; yield the rows that became complete."""
        events = as_records(events)
        at, reason = 0, -1
        while reason != DONE:
            at, reason = sample_events(
                events,
                features,
                at,
                self._instrument,
                self._grid_ns,
                self._gap_ns,
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
                yield self._close(self._segment_end_ns(events[at]))
            elif reason != DONE:
                yield self._emit(int(self._resolved.min()), closes=False)

    def finish(self) -> Iterator[GridRows]:
        """Yield the rows still held; quotes beyond the last one are not known."""
        if self._state[0]["open"]:
            yield self._close(int(self._state[0]["quote_recv"]))

    def _segment_end_ns(self, event: Any) -> int:
        quote_ns = int(self._state[0]["quote_recv"])
        flagged = int(event["flags"]) & FLAG_AFTER_GAP
        return min(quote_ns, int(event["ts_recv"]) - 1) if flagged else quote_ns

    def _close(self, end_ns: int) -> GridRows:
        close_segment(
            end_ns,
            self._grid_ns,
            self._latencies,
            self._state,
            self._resolved,
            self._latest,
            self._rows,
            self._mids,
            self._spreads,
        )
        filled = int(self._state[0]["filled"])
        for series, resolved in enumerate(self._resolved):
            self._mids[series, resolved:filled] = np.nan
            self._spreads[series, resolved:filled] = np.nan
        return self._emit(filled, closes=True)

    def _emit(self, ready: int, *, closes: bool) -> GridRows:
        state = self._state[0]
        base = int(state["first_index"])
        mids, spreads = self._mids[:, :ready].copy(), self._spreads[:, :ready].copy()
        rows = GridRows(self._grid_ns, base, self._rows[:ready].copy(), mids, spreads, closes)
        kept = int(state["filled"]) - ready
        self._rows[:kept] = self._rows[ready : ready + kept]
        for series in (self._mids, self._spreads):
            series[:, :kept] = series[:, ready : ready + kept]
        state["first_index"], state["filled"] = base + ready, kept
        self._resolved -= ready
        return rows


def sampled(
    batches: Iterable[NDArray[Any]],
    program: FeatureProgram,
    sampler: DecisionSampler,
    *,
    instruments: int = 1,
    seen: Callable[[int], None] | None = None,
) -> Iterator[GridRows]:
    """Run a program over batches of events and yield the grid rows that become complete; `seen` is told the events so far."""
    state, width = program.new_state(instruments=instruments), len(program.names)
    features, count = np.empty((0, width)), 0
    for batch in batches:
        if len(features) < len(batch):
            features = np.empty((len(batch), width))
        program.run(as_records(batch), features[: len(batch)], state)
        yield from sampler.feed(batch, features[: len(batch)])
        count += len(batch)
        if seen is not None:
            seen(count)
    yield from sampler.finish()


class GridDay(NamedTuple):
    """One day of one instrument on the dense grid, with as much of what follows as the longest label needs.

    Row i is at grid instant `first_index` + i; decisions are made in the first `rows`. `mids` and `spreads` float64 (latencies,
    all rows), NaN where there is no quote. `segment_last` int32 (all rows): the last row of the row's segment, -1 outside of any.
    """

    first_index: int
    rows: int
    mids: NDArray[np.float64]
    spreads: NDArray[np.float64]
    segment_last: NDArray[np.int32]


class DayCollector:
    """Lays the grid rows of one day out densely; `take` returns where the rows of the day itself went."""

    def __init__(self, latencies: int, first_index: int, rows: int, tail_rows: int) -> None:
        self._first_index = first_index
        self._rows = rows
        size = rows + tail_rows
        self._mids = np.full((latencies, size), np.nan)
        self._spreads = np.full((latencies, size), np.nan)
        self._segment_last = np.full(size, -1, np.int32)
        self._begin: int | None = None
        self._used = (size, 0)

    def take(self, rows: GridRows) -> tuple[slice, slice]:
        """Keep quotes; return the places in the day and in `rows.features` of the decisions among them."""
        at = rows.first_index - self._first_index
        begin, end = max(at, 0), min(at + len(rows.features), len(self._segment_last))
        if begin < end:
            source = slice(begin - at, end - at)
            self._mids[:, begin:end] = rows.mids[:, source]
            self._spreads[:, begin:end] = rows.spreads[:, source]
            self._used = (min(self._used[0], begin), max(self._used[1], end))
            self._begin = begin if self._begin is None else self._begin
        if rows.closes:
            self._close(self._used[1])
        end = max(begin, min(end, self._rows))
        return slice(begin, end), slice(begin - at, end - at)

    def finish(self) -> GridDay:
        """Return the day, cut to the part that holds rows."""
        self._close(self._used[1])
        low, high = min(self._used[0], self._rows), self._used[1]
        rows = max(0, min(high, self._rows) - low)
        kept = slice(low, max(high, low))
        segment_last = self._segment_last[kept]
        segment_last[segment_last >= 0] -= low
        return GridDay(self._first_index + low, rows, self._mids[:, kept], self._spreads[:, kept], segment_last)

    def _close(self, end: int) -> None:
        if self._begin is not None and self._begin < end:
            self._segment_last[self._begin : end] = end - 1
        self._begin = None


def labeled_rows(
    grid: GridDay, spec: LabelSpec, group: ColumnGroup, begin: int, end: int, last_ns: int
) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield (rows, labels int64 (rows, 6 x columns)) of a column group from row `begin` to `end`; valid until the next.

    Labels that would end after `last_ns` are missing.
    """
    step = group.grid_ns // spec.grid_ns
    latency_of, shift_of = label_layout(spec, group.columns)
    # A label from row i ends at first_index + i steps plus latency and horizon, by `last_ns`.
    reach = np.array([last_ns - latency_ns - horizon_ns for latency_ns, horizon_ns in group.columns], np.int64)
    row_last = reach // spec.grid_ns - grid.first_index
    fees_bps = spec.fee_in_bps + spec.fee_out_bps
    out = np.empty((LABEL_ROWS, MOMENTS * len(group.columns)), np.int64)
    for at in range(begin + (-(grid.first_index + begin)) % step, end, LABEL_ROWS * step):
        rows = slice(at, min(end, at + LABEL_ROWS * step), step)
        labels = out[: -(-(rows.stop - at) // step)]
        broken = int(
            label_grid(
                grid.mids, grid.spreads, grid.segment_last, at, rows.stop, step, latency_of, shift_of, row_last, fees_bps, labels
            )
        )
        if broken >= 0:
            raise DataError(
                f"a label at {format_ns((grid.first_index + broken) * spec.grid_ns)} was beyond {LABEL_LIMIT_BPS:.0f} bps; "
                "expected a price that moves less: check the quotes around that instant with `edgesmith lake verify`"
            )
        yield rows, labels
