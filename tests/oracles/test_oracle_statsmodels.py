"""Adjusted p-values, and the textbook's standard error, beside statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests

from edgesmith.evaluation.significance import benjamini_hochberg, benjamini_yekutieli, mean_influence


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("ours", "method"), [(benjamini_hochberg, "fdr_bh"), (benjamini_yekutieli, "fdr_by")])
def test_false_discovery_rates(seed: int, ours: object, method: str) -> None:
    p = np.random.default_rng(seed).random(60) ** 3
    np.testing.assert_allclose(ours(p), multipletests(p, method=method)[1], rtol=1e-12)  # type: ignore[operator]
    # Trials that were looked at and dropped count as ones that showed nothing.
    dropped = multipletests(np.r_[p, np.ones(140)], method=method)[1][:60]
    np.testing.assert_allclose(ours(p, 200), dropped, rtol=1e-12)  # type: ignore[operator]


def test_block_influences_are_the_errors_of_clusters() -> None:
    # The mean of rows with clustered errors: statsmodels' sandwich without its correction for small samples.
    draw = np.random.default_rng(5)
    block = np.repeat(np.arange(80), 25)
    y = 0.2 + draw.standard_normal(80)[block] + draw.standard_normal(len(block))
    fit = sm.OLS(y, np.ones(len(y))).fit(cov_type="cluster", cov_kwds={"groups": block, "use_correction": False})
    n, s = (np.bincount(block, weights)[:, None] for weights in (np.ones(len(y)), y))
    influence = mean_influence(n, s)
    centered = (s - n * y.mean()) / len(y)
    assert float(np.sqrt((centered**2).sum())) == pytest.approx(float(fit.bse[0]), rel=1e-9)
    # Ours imposes "no profit", so it also holds the mean itself: larger by just that.
    wanted = (
        float(fit.bse[0]) ** 2
        + float((n**2).sum()) / len(y) ** 2 * float(y.mean()) ** 2
        + 2 * float((centered * n / len(y)).sum() * y.mean())
    )
    assert float(influence.standard_error[0]) ** 2 == pytest.approx(wanted, rel=1e-9)
