"""Find partitions by their folders and metas; no data file is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec

from edgesmith.domain.events import Stream
from edgesmith.domain.units import parse_date
from edgesmith.errors import CorruptDataError, EdgesmithError, InputError
from edgesmith.lake.group_commit import finish_commits
from edgesmith.lake.held import read_held
from edgesmith.lake.schema import PartitionKey, PartitionMeta, parse_stream, read_meta


class Partition(msgspec.Struct, frozen=True):
    """One day of one series in the lake."""

    key: PartitionKey
    folder: Path
    meta: PartitionMeta

    @property
    def data_path(self) -> Path:
        """Return the Parquet file the meta names."""
        return self.folder / self.meta.data_file


class Catalog:
    """The partitions of the lake at `root`."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def partitions(
        self,
        venue: str | None = None,
        stream: Stream | str | None = None,
        symbol: str | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> list[Partition]:
        """Return the partitions that match, by key; `start` and `end` are both included."""
        found = []
        hidden = finish_commits(self.root)
        for key in self._keys(venue, stream, symbol):
            folder = key.folder(self.root)
            if (start is None or key.day >= start) and (end is None or key.day <= end) and folder not in hidden:
                meta = read_meta(folder)
                if meta is not None:
                    found.append(_partition(key, folder, meta))
        return sorted(found, key=lambda partition: partition.key)

    def days(self, venue: str, stream: Stream | str, symbol: str) -> list[date]:
        """Return the days the lake has of one series."""
        return [partition.key.day for partition in self.partitions(venue, stream, symbol)]

    def require(
        self, venue: str, stream: Stream | str, symbol: str, start: date | None = None, end: date | None = None
    ) -> list[Partition]:
        """Return the partitions of one series; raises InputError, saying what there is, when there are none."""
        found = self.partitions(venue, stream, symbol, start, end)
        if not found:
            raise InputError(self.absence(venue, stream, symbol, start, end))
        return found

    def absence(self, venue: str, stream: Stream | str, symbol: str, start: date | None = None, end: date | None = None) -> str:
        """Say that there is nothing for a request, and what the lake has instead."""
        stream = parse_stream(stream) if isinstance(stream, str) else stream
        wanted = format_days([day for day in (start, end) if day is not None]) if start == end else f"{start or ''}..{end or ''}"
        when = "" if start is None and end is None else f" for {wanted}"
        days = self.days(venue, stream, symbol)
        if days:
            vaulted = self._vaulted_words(venue, symbol)
            return f"no {stream.label} data of {venue} {symbol.upper()}{when}; the lake has {format_days(days)}{vaulted}"
        series = sorted({f"{key.venue} {key.symbol} {key.stream.label}" for key in self._keys(None, None, None)})
        if not series:
            return f"no data at all in {self.root}; import some with `edgesmith lake import`"
        vaulted = self._vaulted_words(venue, symbol)
        return f"no {stream.label} data of {venue} {symbol.upper()}; the lake at {self.root} has {_first(series)}{vaulted}"

    def _vaulted_words(self, venue: str, symbol: str) -> str:
        held = read_held(self.root)
        mine = [one for one in held.series if (one.venue, one.symbol) == (venue, symbol.upper())] if held is not None else []
        return f" ({mine[0].first_day}..{mine[0].last_day} are in the vault)" if mine else ""

    def _keys(self, venue: str | None, stream: Stream | str | None, symbol: str | None) -> Iterator[PartitionKey]:
        stream_name = stream.label if isinstance(stream, Stream) else stream
        if stream_name is not None:
            parse_stream(stream_name)
        symbol_name = None if symbol is None else symbol.lower()
        held = read_held(self.root)
        for venue_folder, found_venue in _children(self.root, "exchange", venue):
            for stream_folder, found_stream in _children(venue_folder, "stream", stream_name):
                for symbol_folder, found_symbol in _children(stream_folder, "symbol", symbol_name):
                    for day_folder, found_day in _children(symbol_folder, "date", None):
                        key = _key(day_folder, found_venue, found_stream, found_symbol, found_day)
                        if held is None or not held.covers(key):
                            yield key


def format_days(days: Sequence[date]) -> str:
    """Format days as ranges: `2024-08-08..2024-08-09, 2024-08-12`."""
    ranges: list[list[date]] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1][1] = day
        else:
            ranges.append([day, day])
    return _first([f"{first}" if first == last else f"{first}..{last}" for first, last in ranges])


def _first(names: Sequence[str], limit: int = 12) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def _children(folder: Path, name: str, value: str | None) -> Iterator[tuple[Path, str]]:
    # Hive folders `name=value`; anything else in the lake is not ours to judge.
    if value is not None:
        wanted = folder / f"{name}={value}"
        if wanted.is_dir():
            yield wanted, value
        return
    if not folder.is_dir():
        return
    for child in sorted(folder.iterdir()):
        if child.name.startswith(f"{name}=") and child.is_dir():
            yield child, child.name.split("=", 1)[1]


def _key(folder: Path, venue: str, stream: str, symbol: str, day: str) -> PartitionKey:
    try:
        return PartitionKey(venue, parse_stream(stream), symbol.upper(), parse_date(day))
    except EdgesmithError as error:
        raise CorruptDataError(f"{folder} is not the folder of a partition ({error}); move it out of the lake") from None


def _partition(key: PartitionKey, folder: Path, meta: PartitionMeta) -> Partition:
    if meta.key != key:
        raise CorruptDataError(f"{folder} holds the meta of {meta.key}; folders of a lake must not be renamed: move it back")
    return Partition(key, folder, meta)
