"""What the meta of a partition says about its rows, counted piece by piece: memory does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.lake.rows import ContentHash, Rows
from edgesmith.lake.schema import PartitionKey

# Values are first counted in buckets this wide (a power of two): 16 us tell latencies apart well, and a bucket is small.
_BUCKET_SHIFT = 14
# Wider ranges than this are counted by sorting instead of in an array.
_BUCKETS_MAX = 2**22


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a set of rows; skew is `ts_recv - ts_event`."""

    rows: int
    ts_event_min: int
    ts_event_max: int
    ts_recv_min: int
    ts_recv_max: int
    skew_ns_min: int
    skew_ns_p50: int
    content_sha256: str


def figures_of(key: PartitionKey, rows: Rows) -> Figures:
    """Return the figures of ordered rows."""
    counter = FiguresCounter(key)
    counter.add(rows)
    return counter.finish([rows])


class FiguresCounter:
    """Counts the figures of rows that come in order, in pieces."""

    def __init__(self, key: PartitionKey) -> None:
        self.rows = 0
        self.ts_event_max = 0
        self._ts_event_min = 0
        self._recv: list[int] = []
        self._skew = StreamedMedian()
        self._checksum = ContentHash(key)

    def add(self, rows: Rows) -> None:
        """Count the next rows."""
        ts_event, ts_recv = rows["ts_event"], rows["ts_recv"]
        if self.rows == 0:
            self._ts_event_min = int(ts_event[0])
        self.ts_event_max = int(ts_event[-1])
        self._recv = [min([*self._recv, int(ts_recv.min())]), max([*self._recv, int(ts_recv.max())])]
        self.rows += len(ts_event)
        self._skew.add(ts_recv - ts_event)
        self._checksum.update(rows)

    def finish(self, again: Iterable[Rows]) -> Figures:
        """Return the figures; `again` gives the same rows once more, for the median (the two clocks are enough)."""
        return Figures(
            rows=self.rows,
            ts_event_min=self._ts_event_min,
            ts_event_max=self.ts_event_max,
            ts_recv_min=self._recv[0],
            ts_recv_max=self._recv[1],
            skew_ns_min=self._skew.low,
            skew_ns_p50=self._skew.finish(rows["ts_recv"] - rows["ts_event"] for rows in again),
            content_sha256=self._checksum.hexdigest(),
        )


class StreamedMedian:
    """The lower median, exact, of integers that come in pieces: which bucket it is in, then which value of that bucket."""

    def __init__(self) -> None:
        self.low = 0
        self._high = 0
        self._buckets = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)

    def add(self, values: NDArray[np.int64]) -> None:
        """Count the next values."""
        low, high = int(values.min()), int(values.max())
        is_first = not len(self._buckets)
        self.low, self._high = (low, high) if is_first else (min(self.low, low), max(self._high, high))
        buckets, counts = _counted(values >> _BUCKET_SHIFT, low >> _BUCKET_SHIFT, high >> _BUCKET_SHIFT)
        self._buckets, where = np.unique(np.concatenate([self._buckets, buckets]), return_inverse=True)
        # Sums of counts are far below 2**53.
        self._counts = np.bincount(where, np.concatenate([self._counts, counts])).astype(np.int64)

    def finish(self, again: Iterable[NDArray[np.int64]]) -> int:
        """Return the median; `again` gives the same values once more."""
        if self.low == self._high:
            return self.low
        below = np.cumsum(self._counts)
        rank = (int(below[-1]) - 1) // 2
        at = int(np.searchsorted(below, rank, side="right"))
        rank -= int(below[at - 1]) if at else 0
        first = int(self._buckets[at]) << _BUCKET_SHIFT
        inside = np.zeros(1 << _BUCKET_SHIFT, np.int64)
        for values in again:
            offsets = values[(values >> _BUCKET_SHIFT) == self._buckets[at]] - first
            inside += np.bincount(offsets, minlength=len(inside))
        return first + int(np.searchsorted(np.cumsum(inside), rank, side="right"))


def _counted(buckets: NDArray[np.int64], low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if high - low >= _BUCKETS_MAX:
        return np.unique(buckets, return_counts=True)
    counts = np.bincount(buckets - low)
    used = np.flatnonzero(counts)
    return used + low, counts[used]
