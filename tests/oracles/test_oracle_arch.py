"""Intervals, resampled Sharpe ratios and the family's p-value beside the bootstraps of arch."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import SPA, CircularBlockBootstrap, IIDBootstrap

from edgesmith.domain.units import NS_PER_DAY
from edgesmith.evaluation.comparison import block_length, interval_of, resample
from edgesmith.evaluation.intervals import mean_interval
from edgesmith.evaluation.sharpe import BlockSeries, probabilistic_sharpe
from edgesmith.evaluation.significance import sign_flip

BLOCKS, REPS = 400, 2_000


def blocks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows per block and their summed results: busy blocks, even tails."""
    draw = np.random.default_rng(seed)
    n = draw.poisson(20, BLOCKS).astype(float)
    return n, 0.3 * n + np.sqrt(n) * draw.standard_normal(BLOCKS)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_interval_of_a_mean_is_that_of_resampled_blocks(seed: int) -> None:
    n, s = blocks(seed)
    ours = mean_interval(n, s, level=0.90, seed=seed)
    theirs = IIDBootstrap(n, s, seed=np.random.default_rng(seed)).conf_int(
        lambda a, b: np.array([b.sum() / a.sum()]), reps=REPS, method="bca", size=0.90
    )
    low, high = float(theirs[0, 0]), float(theirs[1, 0])
    assert ours.mean == pytest.approx(s.sum() / n.sum())
    width = high - low
    # Both ends within a tenth of the width; ours is never the shorter one by more than the draws' own noise.
    assert abs(ours.low - low) < 0.1 * width and abs(ours.high - high) < 0.1 * width
    assert ours.high - ours.low > 0.93 * width


def test_resampled_sharpe_ratios_are_those_of_circular_blocks() -> None:
    draw = np.random.default_rng(3)
    noise = draw.standard_t(5, 600)
    changes = (0.1 + noise + 0.4 * np.roll(noise, 1))[:, None]
    ours = resample(changes, seed=1)
    assert ours is not None
    theirs = CircularBlockBootstrap(block_length(len(changes)), changes[:, 0], seed=np.random.default_rng(1))
    drawn = theirs.apply(lambda x: np.array([x.mean() / x.std(), x.sum()]), REPS)
    assert ours.sharpe.std() == pytest.approx(drawn[:, 0].std(), rel=0.07)
    assert ours.total.std() == pytest.approx(drawn[:, 1].std(), rel=0.07)
    low, high = interval_of(drawn[:, 0])
    width = high - low
    for one, other in zip(interval_of(ours.sharpe[:, 0]), (low, high), strict=True):
        assert abs(one - other) < 0.1 * width


@pytest.mark.parametrize("drift", [0.0, 0.05, 0.1])
def test_the_chance_of_a_true_sharpe_above_zero_is_the_share_of_resamples_above_it(drift: float) -> None:
    values = np.random.default_rng(4).standard_t(6, BLOCKS) + drift
    drawn = IIDBootstrap(values, seed=np.random.default_rng(5)).apply(lambda x: np.array([x.mean() / x.std()]), REPS)
    assert probabilistic_sharpe(BlockSeries(values, NS_PER_DAY)) == pytest.approx(float(np.mean(drawn > 0.0)), abs=0.03)


@pytest.mark.parametrize("best", [0.0, 2.0, 3.0])
def test_the_family_p_value_is_that_of_the_test_for_superior_predictive_ability(best: float) -> None:
    # Ten strategies that hang together, the third with a mean of that many standard errors.
    draw = np.random.default_rng(6)
    results = draw.standard_normal((BLOCKS, 10)) + 0.7 * draw.standard_normal((BLOCKS, 1))
    results -= results.mean(axis=0)
    results[:, 2] += best * results[:, 2].std() / np.sqrt(BLOCKS)
    ours = sign_flip([(1, results / BLOCKS)], flips=REPS, seed=1, one_sided=True).p_family.min()
    theirs = SPA(np.zeros(BLOCKS), -results, block_size=1, reps=REPS, studentize=True, seed=np.random.default_rng(2))
    theirs.compute()
    assert ours == pytest.approx(float(theirs.pvalues["upper"]), abs=0.04)
