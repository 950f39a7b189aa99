"""Take batches of decoded columns, keep the sound rows until the file is read, then write them as partitions and report.

Nothing of a file reaches the lake before the whole file was read, and a partition is written by one atomic merge: a crash or a
file that proves damaged leaves the lake as it was, but for partitions already complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.domain.units import format_duration_ns
from edgesmith.errors import DataError
from edgesmith.lake.importers import checks
from edgesmith.lake.importers.checks import FAULTS, Columns
from edgesmith.lake.importers.increments import decimal_step
from edgesmith.lake.importers.report import QUARANTINED, FileReport, PartitionReport, Quarantine, file_sha256
from edgesmith.lake.importers.series import PRESENCE, Series, by_day, joined, rows_of
from edgesmith.lake.importers.timestamps import to_ns
from edgesmith.lake.rows import take
from edgesmith.lake.schema import PartitionKey, Source, read_meta
from edgesmith.lake.segments import merge_partition

_PRICES = {Stream.BBO: ("bid_price", "ask_price"), Stream.TRADE: ("price",)}
_QTYS = {Stream.BBO: ("bid_qty", "ask_qty"), Stream.TRADE: ("qty",)}


@dataclass
class _Held:
    # The sound rows of one series so far.
    batches: list[Columns] = field(default_factory=list)
    reached: int = -1


class Intake:
    """The rows and counts of one file on their way into the lake."""

    def __init__(self, root: Path, path: Path, kind: str, *, period_ns: tuple[int, int] | None = None) -> None:
        self.lines = 0
        self._root = root
        self._path = path
        self._kind = kind
        self._sha256 = file_sha256(path)
        self._period_ns = period_ns
        self._quarantine = Quarantine(root, path.name, self._sha256)
        self._held: dict[Series, _Held] = {}
        self._accepted = 0
        self._reasons: dict[str, int] = {}
        self._units: dict[str, int] = {}
        self._messages: list[str] = []
        self._truncated = False

    def say(self, message: str) -> None:
        """Add a message the user must see; said once however often it is given."""
        if message not in self._messages:
            self._messages.append(message)

    def set_aside(self, reason: str, count: int = 1) -> None:
        """Count sound lines that are not for the lake."""
        if count:
            self._reasons[reason] = self._reasons.get(reason, 0) + count

    def reject(self, reason: str, raw: bytes | str) -> None:
        """Count one wrong line and put it into quarantine."""
        assert reason in QUARANTINED, reason
        self.set_aside(reason)
        self._quarantine.add(reason, raw)

    def tear(self, torn_line: bytes | None) -> None:
        """Record that the file's compression ended too early, within `torn_line` if any."""
        self._truncated = True
        if torn_line is not None:
            self.lines += 1
            self.reject("truncated_gzip", torn_line)
        self.say("the file is truncated: its gzip stream ends too early; what decoded was imported, the rest is missing")

    def add(self, series: Series, columns: Columns, raw: Callable[[int], bytes | str]) -> None:
        """Take the rows of one batch, each of them one line of the file.

        Parameters
        ----------
        columns
            Clocks as the source has them (any unit), payload of all `series.streams`, optionally `id` (int64).
        raw
            Returns the line row `i` came from.
        """
        columns = dict(columns)
        faults = np.zeros(len(columns["ts_event"]), np.uint8)
        self._convert_clocks(columns, faults)
        checks.find_faults(columns, series.required, faults)
        held = self._held.setdefault(series, _Held())
        if series.in_receive_order and "id" in columns:
            _check_ids(columns, faults, held)
        for position in np.flatnonzero(faults):
            self.reject(FAULTS[faults[position]], raw(int(position)))
        sound = take(columns, faults == 0) if faults.any() else columns
        if series.streams[0] in PRESENCE:
            sound = self._without_empty(series, sound)
        self._accepted += len(sound["ts_event"])
        if len(sound["ts_event"]):
            held.batches.append(sound)

    def _convert_clocks(self, columns: Columns, faults: NDArray[np.uint8]) -> None:
        for name in ("ts_event", "ts_recv"):
            given = columns[name]
            columns[name], clear, units = to_ns(given)
            checks.mark(faults, ~clear, checks.UNIT_UNCLEAR)
            if name == "ts_event":
                for unit, count in units.items():
                    self._units[unit] = self._units.get(unit, 0) + count
        if "next_funding_ts" in columns:
            given = columns["next_funding_ts"]
            columns["next_funding_ts"], clear, _ = to_ns(given)
            checks.mark(faults, ~clear & (given != 0), checks.UNIT_UNCLEAR)
        if self._period_ns is not None:
            start_ns, end_ns = self._period_ns
            checks.mark(faults, (columns["ts_event"] < start_ns) | (columns["ts_event"] >= end_ns), checks.OFF_DAY)

    def _without_empty(self, series: Series, columns: Columns) -> Columns:
        present = np.zeros(len(columns["ts_event"]), np.bool_)
        for stream in series.streams:
            present |= ~np.isnan(columns[PRESENCE[stream]])
        self.set_aside("nothing_to_store", int((~present).sum()))
        return columns if present.all() else take(columns, present)

    def refuse(self, failure: str) -> FileReport:
        """Return the report of a file that cannot be trusted; nothing of it is stored."""
        self._quarantine.discard()
        refused = {"file_refused": self.lines} if self.lines else {}
        return self._report({}, (), refused, accepted=0, quarantine=None, failure=failure)

    def finish(self) -> FileReport:
        """Write all partitions of the file and return its report."""
        rows: dict[str, int] = {}
        partitions: list[PartitionReport] = []
        skews: list[NDArray[np.int64]] = []
        self._drop_redundant_aggregates()
        for series, held in self._held.items():
            if not held.batches:
                continue
            columns = joined(held.batches)
            held.batches.clear()
            if not series.in_receive_order:
                columns = self._in_time_order(series, columns)
            if series.clock.event_clock == "venue" and series.clock.recv_clock == "local":
                skews.append(columns["ts_recv"] - columns["ts_event"])
            for stream in series.streams:
                stream_rows = rows_of(series, stream, columns)
                rows[stream.label] = rows.get(stream.label, 0) + len(stream_rows["ts_event"])
                partitions += self._write(series, stream, stream_rows)
        self._say_clocks(skews)
        if not self._accepted:
            self.say("no line of this file was stored; are the format, the market and the symbol right?")
        counted = {stream: count for stream, count in rows.items() if count}
        return self._report(counted, tuple(partitions), self._reasons, self._accepted, self._quarantine.close(), failure=None)

    def _drop_redundant_aggregates(self) -> None:
        single = {(series.venue, series.symbol) for series, held in self._held.items() if series.form == "trade" and held.batches}
        for series, held in self._held.items():
            if series.form == "aggTrade" and (series.venue, series.symbol) in single:
                count = sum(len(batch["ts_event"]) for batch in held.batches)
                self._accepted -= count
                self.set_aside("agg_trade_redundant", count)
                held.batches.clear()

    def _in_time_order(self, series: Series, columns: Columns) -> Columns:
        keys = [columns["ts_event"]] if "id" not in columns else [columns["id"], columns["ts_event"]]
        order = np.lexsort(keys)
        moved = int((order[1:] < order[:-1]).sum())
        if not moved:
            return columns
        self.say(f"{series.symbol} {series.form}: the file was out of order in {moved} places; rows were sorted by time and id")
        return take(columns, order)

    def _write(self, series: Series, stream: Stream, rows: Columns) -> list[PartitionReport]:
        reports = []
        source = Source(self._path.name, self._sha256, f"{self._kind}/{series.form}")
        for day, day_rows in by_day(rows):
            key = PartitionKey(series.venue, stream, series.symbol, day)
            given = len(day_rows["ts_event"])
            try:
                self._check_granularity(key, series)
                merged = merge_partition(
                    self._root,
                    key,
                    day_rows,
                    source=source,
                    clock=series.clock,
                    price_increment=_step(day_rows, _PRICES.get(stream)),
                    qty_increment=_step(day_rows, _QTYS.get(stream)),
                )
            except DataError as error:
                reports.append(PartitionReport(partition=str(key), rows_given=given, refused=str(error)))
                continue
            reports.append(
                PartitionReport(
                    partition=str(key),
                    rows_given=given,
                    rows_added=merged.rows_added,
                    duplicates=merged.duplicates,
                    changed=merged.changed,
                    skew_ns_min=merged.meta.clock.skew_ns_min,
                    skew_ns_p50=merged.meta.clock.skew_ns_p50,
                )
            )
        return reports

    def _check_granularity(self, key: PartitionKey, series: Series) -> None:
        # Single trades and aggregates of the same prints, side by side, would count volume twice.
        held = read_meta(key.folder(self._root)) if key.stream == Stream.TRADE else None
        if held is None:
            return
        aggregated = _is_aggregated(series.form)
        for source in held.sources:
            if _is_aggregated(source.format) != aggregated:
                words = ("aggregated", "single") if aggregated else ("single", "aggregated")
                raise DataError(
                    f"{key}: the file has {words[0]} trades and the lake holds {words[1]} ones (from {source.name}); "
                    "together they would count the same prints twice: import them into another lake root"
                )

    def _say_clocks(self, skews: Sequence[NDArray[np.int64]]) -> None:
        converted = {unit: count for unit, count in self._units.items() if unit != "nanoseconds"}
        if converted:
            parts = ", ".join(f"{unit} ({count} rows)" for unit, count in converted.items())
            self.say(f"the venue clock was in {parts}: converted to nanoseconds")
        if not skews:
            return
        skew_ns = np.concatenate(skews)
        middle = (len(skew_ns) - 1) // 2
        p50, low = int(np.partition(skew_ns, middle)[middle]), int(skew_ns.min())
        meaning = (
            f"our clock was {format_duration_ns(-p50)} behind the venue's"
            if p50 < 0
            else f"events were received {format_duration_ns(p50)} after the venue's time"
        )
        spread = f"median {format_duration_ns(p50)}, minimum {format_duration_ns(low)}"
        self.say(f"{meaning} (ts_recv - ts_event: {spread})")

    def _report(
        self,
        rows: dict[str, int],
        partitions: tuple[PartitionReport, ...],
        reasons: dict[str, int],
        accepted: int,
        quarantine: str | None,
        failure: str | None,
    ) -> FileReport:
        return FileReport(
            name=self._path.name,
            sha256=self._sha256,
            size_bytes=self._path.stat().st_size,
            lines=self.lines,
            accepted=accepted,
            rows=rows,
            reasons=dict(sorted(reasons.items())),
            partitions=tuple(sorted(partitions, key=lambda partition: partition.partition)),
            messages=tuple(self._messages),
            quarantine=quarantine,
            truncated=self._truncated,
            failure=failure,
        )


def _check_ids(columns: Columns, faults: NDArray[np.uint8], held: _Held) -> None:
    sound = np.flatnonzero(faults == 0)
    ids = columns["id"][sound]
    if not len(ids):
        return
    late = checks.late_ids(ids, held.reached)
    if late.any():
        where = sound[late]
        lowest = int(ids[late].min())
        earlier = [batch for batch in held.batches if batch["id"][-1] >= lowest]
        known = joined([*earlier, take(columns, sound[~late])])
        again = checks.repeats(columns, where, known)
        faults[where] = np.where(again, checks.DUPLICATE, checks.NON_MONOTONE_ID)
    held.reached = max(held.reached, int(ids.max()))


def _step(rows: Columns, names: tuple[str, ...] | None) -> str | None:
    return None if names is None else decimal_step([rows[name] for name in names])


def _is_aggregated(form: str) -> bool:
    return "aggTrade" in form
