from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from builders_discovery import codes_of
from edgesmith.evaluation.bins import (
    DEFAULT_QUANTILES,
    FINE_BINS_MAX,
    MISSING,
    FeatureBins,
    coarse_codes,
    fit_bins,
    fit_fine_bins,
)


def naive_code(bins: FeatureBins, value: float) -> int:
    if np.isnan(value):
        return MISSING
    for code in range(bins.count):
        lower, upper = bins.bounds(code)
        if (lower is None or value >= lower) and (upper is None or value < upper):
            return code
    raise AssertionError(f"{value} fell between the bins {bins}")


def test_quantiles_hold_their_share_and_read_well() -> None:
    values = np.random.default_rng(1).normal(size=100_000)
    bins = fit_bins("x", values)
    assert bins.count == len(DEFAULT_QUANTILES) + 1
    codes = codes_of(values[:, None], (bins,))[:, 0]
    wanted = np.diff([0.0, *DEFAULT_QUANTILES, 1.0])
    np.testing.assert_allclose(np.bincount(codes) / len(codes), wanted, atol=0.0025)
    assert all(len(repr(cut)) <= 7 for cut in bins.cuts), bins.cuts
    assert bins.text(0) == f"x < {bins.cuts[0]}" and bins.text(11) == f"x >= {bins.cuts[-1]}"
    assert bins.text(3) == f"x >= {bins.cuts[2]} and x < {bins.cuts[3]}" and bins.text(MISSING) == "x is missing"


def test_few_levels_are_cut_between_them() -> None:
    levels = np.array([0.1, 0.2, 0.30000000000000004, 7.0])
    values = np.random.default_rng(2).choice(levels, 5_000, p=[0.97, 0.01, 0.01, 0.01])
    bins = fit_bins("spread", values)
    assert bins.cuts == (0.15, 0.25, 3.7)
    np.testing.assert_array_equal(codes_of(levels[:, None], (bins,))[:, 0], [0, 1, 2, 3])


def test_rounding_errors_do_not_split_a_level() -> None:
    rng = np.random.default_rng(4)
    bid_ticks = rng.integers(600_000, 690_000, 20_000)
    spread = (bid_ticks + rng.choice([1, 2, 5], 20_000)) * 0.1 - bid_ticks * 0.1
    assert len(np.unique(spread)) > 5
    assert fit_bins("spread", spread).cuts == (0.15, 0.35)
    # The same with so many levels that quantiles are cut: every cut lies well between two of them.
    wide = (bid_ticks + rng.integers(1, 40, 20_000)) * 0.1 - bid_ticks * 0.1
    distances = [abs(cut * 10 - round(cut * 10)) for cut in fit_bins("spread", wide).cuts]
    assert len(distances) >= 8 and min(distances) > 0.3


def test_massed_constant_and_absent_values_make_no_empty_bins() -> None:
    massed = np.concatenate([np.zeros(9_000), np.random.default_rng(3).normal(size=1_000)])
    bins = fit_bins("x", massed)
    codes = codes_of(massed[:, None], (bins,))[:, 0]
    assert (np.bincount(codes, minlength=bins.count) > 0).all()
    assert fit_bins("x", np.full(50, 3.0)).cuts == ()
    assert fit_bins("x", np.full(50, np.nan)).text(0) == "x is present"
    assert fit_bins("x", np.array([np.inf, -np.inf, 1.0, 2.0])).cuts == (1.5,)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=60))
def test_codes_equal_the_bounds(values: list[float]) -> None:
    column = np.array(values)
    bins = fit_bins("x", column)
    assert list(bins.cuts) == sorted(set(bins.cuts))
    assert codes_of(column[:, None], (bins,))[:, 0].tolist() == [naive_code(bins, value) for value in column]


def test_fine_bins_divide_the_coarse_ones_and_the_tails_most() -> None:
    values = np.random.default_rng(5).standard_t(3, 100_000)
    coarse = fit_bins("x", values)
    fine = fit_fine_bins(coarse, values)
    assert set(coarse.cuts) < set(fine.cuts) and 200 < fine.count <= FINE_BINS_MAX
    codes = codes_of(values[:, None], (fine,))[:, 0]
    assert list(codes[:200]) == [naive_code(fine, value) for value in values[:200]]
    np.testing.assert_array_equal(coarse_codes(coarse, fine)[codes], codes_of(values[:, None], (coarse,))[:, 0])
    share = np.bincount(codes, minlength=fine.count) / len(codes)
    assert (share > 0).all() and share[[0, -1]].max() < 0.001 and share[fine.count // 2] > 0.004
    assert coarse_codes(coarse, fine)[MISSING] == MISSING


def test_levels_and_absent_values_have_no_finer_bins() -> None:
    levels = np.repeat([0.1, 0.2, 0.3], 100)
    for values in (levels, np.full(9, np.nan)):
        coarse = fit_bins("x", values)
        assert fit_fine_bins(coarse, values) == coarse
