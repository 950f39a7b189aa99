"""Feature rows of whole days as Parquet beside the data: the same recipe over the same data is computed once.

Files: `<lake>/features/recipe=<hash>/since=<first day>/exchange=/symbol=/date=/features.parquet`. The recipe names the features
with their parameters, the code that computes them, the rows (one an event, or one a grid instant) and the number format.

State is carried from one day into the next and kept beside each day, so days appended to the data are computed without
those before them; a day depends on all days since the first one asked for, which is why that one is in the path. Days are of
the receive clock. On a grid a day's rows begin with its first quote and end with its last, whatever the days around it hold.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import content_hash, short_hash
from edgesmith.domain.records import taken
from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, date_of_ns, format_duration_ns, ns_of_date
from edgesmith.errors import InputError
from edgesmith.evaluation.decisions import DecisionSampler
from edgesmith.evaluation.labels import GAP_NS
from edgesmith.evaluation.matrix_file import DATA_NAME, DayWriter, MatrixFile, MatrixMeta, Values, read_day, restore_state
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import BATCH_EVENTS, Replay

FOLDER = "features"
LAYOUT_VERSION = 2
EVENT_GRID_NS = 0
GRID_NS_MIN, GRID_NS_MAX = NS_PER_MS, NS_PER_HOUR


class _Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is computed, over what, and where it goes."""

    base: Path
    program: Program
    replay: Replay
    grid_ns: int
    values: Values
    recipe: str
    # Whose rows are written: its place among the instruments of the replay.
    instrument: int
    # Receive days in order, with the fingerprint of what each depends on.
    fingerprints: dict[date, str]

    def folder(self, day: date) -> Path:
        return self.base / f"date={day:%Y%m%d}"

    def meta(self, day: date) -> MatrixMeta:
        return MatrixMeta(
            recipe=self.recipe,
            program=self.program.program_id,
            features=tuple(str(spec) for spec in self.program.features),
            columns=self.program.names,
            grid_ns=self.grid_ns,
            values=self.values,
            data_fingerprint=self.fingerprints[day],
            rows=0,
            simulated=any(one.meta.simulated for one in self.replay.partitions),
            beside=_others(self.replay, self.instrument),
        )


def compute_matrix(
    lake: Path,
    partitions: Sequence[Partition],
    program: Program,
    *,
    instrument: tuple[str, str] | None = None,
    grid_ns: int = EVENT_GRID_NS,
    values: Values = "float32",
    progress: Callable[[int, int], None] | None = None,
) -> list[MatrixFile]:
    """Compute the features of one instrument over `partitions`.

    Parameters
    ----------
    instrument
        Venue and symbol rows are written for. The others in `partitions` are what features such as `leader_return` look at, on
        the same days; needed where there are others.
    grid_ns
        0: a row per event of a stream some feature needs. Else the distance of the instants there is a row for: the one
        after the last event received at or before the instant.
    values
        "float32" writes columns that are free of scale in 4 bytes, which keeps 7 digits; prices always keep 8 bytes.
    """
    if grid_ns != EVENT_GRID_NS and not GRID_NS_MIN <= grid_ns <= GRID_NS_MAX:
        limits = f"{format_duration_ns(GRID_NS_MIN)} to {format_duration_ns(GRID_NS_MAX)}"
        raise InputError(f"grid was {format_duration_ns(grid_ns)}, expected {limits}, or a row per event")
    work = _planned(lake, partitions, program, instrument, grid_ns, values)
    done = _finished_days(work)
    if len(done) == len(work.fingerprints):
        return done
    return done + list(_compute(work, done, progress))


def _planned(
    lake: Path,
    partitions: Sequence[Partition],
    program: Program,
    instrument: tuple[str, str] | None,
    grid_ns: int,
    values: Values,
) -> _Work:
    used = [one for one in partitions if one.key.stream in program.needs]
    own = [one for one in used if instrument is None or (one.key.venue, one.key.symbol) == instrument]
    if not own:
        streams = ", ".join(sorted(one.label for one in program.needs))
        raise InputError(f"the features read {streams}, which this data lacks; choose other features, or other days")
    days = {one.key.day for one in own}
    used = [one for one in used if min(days) <= one.key.day <= max(days)]
    replay = Replay(used)
    if instrument is None and len(replay.instruments) != 1:
        raise InputError(f"features were asked for {len(replay.instruments)} instruments at once, expected one")
    venue, symbol = instrument or replay.instruments[0]
    place = replay.instruments.index((venue, symbol))
    others = _others(replay, place)
    recipe = short_hash(
        [LAYOUT_VERSION, program.program_id, program.names, grid_ns, GAP_NS, values, *([list(others)] if others else [])]
    )
    folder = Path(f"recipe={recipe}") / f"since={min(days):%Y%m%d}" / f"exchange={venue}" / f"symbol={symbol.lower()}"
    return _Work(
        base=lake / FOLDER / folder,
        program=program,
        replay=replay,
        grid_ns=grid_ns,
        values=values,
        recipe=recipe,
        instrument=place,
        fingerprints=_fingerprints(used),
    )


