"""The fields the simulated venue keeps inside a run's records: its orders, and its reports on their way to us."""

from __future__ import annotations

# Open orders of a run, all instruments together: far above what a strategy of ours keeps, small enough to scan.
MAX_OPEN_ORDERS = 64
# Of these, kept free for stop-loss and take-profit exits.
EXIT_SLOTS = 8
# Reports on their way to us; a full ring halts the run, it never loses a report.
MAX_REPORTS = 256
# A market order walks at most this many ticks past the touch; what is left then is canceled.
MAX_SWEEP_LEVELS = 20
# After this long without an event of its own market, an order is matched against the last book we received.
SETTLE_NS = 1_000_000_000

# What stands before a resting order, and how its place moves when the displayed size shrinks without a trade.
QUEUE_RISK_AVERSE = 0  # nobody ahead cancels, until the display proves it
QUEUE_PROPORTIONAL = 1  # cancels fall on both sides of us in proportion
QUEUE_TOUCH = 2  # there is no queue: the first print at our price fills us whole (an upper bound)
# What a taker finds behind the touch.
DEPTH_DISPLAYED = 0  # the displayed size again on each further tick
DEPTH_TOUCH = 1  # any size at the touch (the prior system's assumption)

FieldList = list[tuple[str, str] | tuple[str, str, int]]

ORDER_FIELDS: FieldList = [
    (f"order_{name}", "i8", MAX_OPEN_ORDERS)
    for name in (
        "id", "state", "instrument", "side", "type", "tif", "post_only", "reduce_only", "origin",
        "price", "lots", "approved", "matched", "known", "arrive", "cancel", "rested", "reference",
    )
]  # fmt: skip
ORDER_FIELDS += [("order_ahead", "f8", MAX_OPEN_ORDERS)]
ORDER_FIELDS += [("slots_high", "i8"), ("open_orders", "i8"), ("next_arrival", "i8"), ("orders_sent", "i8")]

REPORT_FIELDS: FieldList = [
    (f"report_{name}", "i8", MAX_REPORTS)
    for name in ("kind", "slot", "due", "matched", "lots", "price", "maker", "reason", "last", "mid")
]
REPORT_FIELDS += [
    ("report_overflow", "i8"),
    ("report_head", "i8"),
    ("report_count", "i8"),
    ("next_due", "i8"),
    ("last_due", "i8"),
]

SETTING_FIELDS: FieldList = [
    ("entry_latency_ns", "i8"), ("response_latency_ns", "i8"), ("jitter_ratio", "f8"), ("seed", "i8"),
    ("queue_model", "i8"), ("depth_model", "i8"),
]  # fmt: skip

VENUE_FIELDS: FieldList = ORDER_FIELDS + REPORT_FIELDS + SETTING_FIELDS

VENUE_BOOK_FIELDS: FieldList = [
    ("bid_ticks", "i8"), ("ask_ticks", "i8"), ("bid_qty", "f8"), ("ask_qty", "f8"), ("bid_price", "f8"), ("ask_price", "f8"),
    ("has_quote", "i8"), ("resting", "i8"), ("bid_traded", "f8"), ("ask_traded", "f8"), ("venue_lots", "i8"),
    ("ticks_per_price", "f8"), ("lots_per_qty", "f8"), ("value_e8", "i8"), ("inverse_e8", "f8"),
    ("maker_fee_ratio", "f8"), ("taker_fee_ratio", "f8"),
]  # fmt: skip
