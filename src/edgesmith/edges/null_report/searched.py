"""One placebo, searched exactly as data is searched, and what those who count rows would have found in it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.baselines.textbook import iid_permutation, newey_west, welch
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.deep import deep_search
from edgesmith.edges.discovery.judge import judge
from edgesmith.edges.discovery.profit import judge_profit
from edgesmith.edges.discovery.result import Cell
from edgesmith.edges.null_report.result import PlaceboRow
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.bins import MISSING
from edgesmith.evaluation.coded import CodedPanel
from edgesmith.evaluation.labels import SQUARE_UNITS, SUM_UNITS, ColumnGroup, G, N, column_groups
from edgesmith.evaluation.placebos import Placebo
from edgesmith.evaluation.sums import TESTED_MOMENTS, BlockSums, SingleCells

FOUND = (Verdict.CANDIDATE, Verdict.REJECT_COST)
# Newey-West and permutations read rows; so many of the first ones are enough to fail on.
ROWS_MAX = 50_000
PERMUTATIONS = 199

Floats = NDArray[np.float64]


class Searched(NamedTuple):
    """The row of one placebo, the p-values of all its tested cells, and what each horizon's cells could have shown."""

    row: PlaceboRow
    p: Floats
    mde_bps: dict[int, list[float | None]]


def search_placebo(placebo: Placebo, config: DiscoveryConfig, number: int, workers: int | None) -> Searched:
    """Search one placebo; `number` draws the cell that all methods are asked about."""
    panel = placebo.make()
    groups = column_groups(panel.labels, panel.last_ns - panel.first_ns)
    sums = panel.block_sums(SingleCells(panel.bins), groups, moments=TESTED_MOMENTS)
    share = config.alpha if config.depth == 1 else config.alpha / 2
    judged = judge(panel.bins, groups, sums, config, share, workers)
    deep = deep_search(panel, judged, config, config.alpha - share, (), workers, None)
    tested = [cell for cell in judged.cells if cell.p_cell is not None]
    profit = judge_profit(panel, [*judged.cells, *deep.cells], config, config.alpha, workers)
    cells = [*profit.cells, *profit.refined]
    mde: dict[int, list[float | None]] = {}
    for cell in tested:
        mde.setdefault(cell.horizon_ns, []).append(cell.mde_bps)
    asked = _asked(panel, tested, config.seed, number)
    row = PlaceboRow(
        kind=placebo.kind,
        words=placebo.words,
        trials=len(judged.cells) + sum(depth.trials for depth in deep.depths) + profit.refinement.trials,
        tested=len(tested),
        found=sum(cell.verdict in FOUND for cell in cells),
        candidates=sum(cell.verdict is Verdict.CANDIDATE for cell in cells),
        p_family_least=min((cell.p_family for cell in tested if cell.p_family is not None), default=None),
        p=asked[0],
        p_welch=asked[1],
        p_newey_west=asked[2],
        p_permutation=asked[3],
        welch_found=_welch_found(panel, groups, sums, tested, config.alpha),
    )
    return Searched(row, np.array([cell.p_cell for cell in tested], np.float64), mde)


def _asked(panel: CodedPanel, tested: Sequence[Cell], seed: int, number: int) -> tuple[float | None, ...]:
    known = [cell for cell in tested if cell.bin != MISSING] or tested
    if not known:
        return None, None, None, None
    draw = np.random.Generator(np.random.PCG64([seed, number]))
    cell = known[int(draw.integers(len(known)))]
    inside, moves = rows_of(panel, cell)
    drawn = iid_permutation(inside, moves, draws=PERMUTATIONS, seed=number)
    return cell.p_cell, welch(inside, moves), newey_west(inside, moves), drawn


def rows_of(panel: CodedPanel, cell: Cell) -> tuple[NDArray[np.bool_], Floats]:
    """Return, row by row, whether a single cell held and the gross move after it: the first `ROWS_MAX` labels of the panel."""
    held, moves, left = [], [], ROWS_MAX
    feature, series = panel.place_of(cell.feature), sorted(set(panel.labels.latencies_ns)).index(cell.latency_ns)
    step = panel.labels.grid_of(cell.horizon_ns) // panel.labels.grid_ns
    ahead = cell.horizon_ns // panel.labels.grid_ns
    for day in panel.days:
        own = panel.open_day(day)
        rows = np.arange((-own.grid.first_index) % step, min(own.grid.rows, own.grid.mids.shape[1] - ahead), step)
        rows = rows[own.grid.segment_last[rows] >= rows + ahead]
        mids = own.grid.mids[series]
        found = 1e4 * (mids[rows + ahead] / mids[rows] - 1.0)
        known = np.flatnonzero(np.isfinite(found))[:left]
        held.append(own.codes[feature, rows[known]] == cell.bin)
        moves.append(found[known])
        left -= len(known)
        if not left:
            break
    return np.concatenate(held), np.concatenate(moves)


def _welch_found(
    panel: CodedPanel, groups: Sequence[ColumnGroup], sums: Sequence[BlockSums], tested: Sequence[Cell], alpha: float
) -> int:
    if not tested:
        return 0
    bar = NormalDist().inv_cdf(1.0 - alpha / len(tested) / 2.0)
    strong = {}
    for group, one in zip(groups, sums, strict=True):
        t = _welch_t(panel, one)
        for at, column in enumerate(group.columns):
            for place, code in zip(*np.nonzero(np.abs(t[:, :, at]) >= bar), strict=True):
                strong[(panel.features[place], int(code), *column)] = True
    slots = SingleCells(panel.bins).slots
    return sum(
        (cell.feature, slots - 1 if cell.bin == MISSING else cell.bin, cell.latency_ns, cell.horizon_ns) in strong
        for cell in tested
    )


def _welch_t(panel: CodedPanel, sums: BlockSums) -> Floats:
    # (features, slots, columns): every feature has each row once, so its slots together are all rows.
    shape = len(panel.bins), SingleCells(panel.bins).slots, sums.squares.shape[1]
    pooled = sums.sums.sum(axis=0).astype(np.float64)
    n, s = pooled[:, N].reshape(shape), pooled[:, G].reshape(shape) / SUM_UNITS
    ss = sums.squares.reshape(shape) / SQUARE_UNITS
    n_rest, s_rest, ss_rest = (one.sum(axis=1, keepdims=True) - one for one in (n, s, ss))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (ss / n - (s / n) ** 2) / n + (ss_rest / n_rest - (s_rest / n_rest) ** 2) / n_rest
        t = (s / n - s_rest / n_rest) / np.sqrt(error)
    return np.where(np.isfinite(t), t, 0.0)
