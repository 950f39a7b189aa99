"""What onsets of triggers earn, one position at a time; compiled.

A trigger is traded when it turns true: at the first instant of the grid at which it holds, after one at which it did not. While
a position is held no other is opened, and where nobody saw the trigger off, at the start of the data and after a gap, it must be
seen off first. A round trip has the label of the row it begins at; one without a label is not made. Days are worked on apart: at
midnight every trigger must be seen off again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.coded import CodedPanel, Column
from edgesmith.evaluation.labels import MOMENTS, SQUARE_UNITS, SUM_UNITS, block_length_ns, label_layout
from edgesmith.evaluation.sums import Codes, Condition, Ints, TriggerCells
from edgesmith.parallel import Progress, map_ordered

# n, sum g, sum c of the round trips of a block.
TRADED = 3


class OnsetJob(NamedTuple):
    """A trigger, by its place in a list, at one (latency, horizon) column in ns."""

    trigger: int
    column: Column


class OnsetSums(NamedTuple):
    """Round trips of one job per block: int64 (blocks, 3): n, sum g, sum c in the units of `labels`; blocks from `first_key`."""

    block_ns: int
    first_key: int
    sums: Ints


class TailJob(NamedTuple):
    """All tails of one feature, by its place, where the other conditions hold, at one column."""

    conditions: tuple[Condition, ...]
    feature: int
    column: Column


class TailSums(NamedTuple):
    """Round trips of every tail: int64 (folds, 2, codes, 6), moments as in `labels`.

    [:, 0, k] is the tail of codes k and above, [:, 1, k] that of codes below k; k = 0 stands for none.
    """

    sums: Ints


class _Walk(NamedTuple):
    # One column over one day: `begin` is the first row of its grid, `hold` the rows until the next entry.
    series: int
    begin: int
    end: int
    step: int
    shift: int
    hold: int
    row_last: int


def onset_sums(
    panel: CodedPanel, triggers: Sequence[tuple[Condition, ...]], jobs: Sequence[OnsetJob], progress: Progress | None = None
) -> list[OnsetSums]:
    """Return the round trips of each job in the blocks its horizon is tested with."""
    span_ns = panel.last_ns - panel.first_ns
    totals = []
    for _, (_, horizon_ns) in jobs:
        block_ns = block_length_ns(horizon_ns, span_ns)
        first = panel.first_ns // block_ns
        totals.append(OnsetSums(block_ns, first, np.zeros((panel.last_ns // block_ns - first + 1, TRADED), np.int64)))
    work = partial(_onsets_of_day, panel, TriggerCells(list(triggers)), tuple(jobs))
    for parts in map_ordered(work, panel.days, workers=panel.workers, mode="threads", progress=progress):
        for total, (key, part) in zip(totals, parts, strict=True):
            total.sums[key - total.first_key : key - total.first_key + len(part)] += part
    return totals


def tail_sums(panel: CodedPanel, jobs: Sequence[TailJob], folds: int, progress: Progress | None = None) -> list[TailSums]:
    """Return the round trips of all tails of each job, in `folds` consecutive parts of the panel that share no label."""
    slots = max(one.count for one in panel.bins) + 1
    totals = [TailSums(np.zeros((folds, 2, slots, MOMENTS), np.int64)) for _ in jobs]
    works = [(day, at) for day in panel.days for at in range(len(jobs))]
    work = partial(_tails_of_day, panel, tuple(jobs), folds, slots)
    for (_, at), part in zip(
        works, map_ordered(work, works, workers=panel.workers, mode="threads", progress=progress), strict=True
    ):
        totals[at].sums[...] += part
    return totals


def condition_of(place: int, bins: FeatureBins, low: float | None, high: float | None, missing: bool) -> Condition:
    """Return the codes of `low <= x < high`, both cuts of the bins or None, or of a missing value."""
    holds = np.zeros(256, np.bool_)
    if missing:
        holds[MISSING] = True
    else:
        first = 0 if low is None else bins.cuts.index(low) + 1
        holds[first : bins.count if high is None else bins.cuts.index(high) + 1] = True
    return Condition(place, holds)


def _walk(panel: CodedPanel, day_first_index: int, rows: tuple[int, int], column: Column) -> _Walk:
    spec, (latency_ns, horizon_ns) = panel.labels, column
    step = spec.grid_of(horizon_ns) // spec.grid_ns
    (series,), (shift,) = label_layout(spec, [column])
    begin = rows[0] + (-(day_first_index + rows[0])) % step
    reach_ns = panel.last_ns - latency_ns - horizon_ns
    hold = -(-(latency_ns + horizon_ns) // spec.grid_ns)
    return _Walk(int(series), begin, rows[1], step, int(shift), hold, reach_ns // spec.grid_ns - day_first_index)


def _onsets_of_day(panel: CodedPanel, triggers: TriggerCells, jobs: tuple[OnsetJob, ...], at: date) -> list[tuple[int, Ints]]:
    day = panel.open_day(at)
    rows = panel.rows_of(day.grid)
    begun: dict[tuple[int, int], Ints] = {}
    fees_bps = panel.labels.fee_in_bps + panel.labels.fee_out_bps
    span_ns = panel.last_ns - panel.first_ns
    found = []
    for trigger, column in jobs:
        walk = _walk(panel, day.grid.first_index, rows, column)
        if (trigger, walk.step) not in begun:
            out = np.empty(max(0, rows[1] - rows[0]), np.int64)
            features, holds = triggers.of(trigger)
            count = onset_rows(day.codes, features, holds, day.grid.segment_last, walk.begin, walk.end, walk.step, out)
            begun[trigger, walk.step] = out[:count].copy()
        block_ns = block_length_ns(column[1], span_ns)
        per_block = block_ns // panel.labels.grid_ns
        first, last = ((day.grid.first_index + row) // per_block for row in (rows[0], max(rows[0], rows[1] - 1)))
        sums = np.zeros((last - first + 1, TRADED), np.int64)
        trade_onsets(
            begun[trigger, walk.step], day.grid.mids[walk.series], day.grid.spreads[walk.series], day.grid.segment_last,
            walk.shift, walk.hold, walk.row_last, fees_bps, day.grid.first_index, per_block, first, sums,
        )  # fmt: skip
        found.append((first, sums))
    return found


def _tails_of_day(panel: CodedPanel, jobs: tuple[TailJob, ...], folds: int, slots: int, work: tuple[date, int]) -> Ints:
    at, which = work
    job = jobs[which]
    day = panel.open_day(at)
    rows = panel.rows_of(day.grid)
    walk = _walk(panel, day.grid.first_index, rows, job.column)
    cells = TriggerCells([job.conditions])
    features, holds = cells.of(0)
    first_index, last_index = panel.first_ns // panel.labels.grid_ns, panel.last_ns // panel.labels.grid_ns + 1
    sums = np.zeros((folds, 2, slots, MOMENTS), np.int64)
    trade_tails(
        day.codes, features, holds, job.feature, panel.bins[job.feature].count, day.grid.mids[walk.series],
        day.grid.spreads[walk.series], day.grid.segment_last, walk.begin, walk.end, walk.step, walk.shift, walk.hold,
        walk.row_last, panel.labels.fee_in_bps + panel.labels.fee_out_bps, day.grid.first_index - first_index,
        last_index - first_index, sums,
    )  # fmt: skip
    return sums


@kernel
def onset_rows(
    codes: Codes, features: Ints, holds: Codes, segment_last: NDArray[np.int32], begin: int, end: int, step: int, out: Ints
) -> int:
    """Write the rows at which a trigger turns true into `out`; returns how many."""
    count = 0
    # Unknown counts as on: it must be seen off first.
    before, segment = True, -1
    for row in range(begin, end, step):
        if segment_last[row] != segment:
            before, segment = True, segment_last[row]
        if segment < 0:
            continue
        on = True
        for c in range(features.shape[0]):
            if holds[c, codes[features[c], row]] == 0:
                on = False
                break
        if on and not before:
            out[count] = row
            count += 1
        before = on
    return count


@kernel
def trade_onsets(
    begun: Ints,
    mids: NDArray[np.float64],
    spreads: NDArray[np.float64],
    segment_last: NDArray[np.int32],
    shift: int,
    hold: int,
    row_last: int,
    fees_bps: float,
    first_index: int,
    per_block: int,
    first_block: int,
    sums: Ints,
) -> None:
    """Add the round trips from the rows `begun`, one at a time, to `sums` (blocks, 3)."""
    free = -1
    for k in range(begun.shape[0]):
        row = begun[k]
        last = row + shift
        if row < free or last > segment_last[row] or row > row_last:
            continue
        mid = mids[row]
        gross_bps = 1e4 * (mids[last] - mid) / mid
        cost_bps = 1e4 * (spreads[row] + spreads[last]) / (2.0 * mid) + fees_bps
        if np.isnan(gross_bps) or np.isnan(cost_bps):
            continue
        block = sums[(first_index + row) // per_block - first_block]
        block[0] += 1
        block[1] += np.int64(np.rint(gross_bps * SUM_UNITS))
        block[2] += np.int64(np.rint(cost_bps * SUM_UNITS))
        free = row + hold


@kernel
def trade_tails(
    codes: Codes,
    features: Ints,
    holds: Codes,
    feature: int,
    count: int,
    mids: NDArray[np.float64],
    spreads: NDArray[np.float64],
    segment_last: NDArray[np.int32],
    begin: int,
    end: int,
    step: int,
    shift: int,
    hold: int,
    row_last: int,
    fees_bps: float,
    offset: int,
    rows: int,
    sums: Ints,
) -> None:
    """Add the round trips of every tail, each one at a time, to `sums` (folds, 2, codes, 6); `offset` is row 0's place in `rows`.

    A round trip that would reach into the next fold is not made, so folds share no label.
    """
    folds = sums.shape[0]
    free = np.full((2, count + 1), -1, np.int64)
    # Codes before the row for tails from above and from below; `count` and 0 stand for on in all of them, -1 and `count` for off.
    upper, lower, segment = count, 0, -1
    for row in range(begin, end, step):
        if segment_last[row] != segment:
            upper, lower, segment = count, 0, segment_last[row]
        if segment < 0:
            continue
        code = int(codes[feature, row])
        on = code != MISSING
        for c in range(features.shape[0]):
            if holds[c, codes[features[c], row]] == 0:
                on = False
                break
        up, low = (code, code) if on else (-1, count)
        if up > upper or low < lower:
            last = row + shift
            fold = (offset + row) * folds // rows
            fits = last <= segment_last[row] and row <= row_last and (offset + row + hold) * folds // rows == fold
            if fits:
                mid = mids[row]
                gross_bps = 1e4 * (mids[last] - mid) / mid
                cost_bps = 1e4 * (spreads[row] + spreads[last]) / (2.0 * mid) + fees_bps
                if not (np.isnan(gross_bps) or np.isnan(cost_bps)):
                    gross, cost = np.int64(np.rint(gross_bps * SUM_UNITS)), np.int64(np.rint(cost_bps * SUM_UNITS))
                    gg = np.int64(np.rint(gross * gross / SQUARE_UNITS))
                    gc = np.int64(np.rint(gross * cost / SQUARE_UNITS))
                    cc = np.int64(np.rint(cost * cost / SQUARE_UNITS))
                    for side in range(2):
                        first, stop = (upper + 1, up + 1) if side == 0 else (low + 1, lower + 1)
                        for k in range(max(first, 1), min(stop, count)):
                            if row < free[side, k]:
                                continue
                            free[side, k] = row + hold
                            cell = sums[fold, side, k]
                            cell[0] += 1
                            cell[1] += gross
                            cell[2] += cost
                            cell[3] += gg
                            cell[4] += gc
                            cell[5] += cc
        upper, lower = up, low
