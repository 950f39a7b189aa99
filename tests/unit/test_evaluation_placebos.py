"""A placebo keeps prices and codes and parts them: row by row against the definition, across days, gaps and the span's ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from edgesmith.domain.units import NS_PER_DAY, NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import CodedDay, CodedPanel
from edgesmith.evaluation.decisions import GridDay
from edgesmith.evaluation.labels import ColumnGroup, G, LabelSpec, N, moments_bps
from edgesmith.evaluation.placebos import OTHER_DAYS, draw_placebos, on_other_days, reflected, shifted, shifts_of
from edgesmith.evaluation.sums import SingleCells

GRID_NS = 100 * NS_PER_MS
STEPS = NS_PER_DAY // GRID_NS
FIRST_DAY = date(2026, 1, 5)
GAP = slice(120, 150)


def a_panel(days: int, seed: int = 0, rows: int = 400) -> CodedPanel:
    """A few rows of each day, around noon and never the same ones, with a gap in each."""
    rng = np.random.default_rng(seed)
    kept = {}
    for at in range(days):
        day = FIRST_DAY + timedelta(days=at)
        first = (day - date(1970, 1, 1)).days * STEPS + STEPS // 2 + 7 * at
        mids = 1_000.0 + np.cumsum(rng.normal(size=(2, rows + 20)), axis=1)
        segment_last = np.full(rows + 20, rows + 19, np.int32)
        segment_last[: GAP.start] = GAP.start - 1
        segment_last[GAP] = -1
        mids[:, GAP] = np.nan
        codes = rng.integers(0, 3, (2, rows)).astype(np.uint8)
        kept[day] = CodedDay(GridDay(first, rows, mids, np.full(mids.shape, 0.1), segment_last), codes)
    last = kept[day].grid
    return CodedPanel(
        bins=(FeatureBins("a", (0.0, 1.0)), FeatureBins("b", (0.0, 1.0))),
        labels=LabelSpec(
            horizons_ns=(NS_PER_S,), latencies_ns=(0, 200 * NS_PER_MS), fee_in_bps=1.0, fee_out_bps=1.0, grid_ns=GRID_NS
        ),
        first_ns=kept[FIRST_DAY].grid.first_index * GRID_NS,
        last_ns=(last.first_index + len(last.segment_last) - 1) * GRID_NS,
        days=tuple(kept),
        open_day=kept.__getitem__,
        texts={},
    )


def rows_of(panel: CodedPanel) -> dict[int, tuple[int, ...] | None]:
    """Codes by grid instant; None where there is no decision."""
    found: dict[int, tuple[int, ...] | None] = {}
    for day in panel.days:
        own = panel.open_day(day)
        for i in range(own.grid.rows):
            found[own.grid.first_index + i] = tuple(own.codes[:, i]) if own.grid.segment_last[i] >= 0 else None
    return found


def test_the_codes_of_another_day_stand_at_the_same_time_of_day() -> None:
    panel = a_panel(3)
    order = (panel.days[1], panel.days[2], panel.days[0])
    plain, found = rows_of(panel), rows_of(on_other_days(panel, order))
    assert set(found) == set(plain)
    kept = 0
    for instant, codes in found.items():
        day = panel.days.index(FIRST_DAY + timedelta(days=instant // STEPS - min(plain) // STEPS))
        source = plain.get(instant + ((day + 1) % 3 - day) * STEPS)
        assert codes == (source if plain[instant] is not None else None)
        kept += codes is not None
    assert kept > 900


def test_labels_stay_with_their_own_day() -> None:
    """Sums by hand of the moves of one day where another's code is 2."""
    panel = a_panel(2)
    swapped = on_other_days(panel, panel.days[::-1])
    group = ColumnGroup(60 * NS_PER_S, GRID_NS, ((200 * NS_PER_MS, NS_PER_S),))
    (sums,) = swapped.block_sums(SingleCells(panel.bins), [group], moments=6)
    count, total = moments_bps(sums.sums[:, 2, :, 0].sum(axis=0))[[N, G]]
    moves = []
    for day, other in ((0, 1), (1, 0)):
        own, lent = panel.open_day(panel.days[day]).grid, panel.open_day(panel.days[other])
        for i in range(own.rows):
            at = i + (own.first_index - lent.grid.first_index) % STEPS
            at = at - STEPS if at > STEPS // 2 else at
            usable = own.segment_last[i] >= i + 10 and 0 <= at < lent.grid.rows and lent.grid.segment_last[at] >= 0
            if usable and lent.codes[0, at] == 2 and (own.first_index + i + 12) * GRID_NS <= panel.last_ns:
                moves.append(1e4 * (own.mids[1, i + 10] - own.mids[1, i]) / own.mids[1, i])
    assert count == len(moves) > 150
    assert total == pytest.approx(sum(moves), abs=1e-3)


