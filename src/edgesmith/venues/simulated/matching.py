"""The simulated venue's matching; compiled. Assumptions, as inequalities: docs/adr/0004-simulated-venue.md.

All functions work on the fields of `venues.simulated.state` inside a run record and a book record. `ts` is the venue's
time on our clock. A taker never fills better than the touch; a maker never fills better than its price.
"""

from __future__ import annotations

import numpy as np

from edgesmith.compiled import kernel
from edgesmith.domain.orders import OrderState, OrderType, Reason, ReportKind, TimeInForce
from edgesmith.domain.units import INT64_MAX
from edgesmith.venues.simulated.latency import travel_ns
from edgesmith.venues.simulated.state import (
    DEPTH_TOUCH,
    MAX_REPORTS,
    MAX_SWEEP_LEVELS,
    QUEUE_PROPORTIONAL,
    QUEUE_TOUCH,
    SETTLE_NS,
)

EMPTY, IN_FLIGHT, RESTING, DONE = (
    int(OrderState.EMPTY),
    int(OrderState.IN_FLIGHT),
    int(OrderState.RESTING),
    int(OrderState.DONE),
)
MARKET, LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
IOC = int(TimeInForce.IOC)
ACCEPTED, FILLED, CANCELED, REJECTED = (
    int(ReportKind.ACCEPTED), int(ReportKind.FILLED), int(ReportKind.CANCELED), int(ReportKind.REJECTED),
)  # fmt: skip
NONE, NO_QUOTE, WOULD_TAKE, REDUCE_ONLY = (
    int(Reason.NONE),
    int(Reason.NO_QUOTE),
    int(Reason.WOULD_TAKE),
    int(Reason.REDUCE_ONLY),
)
UNFILLED, CANCEL_REQUESTED = int(Reason.UNFILLED), int(Reason.CANCEL_REQUESTED)

# Queue ahead of an order resting where nothing is displayed yet.
AHEAD_UNKNOWN = 1e18
LOT_TOLERANCE = 1e-6


@kernel
def push_report(run, book, kind, slot, ts, lots, price, maker, reason, last):  # type: ignore[no-untyped-def]
    """Send a report about `slot`; it reaches us one response latency after `ts`, never before an earlier report."""
    if run.report_count == MAX_REPORTS:
        run.report_overflow = 1
        return
    due = ts + travel_ns(run.response_latency_ns, run.jitter_ratio, run.seed, run.order_id[slot], 1)
    due = max(due, run.last_due)
    run.last_due = due
    place = (run.report_head + run.report_count) % MAX_REPORTS
    run.report_kind[place] = kind
    run.report_slot[place] = slot
    run.report_due[place] = due
    run.report_matched[place] = ts
    run.report_lots[place] = lots
    run.report_price[place] = price
    run.report_maker[place] = maker
    run.report_reason[place] = reason
    run.report_last[place] = last
    run.report_mid[place] = book.bid_ticks + book.ask_ticks
    if run.report_count == 0:
        run.next_due = due
    run.report_count += 1


@kernel
def end_order(run, book, slot, ts, kind, reason):  # type: ignore[no-untyped-def]
    """End an order that will fill no further and report it."""
    if run.order_state[slot] == RESTING:
        book.resting -= 1
    run.order_state[slot] = DONE
    push_report(run, book, kind, slot, ts, 0, 0, 0, reason, 1)


@kernel
def match(run, book, slot, ts, lots, price, maker):  # type: ignore[no-untyped-def]
    """Execute `lots` of an order at `price` ticks."""
    run.order_matched[slot] += lots
    book.venue_lots += run.order_side[slot] * lots
    last = 1 if run.order_matched[slot] == run.order_lots[slot] else 0
    reason = NONE
    if last == 1:
        if run.order_state[slot] == RESTING:
            book.resting -= 1
        run.order_state[slot] = DONE
        if run.order_lots[slot] < run.order_approved[slot]:
            reason = REDUCE_ONLY
    push_report(run, book, FILLED, slot, ts, lots, price, maker, reason, last)


