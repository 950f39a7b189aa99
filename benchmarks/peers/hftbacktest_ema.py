"""hftbacktest: the EMA cross as a compiled strategy woken on every event, orders filled in the same instant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LOCAL_EVENT,
    MARKET,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
    event_dtype,
)
from numba import njit

from benchmarks.tape import read_tape

QTY, FEE_RATIO = 0.01, 0.0004
BOTH_SIDES = EXCH_EVENT | LOCAL_EVENT
CODES = tuple(np.uint64(kind | side | BOTH_SIDES) for kind in (DEPTH_EVENT, TRADE_EVENT) for side in (BUY_EVENT, SELL_EVENT))
ROWS_PER_EVENT_MAX = 4
FOREVER_NS = 10**18
NEW_FEED = 2


@njit
def _write(row, code, ts, price, qty):
    row.ev, row.exch_ts, row.local_ts, row.px, row.qty = code, ts, ts, price, qty


@njit
def _depth_rows(ts, kind, bid, ask, bid_qty, ask_qty, price, qty, side, codes, out):
    """Write its feed: a row per side that changed, with the old level deleted when the price moved; returns the rows written.

    A quote that changes nothing is written once more as it is, so that every event wakes the strategy.
    """
    used = 0
    for index in range(ts.shape[0]):
        now, begin = ts[index], used
        if kind[index] == 1:
            _write(out[used], codes[2] if side[index] > 0 else codes[3], now, price[index], qty[index])
            used += 1
            continue
        first = index == 0
        if not first and bid[index] != bid[index - 1]:
            _write(out[used], codes[0], now, bid[index - 1], 0.0)
            used += 1
        if not first and ask[index] != ask[index - 1]:
            _write(out[used], codes[1], now, ask[index - 1], 0.0)
            used += 1
        if first or bid[index] != bid[index - 1] or bid_qty[index] != bid_qty[index - 1]:
            _write(out[used], codes[0], now, bid[index], bid_qty[index])
            used += 1
        if first or ask[index] != ask[index - 1] or ask_qty[index] != ask_qty[index - 1]:
            _write(out[used], codes[1], now, ask[index], ask_qty[index])
            used += 1
        if used == begin:
            _write(out[used], codes[0], now, bid[index], bid_qty[index])
            used += 1
    return used


@njit
def _strategy(backtest, fast_weight, slow_weight, warm, qty):
    fast = slow = 0.0
    seen = side = 0
    order_id = 1
    while backtest.wait_next_feed(False, FOREVER_NS) == NEW_FEED:
        depth = backtest.depth(0)
        mid = 0.5 * (depth.best_bid + depth.best_ask)
        if seen == 0:
            fast = slow = mid
        else:
            fast += fast_weight * (mid - fast)
            slow += slow_weight * (mid - slow)
        if seen >= warm:
            size = qty if side == 0 else 2.0 * qty
            if fast > slow and side <= 0:
                backtest.clear_inactive_orders(0)
                backtest.submit_buy_order(0, order_id, depth.best_ask, size, GTC, MARKET, False)
                order_id += 1
                side = 1
            elif fast < slow and side >= 0:
                backtest.clear_inactive_orders(0)
                backtest.submit_sell_order(0, order_id, depth.best_bid, size, GTC, MARKET, False)
                order_id += 1
                side = -1
        seen += 1
    return seen


def prepare(events: int, fast_events: int, slow_events: int) -> Callable[[], dict[str, Any]]:
    """Return a run over the tape converted to its rows (not timed)."""
    tape = read_tape(events)
    names = ("ts", "kind", "bid", "ask", "bid_qty", "ask_qty", "price", "qty", "side")
    rows = np.zeros(ROWS_PER_EVENT_MAX * events, event_dtype)
    used = _depth_rows(*(tape[name] for name in names), np.array(CODES, np.uint64), rows)
    rows = rows[:used].copy()
    bounds = float(tape["bid"].min()) - 100.0, float(tape["ask"].max()) + 100.0
    weights = 2.0 / (fast_events + 1.0), 2.0 / (slow_events + 1.0)

    def run() -> dict[str, Any]:
        asset = (
            BacktestAsset()
            .data(rows)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(FEE_RATIO, FEE_RATIO)
            .tick_size(0.1)
            .lot_size(0.001)
            .last_trades_capacity(0)
            .roi_lb(bounds[0])
            .roi_ub(bounds[1])
        )
        backtest = ROIVectorMarketDepthBacktest([asset])
        seen = _strategy(backtest, *weights, slow_events, QTY)
        state, depth = backtest.state_values(0), backtest.depth(0)
        pnl = state.balance + state.position * 0.5 * (depth.best_bid + depth.best_ask) - state.fee
        facts = {"events": int(seen), "fills": int(state.num_trades), "pnl": float(pnl), "rows": used}
        backtest.close()
        return facts

    run()
    return run
