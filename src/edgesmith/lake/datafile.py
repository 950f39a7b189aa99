"""The Parquet file of a partition: how it is encoded, and reading it back with every page checked.

Prices and quantities lie on a grid, so each row group has few distinct values: dictionary encoding halves the file and the
time to read it against byte-stream-split; clocks rise slowly, which is what delta packing is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edgesmith.domain.events import STREAM_VERSION, Stream
from edgesmith.errors import CorruptDataError, DataError
from edgesmith.lake.rows import ContentHash, Rows, joined, take
from edgesmith.lake.schema import PartitionKey, PartitionMeta, arrow_schema, content_columns

# Small enough that a replay holds little per partition, large enough that per-group costs vanish.
ROW_GROUP_ROWS = 131_072

_ENCODINGS = {
    "ts_event": "DELTA_BINARY_PACKED",
    "seq": "DELTA_BINARY_PACKED",
    "ts_recv": "DELTA_BINARY_PACKED",
    "next_funding_ts": "DELTA_BINARY_PACKED",
    "trade_id": "DELTA_BYTE_ARRAY",
}


def write_data(path: Path, key: PartitionKey, rows: Rows) -> None:
    """Write the rows of a partition; the same rows give the same bytes."""
    with DataWriter(path, key) as data:
        data.write(rows)


class DataWriter:
    """Writes the rows of a partition as they come; how they are cut into pieces leaves no trace in the file."""

    def __init__(self, path: Path, key: PartitionKey) -> None:
        self._key = key
        self._written = 0
        self._waiting: Rows | None = None
        schema = _stored_schema(key.stream)
        self._file = pq.ParquetWriter(
            path,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=[name for name in schema.names if name not in _ENCODINGS],
            column_encoding={name: encoding for name, encoding in _ENCODINGS.items() if name in schema.names},
            write_statistics=True,
            write_page_checksum=True,
            store_schema=False,
        )

    def write(self, rows: Rows) -> None:
        """Add the next rows; those that do not fill a row group wait for more."""
        if self._waiting is not None:
            rows = joined(self._waiting, rows)
        count = len(rows["ts_event"])
        whole = count - count % ROW_GROUP_ROWS
        for begin in range(0, whole, ROW_GROUP_ROWS):
            self._write_group(_part(rows, begin, begin + ROW_GROUP_ROWS))
        # Copied, or the few rows that wait would keep all they came with in memory.
        self._waiting = take(rows, np.arange(whole, count)) if whole < count else None

    def close(self) -> None:
        """Write what waits, and the end of the file."""
        if self._waiting is not None:
            self._write_group(self._waiting)
            self._waiting = None
        self._file.close()

    def __enter__(self) -> DataWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_group(self, rows: Rows) -> None:
        table = _table(self._key, rows, self._written)
        self._file.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._written += table.num_rows


def _part(rows: Rows, begin: int, end: int) -> Rows:
    return {name: column[begin:end] for name, column in rows.items()}


def _stored_schema(stream: Stream) -> pa.Schema:
    # As handed to Parquet: constant text as a dictionary, which costs nothing.
    types = {name: pa.dictionary(pa.int8(), pa.string()) for name in ("exchange", "symbol", "stream")}
    return pa.schema(
        [pa.field(field.name, types.get(field.name, field.type), nullable=field.nullable) for field in arrow_schema(stream)]
    )


def _table(key: PartitionKey, rows: Rows, first_seq: int) -> pa.Table:
    count = len(rows["ts_event"])
    fixed: dict[str, Any] = {
        "seq": pa.array(np.arange(first_seq, first_seq + count)),
        "exchange": _constant(key.venue, count),
        "symbol": _constant(key.symbol, count),
        "stream": _constant(key.stream.label, count),
        "stream_version": pa.array(np.full(count, STREAM_VERSION, np.int8)),
    }
    schema = _stored_schema(key.stream)
    arrays = []
    for field in schema:
        column = fixed[field.name] if field.name in fixed else rows[field.name]
        arrays.append(column if isinstance(column, pa.Array) else pa.array(column, from_pandas=field.nullable))
    return pa.table(arrays, schema=schema)


def _constant(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([text]))


def open_data(folder: Path, meta: PartitionMeta) -> pq.ParquetFile:
    """Open the data file of a partition; every page read from it is checked against its own checksum."""
    path = folder / meta.data_file
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise DataError(
            f"{path} is gone: another writer replaced it (try again), or it was deleted (import that day again)"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(f"{path} cannot be read as Parquet ({first_line(error)}); {remedy(folder)}") from None


def read_row_group(file: pq.ParquetFile, index: int, folder: Path, columns: list[str]) -> pa.Table:
    """Read columns of one row group of the partition in `folder`."""
    try:
        return file.read_row_group(index, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(f"{folder}: row group {index} cannot be read ({first_line(error)}); {remedy(folder)}") from None


def row_groups(folder: Path, meta: PartitionMeta) -> Iterator[Rows]:
    """Yield the rows of a partition, one row group at a time."""
    stream = meta.key.stream
    file = open_data(folder, meta)
    for index in range(file.metadata.num_row_groups):
        yield rows_of(read_row_group(file, index, folder, list(content_columns(stream))), stream)


def rows_of(table: pa.Table, stream: Stream) -> Rows:
    """Return the content columns of a table read from a partition."""
    return {name: _column(table.column(name)) for name in content_columns(stream)}


def read_rows(folder: Path, meta: PartitionMeta) -> Rows:
    """Read a whole partition into memory; raises CorruptDataError when it is not what its meta says."""
    groups = list(row_groups(folder, meta))
    rows: Rows = {}
    for name in content_columns(meta.key.stream):
        parts = [group.pop(name) for group in groups]
        rows[name] = pa.concat_arrays(parts) if isinstance(parts[0], pa.Array) else np.concatenate(parts)
    checksum = ContentHash(meta.key)
    checksum.update(rows)
    if checksum.hexdigest() != meta.content_sha256:
        raise CorruptDataError(f"{folder} does not hold what its meta says (checksum); {remedy(folder)}")
    return rows


def remedy(folder: Path) -> str:
    """Say what to do about a damaged partition."""
    return f"delete {folder} and import that day again"


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message."""
    return str(error).strip().split("\n", 1)[0]


def _column(column: pa.ChunkedArray) -> Any:
    array = column.combine_chunks()
    return array if array.type == pa.string() else array.to_numpy(zero_copy_only=False)