@kernel
def match_resting(run, book, slot, ts, lots):  # type: ignore[no-untyped-def]
    """Execute `lots` of a resting order at its price; a reduce-only order ends where the position it may close ends."""
    if run.order_reduce_only[slot]:
        room = max(-book.venue_lots * run.order_side[slot], 0)
        if room == 0:
            end_order(run, book, slot, ts, CANCELED, REDUCE_ONLY)
            return
        if room <= lots:
            run.order_lots[slot] = run.order_matched[slot] + room
            lots = room
    match(run, book, slot, ts, lots, run.order_price[slot], 1)


@kernel
def take(run, book, slot, ts, has_limit):  # type: ignore[no-untyped-def]
    """Fill as taker from the touch outwards, up to the limit price if there is one."""
    side = run.order_side[slot]
    touch = book.ask_ticks if side > 0 else book.bid_ticks
    shown_qty = book.ask_qty if side > 0 else book.bid_qty
    shown = max(np.int64(shown_qty * book.lots_per_qty + LOT_TOLERANCE), 1)
    for level in range(MAX_SWEEP_LEVELS):
        left = run.order_lots[slot] - run.order_matched[slot]
        price = touch + side * level
        if left == 0 or price <= 0 or (has_limit and (run.order_price[slot] - price) * side < 0):
            return
        lots = left if run.depth_model == DEPTH_TOUCH else min(left, shown)
        match(run, book, slot, ts, lots, price, 0)


@kernel
def rest(run, book, slot, ts):  # type: ignore[no-untyped-def]
    """Put what is left of an order at the back of the queue at its price."""
    run.order_state[slot] = RESTING
    run.order_rested[slot] = ts
    if book.resting == 0:
        book.bid_traded = 0.0
        book.ask_traded = 0.0
    book.resting += 1
    side = run.order_side[slot]
    touch = book.bid_ticks if side > 0 else book.ask_ticks
    depth = (touch - run.order_price[slot]) * side
    if depth < 0:
        run.order_ahead[slot] = 0.0
    elif depth == 0:
        run.order_ahead[slot] = (book.bid_qty if side > 0 else book.ask_qty) * book.lots_per_qty
    else:
        run.order_ahead[slot] = AHEAD_UNKNOWN
    push_report(run, book, ACCEPTED, slot, ts, 0, 0, 0, NONE, 0)


@kernel
def arrive(run, book, slot, ts):  # type: ignore[no-untyped-def]
    """Let an order reach the venue: reject it, fill it, rest it, or both of the last."""
    side = run.order_side[slot]
    run.order_arrive[slot] = INT64_MAX
    if book.has_quote == 0:
        end_order(run, book, slot, ts, REJECTED, NO_QUOTE)
        return
    if run.order_reduce_only[slot]:
        room = -book.venue_lots * side
        if room <= 0:
            end_order(run, book, slot, ts, REJECTED, REDUCE_ONLY)
            return
        run.order_lots[slot] = min(run.order_lots[slot], room)
    is_limit = run.order_type[slot] == LIMIT
    opposite = book.ask_ticks if side > 0 else book.bid_ticks
    crosses = not is_limit or (run.order_price[slot] - opposite) * side >= 0
    if crosses and run.order_post_only[slot]:
        end_order(run, book, slot, ts, REJECTED, WOULD_TAKE)
        return
    if crosses:
        take(run, book, slot, ts, is_limit)
    if run.order_matched[slot] < run.order_lots[slot]:
        if is_limit and run.order_tif[slot] != IOC:
            rest(run, book, slot, ts)
        else:
            end_order(run, book, slot, ts, CANCELED, UNFILLED)


