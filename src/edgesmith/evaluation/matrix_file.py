"""One day of feature rows as a Parquet file that appears whole or not at all, with what is needed to go on after it.

Rows are turned into columns in blocks while the block before is being compressed in a thread of its own, so memory is that
of two blocks and a day is as fast as the slower of the two.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.canonical import canonical_json
from edgesmith.compiled import kernel
from edgesmith.features.operator import FeatureSpec, Unit
from edgesmith.features.program import ProgramState, Snapshot

DATA_NAME = "features.parquet"
META_NAME = "meta.json"
STATE_NAMES = ("state_floats.npy", "state_ints.npy")
# Rows of a block, which is a row group of the file.
BLOCK_ROWS = 131_072
ZSTD_LEVEL = 1
_TILE_ROWS = 64

Values = Literal["float32", "float64"]


class MatrixMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What a day was computed from; `data_fingerprint` covers everything that was replayed for it, days before included."""

    recipe: str
    program: str
    features: tuple[str, ...]
    columns: tuple[str, ...]
    grid_ns: int
    values: Values
    data_fingerprint: str
    rows: int
    simulated: bool
    # Further instruments that features look at, as venue and symbol.
    beside: tuple[tuple[str, str], ...] = ()


class MatrixFile(msgspec.Struct, frozen=True, kw_only=True):
    """One day's matrix; `computed` is False when it was there already."""

    day: date
    path: Path
    rows: int
    computed: bool


def is_narrow(spec: FeatureSpec, values: Values) -> bool:
    """Tell whether a column is written as float32: where asked for, and where it is not a price, which needs more digits."""
    return values == "float32" and spec.definition.unit is not Unit.PRICE


@kernel
def _spread_rows(
    matrix: NDArray[np.float64], places: NDArray[np.int64], wide: NDArray[np.float64], narrow: NDArray[np.float32], at: int
) -> None:
    """Write rows into columns from `at` on; `places` is the row in `wide`, or -1 - the row in `narrow`."""
    rows = matrix.shape[0]
    for begin in range(0, rows, _TILE_ROWS):
        end = min(begin + _TILE_ROWS, rows)
        for column in range(places.shape[0]):
            place = places[column]
            if place >= 0:
                for row in range(begin, end):
                    wide[place, at + row] = matrix[row, column]
            else:
                for row in range(begin, end):
                    narrow[-1 - place, at + row] = matrix[row, column]


class DayWriter:
    """Writes the rows of one UTC day of the receive clock."""

    def __init__(self, folder: Path, day: date, features: Sequence[FeatureSpec], clocks: Sequence[str], values: Values) -> None:
        self.day = day
        self._final = folder
        self._partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        narrow = [is_narrow(spec, values) for spec in features]
        self._places = np.array([-1 - sum(narrow[:k]) if n else k - sum(narrow[:k]) for k, n in enumerate(narrow)], np.int64)
        types = [pa.float32() if n else pa.float64() for n in narrow]
        named = [(name, pa.int64()) for name in clocks] + [(spec.name, t) for spec, t in zip(features, types, strict=True)]
        self._schema = pa.schema(named)
        self._file = pq.ParquetWriter(
            self._partial / DATA_NAME, self._schema, compression="zstd", compression_level=ZSTD_LEVEL, use_dictionary=False
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="matrix")
        self._writing: Future[None] | None = None
        self._blocks = [self._new_block() for _ in range(2)]
        self._filled = self._rows = 0

    def add(self, clocks: Sequence[NDArray[np.int64]], matrix: NDArray[np.float64]) -> None:
        """Append rows: their clocks, and their features of shape (rows, width)."""
        begin = 0
        while begin < len(matrix):
            count = min(len(matrix) - begin, BLOCK_ROWS - self._filled)
            held, wide, narrow = self._blocks[0]
            for row, clock in enumerate(clocks):
                held[row, self._filled : self._filled + count] = clock[begin : begin + count]
            _spread_rows(matrix[begin : begin + count], self._places, wide, narrow, self._filled)
            self._filled += count
            begin += count
            if self._filled == BLOCK_ROWS:
                self._flush()

    def finish(self, meta: MatrixMeta, state: ProgramState) -> MatrixFile:
        """Put the day in place, with the state after it."""
        self._flush()
        self._stop()
        for name, array in zip(STATE_NAMES, (state.floats, state.ints), strict=True):
            np.save(self._partial / name, array)
        meta = msgspec.structs.replace(meta, rows=self._rows)
        (self._partial / META_NAME).write_bytes(canonical_json(meta))
        shutil.rmtree(self._final, ignore_errors=True)
        self._partial.rename(self._final)
        return MatrixFile(day=self.day, path=self._final / DATA_NAME, rows=self._rows, computed=True)

    def abandon(self) -> None:
        """Leave nothing of a day that was not finished."""
        try:
            self._stop()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _new_block(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float32]]:
        narrow = int(np.sum(self._places < 0))
        clocks = len(self._schema) - len(self._places)
        return (
            np.empty((clocks, BLOCK_ROWS), np.int64),
            np.empty((len(self._places) - narrow, BLOCK_ROWS), np.float64),
            np.empty((narrow, BLOCK_ROWS), np.float32),
        )

    def _flush(self) -> None:
        # The other block is free once the write before is done.
        if self._writing is not None:
            self._writing.result()
        self._writing = self._thread.submit(self._write, *self._blocks[0], self._filled)
        self._blocks.reverse()
        self._rows += self._filled
        self._filled = 0

    def _write(self, clocks: NDArray[Any], wide: NDArray[Any], narrow: NDArray[Any], rows: int) -> None:
        features = [wide[place] if place >= 0 else narrow[-1 - place] for place in self._places]
        arrays = [pa.array(column[:rows]) for column in (*clocks, *features)]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=BLOCK_ROWS)

    def _stop(self) -> None:
        try:
            if self._writing is not None:
                self._writing.result()
        finally:
            self._thread.shutdown(wait=True)
            self._file.close()


def read_day(folder: Path, recipe: str, fingerprint: str) -> MatrixMeta | None:
    """Return the meta of a day that is there and was computed from exactly this data."""
    try:
        meta = msgspec.json.decode((folder / META_NAME).read_bytes(), type=MatrixMeta)
    except (OSError, msgspec.MsgspecError):
        return None
    whole = all((folder / name).is_file() for name in (DATA_NAME, *STATE_NAMES))
    return meta if whole and (meta.recipe, meta.data_fingerprint) == (recipe, fingerprint) else None


def restore_state(folder: Path, state: ProgramState) -> None:
    """Put `state` where it was at the end of the day in `folder`."""
    floats, ints = (np.load(folder / name, allow_pickle=False) for name in STATE_NAMES)
    state.restore(Snapshot(state.program_id, floats, ints))
