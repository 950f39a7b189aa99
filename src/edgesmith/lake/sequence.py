"""The events of one partition in replay order, a block at a time.

Rows are stored by (`ts_event`, `seq`). In receive order they are sorted again inside a bounded window: an event may go as soon
as no unread row group can hold an earlier one, which the statistics of the row groups tell exactly.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.domain.events import EVENT, PAYLOAD_FIELDS, Cursor
from edgesmith.domain.records import as_records, joined, taken
from edgesmith.domain.units import INT64_MAX
from edgesmith.errors import CorruptDataError, DataError
from edgesmith.lake.catalog import Partition
from edgesmith.lake.datafile import open_data, read_row_group, remedy
from edgesmith.lake.merge import assemble

Order = Literal["receive", "venue"]
Events = NDArray[Any]

# Events of one partition held back because a later row group has earlier receive times: 256 MiB.
DISORDER_EVENTS_MAX = 4_194_304

_NO_COLUMN = np.frombuffer(b"", np.int64)
_NO_SIDE = np.frombuffer(b"", np.int8)


class Window:
    """Which part of a sequence is wanted: `start_ns` <= clock < `end_ns`, strictly after `cursor`."""

    def __init__(self, order: Order, cursor: Cursor | None, start_ns: int | None, end_ns: int | None) -> None:
        self.clock_field = "ts_recv" if order == "receive" else "ts_event"
        self.position = itemgetter(self.clock_field, "ts_event", "instrument", "kind", "seq")
        self._clock = itemgetter(self.clock_field)
        self._cursor = None if cursor is None else self.position(msgspec.structs.asdict(cursor))
        cursor_ns = -INT64_MAX if self._cursor is None else self._cursor[0]
        self._start_ns = max(-INT64_MAX if start_ns is None else start_ns, cursor_ns)
        self._end_ns = INT64_MAX if end_ns is None else end_ns

    def overlaps(self, low_ns: int, high_ns: int) -> bool:
        """Return whether any instant from `low_ns` to `high_ns`, both included, may be wanted."""
        return high_ns >= self._start_ns and low_ns < self._end_ns

    def starts_after(self, instant_ns: int) -> bool:
        """Return whether nothing up to `instant_ns`, included, is wanted."""
        return instant_ns < self._start_ns

    def cut(self, block: Events) -> Events:
        """Return the wanted part of a block in replay order."""
        first = bisect_left(block, self._start_ns, key=self._clock)
        if self._cursor is not None:
            first = max(first, self.count_up_to(block, self._cursor))
        return block[first : bisect_left(block, self._end_ns, lo=first, key=self._clock)]

    def count_up_to(self, block: Events, position: tuple[int, ...]) -> int:
        """Return how many events of a block in replay order do not come after `position`."""
        return bisect_right(block, position, key=self.position)


class PartitionSequence:
    """One partition as sorted blocks of events of the instrument with index `instrument`."""

    def __init__(self, partition: Partition, instrument: int, window: Window) -> None:
        meta = partition.meta
        self._partition = partition
        self._instrument = instrument
        self._window = window
        by_receive = window.clock_field == "ts_recv"
        self.first_ns = meta.ts_recv_min if by_receive else meta.ts_event_min
        self.last_ns = meta.ts_recv_max if by_receive else meta.ts_event_max
        self.wanted = window.overlaps(self.first_ns, self.last_ns)

    def blocks(self) -> Iterator[Events]:
        """Yield the wanted events, in order; no block is empty."""
        groups = self._receive_order() if self._window.clock_field == "ts_recv" else self._storage_order()
        for block in groups:
            wanted = self._window.cut(block)
            if len(wanted):
                yield wanted

    def _storage_order(self) -> Iterator[Events]:
        for _, block in self._wanted_groups():
            yield block

    def _receive_order(self) -> Iterator[Events]:
        held: Events | None = None
        for unread_ns, block in self._wanted_groups():
            if held is not None and len(held):
                block = joined([held, block])
            block = _by_receive(block)
            # A row with the same receive time in a later row group has a larger (ts_event, seq), so it comes after.
            done = bisect_right(block, unread_ns, key=itemgetter("ts_recv"))
            held = block[done:]
            if len(held) > DISORDER_EVENTS_MAX:
                raise DataError(
                    f"{self._partition.key}: {len(held)} events were received after events of later venue time, at most "
                    f"{DISORDER_EVENTS_MAX} can be put right; the clocks are not of one recording: replay with order='venue'"
                )
            yield block[:done]

    def _wanted_groups(self) -> Iterator[tuple[int, Events]]:
        # Each wanted row group as events, with the lowest receive time of the wanted groups after it.
        file = open_data(self._partition.folder, self._partition.meta)
        limits = _limits(file, self._window.clock_field)
        if limits is None or file.metadata.num_rows != self._partition.meta.rows:
            raise CorruptDataError(
                f"{self._partition.data_path} lacks statistics or rows the lake wrote; {remedy(self._partition.folder)}"
            )
        wanted = [group for group, (low, high, _) in enumerate(limits) if self._window.overlaps(low, high)]
        unread_ns = np.full(len(wanted) + 1, INT64_MAX)
        for position in range(len(wanted) - 1, -1, -1):
            unread_ns[position] = min(unread_ns[position + 1], limits[wanted[position]][0])
        for position, group in enumerate(wanted):
            low, _, first_seq = limits[group]
            yield int(unread_ns[position + 1]), self._events(file, group, first_seq, low)

    def _events(self, file: pq.ParquetFile, group: int, first_seq: int, low_ns: int) -> Events:
        key = self._partition.key
        names = ["ts_event", "ts_recv", *PAYLOAD_FIELDS[key.stream]]
        table = read_row_group(file, group, self._partition.folder, names)
        columns = {name: _values(table.column(name)) for name in names}
        words = np.empty((table.num_rows, 8), np.int64)
        side = columns.get("side", _NO_SIDE)
        payload = [columns[name].view(np.int64) for name in names[2:] if name != "side"] + [_NO_COLUMN] * 4
        tag = int(key.stream) | self._instrument << 32
        assemble(words, columns["ts_event"], columns["ts_recv"], first_seq, tag, side, *payload[:4])
        events = as_records(words.view(EVENT)[:, 0])
        ts_event = columns["ts_event"]
        if bool(np.any(ts_event[1:] < ts_event[:-1])) or int(columns[self._window.clock_field].min()) != low_ns:
            raise CorruptDataError(
                f"{self._partition.data_path}: row group {group} is not sorted by ts_event or its statistics are wrong; "
                f"{remedy(self._partition.folder)}"
            )
        return events


def _limits(file: pq.ParquetFile, clock_field: str) -> list[tuple[int, int, int]] | None:
    # Lowest clock, highest clock and first seq of each row group.
    column = file.schema_arrow.get_field_index(clock_field)
    limits, first_seq = [], 0
    for group in range(file.metadata.num_row_groups):
        metadata = file.metadata.row_group(group)
        statistics = metadata.column(column).statistics
        if statistics is None or not statistics.has_min_max:
            return None
        limits.append((statistics.min, statistics.max, first_seq))
        first_seq += metadata.num_rows
    return limits


def _by_receive(block: Events) -> Events:
    ts_recv = block["ts_recv"]
    if not bool(np.any(ts_recv[1:] < ts_recv[:-1])):
        return block
    # Stable: rows of one receive time stay in storage order, (ts_event, seq).
    return taken(block, np.argsort(ts_recv, kind="stable"))


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    values: NDArray[Any] = column.combine_chunks().to_numpy(zero_copy_only=False)
    values.flags.writeable = False  # as most are already: one type for the kernel
    return values
