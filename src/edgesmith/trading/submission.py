"""An intent becomes an order, or a refusal; compiled. The only way orders are born, for strategies and for forced exits."""

from __future__ import annotations

import numpy as np

from edgesmith.compiled import kernel
from edgesmith.domain.orders import OrderOrigin, OrderState, OrderType, Reason
from edgesmith.domain.units import INT64_MAX
from edgesmith.trading.risk import judge
from edgesmith.venues.simulated.latency import travel_ns
from edgesmith.venues.simulated.matching import arrive
from edgesmith.venues.simulated.state import EXIT_SLOTS, MAX_OPEN_ORDERS

EMPTY, IN_FLIGHT = int(OrderState.EMPTY), int(OrderState.IN_FLIGHT)
NONE, MAX_OPEN, NO_QUOTE = int(Reason.NONE), int(Reason.MAX_OPEN_ORDERS), int(Reason.NO_QUOTE)
INVALID_INTENT = int(Reason.INVALID_INTENT)
STRATEGY = int(OrderOrigin.STRATEGY)
LIMIT = int(OrderType.LIMIT)

# No intent may bring an instrument above this, 10 billion: int64 money must hold it, twice over and with the market moving.
VALUE_MAX_E8 = 1e18


@kernel
def _record(run, book, decisions, order_id, instrument, side, order_type, price, lots, origin, reason):  # type: ignore[no-untyped-def]
    if order_id == 0:
        # A strategy that asks for the same refused thing on every event makes one line, and is counted every time.
        run.refused[reason] += 1
        mark = reason * 2 + (side > 0)
        if book.last_refusal == mark:
            return
        book.last_refusal = mark
    else:
        book.last_refusal = 0
    line = decisions[run.decisions_used]
    line.ts = run.now
    line.event_index = run.events
    line.order_id = order_id
    line.price_ticks = price
    line.lots = lots
    line.instrument = instrument
    line.side = side
    line.order_type = order_type
    line.origin = origin
    line.reason = reason
    run.decisions_used += 1


@kernel
def count_pending(run, book, slot, lots):  # type: ignore[no-untyped-def]
    """Count `lots` of an order as on their way (negative: not any more); a reduce-only limit order is no expectation."""
    side = run.order_side[slot]
    if run.order_reduce_only[slot] == 0:
        book.pending_lots += side * lots
        if run.order_type[slot] == LIMIT and side > 0:
            book.limit_buy_lots += lots
        elif run.order_type[slot] == LIMIT:
            book.limit_sell_lots += lots
    elif run.order_type[slot] != LIMIT and side > 0:
        book.reduce_buy_lots += lots
    elif run.order_type[slot] != LIMIT:
        book.reduce_sell_lots += lots


@kernel
def _too_large(book, lots, price):  # type: ignore[no-untyped-def]
    size = abs(book.position_lots) + abs(book.pending_lots) + book.limit_buy_lots + book.limit_sell_lots + np.float64(lots)
    if book.value_e8 != 0:
        return size * max(price, book.ask_ticks) * book.value_e8 > VALUE_MAX_E8
    return size * book.inverse_e8 > VALUE_MAX_E8 * max(min(price, book.bid_ticks), 1)


@kernel
def _free_slot(run, origin):  # type: ignore[no-untyped-def]
    for slot in range(MAX_OPEN_ORDERS - EXIT_SLOTS if origin == STRATEGY else MAX_OPEN_ORDERS):
        if run.order_state[slot] == EMPTY:
            return slot
    return -1


@kernel
def submit(run, books, decisions, instrument, side, lots, order_type, price, tif, post_only, reduce_only, origin):  # type: ignore[no-untyped-def]
    """Judge an intent and send what was approved; returns (order id or 0, approved lots, reason)."""
    book = books[instrument]
    approved, reason = lots, NONE
    if book.has_quote == 0:
        approved, reason = 0, NO_QUOTE
    elif origin == STRATEGY and reduce_only == 0 and _too_large(book, lots, price):
        approved, reason = 0, INVALID_INTENT
    elif origin == STRATEGY and reduce_only == 0:
        approved, reason = judge(run, books, instrument, side, lots)
    slot = _free_slot(run, origin) if approved > 0 else -1
    if approved > 0 and slot < 0:
        approved, reason = 0, MAX_OPEN
    if approved == 0:
        _record(run, book, decisions, 0, instrument, side, order_type, price, lots, origin, reason)
        return 0, 0, reason
    if reason != NONE:
        run.refused[reason] += 1
    run.orders_sent += 1
    order_id = run.orders_sent
    _record(run, book, decisions, order_id, instrument, side, order_type, price, approved, origin, NONE)
    run.order_id[slot] = order_id
    run.order_state[slot] = IN_FLIGHT
    run.order_instrument[slot] = instrument
    run.order_side[slot] = side
    run.order_type[slot] = order_type
    run.order_tif[slot] = tif
    run.order_post_only[slot] = post_only
    run.order_reduce_only[slot] = reduce_only
    run.order_origin[slot] = origin
    run.order_price[slot] = price
    run.order_lots[slot] = approved
    run.order_approved[slot] = approved
    run.order_matched[slot] = 0
    run.order_known[slot] = 0
    run.order_ahead[slot] = 0.0
    run.order_cancel[slot] = INT64_MAX
    run.order_reference[slot] = book.bid_ticks + book.ask_ticks
    run.open_orders += 1
    if slot >= run.slots_high:
        run.slots_high = slot + 1
    count_pending(run, book, slot, approved)
    book.pending_orders += 1
    _send(run, book, slot, order_id)
    return order_id, approved, reason


@kernel
def _send(run, book, slot, order_id):  # type: ignore[no-untyped-def]
    # Without latency the order meets the very quote the decision was made on (preset `instant`).
    if run.entry_latency_ns == 0:
        arrive(run, book, slot, run.now)
        return
    ts = run.now + travel_ns(run.entry_latency_ns, run.jitter_ratio, run.seed, order_id, 0)
    run.order_arrive[slot] = ts
    run.next_arrival = min(run.next_arrival, ts)


@kernel
def request_cancel(run, slot):  # type: ignore[no-untyped-def]
    """Ask the venue to cancel an open order; it may fill before the request arrives."""
    if run.order_cancel[slot] != INT64_MAX:
        return
    ts = run.now + travel_ns(run.entry_latency_ns, run.jitter_ratio, run.seed, run.order_id[slot], 2)
    if run.order_arrive[slot] != INT64_MAX:
        ts = max(ts, run.order_arrive[slot] + 1)
    run.order_cancel[slot] = ts
    run.next_arrival = min(run.next_arrival, ts)


@kernel
def find_slot(run, order_id):  # type: ignore[no-untyped-def]
    """Return the slot of an open order, or -1."""
    for slot in range(run.slots_high):
        if run.order_state[slot] != EMPTY and run.order_id[slot] == order_id:
            return slot
    return -1
