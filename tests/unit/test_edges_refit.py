"""Refitting on block sums: skill carries over, luck does not."""

from __future__ import annotations

import numpy as np

from edgesmith.edges.validation.refit import (
    choose,
    combinatorial_paths,
    grid_overfitting,
    results_of,
    walk_forward,
)
from edgesmith.evaluation.labels import C, G, N
from edgesmith.evaluation.splits import Blocks, anchored, rolling

BLOCKS, CELLS = 240, 10


def grid(seed: int, effect_bps: float = 0.0, cost_bps: float = 5.0, cell: int = 3) -> np.ndarray:
    draw = np.random.default_rng(seed)
    moments = np.zeros((BLOCKS, CELLS, 6))
    moments[..., N] = draw.poisson(20, (BLOCKS, CELLS))
    noise = draw.standard_t(4, (BLOCKS, CELLS)) * np.sqrt(moments[..., N]) * 10.0
    moments[..., G] = noise + effect_bps * moments[..., N] * (np.arange(CELLS) == cell)
    moments[..., C] = cost_bps * moments[..., N]
    return moments


def axis() -> Blocks:
    return Blocks(np.arange(BLOCKS, dtype=np.int64), 60, 30, 60)


def test_a_real_edge_is_chosen_again_in_every_fold() -> None:
    for folds in (anchored(axis(), 5), rolling(axis(), 5)):
        for sign in (1.0, -1.0):
            found = walk_forward(grid(1, 15.0 * sign), folds, side=int(sign), own_cell=3, seed=1)
            assert found.same_cell_folds == found.positive_folds == 5
            assert found.net_bps.low < 10.0 < found.net_bps.high
            assert found.net_bps.low > 5.0


def test_noise_below_cost_is_not_carried_over() -> None:
    positive = 0
    for seed in range(30):
        found = walk_forward(grid(seed, cost_bps=0.0), anchored(axis(), 5), side=1, own_cell=3, seed=seed)
        positive += found.net_bps.low > 0.0
    assert positive <= 4


def test_a_fold_where_nothing_paid_trades_nothing() -> None:
    found = walk_forward(grid(1, cost_bps=50.0), anchored(axis(), 5), side=1, own_cell=3, seed=1)
    assert all(one.cell == -1 and one.rows.sum() == 0.0 for one in found.folds)
    assert np.isnan(found.net_bps.mean)
    # An edge over several bins has no cell of its own: -1 is not the nothing that was chosen.
    assert walk_forward(grid(1, cost_bps=50.0), anchored(axis(), 5), side=1, own_cell=-1, seed=1).same_cell_folds == 0


def test_the_choice_reads_training_blocks_only() -> None:
    rows, net = results_of(grid(2, 15.0), 1)
    train = np.arange(BLOCKS) < 100
    changed = net.copy()
    changed[100:] *= -1000.0
    assert choose(rows, net, train) == choose(rows, changed, train) == 3


def test_combinatorial_paths_of_skill_and_luck() -> None:
    assert combinatorial_paths(grid(1, 15.0), axis(), side=1).positive_ratio == 1.0
    paths = combinatorial_paths(grid(1, 15.0), axis(), side=1)
    assert len(paths.path_net_bps) == 9
    assert abs(paths.path_net_bps.mean() - 10.0) < 2.0


def test_overfitting_of_the_grid() -> None:
    skilled, lucky = grid_overfitting(grid(1, 15.0), 16), grid_overfitting(grid(1, cost_bps=0.0), 16)
    assert skilled is not None and lucky is not None
    assert skilled.pbo < 0.01 < lucky.pbo
    assert grid_overfitting(np.zeros((BLOCKS, CELLS, 6)), 16) is None
