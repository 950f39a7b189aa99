"""A simulated hour looks like a market: its invariants hold in every row, its statistics in the ranges of real captures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builders_worlds import START_DAY, a_market, mid_at, of_kind
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S, ns_of_date
from edgesmith.worlds.parameters import TapeParameters

START_NS = ns_of_date(START_DAY)
TICK_BPS = 0.1 / 60_000 * 1e4


@pytest.fixture(scope="module")
def hour() -> NDArray[Any]:
    """One hour at the full rate of a BTC perpetual."""
    return a_market(seed=21, rate=1.0).hour(1)


def ticks(prices: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(prices * 10.0).astype(np.int64)


def test_every_row_is_possible(hour: NDArray[Any]) -> None:
    quotes, trades = of_kind(hour, 0), of_kind(hour, 1)
    assert np.array_equal(quotes["bid_price"], ticks(quotes["bid_price"]) / 10.0), "prices are the doubles nearest to the grid"
    assert np.array_equal(trades["price"], ticks(trades["price"]) / 10.0)
    assert np.array_equal(trades["qty"], np.rint(trades["qty"] * 1000) / 1000.0)
    assert (ticks(quotes["ask_price"]) > ticks(quotes["bid_price"])).all()
    assert min(quotes["bid_qty"].min(), quotes["ask_qty"].min(), trades["qty"].min()) >= 0.001
    assert set(np.unique(trades["side"])) == {-1, 1} and not quotes["side"].any() and not hour["flags"].any()
    for kind in range(5):
        rows = of_kind(hour, kind)
        assert np.array_equal(rows["seq"], np.arange(len(rows)))


def test_clocks(hour: NDArray[Any]) -> None:
    assert (np.diff(hour["ts_event"]) >= 0).all() and not (hour["ts_event"] % NS_PER_MS).any()
    assert hour["ts_event"][0] >= START_NS + NS_PER_HOUR and hour["ts_event"][-1] < START_NS + 2 * NS_PER_HOUR
    latency_ms = (hour["ts_recv"] - hour["ts_event"]) / NS_PER_MS
    assert latency_ms.min() > 1.0 and 3.0 < np.median(latency_ms) < 8.0 and 20.0 < np.percentile(latency_ms, 99) < 100.0
    assert (np.diff(of_kind(hour, 0)["ts_recv"]) > 0).all(), "no two quotes share a receive stamp"
    for kind in range(1, 5):
        assert (np.diff(of_kind(hour, kind)["ts_recv"]) >= 0).all()


def test_slow_streams_have_their_cadence(hour: NDArray[Any]) -> None:
    marks, rates, interest = (of_kind(hour, kind) for kind in (2, 3, 4))
    assert len(marks) == len(rates) == 3_600 and len(interest) == 1_200
    assert (np.diff(marks["ts_event"]) == NS_PER_S).all() and (np.diff(interest["ts_event"]) == 3 * NS_PER_S).all()
    assert (rates["next_funding_ts"] == START_NS + 8 * NS_PER_HOUR).all()
    assert (np.abs(rates["funding_rate"]) < 0.001).all() and interest["open_interest"].min() > 0.0
    mids = mid_at(hour, marks["ts_recv"])
    assert np.abs(marks["mark_price"] / mids - 1.0).max() < 0.01 and np.isfinite(marks["index_price"]).all()


def test_orders_trade_from_the_touch_outwards(hour: NDArray[Any]) -> None:
    in_order = hour[hour["kind"] < 2]
    is_quote = in_order["kind"] == 0
    last_quote = np.maximum.accumulate(np.where(is_quote, np.arange(len(in_order)), -1))
    trades = np.flatnonzero(~is_quote & (last_quote >= 0))
    before = in_order[last_quote[trades]]
    side = in_order["side"][trades]
    touch = np.where(side > 0, ticks(before["ask_price"]), ticks(before["bid_price"]))
    through = side * (ticks(in_order["price"][trades]) - touch)
    # The row before the first fill of an order is a quote; its first fill is at that quote's touch.
    first_fill = is_quote[trades - 1]
    assert (through >= 0).all() and (through[first_fill] == 0).all() and (through > 0).any()


def test_rates_spread_and_sizes(hour: NDArray[Any]) -> None:
    quotes, trades = of_kind(hour, 0), of_kind(hour, 1)
    assert 100 < len(quotes) / 3_600 < 320 and 30 < len(trades) / 3_600 < 120
    stays_ns = np.diff(quotes["ts_recv"])
    one_tick = (ticks(quotes["ask_price"]) - ticks(quotes["bid_price"]))[:-1] == 1
    assert (stays_ns * one_tick).sum() / stays_ns.sum() > 0.97
    largest = np.sort(trades["qty"])[::-1]
    assert largest[0] > 50 * np.median(trades["qty"])
    counts = np.bincount((quotes["ts_event"] - quotes["ts_event"][0]) // NS_PER_S)
    assert counts.var() / counts.mean() > 10, "quotes come in bursts"


def test_moves_are_rare_large_and_diffusive(hour: NDArray[Any]) -> None:
    first_ns, last_ns = hour["ts_recv"][0] + NS_PER_S, hour["ts_recv"][-1] - NS_PER_S
    variance = {}
    for step_ns in (NS_PER_S // 10, NS_PER_S, 10 * NS_PER_S):
        moves_bps = np.diff(np.log(mid_at(hour, np.arange(first_ns, last_ns, step_ns)))) * 1e4
        variance[step_ns] = moves_bps.var() * NS_PER_S / step_ns
        if step_ns < NS_PER_S:
            assert (moves_bps == 0).mean() > 0.7
            assert ((moves_bps - moves_bps.mean()) ** 4).mean() / moves_bps.var() ** 2 - 3.0 > 10.0
    assert all(0.5 < value < 5.0 for value in variance.values())
    assert 0.5 < variance[10 * NS_PER_S] / variance[NS_PER_S // 10] < 2.0


def test_order_signs_persist_and_fade(hour: NDArray[Any]) -> None:
    trades = of_kind(hour, 1)
    starts = np.r_[True, (np.diff(trades["side"]) != 0) | (np.diff(trades["ts_recv"]) != 0)]
    signs = trades["side"][starts].astype(float)
    near, middle, far = (float((signs[:-lag] * signs[lag:]).mean()) for lag in (1, 10, 200))
    assert near > 0.08 and near > middle > far > -0.03


def test_imbalance_foretells_the_next_move_but_not_enough_to_pay(hour: NDArray[Any]) -> None:
    quotes = of_kind(hour, 0)
    mid = ticks(quotes["bid_price"]) + ticks(quotes["ask_price"])
    moved = np.flatnonzero(np.diff(mid))
    every = np.searchsorted(quotes["ts_recv"], np.arange(quotes["ts_recv"][0] + NS_PER_S, quotes["ts_recv"][-1], NS_PER_S)) - 1
    next_move = np.searchsorted(moved, every)
    every, next_move = every[next_move < len(moved)], next_move[next_move < len(moved)]
    direction = np.sign(np.diff(mid)[moved[next_move]])
    imbalance = ((quotes["bid_qty"] - quotes["ask_qty"]) / (quotes["bid_qty"] + quotes["ask_qty"]))[every]
    strong = np.abs(imbalance) > 0.6
    assert (np.sign(imbalance) == direction)[strong].mean() > 0.7
    instants_ns = quotes["ts_recv"][every]
    ahead_bps = (mid_at(hour, instants_ns + 5 * NS_PER_S) / mid_at(hour, instants_ns) - 1.0) * 1e4
    earned_bps = (np.sign(imbalance) * ahead_bps)[strong].mean()
    assert 0.0 < earned_bps < 1.0


def test_buyers_and_sellers_are_alike() -> None:
    orders, surplus = 0, 0
    for seed in range(4):
        hour = a_market(seed=seed, rate=0.5).hour(0)
        trades, quotes = of_kind(hour, 1), of_kind(hour, 0)
        starts = np.r_[True, np.diff(trades["ts_recv"]) != 0]
        orders += int(starts.sum())
        surplus += int(trades["side"][starts].sum())
        assert abs(np.log(quotes["bid_qty"].mean() / quotes["ask_qty"].mean())) < 0.2
    # Signs are autocorrelated, which widens the error of their mean about threefold.
    assert abs(surplus / orders) < 10.0 / orders**0.5


def test_the_skeleton_walk_has_the_volatility_asked_for() -> None:
    market = a_market(rate=1.0)
    opens = np.array([market.opening_ticks(hour) for hour in range(401)])
    steps_bps = np.diff(np.log(opens)) * 1e4
    assert opens[0] == 600_000
    assert abs(steps_bps.std() / TapeParameters().volatility_hour_bps - 1.0) < 0.12
    assert abs(steps_bps.mean()) < 3.0 * steps_bps.std() / 20.0


@pytest.mark.parametrize(("stamp_ms", "step_ns"), [(100.0, 100 * NS_PER_MS), (0.001, 1_000), (1e-6, 1)])
def test_the_venue_stamps_as_finely_as_it_does(stamp_ms: float, step_ns: int) -> None:
    plain, stamped = a_market().hour(0), a_market(stamp_ms=stamp_ms).hour(0)
    for field in ("ts_recv", "kind", "seq", "side"):
        assert np.array_equal(plain[field], stamped[field])
    assert np.array_equal(of_kind(plain, 0)["bid_qty"], of_kind(stamped, 0)["bid_qty"])
    coarser_ns = max(NS_PER_MS, step_ns)
    assert np.array_equal(plain["ts_event"] // coarser_ns, stamped["ts_event"] // coarser_ns)
    assert not (stamped["ts_event"] % step_ns).any() and (np.diff(stamped["ts_event"]) >= 0).all()
    assert step_ns > 1 or (stamped["ts_event"] % 10).any()
