"""The records one run lives in; flat and fixed in size, so a run can be copied, hashed, resumed and kept beside others.

Everything compiled code needs is in three arrays: `RUN` (one record: counters, money, orders, reports, risk), `BOOK` (one
per instrument: quotes, constants, position) and `VIEW` (one per instrument: what a compiled strategy reads and writes).
Instants are on our clock (`ts_recv`); money is int64 1e-8 of the settlement currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.records import records
from edgesmith.domain.units import INT64_MAX, NS_PER_S
from edgesmith.venues.simulated.state import MAX_OPEN_ORDERS, VENUE_BOOK_FIELDS, VENUE_FIELDS

MAX_REASONS = 24
MAX_MEMORY = 128
MAX_PARAMS = 192
MAX_FEATURES = 64
MAX_INTENTS = 8
# Numbers a decision may be traced with, and rows of the trace held before they are written.
MAX_TRACE = 112
TRACE_ROWS = 1_024
# Orders that ended without a full fill since Python last looked.
MAX_ENDED = MAX_OPEN_ORDERS
# Rows of the equity and price curves kept; when full, neighbors are merged and the buckets get twice as long.
MAX_CURVE = 4096

# Why `advance` came back to Python.
STOP_CHUNK_END = 0
STOP_REPORT = 1
STOP_BAR = 2
STOP_FILLS_FULL = 3
STOP_DECISIONS_FULL = 4
STOP_CURVE_FULL = 5
STOP_ORDERING = 6
STOP_REPORTS_FULL = 7
STOP_TRACE_FULL = 8

RUN: np.dtype[Any] = np.dtype(
    [
        # where we are
        ("now", "i8"), ("events", "i8"), ("index", "i8"), ("stop_reason", "i8"), ("phase", "i8"),
        ("last_recv", "i8"), ("last_event", "i8"), ("last_instrument", "i8"), ("last_kind", "i8"), ("last_seq", "i8"),
        ("out_of_order", "i8"), ("duplicates", "i8"), ("strict", "i8"), ("invalid_intents", "i8"),
        ("decide_kinds", "i8"), ("feature_count", "i8"),
        # wake-ups a Python strategy asked for
        ("wake_reports", "i8"), ("bar_ns", "i8"), ("bar_end", "i8"),
        # money
        ("cash_e8", "i8"), ("equity_e8", "i8"), ("equity_start_e8", "i8"),
        ("observed_e8", "i8"), ("peak_e8", "i8"), ("drawdown_max_e8", "i8"), ("drawdown_ratio_max", "f8"),
        ("realized_e8", "i8"), ("fees_e8", "i8"), ("funding_e8", "i8"),
        ("next_fill_id", "i8"), ("ended_used", "i8"), ("ended_id", "i8", MAX_ENDED), ("ended_reason", "i8", MAX_ENDED),
        # risk
        ("last_fill_event", "i8"), ("day_end", "i8"), ("day_start_net_e8", "i8"), ("daily_locked", "i8"),
        ("daily_locks", "i8"), ("forced_exits", "i8"), ("refused", "i8", MAX_REASONS), ("open_positions", "i8"),
        # risk settings
        ("risk_on", "i8"), ("max_positions", "i8"), ("cooldown_events", "i8"), ("max_daily_loss_e8", "i8"),
        ("stop_loss_ratio", "f8"), ("take_profit_ratio", "f8"), ("max_notional_e8", "i8"),
        # streamed metrics
        ("fills", "i8"), ("maker_fills", "i8"), ("round_trips", "i8"), ("wins", "i8"), ("round_trip_pnl_e8", "i8"),
        ("holding_ns", "i8"), ("exposure_ns", "i8"), ("turnover_e8", "f8"), ("spread_cost_e8", "i8"), ("slippage_sum_bps", "f8"),
        ("exposed_since", "i8"), ("minute_end", "i8"), ("minute_equity_e8", "i8"),
        ("minute_count", "i8"), ("minute_sum", "f8"), ("minute_sum_squares", "f8"),
        # buffers
        ("fills_used", "i8"), ("decisions_used", "i8"), ("trace_used", "i8"),
        ("curve_used", "i8"), ("curve_bucket_ns", "i8"), ("curve_end", "i8"),
        ("curve_open", "i8"), ("curve_min", "i8"), ("curve_max", "i8"), ("curve_drawdown_ratio", "f8"),
        *VENUE_FIELDS,
    ],
    align=True,
)  # fmt: skip

BOOK: np.dtype[Any] = np.dtype(
    [
        *VENUE_BOOK_FIELDS,
        ("mark_price", "f8"), ("funding_rate", "f8"), ("next_funding_ts", "i8"), ("paid_funding_ts", "i8"),
        ("lot", "f8"), ("no_short", "i8"), ("skew_ns", "i8", 5), ("feed_latency_ns", "i8"),
        # what we know we hold, and what is on its way
        ("position_lots", "i8"), ("pending_lots", "i8"), ("limit_buy_lots", "i8"), ("limit_sell_lots", "i8"),
        ("reduce_buy_lots", "i8"), ("reduce_sell_lots", "i8"), ("pending_orders", "i8"), ("exit_in_flight", "i8"),
        ("last_refusal", "i8"), ("cost_e8", "i8"), ("mark_value_e8", "i8"), ("stop_e8", "i8"), ("take_e8", "i8"),
        ("opened_ts", "i8"), ("trip_net_e8", "i8"),
        # the bar being built, and the mid-price curve bucket
        ("bar_open", "f8"), ("bar_high", "f8"), ("bar_low", "f8"), ("bar_close", "f8"), ("bar_volume", "f8"),
        ("bar_trades", "i8"), ("bar_events", "i8"), ("mid_open", "f8"), ("mid_min", "f8"), ("mid_max", "f8"),
    ],
    align=True,
)  # fmt: skip

VIEW: np.dtype[Any] = np.dtype(
    [
        # read
        ("ts", "i8"), ("kind", "i8"), ("bid_price", "f8"), ("ask_price", "f8"), ("bid_qty", "f8"), ("ask_qty", "f8"),
        ("price", "f8"), ("qty", "f8"), ("side", "f8"), ("position_qty", "f8"), ("pending_qty", "f8"), ("open_orders", "i8"),
        ("lot", "f8"), ("instrument", "i8"), ("trace_level", "i8"),
        # written, beside what is read so that a decision touches little memory: cancels, how many limit orders, a `trace_code`
        # other than 0 asks for a row of the trace; the target position is the return value, and the engine notes it
        ("cancel_all", "i8"), ("intents", "i8"), ("trace_code", "i8"), ("target", "f8"),
        ("features", "f8", MAX_FEATURES), ("params", "f8", MAX_PARAMS),
        # kept between events
        ("memory", "f8", MAX_MEMORY),
        # written: limit orders
        ("intent_side", "i8", MAX_INTENTS), ("intent_qty", "f8", MAX_INTENTS),
        ("intent_price", "f8", MAX_INTENTS), ("intent_tif", "i8", MAX_INTENTS), ("intent_post_only", "i8", MAX_INTENTS),
        ("intent_reduce_only", "i8", MAX_INTENTS),
        # written: why this was decided
        ("trace", "f8", MAX_TRACE),
    ],
    align=True,
)  # fmt: skip

# What a compiled strategy wrote down about one decision.
TRACE: np.dtype[Any] = np.dtype(
    [
        ("ts", "i8"), ("event_index", "i8"), ("instrument", "i8"), ("code", "i8"), ("target", "f8"),
        ("values", "f8", MAX_TRACE),
    ],
    align=True,
)  # fmt: skip

# One closed bucket of the equity curve.
CURVE: np.dtype[Any] = np.dtype(
    [
        ("bucket_start", "i8"), ("equity_open", "i8"), ("equity_min", "i8"), ("equity_max", "i8"), ("equity_close", "i8"),
        ("drawdown_ratio", "f8"), ("notional_close", "f8"),
    ],
    align=True,
)  # fmt: skip

# One closed bucket of an instrument's mid price.
PRICE_CURVE: np.dtype[Any] = np.dtype([("mid_open", "f8"), ("mid_min", "f8"), ("mid_max", "f8"), ("mid_close", "f8")], align=True)


def new_books(instruments: Sequence[Instrument]) -> NDArray[Any]:
    """Return one `BOOK` per instrument with its constants filled in."""
    books = records(BOOK, len(instruments))
    for book, instrument in zip(books, instruments, strict=True):
        book["lot"] = instrument.lot
        book["ticks_per_price"] = 1.0 / instrument.tick
        book["lots_per_qty"] = 1.0 / instrument.lot
        book["value_e8"] = instrument.value_per_tick_lot_e8
        book["inverse_e8"] = instrument.inverse_value_e8
        book["maker_fee_ratio"] = instrument.maker_fee_ratio
        book["taker_fee_ratio"] = instrument.taker_fee_ratio
        book["no_short"] = instrument.kind == ContractKind.SPOT
    return books


def new_run(equity_start_e8: int) -> NDArray[Any]:
    """Return the `RUN` record of a run that has seen nothing yet."""
    run = records(RUN)
    first = run[0]
    first["cash_e8"] = first["equity_e8"] = first["equity_start_e8"] = first["peak_e8"] = first["observed_e8"] = equity_start_e8
    first["next_arrival"] = first["next_due"] = INT64_MAX
    first["last_fill_event"] = -(1 << 40)
    first["last_recv"] = -INT64_MAX
    first["curve_bucket_ns"] = NS_PER_S
    first["order_arrive"][:] = INT64_MAX
    first["order_cancel"][:] = INT64_MAX
    return run
