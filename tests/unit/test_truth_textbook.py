"""The methods printed beside ours are done right: their fault is the assumption, not the arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from edgesmith.edges.baselines.prior_method import run_prior_method
from edgesmith.edges.baselines.textbook import ic_t, iid_permutation, newey_west, welch


def sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.random(4_000) < 0.2, draw.standard_t(4, 4_000)


def test_p_values_agree_with_scipy_and_statsmodels() -> None:
    cell, y = sample(1)
    assert welch(cell, y) == pytest.approx(stats.ttest_ind(y[cell], y[~cell], equal_var=False).pvalue, rel=0.02)
    model = sm.OLS(y, sm.add_constant(cell.astype(float))).fit(cov_type="HAC", cov_kwds={"maxlags": 7})
    assert newey_west(cell, y, 7) == pytest.approx(model.pvalues[1], rel=1e-6)
    assert iid_permutation(cell, y, draws=999, seed=1) == pytest.approx(welch(cell, y), abs=0.06)


def test_the_ic_t_test_agrees_with_scipy() -> None:
    draw = np.random.default_rng(3)
    factor, y = draw.integers(0, 4, 600).astype(float), draw.standard_normal(600)
    ics = [stats.spearmanr(factor[at : at + 10], y[at : at + 10]).statistic for at in range(0, 600, 10)]
    assert ic_t(factor, y) == pytest.approx(stats.ttest_1samp(ics, 0.0).pvalue, rel=0.1)
    assert ic_t(np.ones(600), y) == 1.0 and ic_t(factor + 3.0 * y, y) < 1e-6


def test_the_prior_method_promotes_noise() -> None:
    """Slow features beside a random walk: nothing to find, and it accepts a good part of what it keeps."""
    draw = np.random.default_rng(2)
    rows = 20_000
    noise = draw.normal(0.0, 0.02, (rows, 3))
    slow = np.zeros((rows, 3))
    for i in range(1, rows):
        slow[i] = 0.999 * slow[i - 1] + noise[i]
    mid = 100.0 * np.exp(np.cumsum(draw.standard_t(4, rows) * 1e-4))
    clusters = (np.argsort(np.argsort(slow[:, 0])) * 4 // rows).astype(np.int64)
    found = run_prior_method(("a", "b", "c"), slow, mid, clusters)
    assert found.kept > 0
    assert len(found.accepted) > 0.3 * found.kept
