"""The compiled step of every run: one event through venue, ledger, risk and strategy; compiled.

Order of things at an event received at `now` (our clock), venue time `venue_ts` = ts_event + the stream's clock skew:

1. guards: buffers have room, the event follows the last one in decision order;
2. a bar that ended before `now` is closed (the strategy wakes at the bar's end, before it sees this event);
3. orders that reached the venue before `venue_ts` are matched against the book before this event;
4. funding that fell due is paid; the event changes the book; resting orders fill;
5. reports due by `now` are delivered: fills reach the ledger; position is marked, drawdown observed;
6. stop-loss and take-profit; 7. the strategy decides, and its intents go through risk to the venue.
"""

from __future__ import annotations

import numpy as np

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, KIND_FUNDING, KIND_MARK_PRICE, KIND_TRADE
from edgesmith.domain.instruments import GRID_TOLERANCE_STEPS
from edgesmith.domain.orders import OrderOrigin, OrderState, OrderType, Reason, ReportKind
from edgesmith.domain.units import INT64_MAX, NS_PER_MINUTE
from edgesmith.trading.ledger import apply_fill, mark_position, observe_equity, pay_funding
from edgesmith.trading.risk import check_daily_loss, expected_lots, roll_day
from edgesmith.trading.state import (
    MAX_CURVE,
    MAX_ENDED,
    MAX_INTENTS,
    MAX_TRACE,
    STOP_BAR,
    STOP_CHUNK_END,
    STOP_CURVE_FULL,
    STOP_DECISIONS_FULL,
    STOP_FILLS_FULL,
    STOP_ORDERING,
    STOP_REPORT,
    STOP_REPORTS_FULL,
    STOP_TRACE_FULL,
    TRACE_ROWS,
)
from edgesmith.trading.submission import count_pending, request_cancel, submit
from edgesmith.venues.simulated.fees import mark_value_e8, value_e8
from edgesmith.venues.simulated.matching import process_arrivals, quote_reaches_resting, trade_reaches_resting
from edgesmith.venues.simulated.state import MAX_REPORTS

EMPTY = int(OrderState.EMPTY)
FILLED, ACCEPTED = int(ReportKind.FILLED), int(ReportKind.ACCEPTED)
MARKET, LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
STRATEGY, STOP_LOSS, TAKE_PROFIT = int(OrderOrigin.STRATEGY), int(OrderOrigin.STOP_LOSS), int(OrderOrigin.TAKE_PROFIT)
INVALID_INTENT = int(Reason.INVALID_INTENT)

# Room kept in a buffer before an event is taken: more than one event can write.
FILLS_ROOM = 2 * MAX_REPORTS
DECISIONS_ROOM = 1_024
LOT_TOLERANCE = 1e-6
# How far the event at `run.index` has come when it is entered in the middle (0: it has not begun).
PHASE_TAKEN, PHASE_EXITED, PHASE_DECIDED = 1, 2, 3
# Quantities above this are nonsense: int64 lots times ticks would no longer be exact.
LOTS_LIMIT = 1e12


@kernel
def _deliver_fill(run, book, fills, slot, place):  # type: ignore[no-untyped-def]
    side = run.order_side[slot]
    lots = run.report_lots[place]
    price = run.report_price[place]
    maker = run.report_maker[place]
    known = max(run.report_due[place], run.report_matched[place])
    fee, realized, closes = apply_fill(run, book, side, lots, price, maker, known)
    run.order_known[slot] += lots
    count_pending(run, book, slot, -lots)
    run.spread_cost_e8 += value_e8(book, side * lots, price) - mark_value_e8(book, side * lots, run.report_mid[place])
    reference = run.order_reference[slot]
    run.slippage_sum_bps += side * (2.0 * price - reference) / reference * 1e4
    line = fills[run.fills_used]
    line.ts_match = run.report_matched[place]
    line.ts_known = known
    run.next_fill_id += 1
    line.fill_id = run.next_fill_id
    line.order_id = run.order_id[slot]
    line.price_ticks = price
    line.lots = lots
    line.fee_e8 = fee
    line.realized_e8 = realized
    line.position_lots = book.position_lots
    line.instrument = run.order_instrument[slot]
    line.side = side
    line.is_maker = maker
    line.origin = run.order_origin[slot]
    line.closes = closes
    run.fills_used += 1


