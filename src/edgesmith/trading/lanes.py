"""Many runs of one strategy over the same events, side by side ("lanes"); compiled.

While nothing of a run is on its way to or from the venue, rests there, or is past a limit, an event can do two things to it:
change the worth of its position, and make its strategy decide. Those two are done here for all lanes at once, on the clock and
quotes of a pilot, a run whose strategy never decides. For everything else a lane catches up with the pilot and takes the
event through `advance`, which is how every other run takes it: the same steps, the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, KIND_FUNDING, KIND_TRADE
from edgesmith.domain.orders import DECISION, FILL
from edgesmith.domain.units import INT64_MAX
from edgesmith.trading.addresses import array_at
from edgesmith.trading.kernel import (
    DECISIONS_ROOM,
    FILLS_ROOM,
    LOTS_LIMIT,
    PHASE_DECIDED,
    PHASE_TAKEN,
    beyond_exit,
    buffers_full,
    follows,
    missing_lots,
    set_clock,
    show_holdings,
    show_market,
    take_quote,
    take_rare,
)
from edgesmith.trading.ledger import mark_position, observe_equity
from edgesmith.trading.recorder import BUFFER_ROWS
from edgesmith.trading.state import (
    BOOK,
    CURVE,
    MAX_CURVE,
    PRICE_CURVE,
    RUN,
    STOP_CHUNK_END,
    TRACE,
    TRACE_ROWS,
    VIEW,
)

# A lane: the instant from which events may do more to it than the two things, and the addresses of the arrays of its engine.
ADDRESSES = ("run_at", "books_at", "views_at", "fills_at", "decisions_at", "trace_at", "curve_at", "prices_at")
LANE: np.dtype[Any] = np.dtype([("wake_ns", "i8"), *((name, "i8") for name in ADDRESSES)], align=True)
# A lane on one instrument: the last event it took through `advance`, the target it is known to have reached, and the addresses
# of its records. The seats of an instrument lie side by side.
SEAT: np.dtype[Any] = np.dtype(
    [("taken", "i8"), ("held", "f8"), ("run_at", "i8"), ("book_at", "i8"), ("view_at", "i8")], align=True
)
AT_ONCE = -INT64_MAX
FLOAT64 = np.dtype(np.float64)


@kernel
def _catch_up(pilot, market, run, books):  # type: ignore[no-untyped-def]
    """Give a lane the clock and the quotes of the pilot."""
    run.now, run.events = pilot.now, pilot.events
    run.last_recv, run.last_event, run.last_seq = pilot.last_recv, pilot.last_event, pilot.last_seq
    run.last_instrument, run.last_kind = pilot.last_instrument, pilot.last_kind
    for place in range(market.shape[0]):
        book, quoted = books[place], market[place]
        book.bid_ticks, book.ask_ticks = quoted.bid_ticks, quoted.ask_ticks
        book.bid_price, book.ask_price = quoted.bid_price, quoted.ask_price
        book.bid_qty, book.ask_qty = quoted.bid_qty, quoted.ask_qty
        book.has_quote, book.mark_price = quoted.has_quote, quoted.mark_price
        book.mid_open, book.mid_min, book.mid_max = quoted.mid_open, quoted.mid_min, quoted.mid_max


@kernel
def _wake_ns(run, books):  # type: ignore[no-untyped-def]
    """Return the instant from which an event may do more to a run than change its worth and make it decide."""
    for place in range(books.shape[0]):
        if books[place].resting > 0 or (run.risk_on and beyond_exit(books[place])):
            return AT_ONCE
    return AT_ONCE if run.report_overflow else min(run.next_arrival, run.next_due)


@kernel
def _take(place, index, phase, lanes, seats, count, events, features, advance, decide):  # type: ignore[no-untyped-def]
    """Take event `index` through `advance` in lane `place`, from `phase` on; True when Python has to look."""
    lane = lanes[place]
    runs, books, views = array_at(lane.run_at, 1, RUN), array_at(lane.books_at, count, BOOK), array_at(lane.views_at, count, VIEW)
    fills, decisions = array_at(lane.fills_at, BUFFER_ROWS, FILL), array_at(lane.decisions_at, BUFFER_ROWS, DECISION)
    trace = array_at(lane.trace_at, TRACE_ROWS, TRACE)
    curve, prices = array_at(lane.curve_at, MAX_CURVE, CURVE), array_at(lane.prices_at, MAX_CURVE * count, PRICE_CURVE)
    run, pilot = runs[0], lanes[lanes.shape[0] - 1]
    if place < lanes.shape[0] - 1:
        _catch_up(array_at(pilot.run_at, 1, RUN)[0], array_at(pilot.books_at, count, BOOK), run, books)
    run.index, run.phase = index, phase
    advance(runs, books, views, events, features, index + 1, fills, decisions, trace, curve, prices, decide)
    for other in range(count):
        seat = seats[other * lanes.shape[0] + place]
        seat.taken, seat.held = index, np.nan
        show_holdings(books[other], views[other])
    lane.wake_ns = _wake_ns(run, books)
    pilot.wake_ns = min(pilot.wake_ns, lane.wake_ns)
    if run.stop_reason == STOP_CHUNK_END:
        # Room is made between events: no lane may stop before an event that the others have taken.
        run.stop_reason = buffers_full(run, BUFFER_ROWS - FILLS_ROOM, BUFFER_ROWS - DECISIONS_ROOM)
    return run.stop_reason != STOP_CHUNK_END


@kernel
def _is_whole(pilot, quoted, event, now):  # type: ignore[no-untyped-def]
    """Return whether every lane must take the event as a whole: a minute or bucket ends, funding, an event out of order."""
    if now >= pilot.minute_end or now >= pilot.curve_end or event.kind == KIND_FUNDING:
        return True
    if quoted.next_funding_ts > 0 and event.ts_event >= quoted.next_funding_ts:
        return True
    return event.ts_recv <= pilot.last_recv and follows(pilot, event) != 0


@kernel
def _take_market(pilot, quoted, event, now):  # type: ignore[no-untyped-def]
    """Take an event in as a run without orders and positions does; True when the mid price moved."""
    double_ticks = quoted.bid_ticks + quoted.ask_ticks
    set_clock(pilot, event, now)
    if event.kind == KIND_BBO:
        take_quote(quoted, event)
    elif event.kind != KIND_TRADE:
        take_rare(quoted, event)
    pilot.events += 1
    return quoted.bid_ticks + quoted.ask_ticks != double_ticks


# The two loops over all lanes get addresses, not arrays, and return where a lane needs more: nothing else is in registers then.
@kernel
def _next_beyond_exit(first, begin, end, index, quoted):  # type: ignore[no-untyped-def]
    """Value the positions of seats at the pilot's quote, up to the first that has reached an exit; returns its place."""
    seats = array_at(first, end, SEAT)
    for place in range(begin, end):
        seat = seats[place]
        book = array_at(seat.book_at, 1, BOOK)[0]
        if book.position_lots == 0 or seat.taken == index:
            continue
        run = array_at(seat.run_at, 1, RUN)[0]
        book.bid_ticks, book.ask_ticks = quoted.bid_ticks, quoted.ask_ticks
        mark_position(run, book)
        if run.equity_e8 != run.observed_e8:
            observe_equity(run)
        if run.risk_on and beyond_exit(book):
            return place
    return end


