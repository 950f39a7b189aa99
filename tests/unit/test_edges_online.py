from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import zeta

from edgesmith.edges.online import ALPHA, GAMMA_SUM, e_bh, e_value, gamma, next_level, wealth_left
from naive import online as naive

P = st.floats(1e-6, 1.0)


def test_gamma_is_a_falling_sequence_that_sums_to_one() -> None:
    assert pytest.approx(float(zeta(1.6)), rel=1e-14) == GAMMA_SUM
    shares = [gamma(j) for j in range(1, 1_000)]
    assert shares == sorted(shares, reverse=True) and gamma(0) == 0.0
    # The rest of the sum, as an integral.
    assert sum(shares) + 999.5**-0.6 / 0.6 / GAMMA_SUM == pytest.approx(1.0, abs=1e-6)


def test_the_published_formula_by_hand() -> None:
    w0 = ALPHA / 2
    assert next_level([]) == pytest.approx(gamma(1) * w0)
    # Runs 2 and 3 found something: the fifth gets what is left of the start, of the first payout and of the second.
    assert next_level([False, True, True, False]) == pytest.approx(gamma(5) * w0 + (ALPHA - w0) * gamma(3) + ALPHA * gamma(2))


@settings(max_examples=50)
@given(st.lists(P, max_size=30), st.sampled_from([0.01, 0.05, 0.2]))
def test_levels_and_wealth_are_those_of_the_naive_twin(p_values: list[float], alpha: float) -> None:
    levels, rejected, wealth = naive.lord_plus_plus(p_values, alpha, alpha / 2)
    found: list[bool] = []
    for p, level, expected in zip(p_values, levels, rejected, strict=True):
        assert next_level(found, alpha) == pytest.approx(level, rel=1e-6)
        found.append(expected)
        assert (p <= level) == expected
    if wealth:
        assert wealth_left(found, alpha) == pytest.approx(wealth[-1], abs=1e-9)
        assert wealth_left(found, alpha) >= -1e-12


@given(st.lists(P, max_size=12))
def test_e_bh_is_that_of_the_naive_twin(p_values: list[float]) -> None:
    values = [e_value(p) for p in p_values]
    assert list(e_bh(values)) == naive.e_bh(values, ALPHA)


def test_e_values_by_hand() -> None:
    assert e_value(0.0001) == 50.0
    assert e_bh([50.0]) == (True,) and e_bh([19.0]) == (False,)
    # Two hypotheses: one alone needs 40, two together 20 each.
    assert e_bh([41.0, 0.0]) == (True, False) and e_bh([39.0, 0.0]) == (False, False) and e_bh([21.0, 20.0]) == (True, True)
    # The calibrator is worth one on average over a uniform p: the integral of 0.5 p^(-1/2) is 1.
    steps = (np.arange(100_000) + 0.5) / 100_000
    assert math.isclose(float(np.mean([e_value(p) for p in steps])), 1.0, rel_tol=2e-3)


def test_trap_14_twenty_searches_of_noise_together_stay_within_the_level() -> None:
    # The worst dependence there is for a union: the p-values exclude each other.
    rng = np.random.default_rng(14)
    levels = [next_level([False] * t) for t in range(20)]
    bounds = np.cumsum([0.0, *levels])
    assert bounds[-1] <= ALPHA / 2
    draws = rng.uniform(size=20_000)
    found = np.zeros(20_000, bool)
    for t, level in enumerate(levels):
        shifted = (draws - bounds[t]) % 1.0  # uniform, and below `level` exactly where the others are not
        found |= shifted <= level
    assert found.mean() == pytest.approx(bounds[-1], abs=0.004)
    independent = (rng.uniform(size=(20_000, 20)) <= np.array(levels)).any(axis=1)
    assert independent.mean() <= ALPHA / 2 + 0.004
