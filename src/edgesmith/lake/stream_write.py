"""Write new partitions from chunks in order, several side by side, and put them in place together.

Memory holds a chunk and a row group, however long the day. The files are those `merge_partition` writes for all rows at once,
byte for byte. Partitions appear together when all of them are whole on disk (`lake.group_commit`): a crash leaves all or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pyarrow.parquet as pq

from edgesmith.domain.units import format_ns
from edgesmith.errors import DataError, OrderingError
from edgesmith.lake.atomic import TEMPORARY_PREFIX, locked_folder, remove_leftovers, write_together
from edgesmith.lake.datafile import DataWriter
from edgesmith.lake.figures import FiguresCounter
from edgesmith.lake.group_commit import commit_together, finish_commits
from edgesmith.lake.held import check_not_held
from edgesmith.lake.rows import Rows, checked_rows, ordered
from edgesmith.lake.schema import (
    META_NAME,
    ClockRecord,
    PartitionKey,
    PartitionMeta,
    Source,
    encode_meta,
    read_meta,
)
from edgesmith.lake.segments import check_simulated, new_meta, remove_unnamed

_PART_NAME = TEMPORARY_PREFIX + "part.parquet"
_CLOCKS = ["ts_event", "ts_recv"]


@dataclass(frozen=True)
class Chunk:
    """Rows of one partition, checked and in order; None where there are none."""

    key: PartitionKey
    rows: Rows | None


def chunk_of(key: PartitionKey, columns: Mapping[str, Any]) -> Chunk:
    """Return columns, given as to `merge_partition`, as a chunk; any thread can do this beside the one that writes.

    The rows may come in any order, and repeats among them are dropped as `merge_partition` does.
    """
    if not len(columns["ts_event"]):
        return Chunk(key, None)
    return Chunk(key, ordered(checked_rows(key, columns), key.stream))


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the meta of a partition says beside its figures; as for `merge_partition`."""

    source: Source
    clock: ClockRecord
    price_increment: str | None = None
    qty_increment: str | None = None
    truth: dict[str, Any] | None = None


class PartitionsWriter:
    """The partitions `keys` of the lake at `root`, held against other writers while the `with` block runs.

    Without `commit` the block leaves nothing behind. A key that gets no rows makes no partition.
    """

    def __init__(self, root: Path, keys: Iterable[PartitionKey], *, simulated: bool = False) -> None:
        # In one order for everybody, so that two writers of the same partitions cannot wait for each other.
        self._parts = {key: _Part(key, key.folder(root)) for key in sorted(keys)}
        for key in self._parts:
            check_simulated(key, simulated)
            check_not_held(root, key)
        self._root = root
        self._locks = ExitStack()

    def __enter__(self) -> PartitionsWriter:
        finish_commits(self._root)
        with ExitStack() as locks:
            for part in self._parts.values():
                locks.enter_context(locked_folder(part.folder))
                locks.callback(part.abandon)
                part.begin()
            self._locks = locks.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._locks.close()

    def write(self, chunk: Chunk) -> None:
        """Add a chunk to its partition; all its rows must be later than those before."""
        if chunk.rows is not None:
            self._parts[chunk.key].write(chunk.rows)

    def commit(self, described: Mapping[PartitionKey, Description]) -> tuple[PartitionMeta, ...]:
        """Put all partitions in place, or none, and return their metas; what is there already must be the same rows."""
        parts = [part for part in self._parts.values() if part.finish()]
        metas = [part.meta(described[part.key]) for part in parts]
        pairs = list(zip(parts, metas, strict=True))
        # Data first, metas last. Data that is there already is replaced by the same bytes, which mends a damaged file.
        write_together([(part.folder / meta.data_file, part.move_data) for part, meta in pairs])
        named = [(part.folder / META_NAME, partial(_write_meta, meta)) for part, meta in pairs if meta != part.held]
        commit_together(self._root, named)
        return tuple(metas)


def _write_meta(meta: PartitionMeta, path: Path) -> None:
    path.write_bytes(encode_meta(meta))


class _Part:
    # One partition under way.

    def __init__(self, key: PartitionKey, folder: Path) -> None:
        self.key, self.folder = key, folder
        self.path = folder / _PART_NAME
        self.held: PartitionMeta | None = None
        self._data: DataWriter | None = None
        self._figures = FiguresCounter(key)
        self._last_ns = (0, 0)

    def begin(self) -> None:
        self.held = read_meta(self.folder)
        remove_leftovers(self.folder)
        remove_unnamed(self.folder, self.held)

    def write(self, rows: Rows) -> None:
        first_ns = int(rows["ts_event"][0]), int(rows["ts_recv"][0])
        if self._figures.rows and first_ns <= self._last_ns:
            raise OrderingError(
                f"{self.key}: a chunk began at {format_ns(first_ns[0])} (received {format_ns(first_ns[1])}), expected after the "
                f"end of the one before, {format_ns(self._last_ns[0])} ({format_ns(self._last_ns[1])}); give chunks in order"
            )
        self._last_ns = int(rows["ts_event"][-1]), int(rows["ts_recv"][-1])
        if self._data is None:
            self._data = DataWriter(self.path, self.key)
        self._figures.add(rows)
        self._data.write(rows)

    def finish(self) -> bool:
        if self._data is None:
            return False
        self._data.close()
        return True

    def meta(self, said: Description) -> PartitionMeta:
        figures = self._figures.finish(self._written())
        meta = new_meta(
            self.key, figures, self.held, said.source, said.clock, said.price_increment, said.qty_increment, said.truth
        )
        if self.held is not None and self.held.content_sha256 != meta.content_sha256:
            raise DataError(
                f"{self.key}: the lake holds other rows ({self.held.rows:,}; the new ones are {meta.rows:,}), expected none or "
                f"the same; delete {self.folder} or write into another lake root"
            )
        return meta

    def _written(self) -> Iterator[Rows]:
        with pq.ParquetFile(self.path) as file:
            for group in range(file.metadata.num_row_groups):
                table = file.read_row_group(group, columns=_CLOCKS)
                yield {name: table.column(name).to_numpy() for name in _CLOCKS}

    def move_data(self, path: Path) -> None:
        self.path.replace(path)

    def abandon(self) -> None:
        try:
            self.finish()
        finally:
            self.path.unlink(missing_ok=True)
