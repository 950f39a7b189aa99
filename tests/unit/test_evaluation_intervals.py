"""Intervals and half-lives from block sums: they hold the truth as often as they say, and know when they cannot say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgesmith.evaluation.half_life import NS_PER_DAY, calendar_half_life, latency_half_life, response_half_life
from edgesmith.evaluation.intervals import mean_interval, skewness_widening


@pytest.mark.parametrize("kind", ["heavy", "skewed", "uneven"])
def test_ninety_percent_intervals_hold_the_truth_that_often(kind: str) -> None:
    draw = np.random.default_rng(5)
    held, worlds, blocks = 0, 400, 60
    for world in range(worlds):
        n = draw.poisson(5, blocks).astype(float) if kind != "uneven" else draw.pareto(1.5, blocks).round() + 1.0
        noise = draw.exponential(1.0, blocks) - 1.0 if kind == "skewed" else draw.standard_t(3.5, blocks)
        found = mean_interval(n, 1.0 * n + 3.0 * noise * np.sqrt(n), seed=world, flips=999)
        held += found.low <= 1.0 <= found.high
    assert 0.86 <= held / worlds <= 0.94


def test_an_interval_without_blocks_bounds_nothing() -> None:
    nothing = mean_interval(np.zeros(5), np.zeros(5))
    assert math.isnan(nothing.mean)
    one = mean_interval(np.array([0.0, 7.0]), np.array([0.0, 14.0]))
    assert one == (2.0, -math.inf, math.inf)
    assert mean_interval(np.array([3.0, 7.0]), np.array([6.0, 14.0])) == (2.0, 2.0, 2.0)
    # Two blocks of about the same size bound nothing, and no rounding makes a number of it.
    for more in (0.1, 0.3, 1.7):
        assert mean_interval(np.array([30.0, 30.0]), np.array([570.3, 590.0 + more]))[1:] == (-math.inf, math.inf)


def test_scaling_labels_scales_the_interval() -> None:
    draw = np.random.default_rng(2)
    n, s = draw.poisson(9, 50).astype(float), draw.normal(2.0, 5.0, 50)
    one, two = mean_interval(n, s), mean_interval(n, -3.0 * s)
    assert two.low == pytest.approx(-3.0 * one.high)
    assert two.high == pytest.approx(-3.0 * one.low)


def sums(means: np.ndarray, noise: float, blocks: int = 200, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    n = draw.poisson(20, (blocks, 1)).astype(float) * np.ones(len(means))
    return n, n * means + draw.normal(0.0, noise, (blocks, len(means))) * np.sqrt(n)


def test_response_half_life_is_where_half_of_the_peak_is_reached() -> None:
    horizons_ns = np.array([1, 2, 5, 10, 30]) * 10**9
    peak = 8.0 * (1.0 - np.exp2(-horizons_ns / 5e9))
    found = response_half_life(*sums(peak, 2.0), horizons_ns, seed=1)
    assert found.value_ns is not None and found.low_ns is not None and found.high_ns is not None
    assert found.low_ns <= 4.9e9 <= found.high_ns
    assert found.value_ns == pytest.approx(4.9e9, rel=0.1)
    assert not response_half_life(*sums(0.0 * peak, 2.0), horizons_ns, seed=1).identified


def test_latency_half_life() -> None:
    latencies_ns = np.array([0, 5, 20, 50, 100, 250]) * 10**6
    found = latency_half_life(*sums(6.0 * np.exp2(-latencies_ns / 40e6), 2.0), latencies_ns, seed=1)
    assert found.value_ns == pytest.approx(40e6, rel=0.15)
    assert not latency_half_life(*sums(np.full(6, 6.0), 2.0), latencies_ns, seed=1).identified


def test_calendar_half_life_within_a_third_after_three_half_lives() -> None:
    day_index = np.repeat(np.arange(15), 48)
    within = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        n = draw.poisson(20, len(day_index)).astype(float)
        s = n * 20.0 * np.exp2(-day_index / 5.0) + draw.normal(0.0, 20.0, len(n)) * np.sqrt(n)
        found = calendar_half_life(n, s, day_index, seed=seed)
        assert found.value_ns is not None
        within += abs(found.value_ns / NS_PER_DAY / 5.0 - 1.0) <= 0.3
    assert within >= 16


def test_an_edge_that_does_not_fade_has_no_upper_end() -> None:
    day_index = np.repeat(np.arange(15), 48)
    draw = np.random.default_rng(4)
    n = draw.poisson(20, len(day_index)).astype(float)
    found = calendar_half_life(n, 10.0 * n + draw.normal(0.0, 20.0, len(n)) * np.sqrt(n), day_index, seed=1)
    assert found.high_ns is None or math.isinf(found.high_ns)
    assert not calendar_half_life(n[:96], n[:96], day_index[:96], seed=1).identified


@pytest.mark.parametrize("kind", ["even", "small wins, rare large losses"])
def test_rare_large_losses_are_not_taken_for_profit(kind: str) -> None:
    """One-sided 5 % at 60 blocks: flipped signs alone say "surely above" of 9 to 12 % of such skewed worlds without a profit."""
    worlds, blocks, above, surely = 400, 60, 0, 0
    draw = np.random.default_rng(11)
    for world in range(worlds):
        n = draw.poisson(5, blocks).astype(float)
        noise = 1.0 - draw.exponential(1.0, blocks) if kind != "even" else draw.normal(0.0, 1.0, blocks)
        s = noise * np.sqrt(n)
        above += mean_interval(n, s, seed=world, flips=999).low > 0.0
        strength = s.sum() / np.sqrt((s * s).sum()) / skewness_widening(n, s)
        surely += strength > 1.66
    assert above / worlds <= 0.075 and surely / worlds <= 0.075
    assert above / worlds >= 0.02


def test_losses_that_weigh_more_than_wins_push_the_lower_end_out_only() -> None:
    draw = np.random.default_rng(3)
    n, s = np.ones(60), 1.0 - draw.exponential(1.0, 60) + 0.5
    found, turned = mean_interval(n, s), mean_interval(n, -s)
    assert found.mean - found.low > 1.1 * (found.high - found.mean)
    assert turned.low == pytest.approx(-found.high) and turned.high == pytest.approx(-found.low)
    assert skewness_widening(n, s) > 1.05 and skewness_widening(n, -s) == 1.0
    symmetric = np.r_[s, 2.0 * s.mean() - s]
    assert skewness_widening(np.ones(120), symmetric) == pytest.approx(1.0, abs=0.02)
