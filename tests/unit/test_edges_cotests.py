"""Co-tests: one lucky trade, or one wild hour, cannot carry an edge alone."""

from __future__ import annotations

import numpy as np
import pytest

from edgesmith.edges.validation.cotests import per_volatility, winsorized_bps
from edgesmith.edges.validation.sums import EdgeSums


def test_a_single_lucky_trade_is_cut() -> None:
    net = np.r_[np.full(299, -0.5), 900.0]
    assert net.mean() > 2.0 and winsorized_bps(net) == pytest.approx(-0.5)
    even = np.linspace(-1.0, 3.0, 400)
    assert winsorized_bps(even) == pytest.approx(1.0)
    assert winsorized_bps(np.zeros(0)) is None


def test_a_wild_hour_counts_by_its_volatility() -> None:
    # n, g, c, gg, gc, cc by block: 10 rows each, quiet hours lose 1 bps a row, one with 100 times the volatility gains 50.
    total = np.zeros((11, 1, 6))
    total[:, 0, 0] = 1_000.0
    total[:, 0, 3] = np.r_[np.full(10, 1_000.0 * 1.0**2), 1_000.0 * 100.0**2]
    cell = np.zeros_like(total)
    cell[:, 0, 0] = 10.0
    cell[:, 0, 1] = np.r_[np.full(10, -10.0), 500.0]
    sums = EdgeSums(np.arange(11), 300, ((0, 1),), cell, total)
    assert cell[:, 0, 1].sum() > 0.0
    assert per_volatility(sums, 0, 1) == pytest.approx((-10.0 * 10 + 500.0 / 100.0) / 110.0)
    assert per_volatility(sums, 0, -1) == pytest.approx((100.0 - 5.0) / 110.0)
    assert per_volatility(sums._replace(cell=np.zeros_like(cell)), 0, 1) is None
