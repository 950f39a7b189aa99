"""Round trips entered at onsets: one position at a time, the labels of the search, folds that share nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from edgesmith.domain.units import NS_PER_DAY, NS_PER_S
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.coded import CodedDay, CodedPanel
from edgesmith.evaluation.decisions import GridDay
from edgesmith.evaluation.labels import LabelSpec, block_length_ns
from edgesmith.evaluation.onsets import OnsetJob, TailJob, condition_of, onset_sums, tail_sums
from edgesmith.evaluation.sums import Condition

ROWS, TAIL, CODES = 3_000, 400, 7
STEP_NS = NS_PER_S // 10
FIRST_DAY = 19_943
SPEC = LabelSpec(
    horizons_ns=(NS_PER_S, 12 * NS_PER_S), latencies_ns=(0, 70_000_000), fee_in_bps=1.0, fee_out_bps=0.5, grid_ns=STEP_NS
)
COLUMNS = tuple((latency, horizon) for latency in SPEC.latencies_ns for horizon in SPEC.horizons_ns)
BINS = tuple(FeatureBins(name, tuple(float(cut) for cut in range(1, CODES))) for name in ("a", "b"))


def panel_of(seed: int, workers: int = 1) -> CodedPanel:
    days = {date.fromordinal(719_163 + FIRST_DAY + at): _day(seed + at, at) for at in range(2)}
    first_ns = (FIRST_DAY * NS_PER_DAY) + 40 * STEP_NS
    last_ns = (FIRST_DAY + 1) * NS_PER_DAY + (ROWS - 60) * STEP_NS
    return CodedPanel(BINS, SPEC, first_ns, last_ns, tuple(days), days.__getitem__, {}, workers=workers)


def _day(seed: int, at: int) -> CodedDay:
    rng = np.random.default_rng(seed)
    mids = 10_000.0 + np.cumsum(rng.normal(0.0, 1.0, (2, ROWS + TAIL)), axis=1)
    spreads = rng.choice([0.1, 0.4], (2, ROWS + TAIL))
    segment_last = np.full(ROWS + TAIL, ROWS + TAIL - 1, np.int32)
    segment_last[:900] = 899
    segment_last[900:950] = -1
    mids[:, 900:950] = np.nan
    codes = np.repeat(rng.integers(0, CODES, (2, ROWS // 5)), 5, axis=1).astype(np.uint8)
    codes[:, rng.integers(0, ROWS, 60)] = MISSING
    return CodedDay(GridDay((FIRST_DAY + at) * NS_PER_DAY // STEP_NS, ROWS, mids, spreads, segment_last), codes)


def trips(panel: CodedPanel, holds: object, column: tuple[int, int], folds: int = 1) -> list[tuple[int, int, int, int, int]]:
    """Return (fold, instant, n, g, c) of every round trip, row by row; `holds(codes of the row)` is the trigger."""
    latency_ns, horizon_ns = column
    step = SPEC.grid_of(horizon_ns) // STEP_NS
    shift, found = horizon_ns // STEP_NS, []
    begin, end = panel.first_ns // STEP_NS, panel.last_ns // STEP_NS + 1
    for at in panel.days:
        grid, codes, _ = panel.open_day(at)
        before, segment, free = True, None, -1
        for row in range(ROWS):
            instant = grid.first_index + row
            if not begin <= instant < end or instant % step:
                continue
            if grid.segment_last[row] != segment:
                before, segment = True, grid.segment_last[row]
            if segment < 0:
                continue
            on = bool(holds(codes[:, row]))  # type: ignore[operator]
            last, leave = row + shift, -(-(latency_ns + horizon_ns) // STEP_NS)
            fits = last <= segment and instant * STEP_NS + latency_ns + horizon_ns <= panel.last_ns and row >= free
            fold = (instant - begin) * folds // (end - begin)
            if on and not before and fits and (folds == 1 or (instant - begin + leave) * folds // (end - begin) == fold):
                series = SPEC.latencies_ns.index(latency_ns)
                mid = grid.mids[series, row]
                gross = 1e4 * (grid.mids[series, last] - mid) / mid
                cost = 1e4 * (grid.spreads[series, row] + grid.spreads[series, last]) / (2.0 * mid) + 1.5
                found.append((fold, instant * STEP_NS, 1, round(gross * 10_000), round(cost * 10_000)))
                free = row + leave
            before = on
    return found


@pytest.mark.parametrize("column", COLUMNS)
def test_onsets_are_traded_one_at_a_time(column: tuple[int, int]) -> None:
    panel = panel_of(1)
    conditions = (condition_of(0, BINS[0], 2.0, 5.0, False), condition_of(1, BINS[1], None, None, True))
    triggers = [conditions[:1], conditions[1:], (conditions[0], condition_of(1, BINS[1], 3.0, None, False))]
    held = [
        lambda codes: 2 <= codes[0] < 5,
        lambda codes: codes[1] == MISSING,
        lambda codes: 2 <= codes[0] < 5 and 3 <= codes[1] < CODES,
    ]
    found = onset_sums(panel, triggers, [OnsetJob(at, column) for at in range(3)])
    for one, holds in zip(found, held, strict=True):
        wanted = trips(panel, holds, column)
        assert len(wanted) > 4
        block_ns = block_length_ns(column[1], panel.last_ns - panel.first_ns)
        assert one.block_ns == block_ns
        sums = np.zeros_like(one.sums)
        for _, instant_ns, *moments in wanted:
            sums[instant_ns // block_ns - one.first_key] += moments
        np.testing.assert_array_equal(one.sums, sums)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_tail_is_traded_as_if_alone(column: tuple[int, int]) -> None:
    panel = panel_of(5)
    within = (condition_of(1, BINS[1], 1.0, None, False),)
    plain, gated = tail_sums(panel, [TailJob((), 0, column), TailJob(within, 0, column)], 4)
    for one, gate in ((plain, lambda codes: True), (gated, lambda codes: 1 <= codes[1] < CODES)):
        for code in range(1, CODES):
            for below in (False, True):

                def holds(codes: np.ndarray, code: int = code, below: bool = below, gate: object = gate) -> bool:
                    inside = codes[0] < code if below else code <= codes[0] < CODES
                    return bool(inside and gate(codes))  # type: ignore[operator]

                sums = np.zeros((4, 3), np.int64)
                for fold, _, *moments in trips(panel, holds, column, folds=4):
                    sums[fold] += moments
                np.testing.assert_array_equal(one.sums[:, int(below), code, :3], sums)
        g, gg = one.sums[..., 1].astype(float), one.sums[..., 3].astype(float)
        assert (gg[one.sums[..., 0] == 1] == np.rint(g[one.sums[..., 0] == 1] ** 2 / 1e4)).all()


def test_workers_change_nothing() -> None:
    trigger = (condition_of(0, BINS[0], 2.0, None, False),)
    job = [OnsetJob(0, COLUMNS[0])]
    one, two = panel_of(3), replace(panel_of(3), workers=2)
    np.testing.assert_array_equal(onset_sums(one, [trigger], job)[0].sums, onset_sums(two, [trigger], job)[0].sums)
    tails = [TailJob((), feature, COLUMNS[0]) for feature in (0, 1)]
    for left, right in zip(tail_sums(one, tails, 3), tail_sums(two, tails, 3), strict=True):
        np.testing.assert_array_equal(left.sums, right.sums)


def test_conditions_hold_between_their_cuts() -> None:
    assert np.flatnonzero(condition_of(0, BINS[0], None, 2.0, False).holds).tolist() == [0, 1]
    assert np.flatnonzero(condition_of(0, BINS[0], 6.0, None, False).holds).tolist() == [6]
    missing: Condition = condition_of(1, BINS[1], None, None, True)
    assert (missing.feature, np.flatnonzero(missing.holds).tolist()) == (1, [MISSING])
