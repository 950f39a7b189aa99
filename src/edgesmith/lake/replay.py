"""Merge any set of partitions into one ordered sequence of events, in batches, without loading it all.

Held in memory: one row group of each partition that overlaps the current instant, and one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import content_hash
from edgesmith.clock import Clock
from edgesmith.domain.events import EVENT, SILENCE_NS, Cursor, Stream
from edgesmith.domain.records import as_records, joined
from edgesmith.errors import InputError
from edgesmith.lake.catalog import Partition
from edgesmith.lake.merge import merge_runs
from edgesmith.lake.sequence import Events, Order, PartitionSequence, Window
from edgesmith.lake.silences import flag_silences

BATCH_EVENTS = 65_536


class Replay:
    """The events of `partitions` as one sequence; `batches` may be walked any number of times.

    Parameters
    ----------
    order
        "receive" is decision order (`ts_recv`, `ts_event`, `instrument`, `kind`, `seq`); "venue" is the same without `ts_recv`.
    cursor
        Start strictly after this event.
    start_ns, end_ns
        Keep events with `start_ns` <= clock < `end_ns`, on the clock of `order`.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        *,
        order: Order = "receive",
        cursor: Cursor | None = None,
        batch_events: int = BATCH_EVENTS,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> None:
        if order not in ("receive", "venue"):
            raise InputError(f"order was '{order}', expected 'receive' or 'venue'")
        if batch_events < 1:
            raise InputError(f"batch_events was {batch_events}, expected 1 or more")
        if start_ns is not None and end_ns is not None and end_ns <= start_ns:
            raise InputError(f"the range was empty: end_ns {end_ns} must be above start_ns {start_ns}")
        self.partitions = tuple(sorted(partitions, key=lambda partition: partition.key))
        if not self.partitions:
            raise InputError("a replay was asked of no partitions, expected at least one; see `edgesmith lake ls`")
        if len({partition.key for partition in self.partitions}) != len(self.partitions):
            raise InputError("a replay was given the same partition twice; pass each once")
        self.order: Order = order
        self._batch_events = batch_events
        self._window = Window(order, cursor, start_ns, end_ns)

    @property
    def instruments(self) -> tuple[tuple[str, str], ...]:
        """Return (venue, symbol), sorted; an event's `instrument` is the position here."""
        return tuple(sorted({(partition.key.venue, partition.key.symbol) for partition in self.partitions}))

    @property
    def fingerprint(self) -> str:
        """Return the hash of the content of all partitions; the window is not part of it."""
        return content_hash([[str(partition.key), partition.meta.content_sha256] for partition in self.partitions])

    @property
    def events_total(self) -> int:
        """Return how many events the partitions hold, wanted or not."""
        return sum(partition.meta.rows for partition in self.partitions)

    def batches(self) -> Iterator[Events]:
        """Yield arrays of EVENT; every one but the last has `batch_events`.

        A quote more than `SILENCE_NS` after the one before it, of the same instrument, is marked as after a gap.
        """
        by_receive = self.order == "receive"
        latest_ns = self._quoted_before(by_receive)
        for batch in self._merged(by_receive):
            flag_silences(batch, latest_ns, SILENCE_NS, by_receive)
            yield batch

    def _quoted_before(self, by_receive: bool) -> NDArray[np.int64]:
        # The last quote of each instrument in the partitions that end before the window; negative where there is none.
        latest_ns = np.full(len(self.instruments), -1, np.int64)
        for one in self.partitions:
            ends_ns = one.meta.ts_recv_max if by_receive else one.meta.ts_event_max
            if one.key.stream == Stream.BBO and self._window.starts_after(ends_ns):
                at = self.instruments.index((one.key.venue, one.key.symbol))
                latest_ns[at] = max(latest_ns[at], ends_ns)
        return latest_ns

    def _merged(self, by_receive: bool) -> Iterator[Events]:
        merger = _Merger(by_receive, self._batch_events)
        for blocks in self._rounds():
            yield from merger.merged(blocks)
        yield from merger.rest()

    def _rounds(self) -> Iterator[list[Events]]:
        # Each round takes from every open partition the events up to the earliest end of a block: nothing unread comes before.
        index = {instrument: position for position, instrument in enumerate(self.instruments)}
        sequences = (
            PartitionSequence(partition, index[partition.key.venue, partition.key.symbol], self._window)
            for partition in self.partitions
        )
        waiting = sorted((sequence for sequence in sequences if sequence.wanted), key=lambda sequence: -sequence.first_ns)
        opened: list[_Reader] = []
        while waiting or opened:
            last = self._open_due(waiting, opened)
            if last is None:
                continue
            yield [reader.take_up_to(last) for reader in opened]
            opened = [reader for reader in opened if reader.refill()]

    def _open_due(self, waiting: list[PartitionSequence], opened: list[_Reader]) -> tuple[int, ...] | None:
        # Opens every partition that may hold an event before the earliest end of a block, and returns that end.
        while True:
            last = min((self._window.position(reader.block[-1]) for reader in opened), default=None)
            if not waiting or (last is not None and waiting[-1].first_ns > last[0]):
                return last
            reader = _Reader(waiting.pop(), self._window)
            if reader.refill():
                opened.append(reader)


