"""Sharpe ratios of block series, against the published figures."""

from __future__ import annotations

import numpy as np
import pytest

from edgesmith.errors import InputError
from edgesmith.evaluation.overfitting import overfitting
from edgesmith.evaluation.sharpe import (
    BlockSeries,
    deflated_sharpe,
    expected_best,
    probabilistic_sharpe,
)

DAY_NS = 86_400 * 10**9


def series(seed: int, count: int = 120, drift: float = 0.1) -> BlockSeries:
    return BlockSeries(np.random.default_rng(seed).standard_t(5, count) + drift, DAY_NS)


@pytest.mark.parametrize(("trials", "expected"), [(10, 1.57), (100, 2.53), (1_000, 3.26), (10_000, 3.86)])
def test_expected_best_of_many(trials: int, expected: float) -> None:
    assert expected_best(trials) == pytest.approx(expected, abs=0.005)


def test_deflation_only_lowers() -> None:
    one = series(2)
    chances = [deflated_sharpe(one, sharpe_sd_of_trials=0.1, trials=count) for count in (1, 10, 100, 1_000)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] == pytest.approx(probabilistic_sharpe(one))


def test_t20_a_tiny_ratio_per_event_passes_no_gate() -> None:
    """Trap T20: 0.0002 per block is nothing, however it would look annualized over millions of events."""
    values = np.random.default_rng(1).standard_normal(10_000)
    values += 0.0002 - values.mean()
    assert deflated_sharpe(BlockSeries(values, DAY_NS), sharpe_sd_of_trials=0.01, trials=100) < 0.05


def test_a_series_of_events_is_not_a_block_series() -> None:
    with pytest.raises(InputError, match="finite"):
        BlockSeries(np.array([1.0, np.nan, 2.0]), DAY_NS)
    with pytest.raises(InputError, match="at least 3"):
        BlockSeries(np.array([1.0, 2.0]), DAY_NS)
    assert BlockSeries(np.ones(5), DAY_NS).sharpe == 0.0


def test_luck_overfits_and_skill_does_not() -> None:
    draw = np.random.default_rng(3)
    noise = draw.standard_normal((320, 40))
    pbos = [overfitting(draw.standard_normal((320, 40)), 8).pbo for _ in range(40)]
    assert 0.4 < float(np.mean(pbos)) < 0.6
    skilled = noise.copy()
    skilled[:, 11] += 0.8
    found = overfitting(skilled)
    assert len(found.logits) == 12_870
    assert found.pbo < 0.001
    assert found.loss_ratio < 0.001


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(InputError, match="even number of parts"):
        overfitting(np.zeros((20, 3)), 16)
    with pytest.raises(InputError, match="at least 2 to choose"):
        overfitting(np.zeros((64, 1)))
    with pytest.raises(InputError, match="finite"):
        overfitting(np.full((64, 2), np.nan))