@kernel
def process_arrivals(run, books, instrument, venue_ts, now):  # type: ignore[no-untyped-def]
    """Let everything arrive that was at the venue before `venue_ts`, or that has waited `SETTLE_NS`, in order of time."""
    while True:
        first = -1
        first_ts = INT64_MAX
        later = INT64_MAX
        for slot in range(run.slots_high):
            ts = min(run.order_arrive[slot], run.order_cancel[slot])
            if ts == INT64_MAX:
                continue
            limit = max(venue_ts if run.order_instrument[slot] == instrument else 0, now - SETTLE_NS)
            if ts <= limit and ts < first_ts:
                if first >= 0:
                    later = min(later, first_ts)
                first, first_ts = slot, ts
            else:
                later = min(later, ts)
        if first < 0:
            run.next_arrival = later
            return
        book = books[run.order_instrument[first]]
        if run.order_arrive[first] == first_ts:
            arrive(run, book, first, first_ts)
        else:
            run.order_cancel[first] = INT64_MAX
            if run.order_state[first] == RESTING:
                end_order(run, book, first, first_ts, CANCELED, CANCEL_REQUESTED)


@kernel
def quote_reaches_resting(run, book, instrument, ts, bid_before, ask_before, bid_shown_before, ask_shown_before):  # type: ignore[no-untyped-def]
    """Fill resting orders the new quote has crossed and move the others in their queues.

    A quote from before an order came to rest, received late, does not touch it.
    """
    for slot in range(run.slots_high):
        if run.order_state[slot] != RESTING or run.order_instrument[slot] != instrument or ts < run.order_rested[slot]:
            continue
        price = run.order_price[slot]
        if run.order_side[slot] > 0:
            own, opposite, own_before = book.bid_ticks, book.ask_ticks, bid_before
            shown, shown_before, traded = book.bid_qty, bid_shown_before, book.bid_traded
            crossed, leads = opposite <= price, own < price
        else:
            own, opposite, own_before = book.ask_ticks, book.bid_ticks, ask_before
            shown, shown_before, traded = book.ask_qty, ask_shown_before, book.ask_traded
            crossed, leads = opposite >= price, own > price
        if crossed:
            match_resting(run, book, slot, ts, run.order_lots[slot] - run.order_matched[slot])
        elif leads:
            run.order_ahead[slot] = 0.0
        elif own == price:
            ahead = run.order_ahead[slot]
            if run.queue_model == QUEUE_PROPORTIONAL and own_before == price and shown_before > 0.0 and ahead < AHEAD_UNKNOWN:
                canceled = max((shown_before - shown) * book.lots_per_qty - traded, 0.0)
                ahead -= canceled * min(ahead / (shown_before * book.lots_per_qty), 1.0)
            run.order_ahead[slot] = min(ahead, shown * book.lots_per_qty)


@kernel
def trade_reaches_resting(run, book, instrument, ts, price, lots, side):  # type: ignore[no-untyped-def]
    """Let a print of `lots` at `price` ticks, taker `side`, use up queues and fill resting orders on the other side.

    A print from before an order came to rest, received late, does not touch it.
    """
    ours = 0.0
    for slot in range(run.slots_high):
        resting = run.order_state[slot] == RESTING and run.order_instrument[slot] == instrument
        if not resting or run.order_side[slot] == side or ts < run.order_rested[slot]:
            continue
        left = run.order_lots[slot] - run.order_matched[slot]
        through = (run.order_price[slot] - price) * run.order_side[slot]
        if through > 0 or (through == 0 and run.queue_model == QUEUE_TOUCH):
            match_resting(run, book, slot, ts, left)
        elif through == 0:
            reach = lots - ours - run.order_ahead[slot]
            run.order_ahead[slot] = max(run.order_ahead[slot] - (lots - ours), 0.0)
            filled = min(np.int64(max(reach, 0.0) + LOT_TOLERANCE), left)
            if filled > 0:
                ours += filled
                match_resting(run, book, slot, ts, filled)