class _Reader:
    """The current block of one partition."""

    def __init__(self, sequence: PartitionSequence, window: Window) -> None:
        self._blocks = sequence.blocks()
        self._window = window
        self.block = as_records(np.empty(0, EVENT))

    def refill(self) -> bool:
        """Load the next block if this one is used up; False when there is none."""
        if not len(self.block):
            self.block = next(self._blocks, self.block)
        return len(self.block) > 0

    def take_up_to(self, last: tuple[int, ...]) -> Events:
        """Remove and return the events that do not come after `last`."""
        count = self._window.count_up_to(self.block, last)
        taken, self.block = self.block[:count], self.block[count:]
        return taken


class _Merger:
    """Merges sorted runs into batches of one size."""

    def __init__(self, by_receive: bool, batch_events: int) -> None:
        self._by_receive = by_receive
        self._batch_events = batch_events
        self._written = 0
        self._start_batch()

    def merged(self, runs: list[Events]) -> Iterator[Events]:
        """Append the merged `runs`, all of which come after what was merged before; yield the batches that got full."""
        runs = [run for run in runs if len(run)]
        pool = runs[0] if len(runs) == 1 else joined(runs)
        ends = np.cumsum([len(run) for run in runs])
        heads = np.concatenate([[0], ends[:-1]])
        heap = np.empty(len(runs), np.int64)
        while bool(np.any(heads < ends)):
            self._written = merge_runs(pool, heads, ends, heap, self._batch, self._written, self._by_receive)
            if self._written == self._batch_events:
                yield self._batch
                self._start_batch()

    def rest(self) -> Iterator[Events]:
        """Yield what did not fill a batch."""
        if self._written:
            yield self._batch[: self._written]
            self._start_batch()

    def _start_batch(self) -> None:
        self._batch = as_records(np.empty(self._batch_events, EVENT))
        self._written = 0


def paced(batches: Iterable[Events], clock: Clock, speed: float | None) -> Iterator[Events]:
    """Yield events when they are due by the distances of their `ts_recv`, `speed` times as fast; None does not wait.

    Batches are split where the clock demands it and never joined. Where `ts_recv` falls back (venue order) an event is due
    with the latest before it.
    """
    if speed is None:
        yield from batches
        return
    if not speed > 0:
        raise InputError(f"speed was {speed}, expected a number above 0 (1.0 is real time) or None for as fast as possible")
    start_ns = clock.now_ns()
    first_ns = latest_ns = None
    for batch in batches:
        due_ns = np.maximum.accumulate(batch["ts_recv"])
        if first_ns is None or latest_ns is None:
            first_ns = latest_ns = int(due_ns[0])
        due_ns = np.maximum(due_ns, latest_ns)
        latest_ns = int(due_ns[-1])
        position = 0
        while position < len(batch):
            clock.sleep_until_ns(start_ns + ceil((int(due_ns[position]) - first_ns) / speed))
            reached_ns = first_ns + int((clock.now_ns() - start_ns) * speed)
            end = max(position + 1, int(np.searchsorted(due_ns, reached_ns, "right")))
            yield batch[position:end]
            position = end
