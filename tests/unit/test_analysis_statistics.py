"""The statistics of an analysis beside textbook implementations and slow twins, on small data with ties and holes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from builders_analysis import CONFIG, coded_of, null_rows, rows_of
from edgesmith.evaluation.analysis.codes import BINS, MISSING, average_ranks, cuts_of, encode, even_sample
from edgesmith.evaluation.analysis.correlation import clusters_of, feature_correlation
from edgesmith.evaluation.analysis.describe import QUANTILES, autocorrelation, center_and_scale, describe
from edgesmith.evaluation.analysis.distribution import feature_distributions
from edgesmith.evaluation.analysis.intervals import block_error, student_quantile
from edgesmith.evaluation.analysis.label_correlation import label_correlations, label_moments
from edgesmith.evaluation.analysis.label_distribution import class_counts, entropy_ratio, label_distribution
from edgesmith.evaluation.analysis.moments import influence_of, pair_moments
from edgesmith.evaluation.analysis.psi import psi_by_codes
from edgesmith.evaluation.analysis.stability import sign_agreement
from naive import analysis as naive


def holed(count: int, seed: int, share: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, count).astype(np.float32)
    values[rng.random(count) < share] = np.nan
    return values


def scales(coded: object) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array([center_and_scale(sample) for sample in coded.samples])  # type: ignore[attr-defined]
    return pairs[:, 0], pairs[:, 1]


def matrices(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, slice]:
    rows = rows_of(columns, np.random.default_rng(0).normal(size=len(next(iter(columns.values())))))
    coded = coded_of(rows)
    centers, widths = scales(coded)
    found = feature_correlation(coded, centers[:-1], widths[:-1], CONFIG, dict.fromkeys(columns, 0.0))
    return np.array(found.pearson, float), np.array(found.spearman, float), coded.layout.split.train


def test_correlations_of_all_pairs_are_those_of_scipy() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(size=4_000)
    columns = {
        "a": base,
        "b": np.exp(2 * base + rng.normal(size=4_000)),
        "c": np.round(base + rng.normal(size=4_000)),  # few levels: ranks are exact
        "d": rng.integers(0, 3, 4_000).astype(float),
    }
    pearson, spearman, train = matrices(columns)
    for i, first in enumerate(columns):
        for j, second in enumerate(columns):
            x, y = (columns[name][train].astype(np.float32) for name in (first, second))
            assert pearson[i, j] == pytest.approx(stats.pearsonr(x.astype(float), y.astype(float)).statistic, abs=1e-6)
            exact = {first, second} <= {"c", "d"}
            assert spearman[i, j] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-7 if exact else 1e-3)


def test_pairs_with_holes_count_the_rows_both_have_and_a_constant_correlates_with_nothing() -> None:
    x, y = holed(3_000, 1), holed(3_000, 2)
    y += 0.5 * np.nan_to_num(x)
    pearson, _, train = matrices({"x": x, "y": y, "z": np.full(3_000, 7.0)})
    both = np.isfinite(x[train]) & np.isfinite(y[train])
    expected = np.corrcoef(x[train][both].astype(float), y[train][both].astype(float))[0, 1]
    assert pearson[0, 1] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(pearson[2]).all() and pearson[0, 0] == pytest.approx(1.0)


def test_clusters_are_greedy_keep_the_strongest_and_do_not_depend_on_order() -> None:
    names = ("a", "b", "c", "d", "e")
    near = {("a", "b"): 0.95, ("b", "c"): -0.93, ("d", "e"): 0.91, ("a", "c"): 0.7}
    matrix = np.eye(5)
    for (one, other), value in near.items():
        matrix[names.index(one), names.index(other)] = matrix[names.index(other), names.index(one)] = value
    strength = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.2, "e": 0.2}
    found = clusters_of(names, matrix, 0.9, strength)
    assert [(one.columns, one.kept) for one in found] == [(("b", "a", "c"), "c"), (("d", "e"), "d")]
    order = [4, 2, 0, 3, 1]
    assert clusters_of(tuple(names[k] for k in order), matrix[np.ix_(order, order)], 0.9, strength) == found


def test_codes_keep_the_order_of_values_and_missing_apart() -> None:
    values = np.concatenate([holed(5_000, 3), [np.float32(-1e30), np.float32(1e30)]]).astype(np.float32)
    codes = np.empty(len(values), np.uint8)
    encode(values, cuts_of(even_sample(values)), codes)
    assert ((codes == MISSING) == np.isnan(values)).all()
    order = np.argsort(values[~np.isnan(values)])
    assert (np.diff(codes[~np.isnan(values)][order].astype(int)) >= 0).all()
    assert np.bincount(codes[codes != MISSING], minlength=BINS).max() <= 3 * len(values) / BINS


def test_average_ranks_are_those_of_scipy() -> None:
    values = np.round(np.random.default_rng(1).normal(size=500), 1)
    assert average_ranks(values) == pytest.approx((stats.rankdata(values) - 0.5) / 500 - 0.5)


def test_description_is_that_of_scipy() -> None:
    values = holed(2_000, 5)
    present = values[np.isfinite(values)].astype(float)
    found = describe(values, even_sample(values))
    assert (found.rows, found.minimum, found.maximum) == (len(present), present.min(), present.max())
    assert (found.mean, found.sd) == pytest.approx((present.mean(), present.std()))
    assert (found.skewness, found.excess_kurtosis) == pytest.approx((stats.skew(present), stats.kurtosis(present)))
    low, high = np.quantile(present, (0.25, 0.75))
    outside = (present < low - 1.5 * (high - low)) | (present > high + 1.5 * (high - low))
    assert found.outlier_ratio == pytest.approx(outside.mean())
    rows = rows_of({"x": values}, present[0] * np.ones(2_000))
    (distribution,) = feature_distributions(coded_of(rows))
    assert distribution.quantiles == pytest.approx(np.quantile(present, QUANTILES))
    assert distribution.missing_ratio == pytest.approx(np.isnan(values).mean())


def test_a_constant_and_an_empty_column_are_described_without_nan() -> None:
    rows = rows_of({"constant": np.full(500, 3.0), "empty": np.full(500, np.nan)}, np.random.default_rng(1).normal(size=500))
    constant, empty = feature_distributions(coded_of(rows))
    assert constant.notes == ("never varies",) and (constant.sd, constant.mean, constant.skewness) == (0.0, 3.0, None)
    assert empty.notes == ("always missing",) and empty.quantiles == () and empty.mean is None


def test_psi_is_the_textbook_sum() -> None:
    rng = np.random.default_rng(3)
    base, other = rng.integers(0, 7, 4_000).astype(np.float32), rng.integers(1, 8, 3_000).astype(np.float32)
    base[::50] = np.nan
    counts = []
    for values in (base, other):
        codes = np.empty(len(values), np.uint8)
        encode(values, np.concatenate([np.arange(1, 8), np.full(BINS - 7, np.inf)]).astype(np.float32), codes)
        counts.append(np.bincount(codes, minlength=256))
    # Seven levels of the first set are seven bins; the eighth level of the other falls in the last.
    assert psi_by_codes(*counts) == pytest.approx(naive.psi(base, other, np.arange(1, 7)))
    assert psi_by_codes(counts[0], counts[0]) == 0.0 and psi_by_codes(counts[0], counts[1] // 1_000) is None


def test_student_quantiles_are_those_of_scipy() -> None:
    for degrees in (5.0, 7.5, 12.0, 60.0, 1e4):
        assert student_quantile(0.975, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-3)


def test_block_errors_are_those_of_a_block_jackknife() -> None:
    rng = np.random.default_rng(8)
    x, blocks = rng.normal(size=6_000), np.repeat(np.arange(60), 100)
    y = 0.3 * x + np.repeat(rng.normal(size=60), 100) + rng.standard_t(4, 6_000)
    moments = np.zeros((60, 1, 6))
    starts, regimes = np.arange(0, 6_001, 100, dtype=np.int64), np.zeros(6_000, np.uint8)
    x, y = x.astype(np.float32), y.astype(np.float32)
    pair_moments(x, 0.5, 2.0, y, -1.0, 3.0, starts, regimes, moments)
    found = influence_of(moments[:, 0])
    assert found.r == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6) and found.psi.sum() == pytest.approx(0.0, abs=1e-12)
    error = block_error(found.psi, np.ones(60, bool)).standard_error
    assert error == pytest.approx(naive.jackknife_error(x, y, blocks), rel=0.03)
    pair_moments.py_func(x, 0.5, 2.0, y, -1.0, 3.0, starts, regimes, uncompiled := np.zeros((60, 1, 6)))
    assert np.allclose(uncompiled, moments, rtol=1e-12)


def test_the_label_correlation_is_the_rank_correlation_of_the_train_rows() -> None:
    rows = null_rows(5, 8_000)
    coded = coded_of(rows)
    (first, *_) = label_correlations(coded, label_moments(coded, *scales(coded)), CONFIG)
    train = coded.layout.split.train
    x, y = rows.values[0, train], rows.label[train]
    assert first.spearman == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-3)
    assert first.pearson == pytest.approx(stats.pearsonr(x.astype(float), y.astype(float)).statistic, abs=1e-5)
    assert first.low < first.spearman < first.high and 1 < first.rows_effective < first.rows == len(x)


def test_the_label_says_how_balanced_it_is_and_that_neighbors_overlap() -> None:
    rows = null_rows(6, 8_000)
    gap = np.r_[0:3_000, 3_300:8_000]
    rows = rows._replace(
        ts_ns=rows.ts_ns[gap], values=rows.values[:, gap], label=rows.label[gap], volatility=rows.volatility[gap]
    )
    found = label_distribution(coded_of(rows), CONFIG)
    assert found.rows == len(gap) and found.up + found.flat + found.down == found.rows
    assert (
        found.balance == "balanced" and found.drift == "steady" and found.needed_ic == pytest.approx(1.5 / 1.755 / found.sd_bps)
    )
    for lag_ns, value in zip(found.autocorrelation_lags_ns[:6], found.autocorrelation[:6], strict=True):
        assert value == pytest.approx(naive.autocorrelation(rows.label, rows.ts_ns, found.mean_bps, lag_ns), abs=1e-5)
    assert found.autocorrelation[0] > 0.7 and abs(found.autocorrelation[5]) < 0.1
    assert autocorrelation(rows.label[:1], rows.ts_ns[:1], 0.0, 1, 1) is None


def test_entropy_and_signs() -> None:
    assert entropy_ratio(np.array([5, 0, 5])) == pytest.approx(1.0) and entropy_ratio(np.array([5, 0, 0])) == 0.0
    assert entropy_ratio(np.array([1, 2, 1])) == pytest.approx(stats.entropy([1, 2, 1]) / np.log(3))
    assert class_counts(np.array([-1, 0, 2, np.nan, 3], np.float32)).tolist() == [1, 1, 2]
    moments = np.array([[300, 0, 0, 300, 300, r * 300] for r in (0.2, 0.1, -0.3)])
    assert sign_agreement(0.1, moments) == pytest.approx(2 / 3) and sign_agreement(-0.1, moments) == pytest.approx(1 / 3)
    assert sign_agreement(0.0, moments) is None