@pytest.mark.parametrize("shift_s", [3, -3, 30])
def test_a_shift_wraps_around_the_span(shift_s: int) -> None:
    panel = a_panel(1)
    plain, found = rows_of(panel), rows_of(shifted(panel, shift_s * NS_PER_S))
    first, count = min(plain), panel.last_ns // GRID_NS - min(plain) + 1
    for instant, codes in found.items():
        source = plain.get(first + (instant - first - 10 * shift_s) % count)
        assert codes == (source if plain[instant] is not None else None)
    assert sum(codes is not None for codes in found.values()) > 250


def test_a_reflection_turns_whole_pieces_of_the_path_over() -> None:
    panel = a_panel(1)
    own, turned = panel.open_day(FIRST_DAY).grid, reflected(panel, 3, piece_ns=NS_PER_S).open_day(FIRST_DAY)
    assert np.array_equal(turned.codes, panel.open_day(FIRST_DAY).codes)
    assert np.array_equal(np.isnan(turned.grid.mids), np.isnan(own.mids))
    signs: dict[int, float] = {}
    # Entry later by a latency (two steps) sees the pieces of its own time.
    for series, late in ((0, 0), (1, 2)):
        before, last = None, -1
        for i in np.flatnonzero(np.isfinite(own.mids[series])):
            piece = int((own.first_index + i + late) * GRID_NS // NS_PER_S)
            if before is None or piece != before[0]:
                before = (piece, last if before else i)
            last = i
            moved = turned.grid.mids[series, i] / turned.grid.mids[series, before[1]] - 1.0
            if i != before[1]:
                sign = moved / (own.mids[series, i] / own.mids[series, before[1]] - 1.0)
                assert sign == pytest.approx(signs.setdefault(piece, round(sign)), abs=1e-6)
    assert set(signs.values()) == {1.0, -1.0} and len(signs) > 35


def test_a_reflected_price_stays_above_zero() -> None:
    """A path that grows a hundredfold would be below zero were its steps taken at their face value."""
    panel = a_panel(1)
    own = panel.open_day(FIRST_DAY)
    growing = own.grid._replace(mids=np.exp(np.linspace(0.0, 5.0, own.grid.mids.shape[1])) * np.ones((2, 1)))
    turned = reflected(replace(panel, open_day=lambda _: own._replace(grid=growing)), 1, NS_PER_S).open_day(FIRST_DAY)
    assert turned.grid.mids.min() > 0.0


def test_what_is_drawn() -> None:
    one, three = a_panel(1), a_panel(3)
    assert {placebo.kind for placebo in draw_placebos(one, 4, 1)} == {"shifted trigger", "reflected prices"}
    drawn = draw_placebos(three, 4, 1)
    # Three days have two orders in which none is at its own place.
    assert [placebo.words for placebo in drawn if placebo.kind == OTHER_DAYS][:3] in (
        ["+1, +1, -2 days", "+2, -1, -1 days"],
        ["+2, -1, -1 days", "+1, +1, -2 days"],
    )
    assert shifts_of(three, 2, 1) == [NS_PER_DAY, -NS_PER_DAY]
    span = one.last_ns - one.first_ns
    assert all(span // 8 - NS_PER_S <= shift <= span * 7 // 8 for shift in shifts_of(one, 50, 1))
    assert [placebo.words for placebo in draw_placebos(one, 4, 1)] == [placebo.words for placebo in draw_placebos(one, 4, 1)]
    with pytest.raises(InputError, match="give one for each"):
        on_other_days(three, three.days[:2])
