"""The coded panel: the decisions of many days as bin codes and quotes, small enough to be read again and again.

Per (symbol, UTC day of the receive clock): uint8 codes of every feature at every grid instant, and the quotes each latency needs,
an hour into the next day, so that every label of the day can be computed from the day's own file. Bins are frozen before: on data
that no panel holds. Days are computed apart, so any number can be under way at once, and a killed computation continues from the
days that are done. The state of the features is warmed up on the `WARMUP_NS` before a day; only the first day begins cold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import short_hash
from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, date_of_ns
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation.bins import FeatureBins, coarse_codes, cut_matrix, encode_columns
from edgesmith.evaluation.day_files import DayFiles
from edgesmith.evaluation.decisions import DayCollector, DecisionSampler, GridDay, labeled_rows, sampled
from edgesmith.evaluation.labels import BLOCK_ROWS_MAX, MOMENTS, ColumnGroup, LabelSpec
from edgesmith.evaluation.sources import EventSource, FeatureProgram, Reading
from edgesmith.evaluation.sums import BlockSums, Cells, TriggerCells, TriggerSums, add_rows, reserve
from edgesmith.evaluation.triggers import TriggerLike, conditions_of
from edgesmith.parallel import Progress, map_ordered

CODING_VERSION = 2
WARMUP_NS = 2 * NS_PER_HOUR
BLOCK_NS = 5 * NS_PER_MINUTE
# What one worker sums at a time.
PIECE_ROWS = 72_000

Column = tuple[int, int]


class CodedDay(NamedTuple):
    """One day: quotes on the dense grid, codes uint8 (features, rows), and those in the fine bins of the panel if it has any."""

    grid: GridDay
    codes: NDArray[np.uint8]
    fine: NDArray[np.uint8] | None = None


class Piece(NamedTuple):
    """Consecutive rows of one day."""

    day: date
    begin: int
    end: int


class Coding(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the codes and quotes of a panel depend on, the data aside."""

    program_id: str
    bins: tuple[FeatureBins, ...]
    latencies_ns: tuple[int, ...]
    horizon_max_ns: int
    grid_ns: int
    gap_ns: int
    first_ns: int
    last_ns: int
    warmup_ns: int = WARMUP_NS
    fine: tuple[FeatureBins, ...] = ()
    version: int = CODING_VERSION


