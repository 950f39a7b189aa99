"""Feature rows of whole days as Parquet beside the data: the same recipe over the same data is computed once.

Files: `<lake>/features/recipe=<hash>/exchange=/symbol=/date=/features.parquet`, where the hash names the features with their
parameters and the code that computes them. State is carried from one day into the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.canonical import canonical_json
from edgesmith.domain.units import NS_PER_DAY, date_of_ns
from edgesmith.errors import InputError
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay

FOLDER = "features"
DATA_NAME = "features.parquet"
META_NAME = "meta.json"


class MatrixMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What a matrix was computed from; `data_fingerprint` covers everything replayed, days before included."""

    recipe: str
    features: tuple[str, ...]
    data_fingerprint: str
    rows: int
    simulated: bool


class MatrixFile(msgspec.Struct, frozen=True, kw_only=True):
    """One day's matrix; `computed` is False when it was there already."""

    day: date
    path: Path
    rows: int
    computed: bool


def compute_matrix(
    lake: Path,
    partitions: Sequence[Partition],
    program: Program,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[MatrixFile]:
    """Compute the features of one instrument over `partitions`; a row per event of a stream some feature consumes."""
    used = [one for one in partitions if one.key.stream in program.consumes]
    replay = Replay(used)
    if len(replay.instruments) != 1:
        raise InputError(f"features were asked for {len(replay.instruments)} instruments at once, expected one")
    base = _folder(lake, program, *replay.instruments[0])
    days = sorted({one.key.day for one in used})
    present = [_present(base, day, replay.fingerprint) for day in days]
    if all(file is not None for file in present):
        return [file for file in present if file is not None]
    return list(_compute(base, replay, program, any(one.meta.simulated for one in used), progress))


def _folder(lake: Path, program: Program, venue: str, symbol: str) -> Path:
    return lake / FOLDER / f"recipe={program.program_id}" / f"exchange={venue}" / f"symbol={symbol.lower()}"


def _present(base: Path, day: date, fingerprint: str) -> MatrixFile | None:
    folder = base / f"date={day:%Y%m%d}"
    try:
        meta = msgspec.json.decode((folder / META_NAME).read_bytes(), type=MatrixMeta)
    except (OSError, msgspec.DecodeError):
        return None
    if meta.data_fingerprint != fingerprint or not (folder / DATA_NAME).is_file():
        return None
    return MatrixFile(day=day, path=folder / DATA_NAME, rows=meta.rows, computed=False)


def _compute(
    base: Path, replay: Replay, program: Program, simulated: bool, progress: Callable[[int, int], None] | None
) -> Iterator[MatrixFile]:
    state = program.new_state()
    writer: _DayWriter | None = None
    done = 0
    try:
        for events in replay.batches():
            matrix = np.empty((len(events), program.width))
            program.run(events, matrix, state)
            for day, rows in _by_day(events):
                if writer is None or writer.day != day:
                    if writer is not None:
                        yield writer.finish(replay.fingerprint, simulated)
                    writer = _DayWriter(base, day, program)
                writer.add(events[rows], matrix[rows])
            done += len(events)
            if progress is not None:
                progress(done, replay.events_total)
        if writer is not None:
            yield writer.finish(replay.fingerprint, simulated)
            writer = None
    finally:
        if writer is not None:
            writer.abandon()


def _by_day(events: NDArray[Any]) -> Iterator[tuple[date, slice]]:
    # Days of the receive clock: the order rows come in, so each day is written once.
    days = events["ts_recv"] // NS_PER_DAY
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    for begin, end in zip(starts, [*starts[1:], len(events)], strict=True):
        yield date_of_ns(int(events["ts_recv"][begin])), slice(int(begin), int(end))


class _DayWriter:
    """Writes one day; it appears whole or not at all."""

    def __init__(self, base: Path, day: date, program: Program) -> None:
        self.day = day
        self._program = program
        self._final = base / f"date={day:%Y%m%d}"
        self._folder = base / f".date={day:%Y%m%d}.partial"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        clocks = [("ts_event", pa.int64()), ("ts_recv", pa.int64()), ("seq", pa.int64())]
        self._schema = pa.schema(clocks + [(name, pa.float64()) for name in program.names])
        self._file = pq.ParquetWriter(self._folder / DATA_NAME, self._schema, compression="zstd")
        self._rows = 0

    def add(self, events: NDArray[Any], matrix: NDArray[np.float64]) -> None:
        """Append rows."""
        clocks = [np.ascontiguousarray(events[name]) for name in ("ts_event", "ts_recv", "seq")]
        columns = [np.ascontiguousarray(matrix[:, place]) for place in range(matrix.shape[1])]
        self._file.write_table(pa.table([*clocks, *columns], schema=self._schema))
        self._rows += len(events)

    def finish(self, fingerprint: str, simulated: bool) -> MatrixFile:
        """Put the day in place."""
        self._file.close()
        meta = MatrixMeta(
            recipe=self._program.program_id,
            features=self._program.names,
            data_fingerprint=fingerprint,
            rows=self._rows,
            simulated=simulated,
        )
        (self._folder / META_NAME).write_bytes(canonical_json(meta))
        shutil.rmtree(self._final, ignore_errors=True)
        self._folder.rename(self._final)
        return MatrixFile(day=self.day, path=self._final / DATA_NAME, rows=self._rows, computed=True)

    def abandon(self) -> None:
        """Leave nothing of a day that was not finished."""
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)
