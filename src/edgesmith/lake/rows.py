"""The rows of one partition in memory: checked, ordered, united, and named by their content.

Rows are a dictionary of the stream's `content_columns`: int64 clocks, float64 and int8 payload, `trade_id` as an Arrow string
array. An absent `index_price` is NaN here and null in Parquet.

Two rows of one import are the same when every column is equal, bit for bit. Of two equal prints one is dropped. A state (a
quote, a mark price) may rightly return within one instant, A B A, and losing the second A would leave the market at B: so
within one import only immediate repeats of a state are dropped, and a union keeps each row as often as the import that has it
most. Across imports the receive time does not tell rows apart: what two recorders heard is one print, at the earlier time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgesmith.canonical import canonical_json
from edgesmith.domain.events import STREAM_VERSION, Stream
from edgesmith.domain.units import NS_PER_DAY, format_ns, ns_of_date
from edgesmith.errors import DataError, InputError
from edgesmith.lake.schema import PartitionKey, content_columns

Rows = dict[str, Any]

_INTEGERS = {"ts_event": np.int64, "ts_recv": np.int64, "next_funding_ts": np.int64, "side": np.int8}
_MAY_BE_NAN = frozenset({"index_price"})
_MIX = np.uint64(0x9E3779B97F4A7C15)


def checked_rows(key: PartitionKey, columns: Mapping[str, Any]) -> Rows:
    """Return `columns` in the types of the lake; raises when they cannot be rows of `key`."""
    expected = content_columns(key.stream)
    if set(columns) != set(expected):
        raise InputError(f"{key}: columns were {sorted(columns)}, expected {sorted(expected)}")
    rows: Rows = {name: _typed(key, name, columns[name]) for name in expected}
    sizes = {name: len(column) for name, column in rows.items()}
    if len(set(sizes.values())) != 1 or not len(rows["ts_event"]):
        raise InputError(f"{key}: column lengths were {sizes}, expected one length above 0")
    _check_day(key, rows["ts_event"])
    return rows


def _typed(key: PartitionKey, name: str, column: Any) -> Any:
    if name == "trade_id":
        return _strings(column)
    values = np.asarray(column)
    if name in _INTEGERS:
        if values.dtype.kind not in "iu":
            raise InputError(f"{key}: column {name} was {values.dtype}, expected integers (clocks are int64 nanoseconds)")
        if name == "side" and not bool(np.all((values >= -1) & (values <= 1))):
            raise DataError(f"{key}: a side was outside -1, 0, 1; the importer must map the taker's to buy 1, sell -1, unknown 0")
        return np.ascontiguousarray(values, dtype=_INTEGERS[name])
    floats = np.ascontiguousarray(values, dtype=np.float64)
    if name in _MAY_BE_NAN:
        return np.where(np.isnan(floats), np.nan, floats)  # one bit pattern for absent
    if not bool(np.all(np.isfinite(floats))):
        first = int(np.flatnonzero(~np.isfinite(floats))[0])
        raise DataError(
            f"{key}: {name} was {floats[first]} in row {first}, expected a finite number; the importer must refuse that row"
        )
    return floats


def _strings(column: Any) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not isinstance(column, pa.Array):
        values = np.asarray(column)
        column = pa.array(values.tolist() if values.dtype.kind in "UST" else values)
    return column if column.type == pa.string() else column.cast(pa.string())


def _check_day(key: PartitionKey, ts_event: NDArray[np.int64]) -> None:
    start_ns = ns_of_date(key.day)
    low, high = int(ts_event.min()), int(ts_event.max())
    if low < start_ns or high >= start_ns + NS_PER_DAY:
        raise DataError(
            f"{key}: ts_event was {format_ns(low)} to {format_ns(high)} UTC, expected inside that day; check the clock's unit"
        )


def take(rows: Rows, where: NDArray[Any]) -> Rows:
    """Return the rows at the positions, or under the mask, `where`."""
    positions = np.flatnonzero(where) if where.dtype == np.bool_ else where
    return {
        name: column.take(pa.array(positions)) if isinstance(column, pa.Array) else column[positions]
        for name, column in rows.items()
    }


def ordered(rows: Rows, stream: Stream) -> Rows:
    """Return one import sorted by (`ts_event`, `ts_recv`, arrival), its repeats dropped."""
    rows = _sorted(rows)
    positions = np.flatnonzero(_tied(rows))
    if stream == Stream.TRADE and len(positions):
        # Fills of one order share their clocks: most are told apart by their numbers, before the ids are compared.
        positions = positions[_resembling(take(rows, positions))]
    if not len(positions):
        return rows
    identity = _identities(take(rows, positions))
    if stream == Stream.TRADE:
        repeated = np.ones(len(positions), np.bool_)
        repeated[np.unique(identity, return_index=True)[1]] = False
    else:
        repeated = np.zeros(len(positions), np.bool_)
        repeated[1:] = identity[1:] == identity[:-1]
    if not repeated.any():
        return rows
    keep = np.ones(len(rows["ts_event"]), np.bool_)
    keep[positions[repeated]] = False
    return take(rows, keep)


def _resembling(rows: Rows) -> NDArray[np.bool_]:
    # Marks every row that may equal another: equal rows have equal hashes of their numbers; others hardly ever do.
    hashes = np.zeros(len(rows["ts_event"]), np.uint64)
    for column in rows.values():
        if not isinstance(column, pa.Array):
            hashes = (hashes ^ _bits(column).astype(np.uint64)) * _MIX
            hashes ^= hashes >> np.uint64(29)
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    marks = np.zeros(len(hashes), np.bool_)
    marks[order[1:][same]] = True
    marks[order[:-1][same]] = True
    return marks


def united(held: Rows, added: Rows) -> tuple[Rows, int]:
    """Return the union of two ordered sets of rows, and how many of `added` were new."""
    held_count, added_count = len(held["ts_event"]), len(added["ts_event"])
    both = joined(held, added)
    order = _sort_order(both)
    if order is None:
        order = np.arange(held_count + added_count)
    candidates = order[_may_be_twins(both["ts_event"][order], held, added)]
    of_held, of_added = _twins(
        {name: column for name, column in take(both, candidates).items() if name != "ts_recv"}, candidates < held_count
    )
    seen = both["ts_recv"][candidates]
    keep = np.ones(held_count + added_count, np.bool_)
    keep[candidates[np.where(seen[of_added] < seen[of_held], of_held, of_added)]] = False
    return take(both, order[keep[order]]), added_count - len(of_added)


def _may_be_twins(ts_event: NDArray[np.int64], held: Rows, added: Rows) -> NDArray[np.bool_]:
    # Twins share an instant, and both sets have rows about it.
    first = max(held["ts_event"][0], added["ts_event"][0])
    last = min(held["ts_event"][-1], added["ts_event"][-1])
    same = ts_event[1:] == ts_event[:-1]
    tied = np.r_[False, same] | np.r_[same, False]
    return np.asarray(tied & (ts_event >= first) & (ts_event <= last))


def _twins(rows: Rows, is_held: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Positions of the pairs: the k-th time a row is held, and the k-th time it was added.
    if not len(is_held):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    identity = _identities(rows)
    place = np.lexsort((is_held, identity))
    differs = (identity[place][1:] != identity[place][:-1]) | (is_held[place][1:] != is_held[place][:-1])
    starts = np.flatnonzero(np.r_[True, differs])
    occurrence = np.empty(len(place), np.int64)
    occurrence[place] = np.arange(len(place)) - np.repeat(starts, np.diff(np.r_[starts, len(place)]))
    place = np.lexsort((~is_held, occurrence, identity))
    now, after = place[:-1], place[1:]
    twin = (identity[now] == identity[after]) & (occurrence[now] == occurrence[after])
    return now[twin], after[twin]


def _identities(rows: Rows) -> NDArray[np.int64]:
    # Numbers rows so that equal numbers mean bit-equal rows.
    count = len(rows["ts_event"])
    if not count:
        return np.zeros(0, np.int64)
    keys = [_bits(column) for column in rows.values()]
    order = np.lexsort(keys)
    differs = np.zeros(count, np.bool_)
    for column in keys:
        differs[1:] |= column[order[1:]] != column[order[:-1]]
    identity = np.empty(count, np.int64)
    identity[order] = np.cumsum(differs)
    return identity


def _bits(column: Any) -> NDArray[Any]:
    if isinstance(column, pa.Array):
        column = column.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    bits: NDArray[Any] = column.view(np.int64) if column.dtype == np.float64 else column
    return bits


def joined(first: Rows, second: Rows) -> Rows:
    """Return the rows of `first`, then those of `second`."""
    return {
        name: pa.concat_arrays([column, second[name]]) if isinstance(column, pa.Array) else np.concatenate([column, second[name]])
        for name, column in first.items()
    }


def _sorted(rows: Rows) -> Rows:
    order = _sort_order(rows)
    return rows if order is None else take(rows, order)


def _sort_order(rows: Rows) -> NDArray[np.int64] | None:
    ts_event, ts_recv = rows["ts_event"], rows["ts_recv"]
    rises = ts_event[1:] > ts_event[:-1]
    if bool(np.all(rises | ((ts_event[1:] == ts_event[:-1]) & (ts_recv[1:] >= ts_recv[:-1])))):
        return None
    return np.lexsort((ts_recv, ts_event))


def _tied(rows: Rows) -> NDArray[np.bool_]:
    # Marks rows of a sorted set that share both clocks with a neighbor: only they can be equal.
    ts_event, ts_recv = rows["ts_event"], rows["ts_recv"]
    same = (ts_event[1:] == ts_event[:-1]) & (ts_recv[1:] == ts_recv[:-1])
    tied = np.zeros(len(ts_event), np.bool_)
    tied[1:] = same
    tied[:-1] |= same
    return tied


class ContentHash:
    """The checksum of a partition's rows, fed piece by piece; does not depend on how Parquet encodes them."""

    def __init__(self, key: PartitionKey) -> None:
        self._key = key
        self._columns = {name: (hashlib.sha256(), hashlib.sha256()) for name in content_columns(key.stream)}

    def update(self, rows: Rows) -> None:
        """Add the next rows."""
        for name, (values, lengths) in self._columns.items():
            column = rows[name]
            if isinstance(column, pa.Array):
                text, text_lengths = _text(column)
                values.update(text)
                lengths.update(text_lengths.data)
            else:
                values.update(np.ascontiguousarray(column).data)

    def hexdigest(self) -> str:
        """Return the sha256 over the key and the columns in schema order."""
        key = self._key
        header = [key.venue, key.stream.label, key.symbol, key.day.isoformat(), STREAM_VERSION]
        digests = [[name, values.hexdigest(), lengths.hexdigest()] for name, (values, lengths) in self._columns.items()]
        return hashlib.sha256(canonical_json([header, digests])).hexdigest()


def _text(column: pa.Array) -> tuple[Any, NDArray[np.int32]]:
    # The bytes of all strings end to end, and the length of each.
    _, offsets_buffer, text_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + len(column) + 1]
    text = memoryview(text_buffer)[offsets[0] : offsets[-1]] if text_buffer is not None else b""
    return text, np.diff(offsets)
