"""Models behind importances: the fit is the textbook one, permuting is what it says, and what helps is found."""

from __future__ import annotations

import numpy as np
import pytest

from builders_analysis import CONFIG, coded_of, planted_rows, report_of
from edgesmith.errors import DataError
from edgesmith.evaluation.analysis import AnalysisConfig, ridge
from edgesmith.evaluation.analysis.describe import center_and_scale
from edgesmith.evaluation.analysis.importance import block_cycles
from naive import analysis as naive


def test_the_ridge_is_the_penalized_least_squares_fit() -> None:
    rows = planted_rows(1, 4_000)
    coded = coded_of(rows)
    centers, scales = np.array([center_and_scale(sample) for sample in coded.samples]).T
    train = coded.layout.split.train
    model = ridge.fit_ridge(rows, train, 10, centers, scales)
    z = np.stack([ridge.scaled(rows.values[k, train], centers[k], scales[k]) for k in range(len(rows.columns))]).astype(float)
    y = rows.label[train].astype(float)
    centered = z - z.mean(axis=1, keepdims=True)
    gram = centered @ centered.T / len(y)
    weights = np.linalg.solve(gram + model.penalty * np.diag(np.diag(gram)), centered @ (y - y.mean()) / len(y))
    assert model.weights == pytest.approx(weights, rel=1e-4, abs=1e-6)
    forecast = weights @ z + model.intercept
    assert model.r2_train == pytest.approx(1 - ((y - forecast) ** 2).sum() / ((y - y.mean()) ** 2).sum(), abs=1e-6)
    assert ridge.forecast(model, rows, train, centers, scales) == pytest.approx(forecast, abs=1e-3)


def test_permuting_is_forecasting_again_with_other_blocks() -> None:
    rng = np.random.default_rng(2)
    z, errors = rng.normal(size=130).astype(np.float32), rng.normal(size=130).astype(np.float32)
    errors[::17] = np.nan
    sources, grown = block_cycles(6, 3, 5), np.zeros(6)
    ridge.permuted_losses(z, 0.7, errors, sources, 20, grown)
    assert grown == pytest.approx(naive.permuted_loss(z, 0.7, errors, sources, 20), rel=1e-4)


def test_every_block_takes_the_place_of_another_in_one_cycle() -> None:
    for source in block_cycles(9, 20, 3):
        assert sorted(source) == list(range(9)) and (source != np.arange(9)).all()
        at, steps = 0, 0
        while steps == 0 or at != 0:
            at, steps = int(source[at]), steps + 1
        assert steps == 9


@pytest.mark.parametrize("model", ["ridge", "xgboost"])
def test_what_a_model_needs_is_found(model: str) -> None:
    if model == "xgboost":
        pytest.importorskip("xgboost", reason="the extra `ml` is not installed")
    rows = planted_rows(3, 40_000, weight=2.0)
    kept = [place for place, name in enumerate(rows.columns) if name != "twin"]
    rows = rows._replace(columns=tuple(rows.columns[k] for k in kept), values=rows.values[kept])
    config = AnalysisConfig(**{**{name: getattr(CONFIG, name) for name in CONFIG.__struct_fields__}, "model": model})
    found = report_of(rows, config).importance
    best = max(found.features, key=lambda one: one.mean)
    assert best.column == "quick" and best.verdict == "needed" and best.low is not None and 0 < best.low < best.mean
    assert found.ic is not None and found.ic_low > 0 and found.r2 is not None and found.r2 > 0.05
    assert all(abs(one.mean) < best.mean / 20 for one in found.features if one.column != "quick")
    # The share of the label's variance that the planted part explains is what is lost without it, times two: once for
    # the part that is missing, once for the wrong one in its place.
    planted = 2.0**2 * np.nanvar(rows.values[rows.columns.index("quick")]) / np.nanvar(rows.label)
    assert best.mean == pytest.approx(2 * planted, rel=0.25)


def test_too_few_rows_are_refused() -> None:
    rows = planted_rows(1, 200)
    with pytest.raises(DataError, match="decision times to hold out in 3 m 19 s, expected at least 100"):
        report_of(rows)