def _others(replay: Replay, place: int) -> tuple[tuple[str, str], ...]:
    return (*replay.instruments[:place], *replay.instruments[place + 1 :])


def _fingerprints(partitions: Sequence[Partition]) -> dict[date, str]:
    # A receive day depends on every partition that begins before it ends, on the receive clock.
    days: set[date] = set()
    for one in partitions:
        first, last = date_of_ns(one.meta.ts_recv_min), date_of_ns(one.meta.ts_recv_max)
        days.update(first + timedelta(days=k) for k in range((last - first).days + 1))
    needed = {day: [one for one in partitions if one.meta.ts_recv_min < ns_of_date(day) + NS_PER_DAY] for day in sorted(days)}
    return {day: content_hash([[str(one.key), one.meta.content_sha256] for one in of_day]) for day, of_day in needed.items()}


def _finished_days(work: _Work) -> list[MatrixFile]:
    # Those without a missing one before them.
    done: list[MatrixFile] = []
    for day, fingerprint in work.fingerprints.items():
        meta = read_day(work.folder(day), work.recipe, fingerprint)
        if meta is None:
            break
        done.append(MatrixFile(day=day, path=work.folder(day) / DATA_NAME, rows=meta.rows, computed=False))
    return done


def _compute(work: _Work, done: Sequence[MatrixFile], progress: Callable[[int, int], None] | None) -> Iterator[MatrixFile]:
    state = work.program.new_state(len(work.replay.instruments))
    start_ns = None
    if done:
        restore_state(work.folder(done[-1].day), state)
        start_ns = ns_of_date(done[-1].day) + NS_PER_DAY
    waiting = list(work.fingerprints)[len(done) :]
    for stale in waiting:
        shutil.rmtree(work.folder(stale), ignore_errors=True)
    replay = Replay(work.replay.partitions, start_ns=start_ns, batch_events=BATCH_EVENTS)
    seen, buffer = 0, np.empty((BATCH_EVENTS, work.program.width))
    day = _Day(work, waiting.pop(0))
    try:
        for events in replay.batches():
            matrix = buffer[: len(events)]
            for of_day, rows in _by_day(events):
                while day.day != of_day:
                    yield day.finish(state)
                    day = _Day(work, waiting.pop(0))
                work.program.run(events[rows], matrix[rows], state)
                day.add(events[rows], matrix[rows])
            seen += len(events)
            if progress is not None:
                progress(seen, replay.events_total)
        yield day.finish(state)
        for empty in waiting:
            day = _Day(work, empty)
            yield day.finish(state)
    finally:
        day.abandon()


def _by_day(events: NDArray[Any]) -> Iterator[tuple[date, slice]]:
    # Days of the receive clock: the order rows come in, so each day is written once.
    days = events["ts_recv"] // NS_PER_DAY
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    for begin, end in zip(starts, [*starts[1:], len(events)], strict=True):
        yield date_of_ns(int(events["ts_recv"][begin])), slice(int(begin), int(end))


class _Day:
    """The day being written: rows of events as they are, or sampled on the grid."""

    def __init__(self, work: _Work, day: date) -> None:
        self.day = day
        self._work = work
        by_event = work.grid_ns == EVENT_GRID_NS
        clocks = ("ts_event", "ts_recv", "seq") if by_event else ("ts_recv",)
        self._writer = DayWriter(work.folder(day), day, work.program.features, clocks, work.values)
        self._sampler = (
            None if by_event else DecisionSampler(work.program.width, grid_ns=work.grid_ns, instrument=work.instrument)
        )
        self._open = True

    def add(self, events: NDArray[Any], matrix: NDArray[np.float64]) -> None:
        if self._sampler is None:
            if len(self._work.replay.instruments) > 1:
                own = np.flatnonzero(events["instrument"] == self._work.instrument)
                events, matrix = taken(events, own), matrix[own]
            self._writer.add([events[name] for name in ("ts_event", "ts_recv", "seq")], matrix)
            return
        for rows in self._sampler.feed(events, matrix):
            self._writer.add([rows.ts_ns], rows.features)

    def finish(self, state: Any) -> MatrixFile:
        if self._sampler is not None:
            for rows in self._sampler.finish():
                self._writer.add([rows.ts_ns], rows.features)
        file = self._writer.finish(self._work.meta(self.day), state)
        self._open = False
        return file

    def abandon(self) -> None:
        if self._open:
            self._writer.abandon()
