"""The words of an order's life, and the records compiled code keeps them in.

intent (what a strategy wants) -> approved by risk -> order (sent, with a state) -> execution report -> fill.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec
import numpy as np


class Side(IntEnum):
    """Direction; signs multiply out."""

    BUY = 1
    SELL = -1


class OrderType(IntEnum):
    """How an order meets the book."""

    MARKET = 0
    LIMIT = 1


class TimeInForce(IntEnum):
    """How long a limit order lives."""

    GTC = 0
    IOC = 1


class OrderOrigin(IntEnum):
    """Who wanted an order."""

    STRATEGY = 0
    STOP_LOSS = 1
    TAKE_PROFIT = 2
    END_OF_RUN = 3


class OrderState(IntEnum):
    """Where an order stands at the venue."""

    EMPTY = 0
    IN_FLIGHT = 1
    RESTING = 2
    DONE = 3


class ReportKind(IntEnum):
    """What a venue says about an order."""

    ACCEPTED = 0
    FILLED = 1
    CANCELED = 2
    REJECTED = 3


class Reason(IntEnum):
    """Why an intent was refused by risk, or an order ended without a full fill."""

    NONE = 0
    MAX_POSITION = 1
    COOLDOWN = 2
    DAILY_LOSS = 3
    SHORT_NOT_ALLOWED = 4
    MAX_OPEN_ORDERS = 5
    MAX_NOTIONAL = 6
    NO_QUOTE = 10
    OFF_GRID = 11
    QTY_ZERO = 12
    WOULD_TAKE = 13
    REDUCE_ONLY = 14
    UNFILLED = 15
    CANCEL_REQUESTED = 16
    UNKNOWN_ORDER = 17
    INVALID_INTENT = 18
    RUN_ENDED = 19


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy wants. `qty` is positive, in the instrument's quantity unit; `price` is None for market orders."""

    instrument: int
    side: Side
    qty: float
    order_type: OrderType = OrderType.MARKET
    price: float | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False


# One line per decision of a strategy or of risk, approved or not, in the order they were made.
DECISION: np.dtype[Any] = np.dtype(
    [
        ("ts", "<i8"),  # our clock when it was made
        ("event_index", "<i8"),  # events processed so far
        ("order_id", "<i8"),  # 0 when refused
        ("price_ticks", "<i8"),  # 0 for market orders
        ("lots", "<i8"),  # positive
        ("instrument", "<i4"),
        ("side", "i1"),
        ("order_type", "u1"),
        ("origin", "u1"),
        ("reason", "u1"),  # 0 when approved
    ],
    align=True,
)

# One line per execution of ours.
FILL: np.dtype[Any] = np.dtype(
    [
        ("ts_match", "<i8"),  # when the venue matched it, on our clock
        ("ts_known", "<i8"),  # when we learned of it
        ("fill_id", "<i8"),
        ("order_id", "<i8"),
        ("price_ticks", "<i8"),
        ("lots", "<i8"),  # positive
        ("fee_e8", "<i8"),  # positive is paid, negative a rebate
        ("realized_e8", "<i8"),  # PnL realized by this fill, before fees
        ("position_lots", "<i8"),  # after the fill
        ("instrument", "<i4"),
        ("side", "i1"),
        ("is_maker", "u1"),
        ("origin", "u1"),
        ("closes", "u1"),  # 1 when the position was flat or flipped by this fill
    ],
    align=True,
)
