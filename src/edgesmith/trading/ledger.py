"""Fills and funding become cash, position, equity and streaming drawdown; compiled, exact in int64.

For every run, at every event: cash_e8 = start - sum(traded value) - sum(fees) + sum(funding), and
equity_e8 = cash_e8 + sum over instruments of the mark value of the position. Cost is average cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesmith.compiled import kernel
from edgesmith.domain.units import INT64_MAX
from edgesmith.venues.simulated.fees import fee_e8, mark_value_e8, value_e8

# Below 1 by more than any rounding of a product and a quotient.
NEARLY_ONE = 1.0 - 1e-9


@kernel
def observe_equity(run):  # type: ignore[no-untyped-def]
    """Take the current equity into peak, drawdown and the curve bucket; O(1) memory."""
    equity = run.equity_e8
    run.observed_e8 = equity
    if equity > run.peak_e8:
        run.peak_e8 = equity
    elif run.peak_e8 - equity > run.drawdown_max_e8:
        run.drawdown_max_e8 = run.peak_e8 - equity
    if equity < run.curve_min:
        run.curve_min = equity
    if equity > run.curve_max:
        run.curve_max = equity
    # The bucket's drawdown is never above the run's; most events are below both, and a product says so sooner than a division.
    if run.peak_e8 - equity > run.curve_drawdown_ratio * NEARLY_ONE * run.peak_e8 and run.peak_e8 > 0:
        ratio = (run.peak_e8 - equity) / run.peak_e8
        if ratio > run.drawdown_ratio_max:
            run.drawdown_ratio_max = ratio
        if ratio > run.curve_drawdown_ratio:
            run.curve_drawdown_ratio = ratio


@kernel
def mark_position(run, book):  # type: ignore[no-untyped-def]
    """Value the position of one instrument at its current mid price."""
    value = mark_value_e8(book, book.position_lots, book.bid_ticks + book.ask_ticks)
    run.equity_e8 += value - book.mark_value_e8
    book.mark_value_e8 = value


@kernel
def set_exit_levels(run, book):  # type: ignore[no-untyped-def]
    """Turn the stop-loss and take-profit ratios into amounts of unrealized PnL for the current cost; 0 is never reached."""
    cost = abs(book.cost_e8)
    book.stop_e8 = np.int64(np.rint(-run.stop_loss_ratio * cost)) if run.stop_loss_ratio > 0.0 else -INT64_MAX
    book.take_e8 = np.int64(np.rint(run.take_profit_ratio * cost)) if run.take_profit_ratio > 0.0 else INT64_MAX


@kernel
def _open_trip(run, book, ts):  # type: ignore[no-untyped-def]
    book.opened_ts = ts
    if run.open_positions == 0:
        run.exposed_since = ts
    run.open_positions += 1


@kernel
def _close_trip(run, book, ts):  # type: ignore[no-untyped-def]
    run.round_trips += 1
    if book.trip_net_e8 > 0:
        run.wins += 1
    run.round_trip_pnl_e8 += book.trip_net_e8
    book.trip_net_e8 = 0
    run.holding_ns += ts - book.opened_ts
    run.open_positions -= 1
    if run.open_positions == 0:
        run.exposure_ns += ts - run.exposed_since


@kernel
def apply_fill(run, book, side, lots, price, is_maker, ts):  # type: ignore[no-untyped-def]
    """Book one execution of ours; returns (fee_e8, realized_e8, closes)."""
    signed = side * lots
    value = value_e8(book, signed, price)
    fee = fee_e8(value, book.maker_fee_ratio if is_maker else book.taker_fee_ratio)
    position = book.position_lots
    closing = min(lots, abs(position)) if position * side < 0 else 0
    realized: Any = 0
    closing_fee: Any = 0
    if closing > 0:
        closing_value = value if closing == lots else value_e8(book, side * closing, price)
        closing_fee = fee if closing == lots else np.int64(np.rint(fee * (closing / lots)))
        released = book.cost_e8 if closing == abs(position) else np.int64(np.rint(book.cost_e8 * (closing / abs(position))))
        realized = -closing_value - released
        book.cost_e8 -= released
        book.trip_net_e8 += realized - closing_fee
        value_left = value - closing_value
    else:
        value_left = value
    closes = 1 if closing > 0 and closing == abs(position) else 0
    if closes:
        _close_trip(run, book, ts)
    if closing < lots:
        if position == 0 or closes:
            _open_trip(run, book, ts)
        book.cost_e8 += value_left
        book.trip_net_e8 -= fee - closing_fee
    book.position_lots = position + signed
    run.cash_e8 -= value + fee
    run.equity_e8 -= value + fee
    run.realized_e8 += realized
    run.fees_e8 += fee
    run.turnover_e8 += abs(value)
    run.fills += 1
    run.maker_fills += is_maker
    run.last_fill_event = run.events
    mark_position(run, book)
    set_exit_levels(run, book)
    return fee, realized, closes


@kernel
def pay_funding(run, book, ts):  # type: ignore[no-untyped-def]
    """Pay or receive one funding interval: -value x rate, at the mark price, of what the venue holds for us, reported or not."""
    if book.venue_lots == 0:
        return
    if book.mark_price > 0.0:
        ticks = book.mark_price * book.ticks_per_price
    else:
        ticks = 0.5 * (book.bid_ticks + book.ask_ticks)
    if book.value_e8 != 0:
        value = book.venue_lots * ticks * book.value_e8
    else:
        # An inverse long is a positive exposure although its value is negative.
        value = book.venue_lots * book.inverse_e8 / ticks
    flow = -np.int64(np.rint(value * book.funding_rate))
    run.cash_e8 += flow
    run.equity_e8 += flow
    run.funding_e8 += flow
    book.trip_net_e8 += flow