@kernel
def _next_to_act(first, begin, end, index, now, quoted, event, row, width, decide):  # type: ignore[no-untyped-def]
    """Let the strategies of seats decide, up to the first that wants something; returns its place."""
    seats = array_at(first, end, SEAT)
    features = array_at(row, width, FLOAT64)
    for place in range(begin, end):
        seat = seats[place]
        if seat.taken == index:
            continue
        view = array_at(seat.view_at, 1, VIEW)[0]
        show_market(now, quoted, view, event)
        for column in range(width):
            view.features[column] = features[column]
        target = decide(view)
        if (target == seat.held or target != target) and (view.trace_code | view.intents | view.cancel_all) == 0:
            continue
        view.target = target
        return place
    return end


@kernel
def _asks_nothing(seat):  # type: ignore[no-untyped-def]
    """Return whether the decision of a seat leaves everything as it is, and remember the target if so."""
    book, view = array_at(seat.book_at, 1, BOOK)[0], array_at(seat.view_at, 1, VIEW)[0]
    if (view.trace_code | view.intents | view.cancel_all) != 0:
        return False
    if missing_lots(array_at(seat.run_at, 1, RUN)[0], book, view.target) != 0:
        return False
    if abs(view.target) * book.lots_per_qty < LOTS_LIMIT:
        seat.held = view.target
    return True


@kernel
def advance_lanes(lanes, seats, events, features, start, stop, advance, decide):  # type: ignore[no-untyped-def]
    """Process events `start` to `stop` in every lane, the pilot's the last; returns the event Python must look before."""
    last = lanes.shape[0] - 1
    count = seats.shape[0] // lanes.shape[0]
    chief = lanes[last]
    pilot, market = array_at(chief.run_at, 1, RUN)[0], array_at(chief.books_at, count, BOOK)
    first = array_at(lanes[0].run_at, 1, RUN)[0]
    kinds, width = first.decide_kinds, first.feature_count
    # The pilot's `wake_ns` is the first of all lanes'.
    chief.wake_ns = AT_ONCE
    first_seat, first_row = seats.ctypes.data, features.ctypes.data
    index, stopped = start, False
    while index < stop and not stopped:
        event = events[index]
        instrument = np.int64(event.instrument)
        quoted = market[instrument]
        now = max(event.ts_recv + quoted.feed_latency_ns, pilot.now)
        whole = _is_whole(pilot, quoted, event, now)
        if whole or chief.wake_ns <= now:
            chief.wake_ns = INT64_MAX
            for place in range(last):
                if whole or lanes[place].wake_ns <= now:
                    stopped |= _take(place, index, 0, lanes, seats, count, events, features, advance, decide)
                chief.wake_ns = min(chief.wake_ns, lanes[place].wake_ns)
        if whole:
            wake_ns = chief.wake_ns
            stopped |= _take(last, index, 0, lanes, seats, count, events, features, advance, decide)
            chief.wake_ns = wake_ns
            index += 1
            continue
        seated = first_seat + instrument * lanes.shape[0] * seats.itemsize
        if _take_market(pilot, quoted, event, now):
            place = _next_beyond_exit(seated, 0, last, index, quoted)
            while place < last:
                stopped |= _take(place, index, PHASE_TAKEN, lanes, seats, count, events, features, advance, decide)
                place = _next_beyond_exit(seated, place + 1, last, index, quoted)
        if (kinds >> np.int64(event.kind)) & 1:
            row = first_row + index * width * 8
            place = _next_to_act(seated, 0, last, index, now, quoted, event, row, width, decide)
            while place < last:
                if not _asks_nothing(seats[instrument * lanes.shape[0] + place]):
                    stopped |= _take(place, index, PHASE_DECIDED, lanes, seats, count, events, features, advance, decide)
                place = _next_to_act(seated, place + 1, last, index, now, quoted, event, row, width, decide)
        index += 1
    for place in range(last):
        lane = lanes[place]
        _catch_up(pilot, market, array_at(lane.run_at, 1, RUN)[0], array_at(lane.books_at, count, BOOK))
    return index
