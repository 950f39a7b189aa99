"""Read a partition back and say everything that is wrong with it; and the facts a person wants to know about its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.domain.events import STREAM_VERSION, Stream
from edgesmith.domain.units import NS_PER_DAY, NS_PER_S, ns_of_date
from edgesmith.errors import DataError
from edgesmith.lake.catalog import Partition
from edgesmith.lake.datafile import first_line, open_data, row_groups, rows_of
from edgesmith.lake.figures import StreamedMedian
from edgesmith.lake.rows import ContentHash, Rows
from edgesmith.lake.schema import arrow_schema

GAP_NS = 10 * NS_PER_S


class VerifyResult(msgspec.Struct, frozen=True):
    """What `verify` found; `rows` counts those that could be read."""

    ok: bool
    problems: tuple[str, ...]
    rows: int


def verify(partition: Partition) -> VerifyResult:
    """Read every row group of a partition and compare it with its meta; reports all problems, not the first."""
    try:
        file = open_data(partition.folder, partition.meta)
    except DataError as error:
        return VerifyResult(False, (str(error),), 0)
    expected = arrow_schema(partition.key.stream)
    if not file.schema_arrow.equals(expected):
        columns = ", ".join(f"{field.name} {field.type}" for field in file.schema_arrow)
        return VerifyResult(False, (f"columns were {columns}; expected {', '.join(expected.names)} of schema version 2",), 0)
    check = _Check(partition)
    for group in range(file.metadata.num_row_groups):
        _check_group(check, file, group)
    check.finish(file.metadata.num_rows, _skews_again(file))
    return VerifyResult(not check.problems, tuple(check.problems), check.rows)


def _check_group(check: _Check, file: pq.ParquetFile, group: int) -> None:
    try:
        table = file.read_row_group(group)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        check.skip(group, file.metadata.row_group(group).num_rows, first_line(error))
        return
    check.add(group, table)


def _skews_again(file: pq.ParquetFile) -> Iterator[NDArray[np.int64]]:
    for group in range(file.metadata.num_row_groups):
        table = file.read_row_group(group, columns=["ts_event", "ts_recv"])
        yield table.column("ts_recv").to_numpy() - table.column("ts_event").to_numpy()


class _Check:
    # What has been seen of a partition so far, and every problem in it.

    def __init__(self, partition: Partition) -> None:
        self.problems: list[str] = []
        self.rows = 0
        self._key, self._meta = partition.key, partition.meta
        self._complete = True
        self._position = 0
        self._checksum = ContentHash(partition.key)
        self._last_event_ns: int | None = None
        self._spans: dict[str, tuple[int, int]] = {}
        self._skew = StreamedMedian()

    def skip(self, group: int, rows: int, reason: str) -> None:
        self.problems.append(f"row group {group} ({rows} rows) cannot be read: {reason}")
        self._complete = False
        self._position += rows

    def add(self, group: int, table: pa.Table) -> None:
        rows = rows_of(table, self._key.stream)
        self.rows += table.num_rows
        self._check_constants(group, table)
        self._check_seq(group, table.column("seq").to_numpy())
        self._check_order(group, rows["ts_event"])
        self._checksum.update(rows)
        for name in ("ts_event", "ts_recv"):
            low, high = int(rows[name].min()), int(rows[name].max())
            before = self._spans.get(name, (low, high))
            self._spans[name] = (min(low, before[0]), max(high, before[1]))
        self._skew.add(rows["ts_recv"] - rows["ts_event"])

    def finish(self, file_rows: int, skews_again: Iterator[NDArray[np.int64]]) -> None:
        self._compare("rows", file_rows, self._meta.rows)
        if not self._complete or not self.rows:
            return
        for name, (low, high) in self._spans.items():
            self._compare(f"{name}_min", low, getattr(self._meta, f"{name}_min"))
            self._compare(f"{name}_max", high, getattr(self._meta, f"{name}_max"))
        self._compare("skew_ns_min", self._skew.low, self._meta.clock.skew_ns_min)
        self._compare("skew_ns_p50", self._skew.finish(skews_again), self._meta.clock.skew_ns_p50)
        self._compare("content_sha256", self._checksum.hexdigest(), self._meta.content_sha256)

    def _compare(self, what: str, found: Any, said: Any) -> None:
        if found != said:
            self.problems.append(f"{what} was {found} in the file and {said} in the meta")

    def _check_constants(self, group: int, table: pa.Table) -> None:
        key = self._key
        constants = {"exchange": key.venue, "symbol": key.symbol, "stream": key.stream.label, "stream_version": STREAM_VERSION}
        for name, expected in constants.items():
            found = table.column(name).unique().to_pylist()
            if found != [expected]:
                self.problems.append(f"row group {group}: {name} was {found[:3]}, expected only {expected!r}")

    def _check_seq(self, group: int, seq: NDArray[np.int64]) -> None:
        expected = np.arange(self._position, self._position + len(seq))
        self._position += len(seq)
        wrong = np.flatnonzero(seq != expected)
        if len(wrong):
            row = int(wrong[0])
            self.problems.append(
                f"row group {group}: {len(wrong)} seq numbers are wrong, the first was {seq[row]}, expected {expected[row]}"
            )

    def _check_order(self, group: int, ts_event: NDArray[np.int64]) -> None:
        back = int(np.count_nonzero(ts_event[1:] < ts_event[:-1]))
        if self._last_event_ns is not None and int(ts_event[0]) < self._last_event_ns:
            back += 1
        if back:
            self.problems.append(f"row group {group}: ts_event falls back {back} times, expected it sorted")
        self._last_event_ns = int(ts_event[-1])
        start_ns = ns_of_date(self._key.day)
        outside = int(np.count_nonzero((ts_event < start_ns) | (ts_event >= start_ns + NS_PER_DAY)))
        if outside:
            self.problems.append(f"row group {group}: {outside} rows lie outside {self._key.day} UTC")


class PartitionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of a partition look like; facts a stream cannot have are None."""

    rows: int
    ts_event_min: int
    ts_event_max: int
    skew_ns_min: int
    skew_ns_p50: int
    received_late_rows: int
    gaps: int
    gap_ns_max: int
    rows_per_s: float
    crossed_rows: int | None = None
    locked_rows: int | None = None
    one_tick_spread_ratio: float | None = None
    buy_ratio: float | None = None
    volume_qty: float | None = None


