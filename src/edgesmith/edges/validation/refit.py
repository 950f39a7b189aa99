"""Choose again on every training span, and see whether what paid there pays where nobody looked.

The candidates are the cells of the grid spanned by the trigger's own features, both sides. A fold chooses the cell whose net
result on its training blocks is furthest above zero, and is judged by that cell on blocks it has not seen. What is pooled over
the folds is the result of the procedure, not of one lucky cell. Everything is block sums; no tick is read again.
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


class Choice(NamedTuple):
    """What a fold chose: a cell of the grid and a side; `cell` is -1 when nothing paid on the training blocks."""

    cell: int
    side: int


class FoldOutcome(NamedTuple):
    """One fold: what it chose, the rows and the net sum of that choice per judged block (0 elsewhere)."""

    choice: Choice
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


def trial_results(grid: Floats) -> tuple[Floats, Floats]:
    """Return rows and net sums, both (blocks, 2 x cells), of every cell of `grid` (blocks, cells, 6): buying, then selling."""
    rows, gross, cost = grid[..., N], grid[..., G], grid[..., C]
    return np.concatenate([rows, rows], axis=1), np.concatenate([gross - cost, -gross - cost], axis=1)


def choose(rows: Floats, net: Floats, train: NDArray[np.bool_]) -> Choice:
    """Return the trial furthest above zero on the training blocks, by its self-normalized statistic."""
    seen = (rows[train] > 0).sum(axis=0) >= CHOSEN_BLOCKS_MIN
    sums = net[train].sum(axis=0)
    norm = np.sqrt((net[train] ** 2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = np.where(seen & (norm > 0), sums / norm, -np.inf)
    best = int(strength.argmax()) if len(strength) else 0
    if not len(strength) or strength[best] <= 0.0:
        return Choice(-1, 0)
    cells = rows.shape[1] // 2
    return Choice(best % cells, 1 if best < cells else -1)


def judged(rows: Floats, net: Floats, fold: Fold) -> FoldOutcome:
    """Choose on the training blocks of `fold` and judge on its test blocks."""
    choice = choose(rows, net, fold.train)
    if choice.cell < 0:
        nothing = np.zeros(len(fold.test))
        return FoldOutcome(choice, nothing, nothing)
    trial = choice.cell + (0 if choice.side > 0 else rows.shape[1] // 2)
    return FoldOutcome(choice, np.where(fold.test, rows[:, trial], 0.0), np.where(fold.test, net[:, trial], 0.0))


def walk_forward(grid: Floats, folds: Sequence[Fold], own: Choice, *, seed: int) -> WalkForward:
    """Judge the refitted choice over folds whose test blocks do not overlap."""
    rows, net = trial_results(grid)
    outcomes = tuple(judged(rows, net, fold) for fold in folds)
    pooled_rows = np.sum([one.rows for one in outcomes], axis=0)
    pooled_net = np.sum([one.net for one in outcomes], axis=0)
    return WalkForward(
        outcomes,
        mean_interval(pooled_rows, pooled_net, seed=seed),
        sum(bool(one.net.sum() > 0) for one in outcomes),
        sum(one.choice == own for one in outcomes),
    )


def combinatorial_paths(grid: Floats, blocks: Blocks) -> Combinatorial:
    """Judge the refitted choice on every way to hold out 2 of 10 parts, put together to 9 paths through all of the data."""
    rows, net = trial_results(grid)
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
    """Return how much choosing among the cells of `grid` overfits; None when fewer than two of them were ever seen."""
    rows, net = trial_results(grid)
    seen = (rows > 0).sum(axis=0) >= CHOSEN_BLOCKS_MIN
    return overfitting(net[:, seen], parts) if seen.sum() >= 2 else None
