"""Purged splits, Sharpe ratios and overfitting beside purgedcv."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from purgedcv import (
    CombinatorialPurgedCV,
    deflated_sharpe_ratio,
    min_track_record_length,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
)

from edgesmith.domain.units import NS_PER_DAY
from edgesmith.evaluation.overfitting import overfitting
from edgesmith.evaluation.sharpe import BlockSeries, deflated_sharpe, probabilistic_sharpe, track_record_min_blocks
from edgesmith.evaluation.splits import Blocks, combinatorial

LENGTH_NS = 60


def series(seed: int, count: int = 120, drift: float = 0.1) -> BlockSeries:
    return BlockSeries(np.random.default_rng(seed).standard_t(5, count) + drift, NS_PER_DAY)


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_agree(seed: int) -> None:
    # It corrects skewness and kurtosis for the sample size, we do not: a difference that shrinks with the blocks.
    one = series(seed, 4_000)
    assert probabilistic_sharpe(one, 0.05) == pytest.approx(probabilistic_sharpe_ratio(one.values, 0.05), abs=2e-4)
    ours = deflated_sharpe(one, sharpe_sd_of_trials=0.1, trials=50)
    assert ours == pytest.approx(deflated_sharpe_ratio(one.values, 50, 0.01), abs=2e-4)


def test_track_record_agrees_up_to_its_rounding() -> None:
    one = series(3, drift=0.5)
    theirs = min_track_record_length(one.sharpe, 0.0, 0.05, one.skewness, one.kurtosis)
    assert math.ceil(track_record_min_blocks(one) - 1.0) == theirs - 1
    assert track_record_min_blocks(series(1, drift=-1.0)) == math.inf


@pytest.mark.parametrize("skill", [0.0, 0.6])
def test_overfitting_agrees(skill: float) -> None:
    draw = np.random.default_rng(7)
    results = draw.standard_normal((160, 12)) + skill * np.linspace(0, 1, 12)
    ours = overfitting(results, 8)
    assert len(ours.logits) == 70
    assert ours.pbo == pytest.approx(probability_of_backtest_overfitting(results.T, 8).pbo, abs=1e-12)


def test_combinatorial_folds_agree() -> None:
    keys = np.arange(60, dtype=np.int64)
    reach_ns = 45
    ours = list(combinatorial(Blocks(keys, LENGTH_NS, reach_ns, 0), groups=6, judged=2))
    start = pd.Series(pd.to_datetime(keys * LENGTH_NS, unit="s"))
    theirs = CombinatorialPurgedCV(
        6, 2, prediction_times=start, evaluation_times=start + pd.Timedelta(seconds=LENGTH_NS + reach_ns)
    )
    folds = list(theirs.split(np.zeros((60, 1))))
    assert len(ours) == len(folds) == 15
    for fold, (train, test) in zip(ours, folds, strict=True):
        assert np.array_equal(np.flatnonzero(fold.test), test)
        assert np.array_equal(np.flatnonzero(fold.train), train)
