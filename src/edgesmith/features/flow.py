"""Features of who presses: sizes at the touch, and the sides trades are taken from."""

from __future__ import annotations

import math
from typing import Annotated

from edgesmith.domain.events import FLAG_AFTER_GAP
from edgesmith.features.arithmetic import MULTIPLY, OVER
from edgesmith.features.operator import (
    ASK_PRICE,
    ASK_QTY,
    BID_PRICE,
    BID_QTY,
    FLAGS,
    QUOTES_AND_TRADES,
    TRADE_QTY,
    TRADE_SIDE,
    DurationNs,
    Floats,
    Ints,
    Mirror,
    Node,
    Operator,
    Range,
    Unit,
    Window,
    latest,
    register,
)
from edgesmith.features.rolling import ema_of, faded_sum_of


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


def displayed_depth(bid_price: float, bid_qty: float, ask_price: float, ask_qty: float) -> float:
    """Return (bid_qty + ask_qty) / 2; NaN where a price is."""
    return (bid_qty + ask_qty) / 2.0 if bid_price + ask_price == bid_price + ask_price else math.nan


def taker_side(side: float, qty: float) -> float:
    """Return the side; NaN where the size is not a finite number."""
    return side if qty - qty == 0.0 else math.nan


def one(x: float) -> float:
    """Return 1; NaN where x is."""
    return 1.0 if x == x else math.nan


def quote_flow(
    f: Floats, i: Ints, at: int, n: int, flags: int, bid_price: float, bid_qty: float, ask_price: float, ask_qty: float
) -> float:
    """Return the size that came to the bid and left the ask since the quote before; 0 after a gap."""
    total = bid_price + bid_qty + ask_price + ask_qty
    if total != total:
        return math.nan
    flow = 0.0
    if i[n] > 0 and (flags & FLAG_AFTER_GAP) == 0:
        if bid_price >= f[at]:
            flow += bid_qty
        if bid_price <= f[at]:
            flow -= f[at + 1]
        if ask_price <= f[at + 2]:
            flow -= ask_qty
        if ask_price >= f[at + 2]:
            flow += f[at + 3]
    f[at] = bid_price
    f[at + 1] = bid_qty
    f[at + 2] = ask_price
    f[at + 3] = ask_qty
    i[n] += 1
    return flow if i[n] > 1 else math.nan


IMBALANCE = Operator(size_imbalance)(BID_QTY, ASK_QTY)
# The prices are part of it only so that a quote with a bad price counts nowhere.
DEPTH = Operator(displayed_depth)(BID_PRICE, BID_QTY, ASK_PRICE, ASK_QTY)
QUOTE_FLOW = Operator(quote_flow, initial=(0.0,) * 4, counters=1, warmup=lambda: 2)(FLAGS, BID_PRICE, BID_QTY, ASK_PRICE, ASK_QTY)
SIGNED_QTY = MULTIPLY(TRADE_SIDE, TRADE_QTY)
SIDED = Operator(sided_trade)(TRADE_SIDE, TRADE_QTY)
WarmupEvents = Annotated[int, Range(1, 65_536)]


@register(unit=Unit.PRICE, mirror=Mirror.LEVEL)
def microprice() -> Node:
    """(bid ask_qty + ask bid_qty) / (bid_qty + ask_qty): the size-weighted mid; m where there is no size."""
    return Operator(size_weighted_mid)(BID_PRICE, BID_QTY, ASK_PRICE, ASK_QTY)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def imbalance_ema(period: Window = 20) -> Node:
    """EMA over `period` of (bid_qty - ask_qty) / (bid_qty + ask_qty), -1 to 1; an event without size is not counted."""
    return ema_of(IMBALANCE, period)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def queue_imbalance() -> Node:
    """(bid_qty - ask_qty) / (bid_qty + ask_qty), -1 to 1; NaN where there is no size.

    References
    ----------
    Gould, Bonart (2016), Queue imbalance as a one-tick-ahead price predictor.
    """
    return IMBALANCE


def trade_flow(half_life_ns: int, warmup_events: int) -> Node:
    """Return the node of `trade_flow_imbalance`."""
    signed = faded_sum_of(SIGNED_QTY, TRADE_QTY, half_life_ns, warmup_events)
    return OVER(signed, faded_sum_of(TRADE_QTY, TRADE_QTY, half_life_ns, warmup_events))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def trade_flow_imbalance(half_life_ns: DurationNs = 10_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """Signed over total traded qty, -1 to 1, each trade fading by half every `half_life_ns`; changes with trades only.

    Both sums fade alike, so between trades the ratio stands still and carrying it forward is exact.
    """
    return trade_flow(half_life_ns, warmup_events)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def trade_activity(half_life_ns: DurationNs = 60_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """Number of trades, each fading by half every `half_life_ns`; one without a side is not counted; changes with trades only."""
    return faded_sum_of(SIDED, TRADE_QTY, half_life_ns, warmup_events)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def trade_sign_memory(half_life_ns: DurationNs = 10_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """Mean of the takers' sides, -1 to 1, each trade fading by half every `half_life_ns`; changes with trades only.

    References
    ----------
    Lillo, Mike, Farmer (2005), Theory for long memory in supply and demand.
    """
    signs = faded_sum_of(Operator(taker_side)(TRADE_SIDE, TRADE_QTY), TRADE_QTY, half_life_ns, warmup_events)
    return OVER(signs, faded_sum_of(SIDED, TRADE_QTY, half_life_ns, warmup_events))


def mean_depth(half_life_ns: int, warmup_events: int) -> Node:
    """Return the mean over quotes of (bid_qty + ask_qty) / 2, each quote fading by half every `half_life_ns`."""
    total = faded_sum_of(DEPTH, DEPTH, half_life_ns, warmup_events)
    return OVER(total, faded_sum_of(Operator(one)(DEPTH), DEPTH, half_life_ns, warmup_events))


def order_flow(half_life_ns: int, warmup_events: int) -> Node:
    """Return the node of `order_flow_imbalance`."""
    return OVER(faded_sum_of(QUOTE_FLOW, QUOTE_FLOW, half_life_ns, warmup_events), mean_depth(half_life_ns, warmup_events))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def order_flow_imbalance(half_life_ns: DurationNs = 1_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """OFI: sum of quote flow e over mean depth (bid_qty + ask_qty) / 2, each quote fading by half every `half_life_ns`.

    e = [b >= b'] B - [b <= b'] B' - [a <= a'] A + [a >= a'] A', where b, B, a, A are bid, its size, ask, its size, and primes
    the quote before. A quote after a gap adds nothing.

    References
    ----------
    Cont, Kukanov, Stoikov (2014), The price impact of order book events.
    """
    return order_flow(half_life_ns, warmup_events)


def signed_flow(half_life_ns: int, warmup_events: int) -> Node:
    """Return the node of `signed_volume`."""
    signed = faded_sum_of(SIGNED_QTY, TRADE_QTY, half_life_ns, warmup_events, also=QUOTES_AND_TRADES)
    return OVER(signed, latest(mean_depth(half_life_ns, warmup_events)))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def signed_volume(half_life_ns: DurationNs = 10_000_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """Bought minus sold qty over mean depth (bid_qty + ask_qty) / 2, all fading by half every `half_life_ns`; as of now.

    The side is the taker's as the venue says it, not guessed from prices.
    """
    return signed_flow(half_life_ns, warmup_events)
