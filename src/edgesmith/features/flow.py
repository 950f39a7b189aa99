"""Features of who presses: sizes at the touch, and the sides trades are taken from."""

from __future__ import annotations

import math
from typing import Annotated

from edgesmith.features.arithmetic import DIVIDE, MULTIPLY
from edgesmith.features.operator import (
    ASK_PRICE,
    ASK_QTY,
    BID_PRICE,
    BID_QTY,
    TRADE_QTY,
    TRADE_SIDE,
    DurationNs,
    Mirror,
    Node,
    Operator,
    Range,
    Unit,
    Window,
    register,
)
from edgesmith.features.rolling import decayed_sum_of, ema_of


def size_imbalance(bid_qty: float, ask_qty: float) -> float:
    """Return (bid_qty - ask_qty) / (bid_qty + ask_qty); NaN where there is no size at all."""
    total = bid_qty + ask_qty
    return (bid_qty - ask_qty) / total if total > 0.0 else math.nan


def size_weighted_mid(bid_price: float, bid_qty: float, ask_price: float, ask_qty: float) -> float:
    """Return (bid ask_qty + ask bid_qty) / (bid_qty + ask_qty); the mid price where there is no size at all."""
    total = bid_qty + ask_qty
    if total == 0.0:
        return (bid_price + ask_price) / 2.0
    return (bid_price * ask_qty + ask_price * bid_qty) / total


def sided_trade(side: float, qty: float) -> float:
    """Return 1 for a trade with a side, 0 for one without; NaN where the size is not a finite number."""
    return side * side if qty - qty == 0.0 else math.nan


IMBALANCE = Operator(size_imbalance)(BID_QTY, ASK_QTY)


@register(unit=Unit.PRICE, mirror=Mirror.LEVEL)
def microprice() -> Node:
    """(bid ask_qty + ask bid_qty) / (bid_qty + ask_qty): the size-weighted mid; m where there is no size."""
    return Operator(size_weighted_mid)(BID_PRICE, BID_QTY, ASK_PRICE, ASK_QTY)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def imbalance_ema(period: Window = 20) -> Node:
    """EMA over `period` of (bid_qty - ask_qty) / (bid_qty + ask_qty), -1 to 1; an event without size is not counted."""
    return ema_of(IMBALANCE, period)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def trade_flow_imbalance(half_life_ns: DurationNs = 10_000_000_000, warmup_events: Annotated[int, Range(1, 65_536)] = 20) -> Node:
    """Signed over total traded qty, -1 to 1, each trade fading by half every `half_life_ns`; changes with trades only.

    Both sums fade alike, so between trades the ratio stands still and carrying it forward is exact.
    """
    signed = decayed_sum_of(MULTIPLY(TRADE_SIDE, TRADE_QTY), half_life_ns, warmup_events)
    return DIVIDE(signed, decayed_sum_of(TRADE_QTY, half_life_ns, warmup_events))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def trade_activity(half_life_ns: DurationNs = 60_000_000_000, warmup_events: Annotated[int, Range(1, 65_536)] = 20) -> Node:
    """Number of trades, each fading by half every `half_life_ns`; one without a side is not counted; changes with trades only."""
    return decayed_sum_of(Operator(sided_trade)(TRADE_SIDE, TRADE_QTY), half_life_ns, warmup_events)
