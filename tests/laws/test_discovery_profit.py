"""Profit is tested where it is made, at onsets, and bounds are refined without helping themselves."""

from __future__ import annotations

from datetime import date

import msgspec
import numpy as np
from scipy.signal import lfilter

from edgesmith.domain.units import NS_PER_DAY, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.judge import judge
from edgesmith.edges.discovery.profit import Profit, judge_profit
from edgesmith.edges.discovery.result import Cell
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.bins import FeatureBins, coarse_codes, cut_matrix, encode_columns, fit_bins, fit_fine_bins
from edgesmith.evaluation.coded import CodedDay, CodedPanel
from edgesmith.evaluation.decisions import GridDay
from edgesmith.evaluation.labels import column_groups
from edgesmith.evaluation.sums import TESTED_MOMENTS, SingleCells

HORIZON_ROWS, WARM_ROWS = 10, 8_000
FIRST_DAY = 19_943
EDGE = 1.4
CONFIG = DiscoveryConfig(horizons_ns=(HORIZON_ROWS * NS_PER_S,), latencies_ns=(0,), grid_ns=NS_PER_S, flips=999)


def panel_of(
    seed: int, *, effect_bps: float = 0.0, rows: int = 60_000, fee_bps: float = 1.5, wide_bps: float = 0.0
) -> CodedPanel:
    """One row a second; after x rises to `EDGE` or more the price drifts by `effect_bps` over 10 s; the spread may widen then."""
    rng = np.random.default_rng(seed)
    x = lfilter([np.sqrt(1 - 0.97**2)], [1.0, -0.97], rng.normal(size=WARM_ROWS + rows))
    inside = x >= EDGE
    begun = inside & ~np.r_[True, inside[:-1]]
    drift = np.convolve(begun, np.full(HORIZON_ROWS, effect_bps / HORIZON_ROWS))[: len(x)]
    steps = rng.standard_t(4.0, len(x)) + np.r_[0.0, drift[:-1]]
    mids = 10_000.0 * np.exp(np.cumsum(steps) * 1e-4)[WARM_ROWS:]
    coarse = fit_bins("x", x[:WARM_ROWS])
    fine = fit_fine_bins(coarse, x[:WARM_ROWS])
    codes = np.empty((1, rows), np.uint8)
    encode_columns(np.ascontiguousarray(x[WARM_ROWS:, None]), np.zeros(1, np.int64), *cut_matrix((fine,)), codes)
    spreads = np.where(inside[WARM_ROWS:], wide_bps, 0.01)[None]
    grid = GridDay(FIRST_DAY * 86_400, rows, mids[None], spreads, np.full(rows, rows - 1, np.int32))
    day = CodedDay(grid, coarse_codes(coarse, fine)[codes], codes)
    labels = CONFIG.labels_at(fee_bps, fee_bps)
    first_ns, days = FIRST_DAY * NS_PER_DAY, (date.fromordinal(719_163 + FIRST_DAY),)
    return CodedPanel((coarse,), labels, first_ns, first_ns + (rows - 1) * NS_PER_S, days, lambda _: day, {}, fine=(fine,))


def cells_of(panel: CodedPanel) -> tuple[Cell, ...]:
    groups = column_groups(panel.labels, panel.last_ns - panel.first_ns)
    sums = panel.block_sums(SingleCells(panel.bins), groups, moments=TESTED_MOMENTS)
    return judge(panel.bins, groups, sums, CONFIG).cells


def asked(panel: CodedPanel) -> Profit:
    return judge_profit(panel, cells_of(panel), CONFIG, CONFIG.alpha)


def test_the_bound_that_was_planted_is_found_between_the_bins() -> None:
    panel = panel_of(1, effect_bps=9.0)
    assert min(abs(cut - EDGE) for cut in panel.bins[0].cuts) > 0.1, "a cut at the edge would prove nothing"
    profit = asked(panel)
    (found,) = profit.refined
    (bound,) = found.bounds
    assert (found.side, bound.upper, found.verdict) == (1, None, Verdict.CANDIDATE)
    assert bound.lower is not None and abs(bound.lower - EDGE) < 0.06
    # Of 9 bps 3 are paid, and some onsets are followed by another within 10 s, which adds to them.
    assert found.onset_net_bps is not None and 6.0 < found.onset_net_bps < 9.5
    assert found.onset_low_bps is not None and found.onset_high_bps is not None
    assert found.onset_low_bps < found.onset_net_bps < found.onset_high_bps
    assert found.onsets is not None and found.n > 3 * found.onsets > 900
    assert found.sentence.startswith("real: buying when it begins earns")
    assert profit.refinement.paying == 1 and profit.refinement.trials > 5_000


def test_rows_that_gain_less_than_the_cost_pay_when_they_begin() -> None:
    cells = asked(panel_of(1, effect_bps=9.0)).cells
    diluted = [cell for cell in cells if cell.verdict is Verdict.CANDIDATE and (cell.net_bps_best_side or 0.0) < 0.0]
    assert not diluted or all((cell.onset_net_bps or 0.0) > 0.0 for cell in diluted)
    for cell in cells:
        if cell.verdict is Verdict.CANDIDATE:
            assert cell.onset_low_bps is not None and cell.onset_low_bps > 0.0 and cell.p_net_family is not None


def test_an_effect_below_its_cost_is_eaten() -> None:
    profit = asked(panel_of(2, effect_bps=5.0, fee_bps=4.0))
    verdicts = {cell.verdict for cell in profit.cells}
    assert Verdict.REJECT_COST in verdicts and Verdict.CANDIDATE not in verdicts and not profit.refined
    eaten = next(cell for cell in profit.cells if cell.verdict is Verdict.REJECT_COST and cell.onsets)
    assert "costs eat it: buying when it begins gains" in eaten.sentence and "trading it costs" in eaten.sentence


def test_t16_cost_is_that_of_the_moment() -> None:
    verdicts = []
    for wide_bps in (0.0, 25.0):
        profit = asked(panel_of(3, effect_bps=9.0, wide_bps=wide_bps))
        verdicts.append({cell.verdict for cell in (*profit.cells, *profit.refined)})
    assert Verdict.CANDIDATE in verdicts[0] and Verdict.CANDIDATE not in verdicts[1] and Verdict.REJECT_COST in verdicts[1]


def test_refining_noise_earns_nothing() -> None:
    # Real by decree: every testable cell is asked and refined at no cost, in worlds where nothing can be earned.
    worlds, false = 60, 0
    for seed in range(worlds):
        panel = panel_of(1_000 + seed, rows=20_000, fee_bps=0.0)
        claimed = [
            msgspec.structs.replace(cell, verdict=Verdict.REJECT_COST, p_family=0.001, cost_bps=-1e9)
            for cell in cells_of(panel)
            if cell.p_cell is not None
        ]
        profit = judge_profit(panel, claimed, CONFIG, CONFIG.alpha)
        assert profit.refinement.subjects == 2
        false += any(cell.verdict is Verdict.CANDIDATE for cell in (*profit.cells, *profit.refined))
    assert false / worlds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds), false


def test_bins_without_finer_ones_are_asked_as_they_are() -> None:
    panel = panel_of(1, effect_bps=9.0)
    plain = CodedPanel(panel.bins, panel.labels, panel.first_ns, panel.last_ns, panel.days, panel.open_day, {})
    profit = asked(plain)
    fine = asked(panel)
    assert [cell.onsets for cell in profit.cells] == [cell.onsets for cell in fine.cells]
    cuts: FeatureBins = panel.bins[0]
    assert all(bound.lower in (None, *cuts.cuts) for cell in profit.refined for bound in cell.bounds)