def partition_facts(partition: Partition, gap_ns: int = GAP_NS) -> PartitionFacts:
    """Read a partition once, a row group at a time.

    A gap is more than `gap_ns` between neighbors on the venue's clock; `received_late_rows` were received before a row the
    venue stamped earlier; `rows_per_s` is over the span; ratios are of rows, in [0, 1].
    """
    meta = partition.meta
    totals: dict[str, float] = {}
    late, gaps, gap_max_ns = 0, 0, 0
    for rows, ts_event, ts_recv in _with_previous(row_groups(partition.folder, meta)):
        between_ns = np.diff(ts_event)
        gaps += int(np.count_nonzero(between_ns > gap_ns))
        gap_max_ns = max(gap_max_ns, int(between_ns.max(initial=0)))
        late += int(np.count_nonzero(np.diff(ts_recv) < 0))
        count = _COUNTERS.get(partition.key.stream)
        for name, value in (count(rows, meta.price_increment) if count else {}).items():
            totals[name] = totals.get(name, 0) + value
    span_s = (meta.ts_event_max - meta.ts_event_min) / NS_PER_S
    return PartitionFacts(
        rows=meta.rows,
        ts_event_min=meta.ts_event_min,
        ts_event_max=meta.ts_event_max,
        skew_ns_min=meta.clock.skew_ns_min,
        skew_ns_p50=meta.clock.skew_ns_p50,
        received_late_rows=late,
        gaps=gaps,
        gap_ns_max=gap_max_ns,
        rows_per_s=meta.rows / span_s if span_s > 0 else float(meta.rows),
        **{name: value / meta.rows if name.endswith("_ratio") else value for name, value in totals.items()},  # type: ignore[arg-type]
    )


def _with_previous(groups: Iterator[Rows]) -> Iterator[tuple[Rows, NDArray[np.int64], NDArray[np.int64]]]:
    # Each group with its clocks, preceded by the last row of the group before.
    last: tuple[Any, Any] = ((), ())
    for rows in groups:
        yield rows, np.r_[last[0], rows["ts_event"]].astype(np.int64), np.r_[last[1], rows["ts_recv"]].astype(np.int64)
        last = (rows["ts_event"][-1:], rows["ts_recv"][-1:])


def _count_quotes(rows: Rows, price_increment: str | None) -> dict[str, float]:
    spread = rows["ask_price"] - rows["bid_price"]
    counted: dict[str, float] = {
        "crossed_rows": int(np.count_nonzero(spread < 0)),
        "locked_rows": int(np.count_nonzero(spread == 0)),
    }
    if price_increment is not None:
        counted["one_tick_spread_ratio"] = int(np.count_nonzero(np.rint(spread / float(price_increment)) == 1))
    return counted


def _count_trades(rows: Rows, _: str | None) -> dict[str, float]:
    return {"buy_ratio": int(np.count_nonzero(rows["side"] > 0)), "volume_qty": float(rows["qty"].sum())}


_COUNTERS: dict[Stream, Callable[[Rows, str | None], dict[str, float]]] = {
    Stream.BBO: _count_quotes,
    Stream.TRADE: _count_trades,
}
