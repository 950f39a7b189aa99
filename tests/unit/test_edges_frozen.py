"""What a replay earns: sizes that move the price, contracts that are no coins, trades over lost data."""

from __future__ import annotations

import numpy as np
import pytest

from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.edges.validation.frozen import Frozen, Trades, _quoted_in_dollars, _unit_value, crosses_gap
from edgesmith.evaluation.impact import capacity
from edgesmith.evaluation.intervals import Interval

NONE = np.empty(0)
SLOPE = Interval(2.0, 1.5, 2.5)


def found(net_bps: float, *, shown_qty: float = 100.0, unit_usd: float | None = 1_000.0, slope: Interval = SLOPE) -> Frozen:
    sized = capacity(net_bps, slope, shown_qty, unit_usd or 1.0)
    trades = Trades(np.empty(0, np.int64), NONE, NONE)
    return Frozen(trades, Interval(net_bps, 0.0, 9.0), 0.6, 1.0, 10.0, (), 1.0, 1.0, sized, slope, shown_qty, unit_usd)


def test_a_larger_trade_keeps_less() -> None:
    # 6 - 2 q bps of q units of 1,000 dollars, ten times a day, is largest at 1.5 units: 3 bps of 15,000 dollars.
    assert found(8.0).usd_per_day(6.0, 1e6) == pytest.approx(4.5)
    for qty in (1.4, 1.6):
        assert (6.0 - 2.0 * qty) * qty * 1_000.0 * 10.0 * 1e-4 < 4.5
    assert found(8.0, shown_qty=1.0).usd_per_day(6.0, 1e6) == pytest.approx(5.8 * 100.0 * 10.0 * 1e-4)
    assert found(8.0).usd_per_day(6.0, 100.0) == pytest.approx(5.8 * 100.0 * 10.0 * 1e-4)
    assert found(8.0).usd_per_day(-1.0, 1e6) == pytest.approx(-5.0 * 2_000.0 * 10.0 * 1e-4)
    assert str(found(-3.0).usd_per_day(-4.0, 1e6)) == "0.0"


def test_dollars_are_only_said_where_dollars_are_meant() -> None:
    common = {"venue": "v", "symbol": "S", "tick_size": "0.1", "lot_size": "1"}
    inverse = Instrument(kind=ContractKind.INVERSE, settle="BTC", contract_value="100", **common)
    assert _unit_value(inverse, 60_000.0) == 100.0 and _quoted_in_dollars(inverse)
    linear = Instrument(kind=ContractKind.LINEAR, settle="USDT", **common)
    assert _unit_value(linear, 60_000.0) == 60_000.0 and _quoted_in_dollars(linear)
    assert not _quoted_in_dollars(Instrument(kind=ContractKind.SPOT, settle="BTC", **common))
    assert found(8.0, unit_usd=None).usd_per_day(6.0, 1e6) is None


def test_a_trade_over_lost_data_is_told_from_one_beside_it() -> None:
    gaps = np.array([[100, 200], [500, 500], [700, 900]])
    decided = np.array([0, 0, 200, 150, 499, 500, 600, 300])
    left = np.array([100, 101, 300, 160, 501, 510, 800, 950])
    brute = [any(begin < after and end > before for before, after in gaps) for begin, end in zip(decided, left, strict=True)]
    assert crosses_gap(decided, left, gaps).tolist() == brute == [False, True, False, True, True, False, True, True]
    assert not crosses_gap(decided, left, np.empty((0, 2), np.int64)).any()