@kernel
def _release_order(run, book, slot, reason):  # type: ignore[no-untyped-def]
    unfilled = run.order_approved[slot] - run.order_known[slot]
    count_pending(run, book, slot, -unfilled)
    book.pending_orders -= 1
    if book.exit_in_flight == run.order_id[slot]:
        book.exit_in_flight = 0
    if unfilled > 0 and run.ended_used < MAX_ENDED:
        run.ended_id[run.ended_used] = run.order_id[slot]
        run.ended_reason[run.ended_used] = reason
        run.ended_used += 1
    run.order_state[slot] = EMPTY
    run.order_cancel[slot] = INT64_MAX
    run.open_orders -= 1
    while run.slots_high > 0 and run.order_state[run.slots_high - 1] == EMPTY:
        run.slots_high -= 1


@kernel
def deliver_reports(run, books, fills, until):  # type: ignore[no-untyped-def]
    """Hand us every report due by `until`; returns how many."""
    delivered = 0
    while run.report_count > 0 and run.next_due <= until:
        place = run.report_head
        slot = run.report_slot[place]
        book = books[run.order_instrument[slot]]
        if run.report_kind[place] == FILLED:
            _deliver_fill(run, book, fills, slot, place)
        if run.report_last[place]:
            _release_order(run, book, slot, run.report_reason[place])
        run.report_count -= 1
        # An empty ring begins again at its first place, which is still in the cache.
        run.report_head = (place + 1) % MAX_REPORTS if run.report_count > 0 else 0
        run.next_due = run.report_due[run.report_head] if run.report_count > 0 else INT64_MAX
        delivered += 1
    if delivered > 0:
        check_daily_loss(run)
        observe_equity(run)
    return delivered