@dataclass(frozen=True)
class CodedPanel:
    """Decisions from `first_ns` on whose labels end by `last_ns`.

    `bins` are sorted by the name of the feature, and so are the codes. `texts` maps other names of features (the text of a
    FeatureSpec) to those; `regime_feature` is the one whose values are regimes. `fine` are bins that divide `bins` further.
    """

    bins: tuple[FeatureBins, ...]
    labels: LabelSpec
    first_ns: int
    last_ns: int
    days: tuple[date, ...]
    open_day: Callable[[date], CodedDay]
    texts: dict[str, str]
    regime_feature: str | None = None
    workers: int | None = 1
    fine: tuple[FeatureBins, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Return the names of the features."""
        return tuple(one.name for one in self.bins)

    def between(self, first_ns: int, last_ns: int) -> CodedPanel:
        """Return the part with decisions from `first_ns` on; labels that would end after `last_ns` are missing (purged)."""
        return replace(self, first_ns=max(first_ns, self.first_ns), last_ns=min(last_ns, self.last_ns))

    def finely(self) -> CodedPanel:
        """Return the same decisions in the fine bins; these where there are no finer ones."""
        if not self.fine:
            return self

        def open_day(day: date) -> CodedDay:
            found = self.open_day(day)
            assert found.fine is not None
            return CodedDay(found.grid, found.fine)

        return replace(self, bins=self.fine, fine=(), open_day=open_day)

    def with_fees(self, fee_in_bps: float, fee_out_bps: float) -> CodedPanel:
        """Return the same decisions at other fees."""
        return replace(self, labels=msgspec.structs.replace(self.labels, fee_in_bps=fee_in_bps, fee_out_bps=fee_out_bps))

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of all days, in time order."""
        for day in self.days:
            begin, end = self.rows_of(self.open_day(day).grid)
            for at in range(begin, end, PIECE_ROWS):
                yield Piece(day, at, min(at + PIECE_ROWS, end))

    def trigger_sums(
        self,
        triggers: Sequence[TriggerLike],
        *,
        block_ns: int = BLOCK_NS,
        columns: Sequence[Column] | None = None,
        progress: Progress | None = None,
    ) -> list[TriggerSums]:
        """Return the block sums of the rows where each trigger holds, all from one pass.

        `columns` are (latency_ns, horizon_ns) pairs, all of the panel's by default.
        """
        conditions = [conditions_of(one, self.bins, self.texts, self.regime_feature) for one in triggers]
        stacked, keys, chosen = self._all_columns(TriggerCells([*conditions, ()]), block_ns, columns, progress)
        return [TriggerSums(block_ns, chosen, keys, stacked[:, at], stacked[:, -1]) for at in range(len(triggers))]

    def place_of(self, feature: str) -> int:
        """Return the index of a feature, by its name or the text of its spec."""
        name = self.texts.get(feature, feature)
        if name not in self.features:
            raise InputError(f"feature was '{feature}', expected one of this panel: {', '.join(self.features)}")
        return self.features.index(name)

    def block_sums(
        self, cells: Cells, groups: Sequence[ColumnGroup], *, moments: int, progress: Progress | None = None
    ) -> list[BlockSums]:
        """Return the sums of `cells` for each column group, the same for any number of workers."""
        totals = []
        for group in groups:
            if group.block_ns // group.grid_ns > BLOCK_ROWS_MAX:
                raise InputError(
                    f"a block would hold {group.block_ns // group.grid_ns:,} decisions, expected at most {BLOCK_ROWS_MAX:,}: "
                    "sums of more could overflow; take a coarser grid"
                )
            first, last = self.first_ns // group.block_ns, self.last_ns // group.block_ns
            totals.append(reserve(first, last - first + 1, cells.count, len(group.columns), moments))
        work = partial(self._sum_piece, cells, tuple(groups), moments)
        for parts in map_ordered(work, list(self.pieces()), workers=self.workers, mode="threads", progress=progress):
            for total, part in zip(totals, parts, strict=True):
                total.add(part)
        return totals

    def labeled(self, day: CodedDay, group: ColumnGroup, begin: int, end: int) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """Yield (rows of the day, labels int64 (rows, 6 x columns)) of a column group; labels are valid until the next."""
        return labeled_rows(day.grid, self.labels, group, begin, end, self.last_ns)

    def rows_of(self, grid: GridDay) -> tuple[int, int]:
        """Return the first row of a day at which a decision is made, and the one after the last."""
        step_ns = self.labels.grid_ns
        begin = max(0, -(-self.first_ns // step_ns) - grid.first_index)
        return begin, min(grid.rows, self.last_ns // step_ns - grid.first_index + 1)

    def _sum_piece(self, cells: Cells, groups: tuple[ColumnGroup, ...], moments: int, piece: Piece) -> list[BlockSums]:
        day = self.open_day(piece.day)
        parts = []
        for group in groups:
            per_block = group.block_ns // self.labels.grid_ns
            first = (day.grid.first_index + piece.begin) // per_block
            last = (day.grid.first_index + piece.end - 1) // per_block
            into = reserve(first, last - first + 1, cells.count, len(group.columns), moments)
            for rows, labels in self.labeled(day, group, piece.begin, piece.end):
                keys = (day.grid.first_index + np.arange(rows.start, rows.stop, rows.step)) // per_block
                add_rows(cells, keys, day.codes[:, rows], labels, into)
            parts.append(into)
        return parts

    def _all_columns(
        self, cells: Cells, block_ns: int, columns: Sequence[Column] | None, progress: Progress | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[Column, ...]]:
        if block_ns <= 0 or block_ns % NS_PER_MINUTE or NS_PER_DAY % block_ns:
            raise InputError(f"block_ns was {block_ns}, expected whole minutes that divide a day")
        spec = self.labels
        chosen = tuple(columns or [(latency, horizon) for latency in spec.latencies_ns for horizon in spec.horizons_ns])
        unknown = [one for one in chosen if one[0] not in spec.latencies_ns or one[1] not in spec.horizons_ns]
        if unknown:
            raise InputError(f"column was {unknown[0]}, expected a latency and a horizon of this panel")
        grids = sorted({spec.grid_of(horizon) for _, horizon in chosen})
        groups = [ColumnGroup(block_ns, grid, tuple(one for one in chosen if spec.grid_of(one[1]) == grid)) for grid in grids]
        sums = self.block_sums(cells, groups, moments=MOMENTS, progress=progress)
        stacked = np.zeros((len(sums[0].sums), cells.count, len(chosen), MOMENTS), np.int64)
        for group, one in zip(groups, sums, strict=True):
            at = [chosen.index(column) for column in group.columns]
            stacked[:, :, at, :] = one.sums.transpose(0, 1, 3, 2)
        # A block counts if any row in it has a label; the last trigger is all rows.
        held = stacked[..., 0].any(axis=(1, 2))
        return stacked[held], sums[0].first_key + np.flatnonzero(held), chosen


def code_panel(
    source: EventSource,
    instrument: int,
    program: FeatureProgram,
    labels: LabelSpec,
    bins: Sequence[FeatureBins],
    first_ns: int,
    last_ns: int,
    *,
    lake: Path | None,
    fine: Sequence[FeatureBins] = (),
    regime_feature: str | None = None,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> CodedPanel:
    """Compute what is missing of the panel of one instrument, and return the panel.

    Files go below `lake`; with None the panel is kept in memory. Horizons are those of `labels`; bins must be of features of
    the program, and `fine`, if given, of the same features, with all their cuts and more.
    """
    ordered, finer = (tuple(sorted(some, key=lambda one: one.name)) for some in (bins, fine))
    if finer and any(not set(one.cuts) <= set(other.cuts) for one, other in zip(ordered, finer, strict=True)):
        raise InputError("fine bins lack cuts of the bins they divide; fit them with `fit_fine_bins`")
    coding = Coding(
        program_id=program.program_id,
        bins=ordered,
        latencies_ns=tuple(sorted(set(labels.latencies_ns))),
        horizon_max_ns=max(labels.horizons_ns),
        grid_ns=labels.grid_ns,
        gap_ns=labels.gap_ns,
        first_ns=first_ns,
        last_ns=last_ns,
        fine=finer,
    )
    files = DayFiles(lake, short_hash(coding), *source.instruments[instrument])
    days = tuple(date_of_ns(at * NS_PER_DAY) for at in range(first_ns // NS_PER_DAY, last_ns // NS_PER_DAY + 1))
    reading = Reading([window_of(coding, day) for day in days], progress)
    work = partial(_code_day, source, instrument, program, coding, files, reading)
    for _ in map_ordered(work, days, workers=workers, mode="threads"):
        pass
    return CodedPanel(
        bins=ordered,
        labels=labels,
        first_ns=first_ns,
        last_ns=last_ns,
        days=days,
        open_day=partial(_open_day, source, coding, files),
        texts={str(spec): spec.name for spec in getattr(program, "features", ())},
        regime_feature=regime_feature,
        workers=workers,
        fine=finer,
    )


def read_window(
    source: EventSource,
    instrument: int,
    program: FeatureProgram,
    coding: Coding,
    window: tuple[int, int],
    reading: Reading,
    take: Callable[[slice, NDArray[np.float64]], None],
) -> tuple[GridDay, int]:
    """Read the decisions of a window and what their labels need; returns them and the place of their first row in the window.

    `take` gets places in the window, counted from its first grid instant, and the feature rows there; valid during the call.
    """
    begin_ns, end_ns = window
    step_ns = coding.grid_ns
    first_index, last_index = -(-begin_ns // step_ns), -(-end_ns // step_ns)
    collector = DayCollector(len(coding.latencies_ns), first_index, last_index - first_index, coding.horizon_max_ns // step_ns)
    sampler = DecisionSampler(
        len(program.names), grid_ns=step_ns, latencies_ns=coding.latencies_ns, gap_ns=coding.gap_ns, instrument=instrument
    )
    events = reading.follow(window, source.window(*read_range(coding, window)))
    for rows in sampled(events, program, sampler, instruments=len(source.instruments)):
        at, of = collector.take(rows)
        if at.start < at.stop:
            take(at, rows.features[of])
    day = collector.finish()
    return day, day.first_index - first_index


def read_range(coding: Coding, window: tuple[int, int]) -> tuple[int, int]:
    """Return the receive times between which events are read for the decisions of a window; never one after `last_ns`."""
    after_ns = coding.horizon_max_ns + coding.latencies_ns[-1] + coding.gap_ns + coding.grid_ns
    return window[0] - coding.warmup_ns, min(window[1] + after_ns, coding.last_ns + 1)


def window_of(coding: Coding, day: date) -> tuple[int, int]:
    """Return the receive times of a day's decisions, the end excluded."""
    start_ns = (day.toordinal() - date(1970, 1, 1).toordinal()) * NS_PER_DAY
    return max(start_ns, coding.first_ns), min(start_ns + NS_PER_DAY, coding.last_ns + 1)


def _code_day(
    source: EventSource, instrument: int, program: FeatureProgram, coding: Coding, files: DayFiles, reading: Reading, day: date
) -> None:
    window = window_of(coding, day)
    fingerprint = source.window_fingerprint(*read_range(coding, window))
    if files.load(day, fingerprint) is not None:
        reading.skip(window)
        return
    names = tuple(program.names)
    columns = np.array([names.index(one.name) for one in coding.bins], np.int64)
    cuts, counts = cut_matrix(coding.fine or coding.bins)
    codes = np.empty((len(columns), -(-window[1] // coding.grid_ns) - -(-window[0] // coding.grid_ns)), np.uint8)

    def encode(at: slice, rows: NDArray[np.float64]) -> None:
        encode_columns(rows, columns, cuts, counts, codes[:, at])

    grid, skipped = read_window(source, instrument, program, coding, window, reading, encode)
    # Rows in a gap hold no decision; their codes are never read, but the file must be the same each time.
    codes = codes[:, skipped : skipped + grid.rows]
    codes[:, grid.segment_last[: grid.rows] < 0] = 0
    arrays: dict[str, NDArray[Any]] = {"mids": grid.mids, "spreads": grid.spreads, "segment_last": grid.segment_last}
    arrays |= {"codes": _coarse(coding, codes), "fine": codes} if coding.fine else {"codes": codes}
    files.save(day, fingerprint, arrays, {"first_index": grid.first_index, "rows": grid.rows})


def _coarse(coding: Coding, fine: NDArray[np.uint8]) -> NDArray[np.uint8]:
    out = np.empty(fine.shape, np.uint8)
    for row, codes, *pair in zip(out, fine, coding.bins, coding.fine, strict=True):
        np.take(coarse_codes(*pair), codes, out=row)
    return out


def _open_day(source: EventSource, coding: Coding, files: DayFiles, day: date) -> CodedDay:
    kept = files.load(day, source.window_fingerprint(*read_range(coding, window_of(coding, day))))
    if kept is None:
        raise DataError(f"the coded panel of {day} is gone or its data changed while it was in use; run the command again")
    arrays, numbers = kept.arrays, kept.numbers
    grid = GridDay(numbers["first_index"], numbers["rows"], arrays["mids"], arrays["spreads"], arrays["segment_last"])
    return CodedDay(grid, arrays["codes"], arrays.get("fine"))
