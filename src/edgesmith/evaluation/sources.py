"""Where the events of an evaluation come from, one window of receive time at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import content_hash
from edgesmith.domain.events import Stream
from edgesmith.domain.records import as_records
from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import DataError, InputError
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay
from edgesmith.parallel import Progress


class EventSource(Protocol):
    """Events that can be read from any instant on, any number of times, by several threads."""

    @property
    def instruments(self) -> tuple[tuple[str, str], ...]:
        """Return (venue, symbol) by instrument index."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return the content hash of all the data."""
        ...

    def span(self, instrument: int) -> tuple[int, int]:
        """Return the receive times of the first and last quote of an instrument."""
        ...

    def window_fingerprint(self, start_ns: int, end_ns: int) -> str:
        """Return the content hash of the data that `window` reads."""
        ...

    def window(self, start_ns: int, end_ns: int) -> Iterator[NDArray[Any]]:
        """Yield EVENT arrays in receive order: the events received from `start_ns` on and before `end_ns`."""
        ...


class FeatureProgram(Protocol):
    """What an evaluation needs of a feature program."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the feature names, one per column."""
        ...

    @property
    def program_id(self) -> str:
        """Return the hash of the code that computes them."""
        ...

    def new_state(self, instruments: int = 1) -> Any:
        """Return the state before the first event."""
        ...

    def run(self, events: NDArray[Any], out: NDArray[np.float64], state: Any) -> None:
        """Write the feature row after each event into `out` (events, width)."""
        ...


class LakeSource:
    """The events of lake partitions; an instrument keeps its index in every window."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self.partitions = tuple(sorted(partitions, key=lambda partition: partition.key))
        self._replay = Replay(self.partitions)

    @property
    def instruments(self) -> tuple[tuple[str, str], ...]:
        """Return (venue, symbol), sorted; an event's `instrument` is the position here."""
        return self._replay.instruments

    @property
    def fingerprint(self) -> str:
        """Return the hash of the content of all partitions."""
        return self._replay.fingerprint

    def span(self, instrument: int) -> tuple[int, int]:
        """Return the receive times of the first and last quote, as the metas of the partitions state them."""
        venue, symbol = self.instruments[instrument]
        metas = [
            one.meta for one in self.partitions if (one.key.venue, one.key.symbol, one.key.stream) == (venue, symbol, Stream.BBO)
        ]
        if not metas:
            raise DataError(f"{venue}:{symbol} has no quotes in this data; expected bbo events: import or select its bbo stream")
        return min(meta.ts_recv_min for meta in metas), max(meta.ts_recv_max for meta in metas)

    def window_fingerprint(self, start_ns: int, end_ns: int) -> str:
        """Return the hash of the content of the partitions that overlap a window."""
        return content_hash([[str(one.key), one.meta.content_sha256] for one in self._overlapping(start_ns, end_ns)])

    def window(self, start_ns: int, end_ns: int) -> Iterator[NDArray[Any]]:
        """Yield the events of a window."""
        chosen = self._overlapping(start_ns, end_ns)
        if not chosen:
            return
        replay = Replay(chosen, start_ns=start_ns, end_ns=end_ns)
        places = np.array([self.instruments.index(one) for one in replay.instruments])
        moved = not np.array_equal(places, np.arange(len(places)))
        for batch in replay.batches():
            if moved:
                batch = as_records(batch.copy())
                batch["instrument"] = places[batch["instrument"]]
            yield batch

    def _overlapping(self, start_ns: int, end_ns: int) -> list[Partition]:
        return [one for one in self.partitions if one.meta.ts_recv_max >= start_ns and one.meta.ts_recv_min < end_ns]


class Reading:
    """How much of the time asked for has been read, in seconds of the market; windows may be read by several threads at once."""

    def __init__(self, windows: Sequence[tuple[int, int]], progress: Progress | None) -> None:
        self._read_ns = dict.fromkeys(windows, 0)
        self._total_s = sum(end - start for start, end in windows) // NS_PER_S
        self._progress = progress
        self._lock = threading.Lock()

    def follow(self, window: tuple[int, int], batches: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Yield the batches that are read for a window, and count each once it has been dealt with."""
        for batch in batches:
            yield batch
            if len(batch):
                self._count(window, int(batch["ts_recv"][-1]))
        self.skip(window)

    def skip(self, window: tuple[int, int]) -> None:
        """Count a window as read."""
        self._count(window, window[1])

    def _count(self, window: tuple[int, int], until_ns: int) -> None:
        if self._progress is None:
            return
        with self._lock:
            start_ns, end_ns = window
            self._read_ns[window] = min(max(until_ns, start_ns), end_ns) - start_ns
            self._progress(sum(self._read_ns.values()) // NS_PER_S, self._total_s)


def instrument_index(source: EventSource, venue: str, symbol: str) -> int:
    """Return the index of an instrument, whatever the case of its symbol; raises InputError where the source lacks it."""
    for index, (known_venue, known_symbol) in enumerate(source.instruments):
        if (known_venue, known_symbol.upper()) == (venue, symbol.upper()):
            return index
    known = ", ".join(f"{known_venue}:{known_symbol}" for known_venue, known_symbol in source.instruments)
    raise InputError(f"instrument was {venue}:{symbol}, expected one of {known}")