@kernel
def _close_minutes(run, now):  # type: ignore[no-untyped-def]
    if run.minute_end > 0:
        passed = (now - run.minute_end) // NS_PER_MINUTE + 1
        change = np.float64(run.equity_e8 - run.minute_equity_e8)
        run.minute_count += passed
        run.minute_sum += change
        run.minute_sum_squares += change * change
    run.minute_end = (now // NS_PER_MINUTE + 1) * NS_PER_MINUTE
    run.minute_equity_e8 = run.equity_e8


@kernel
def close_bucket(run, books, curve, prices, now):  # type: ignore[no-untyped-def]
    """Write the bucket of the equity and price curves that ended before `now` and begin the next."""
    count = books.shape[0]
    if run.curve_end > 0:
        row = curve[run.curve_used]
        row.bucket_start = run.curve_end - run.curve_bucket_ns
        row.equity_open, row.equity_close = run.curve_open, run.equity_e8
        row.equity_min, row.equity_max, row.drawdown_ratio = run.curve_min, run.curve_max, run.curve_drawdown_ratio
        notional = 0.0
        for place in range(count):
            book = books[place]
            notional += abs(np.float64(book.mark_value_e8))
            point = prices[run.curve_used * count + place]
            point.mid_open, point.mid_min, point.mid_max = book.mid_open, book.mid_min, book.mid_max
            point.mid_close = 0.5 * (book.bid_price + book.ask_price) if book.has_quote else np.nan
        row.notional_close = notional
        run.curve_used += 1
    run.curve_end = (now // run.curve_bucket_ns + 1) * run.curve_bucket_ns
    run.curve_open = run.curve_min = run.curve_max = run.equity_e8
    run.curve_drawdown_ratio = (run.peak_e8 - run.equity_e8) / run.peak_e8 if run.peak_e8 > 0 else 0.0
    for place in range(count):
        book = books[place]
        mid = 0.5 * (book.bid_price + book.ask_price) if book.has_quote else np.nan
        book.mid_open = book.mid_min = book.mid_max = mid


@kernel
def take_quote(book, event):  # type: ignore[no-untyped-def]
    """Let a quote replace the one in the book, and widen the bucket of the mid-price curve."""
    book.bid_ticks = np.int64(event.bid_price * book.ticks_per_price + 0.5)
    book.ask_ticks = np.int64(event.ask_price * book.ticks_per_price + 0.5)
    book.bid_price = event.bid_price
    book.ask_price = event.ask_price
    book.bid_qty = event.bid_qty
    book.ask_qty = event.ask_qty
    book.has_quote = 1
    mid = 0.5 * (event.bid_price + event.ask_price)
    # Comparisons with NaN are false: the first quote of a bucket sets all three.
    if not mid >= book.mid_min:
        if book.mid_min != book.mid_min:
            book.mid_open = mid
        book.mid_min = mid
    if not mid <= book.mid_max:
        book.mid_max = mid


@kernel
def _on_quote(run, book, event, venue_ts):  # type: ignore[no-untyped-def]
    bid_before, ask_before, bid_qty_before, ask_qty_before = book.bid_ticks, book.ask_ticks, book.bid_qty, book.ask_qty
    take_quote(book, event)
    if book.resting > 0:
        quote_reaches_resting(
            run, book, np.int64(event.instrument), venue_ts, bid_before, ask_before, bid_qty_before, ask_qty_before
        )
        book.bid_traded = 0.0
        book.ask_traded = 0.0
    if book.position_lots != 0:
        mark_position(run, book)


@kernel
def _on_trade(run, book, event, venue_ts):  # type: ignore[no-untyped-def]
    price = np.int64(event.price * book.ticks_per_price + 0.5)
    lots = event.qty * book.lots_per_qty
    if price == book.bid_ticks:
        book.bid_traded += lots
    elif price == book.ask_ticks:
        book.ask_traded += lots
    trade_reaches_resting(run, book, np.int64(event.instrument), venue_ts, price, lots, np.int64(event.side))


@kernel
def _begin_bar(run, books, now):  # type: ignore[no-untyped-def]
    run.bar_end = (now // run.bar_ns + 1) * run.bar_ns
    for place in range(books.shape[0]):
        books[place].bar_events = 0
        books[place].bar_trades = 0
        books[place].bar_volume = 0.0


@kernel
def _end_bar(run, books, fills):  # type: ignore[no-untyped-def]
    """Let time reach the end of the bar; returns how many reports that delivered."""
    run.now = max(run.now, run.bar_end)
    roll_day(run)
    return deliver_reports(run, books, fills, run.now)


@kernel
def _update_bar(book, event):  # type: ignore[no-untyped-def]
    if event.kind == KIND_BBO:
        mid = 0.5 * (event.bid_price + event.ask_price)
        if book.bar_events == 0:
            book.bar_open = book.bar_high = book.bar_low = mid
        book.bar_high = max(book.bar_high, mid)
        book.bar_low = min(book.bar_low, mid)
        book.bar_close = mid
        book.bar_events += 1
    elif event.kind == KIND_TRADE:
        book.bar_volume += event.qty
        book.bar_trades += 1


@kernel
def beyond_exit(book):  # type: ignore[no-untyped-def]
    """Return whether a position has reached its stop-loss or its take-profit."""
    unrealized = book.mark_value_e8 - book.cost_e8
    return book.position_lots != 0 and (unrealized >= book.take_e8 or unrealized <= book.stop_e8)


@kernel
def _force_exit(run, books, decisions, instrument):  # type: ignore[no-untyped-def]
    book = books[instrument]
    if book.exit_in_flight != 0 or book.has_quote == 0:
        return
    side = -1 if book.position_lots > 0 else 1
    origin = TAKE_PROFIT if book.mark_value_e8 - book.cost_e8 >= book.take_e8 else STOP_LOSS
    order_id, _, _ = submit(run, books, decisions, instrument, side, abs(book.position_lots), MARKET, 0, 0, 0, 1, origin)
    if order_id != 0:
        run.forced_exits += 1
        book.exit_in_flight = order_id


@kernel
def _passive_ticks(steps, side):  # type: ignore[no-untyped-def]
    # A price between two ticks becomes the one that asks for more: no fill is worse than the strategy said.
    return np.int64(np.floor(steps + GRID_TOLERANCE_STEPS)) if side > 0 else np.int64(np.ceil(steps - GRID_TOLERANCE_STEPS))


@kernel
def _place_intents(run, books, decisions, instrument, view):  # type: ignore[no-untyped-def]
    book = books[instrument]
    if view.cancel_all:
        for slot in range(run.slots_high):
            if run.order_state[slot] != EMPTY and run.order_instrument[slot] == instrument:
                request_cancel(run, slot)
    for place in range(min(view.intents, MAX_INTENTS)):
        side = 1 if view.intent_side[place] > 0 else -1
        lots = np.int64(abs(view.intent_qty[place]) * book.lots_per_qty + LOT_TOLERANCE)
        price = _passive_ticks(view.intent_price[place] * book.ticks_per_price, side)
        if not (view.intent_qty[place] > 0.0 and view.intent_price[place] > 0.0) or lots == 0 or lots > LOTS_LIMIT:
            run.invalid_intents += 1
            continue
        submit(
            run, books, decisions, instrument, side, lots, LIMIT, price, view.intent_tif[place],
            view.intent_post_only[place], view.intent_reduce_only[place], STRATEGY,
        )  # fmt: skip
    view.cancel_all = 0
    view.intents = 0


@kernel
def missing_lots(run, book, target):  # type: ignore[no-untyped-def]
    """Return the signed lots between a target position and what is held or on its way; a target of NaN keeps what there is."""
    if target != target:
        return 0
    size = abs(target) * book.lots_per_qty
    if not size < LOTS_LIMIT:
        run.invalid_intents += 1
        return 0
    lots = np.int64(size + LOT_TOLERANCE)
    return (lots if target >= 0.0 else -lots) - expected_lots(book)


@kernel
def _seek_target(run, books, decisions, instrument, missing):  # type: ignore[no-untyped-def]
    side = 1 if missing > 0 else -1
    submit(run, books, decisions, instrument, side, abs(missing), MARKET, 0, 0, 0, 0, STRATEGY)


@kernel
def show_market(now, book, view, event):  # type: ignore[no-untyped-def]
    """Let a strategy see the event and the quote after it."""
    view.ts = now
    view.kind = event.kind
    view.bid_price = book.bid_price
    view.ask_price = book.ask_price
    view.bid_qty = book.bid_qty
    view.ask_qty = book.ask_qty
    if event.kind == KIND_TRADE:
        view.price = event.price
        view.qty = event.qty
        view.side = event.side


@kernel
def show_holdings(book, view):  # type: ignore[no-untyped-def]
    """Let a strategy see what it holds and what is on its way."""
    view.position_qty = book.position_lots * book.lot
    view.pending_qty = (expected_lots(book) - book.position_lots) * book.lot
    view.open_orders = book.pending_orders


@kernel
def follows(run, event):  # type: ignore[no-untyped-def]
    """Check decision order; returns 0 in order, 1 duplicate, 2 out of order."""
    if event.ts_recv > run.last_recv:
        return 0
    if event.ts_recv < run.last_recv:
        return 2
    if event.ts_event != run.last_event:
        return 0 if event.ts_event > run.last_event else 2
    if event.instrument != run.last_instrument:
        return 0 if event.instrument > run.last_instrument else 2
    if event.kind != run.last_kind:
        return 0 if event.kind > run.last_kind else 2
    if event.seq == run.last_seq:
        return 1
    return 0 if event.seq > run.last_seq else 2


@kernel
def _violates(run, event):  # type: ignore[no-untyped-def]
    """Count an event that does not follow the last one; True when the run must stop for it."""
    verdict = follows(run, event)
    if verdict == 1:
        run.duplicates += 1
    elif verdict == 2:
        run.out_of_order += 1
    return verdict != 0 and run.strict != 0


@kernel
def set_clock(run, event, now):  # type: ignore[no-untyped-def]
    """Note an event that is taken at `now`."""
    run.last_recv, run.last_event, run.last_seq = event.ts_recv, event.ts_event, event.seq
    run.last_instrument, run.last_kind, run.now = np.int64(event.instrument), np.int64(event.kind), now


@kernel
def take_rare(book, event):  # type: ignore[no-untyped-def]
    """Take in the streams that come once a second or less."""
    if event.kind == KIND_FUNDING:
        if event.next_funding_ts > book.paid_funding_ts and np.isfinite(event.funding_rate):
            if book.paid_funding_ts == 0 and book.next_funding_ts == 0 and event.next_funding_ts <= event.ts_event:
                # Fell due before the data began: nothing was held then.
                book.paid_funding_ts = event.next_funding_ts
                return
            book.funding_rate = event.funding_rate
            book.next_funding_ts = event.next_funding_ts
    elif event.kind == KIND_MARK_PRICE:
        book.mark_price = event.mark_price


@kernel
def _pay_funding_due(run, book):  # type: ignore[no-untyped-def]
    pay_funding(run, book, run.now)
    book.paid_funding_ts = book.next_funding_ts
    book.next_funding_ts = 0


@kernel
def _stop(run, index, phase, reason):  # type: ignore[no-untyped-def]
    run.index = index
    run.phase = phase
    run.stop_reason = reason


@kernel
def buffers_full(run, fills_limit, decisions_limit):  # type: ignore[no-untyped-def]
    """Return which buffer has no room for what an event may write, as a reason to stop; STOP_CHUNK_END for none."""
    if run.fills_used > fills_limit:
        return STOP_FILLS_FULL
    if run.decisions_used > decisions_limit:
        return STOP_DECISIONS_FULL
    if run.curve_used >= MAX_CURVE:
        return STOP_CURVE_FULL
    if run.trace_used >= TRACE_ROWS:
        return STOP_TRACE_FULL
    return STOP_CHUNK_END


@kernel
def _trace(run, view, line, instrument, target):  # type: ignore[no-untyped-def]
    line.ts = run.now
    line.event_index = run.events
    line.instrument = instrument
    line.code = view.trace_code
    line.target = target
    for place in range(MAX_TRACE):
        line.values[place] = view.trace[place]
    view.trace_code = 0
    run.trace_used += 1


# The hot path below passes records, not arrays, to what it calls on every event: numba counts references of array arguments,
# and two atomic operations per call cost more than the call.
@kernel
def advance(run_array, books, views, events, features, stop, fills, decisions, trace, curve, prices, decide):  # type: ignore[no-untyped-def]
    """Process events from `run.index` until `stop` or a reason to return to Python; the reason is in `run.stop_reason`."""
    run = run_array[0]
    fills_limit = fills.shape[0] - FILLS_ROOM
    decisions_limit = decisions.shape[0] - DECISIONS_ROOM
    for index in range(run.index, stop):
        event = events[index]
        instrument = np.int64(event.instrument)
        book = books[instrument]
        kind = np.int64(event.kind)
        if run.phase == 0:
            now = max(event.ts_recv + book.feed_latency_ns, run.now)
            full = buffers_full(run, fills_limit, decisions_limit)
            if full != STOP_CHUNK_END:
                _stop(run, index, 0, full)
                return
            if run.bar_ns > 0 and now >= run.bar_end:
                if run.bar_end > 0:
                    delivered = _end_bar(run, books, fills)
                    _stop(run, index, 0, STOP_REPORT if delivered > 0 and run.wake_reports else STOP_BAR)
                    return
                _begin_bar(run, books, now)
            if event.ts_recv <= run.last_recv and _violates(run, event):
                _stop(run, index, 0, STOP_ORDERING)
                return
            set_clock(run, event, now)
            if now >= run.minute_end:
                _close_minutes(run, now)
                roll_day(run)
            if now >= run.curve_end:
                close_bucket(run, books, curve, prices, now)
            venue_ts = min(event.ts_event + book.skew_ns[kind], now)
            if run.next_arrival <= now:
                process_arrivals(run, books, instrument, venue_ts, now)
            if book.next_funding_ts > 0 and event.ts_event >= book.next_funding_ts:
                _pay_funding_due(run, book)
            if kind == KIND_BBO:
                _on_quote(run, book, event, venue_ts)
            elif kind == KIND_TRADE:
                if book.resting > 0:
                    _on_trade(run, book, event, venue_ts)
            else:
                take_rare(book, event)
            if run.equity_e8 != run.observed_e8:
                observe_equity(run)
            if run.bar_ns > 0:
                _update_bar(book, event)
            run.events += 1
            if run.next_due <= now and deliver_reports(run, books, fills, now) > 0 and run.wake_reports:
                _stop(run, index, PHASE_TAKEN, STOP_REPORT)
                return
        if run.report_overflow:
            _stop(run, index, PHASE_TAKEN, STOP_REPORTS_FULL)
            return
        if run.phase < PHASE_EXITED and run.risk_on and beyond_exit(book):
            _force_exit(run, books, decisions, instrument)
            if run.next_due <= run.now and deliver_reports(run, books, fills, run.now) > 0 and run.wake_reports:
                _stop(run, index, PHASE_EXITED, STOP_REPORT)
                return
        if (run.decide_kinds >> kind) & 1:
            view = views[instrument]
            target = view.target
            if run.phase < PHASE_DECIDED:
                show_market(run.now, book, view, event)
                show_holdings(book, view)
                for column in range(run.feature_count):
                    view.features[column] = features[index, column]
                target = decide(view)
            if view.trace_code != 0:
                _trace(run, view, trace[run.trace_used], instrument, target)
            if view.intents > 0 or view.cancel_all:
                _place_intents(run, books, decisions, instrument, view)
            missing = missing_lots(run, book, target)
            if missing != 0:
                _seek_target(run, books, decisions, instrument, missing)
            if run.next_due <= run.now:
                deliver_reports(run, books, fills, run.now)
        run.phase = 0
    _stop(run, stop, run.phase, STOP_CHUNK_END)
