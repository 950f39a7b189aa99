"""Choose again on every training span, and see whether what paid there pays where nobody looked.

The candidates are the cells of the grid spanned by the trigger's own features, traded to the side of the edge. A fold chooses
the cell whose net result on its training blocks is furthest above zero, and is judged by that cell on blocks it has not seen.
What is pooled over the folds is the result of the procedure, not of one lucky cell. Everything is block sums; no tick is read
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.intervals import Interval, mean_interval
from edgesmith.evaluation.labels import C, G, N
from edgesmith.evaluation.overfitting import Overfitting, overfitting
from edgesmith.evaluation.splits import Blocks, Fold, combinatorial, part_of, path_folds

Floats = NDArray[np.float64]

# A cell seen in fewer training blocks is not chosen: its deviation means nothing yet.
CHOSEN_BLOCKS_MIN = 10
CPCV_GROUPS, CPCV_JUDGED = 10, 2


class FoldOutcome(NamedTuple):
    """One fold: the cell it chose, -1 when none paid, and the rows and net sum of that cell per judged block (0 elsewhere)."""

    cell: int
    rows: Floats
    net: Floats


class WalkForward(NamedTuple):
    """All folds of a walk, pooled: net bps per row with its 90 % interval, and how many folds chose the cell itself."""

    folds: tuple[FoldOutcome, ...]
    net_bps: Interval
    positive_folds: int
    same_cell_folds: int


class Combinatorial(NamedTuple):
    """Paths of combinatorial folds: mean net bps per row of each path, and the share that is positive."""

    path_net_bps: Floats
    positive_ratio: float


def results_of(grid: Floats, side: int) -> tuple[Floats, Floats]:
    """Return rows and net sums, both (blocks, cells), of trading every cell of `grid` (blocks, cells, 6) to `side`."""
    return grid[..., N], side * grid[..., G] - grid[..., C]


def choose(rows: Floats, net: Floats, train: NDArray[np.bool_]) -> int:
    """Return the cell furthest above zero on the training blocks, by its self-normalized statistic; -1 when none is above."""
    seen = (rows[train] > 0).sum(axis=0) >= CHOSEN_BLOCKS_MIN
    sums = net[train].sum(axis=0)
    norm = np.sqrt((net[train] ** 2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = np.where(seen & (norm > 0), sums / norm, -np.inf)
    best = int(strength.argmax())
    return best if strength[best] > 0.0 else -1


def judged(rows: Floats, net: Floats, fold: Fold) -> FoldOutcome:
    """Choose on the training blocks of `fold` and judge on its test blocks."""
    cell = choose(rows, net, fold.train)
    if cell < 0:
        nothing = np.zeros(len(fold.test))
        return FoldOutcome(cell, nothing, nothing)
    return FoldOutcome(cell, np.where(fold.test, rows[:, cell], 0.0), np.where(fold.test, net[:, cell], 0.0))


def walk_forward(grid: Floats, folds: Sequence[Fold], *, side: int, own_cell: int, seed: int) -> WalkForward:
    """Judge the refitted choice over folds whose test blocks do not overlap."""
    rows, net = results_of(grid, side)
    outcomes = tuple(judged(rows, net, fold) for fold in folds)
    pooled_rows = np.sum([one.rows for one in outcomes], axis=0)
    pooled_net = np.sum([one.net for one in outcomes], axis=0)
    return WalkForward(
        outcomes,
        mean_interval(pooled_rows, pooled_net, seed=seed),
        sum(bool(one.net.sum() > 0) for one in outcomes),
        sum(one.cell == own_cell >= 0 for one in outcomes),
    )


def combinatorial_paths(grid: Floats, blocks: Blocks, *, side: int) -> Combinatorial:
    """Judge the refitted choice on every way to hold out 2 of 10 parts, put together to 9 paths through all of the data."""
    rows, net = results_of(grid, side)
    outcomes = [judged(rows, net, fold) for fold in combinatorial(blocks, CPCV_GROUPS, CPCV_JUDGED)]
    part = part_of(blocks, CPCV_GROUPS)
    means = []
    for path in path_folds(CPCV_GROUPS, CPCV_JUDGED):
        taken = [(outcomes[fold], part == group) for group, fold in enumerate(path)]
        count = sum(float(one.rows[inside].sum()) for one, inside in taken)
        result = sum(float(one.net[inside].sum()) for one, inside in taken)
        means.append(result / count if count > 0 else 0.0)
    return Combinatorial(np.array(means), float((np.array(means) > 0).mean()))


def grid_overfitting(grid: Floats, parts: int) -> Overfitting | None:
    """Return how much choosing a cell of `grid` and a side overfits; None when fewer than two cells were ever seen."""
    seen = (grid[..., N] > 0).sum(axis=0) >= CHOSEN_BLOCKS_MIN
    if seen.sum() < 2:
        return None
    net = np.concatenate([results_of(grid[:, seen], side)[1] for side in (1, -1)], axis=1)
    return overfitting(net, parts)
