"""Features of what stands at the best prices: absorption, refills after fills, and the spread in ticks."""

from __future__ import annotations

import math
from typing import Annotated

from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO
from edgesmith.features.arithmetic import SUBTRACT
from edgesmith.features.operator import (
    ASK_PRICE,
    ASK_QTY,
    BID_PRICE,
    BID_QTY,
    FLAGS,
    KIND,
    QUOTES_AND_TRADES,
    TRADE_PRICE,
    TRADE_QTY,
    TRADE_SIDE,
    TS_NS,
    DurationNs,
    Floats,
    Ints,
    Mirror,
    Node,
    Operator,
    Range,
    Unit,
    latest,
    register,
)
from edgesmith.features.price import SPREAD
from edgesmith.features.rolling import peak_of

# Differences of prices below this share of the price are rounding, not ticks.
ROUNDING = 1e-10


def absorption(
    f: Floats, i: Ints, at: int, kind: int, flags: int, price: float, size: float, trade_price: float, trade_qty: float,
    trade_side: float, taker: float,
) -> float:  # fmt: skip
    """Return the volume that takers of side `taker` traded at the standing best price, over the largest size displayed there.

    `f` holds the price, the volume and the largest size since the price changed.
    """
    given = price + size if kind == KIND_BBO else price + size + trade_price + trade_qty
    if given != given:
        return math.nan
    if kind == KIND_BBO:
        if price != f[at] or (flags & FLAG_AFTER_GAP) != 0:
            f[at] = price
            f[at + 1] = 0.0
            f[at + 2] = size
        f[at + 2] = max(f[at + 2], size)
    elif trade_side == taker and trade_price == f[at]:
        f[at + 1] += trade_qty
    return f[at + 1] / f[at + 2] if f[at + 2] > 0.0 and trade_price == trade_price else math.nan


def refills(
    f: Floats, i: Ints, at: int, n: int, ts_ns: int, kind: int, flags: int, price: float, size: float, trade_price: float,
    trade_qty: float, trade_side: float, taker: float, within_ns: int, share: float,
) -> float:  # fmt: skip
    """Return how many fills in a row, at the standing best price, were followed by a refill.

    `f` holds the price, the size displayed, the qty filled and not yet refilled, and the smallest size displayed since that
    fill; `i` the instant the refill is due by and the count.
    """
    given = price + size if kind == KIND_BBO else price + size + trade_price + trade_qty
    if given != given:
        return math.nan
    if f[at + 2] > 0.0 and ts_ns > i[n]:
        f[at + 2] = 0.0
        i[n + 1] = 0
    if kind == KIND_BBO:
        if price != f[at] or (flags & FLAG_AFTER_GAP) != 0:
            f[at] = price
            f[at + 2] = 0.0
            i[n + 1] = 0
        f[at + 1] = size
        f[at + 3] = min(f[at + 3], size)
        if f[at + 2] > 0.0 and size - f[at + 3] >= share * f[at + 2]:
            f[at + 2] = 0.0
            i[n + 1] += 1
    elif trade_side == taker and trade_price == f[at]:
        if f[at + 2] == 0.0:
            f[at + 3] = f[at + 1]
        f[at + 2] += trade_qty
        i[n] = ts_ns + within_ns
    return float(i[n + 1]) if trade_price == trade_price else math.nan


def smallest_step(f: Floats, i: Ints, at: int, bid_price: float, ask_price: float) -> float:
    """Return the smallest distance seen between bid and ask and between a price and the one before: the tick, as far as known.

    `f` holds that distance, the bid and the ask; infinite until there is one.
    """
    if bid_price + ask_price != bid_price + ask_price:
        return math.nan
    least = ROUNDING * (abs(bid_price) + abs(ask_price))
    for step in (ask_price - bid_price, abs(bid_price - f[at + 1]), abs(ask_price - f[at + 2])):
        if step > least and step < f[at]:
            f[at] = step
    f[at + 1] = bid_price
    f[at + 2] = ask_price
    return f[at]


def in_ticks(spread: float, tick: float) -> float:
    """Return the spread in whole ticks."""
    return (spread / tick + 0.5) // 1.0


def age_s(f: Floats, i: Ints, n: int, ts_ns: int, ticks: float) -> float:
    """Return the seconds since `ticks` was last above 1, or since the first value."""
    if ticks != ticks:
        return math.nan
    if i[n + 1] == 0 or ticks > 1.0:
        i[n] = ts_ns
        i[n + 1] = 1
    return max(ts_ns - i[n], 0) * 1e-9


_ABSORPTION = Operator(absorption, initial=(math.nan, 0.0, 0.0), hears=QUOTES_AND_TRADES)
_REFILLS = Operator(refills, initial=(math.nan, 0.0, 0.0, 0.0), counters=2, hears=QUOTES_AND_TRADES)
_TRADE = (latest(TRADE_PRICE), latest(TRADE_QTY), latest(TRADE_SIDE))
_BID = (latest(BID_PRICE), latest(BID_QTY))
_ASK = (latest(ASK_PRICE), latest(ASK_QTY))
BID_ABSORPTION = _ABSORPTION(KIND, FLAGS, *_BID, *_TRADE, params=(-1.0,))
ASK_ABSORPTION = _ABSORPTION(KIND, FLAGS, *_ASK, *_TRADE, params=(1.0,))


@register(unit=Unit.RATIO, mirror=Mirror.NONE)
def bid_absorption() -> Node:
    """Volume sold at the best bid price since it last changed / largest size displayed there; above 1 it was absorbed."""
    return BID_ABSORPTION


@register(unit=Unit.RATIO, mirror=Mirror.NONE)
def ask_absorption() -> Node:
    """Volume bought at the best ask price since it last changed / largest size displayed there; above 1 it was absorbed."""
    return ASK_ABSORPTION


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def absorption_balance() -> Node:
    """bid_absorption - ask_absorption: above 0 where the bid takes in more than the ask."""
    return SUBTRACT(BID_ABSORPTION, ASK_ABSORPTION)


RefillNs = Annotated[int, Range(1_000, 10_000_000_000)]
RefillShare = Annotated[float, Range(0.01, 100.0)]


def _bid_refills(within_ns: int, share: float) -> Node:
    return _REFILLS(TS_NS, KIND, FLAGS, *_BID, *_TRADE, params=(-1.0, within_ns, share))


def _ask_refills(within_ns: int, share: float) -> Node:
    return _REFILLS(TS_NS, KIND, FLAGS, *_ASK, *_TRADE, params=(1.0, within_ns, share))


@register(unit=Unit.RATIO, mirror=Mirror.NONE)
def bid_refills(within_ns: RefillNs = 50_000_000, share: RefillShare = 0.8) -> Node:
    """Fills of q in a row at the best bid after which its size rose by `share` q or more from its low within `within_ns`.

    Fills before a refill add up. The count begins anew when the price changes and when a refill does not come in time.

    References
    ----------
    Christensen, Woodmansey (2013), Prediction of hidden liquidity in the limit order book of GLOBEX futures.
    """
    return _bid_refills(within_ns, share)


@register(unit=Unit.RATIO, mirror=Mirror.NONE)
def ask_refills(within_ns: RefillNs = 50_000_000, share: RefillShare = 0.8) -> Node:
    """Fills of q in a row at the best ask after which its size rose by `share` q or more from its low within `within_ns`."""
    return _ask_refills(within_ns, share)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def refill_balance(within_ns: RefillNs = 50_000_000, share: RefillShare = 0.8) -> Node:
    """bid_refills - ask_refills: above 0 where hidden size shows on the bid."""
    return SUBTRACT(_bid_refills(within_ns, share), _ask_refills(within_ns, share))


# The tick is read off the prices, so that a program needs to know nothing of the instrument and no unit comes in.
TICK = Operator(smallest_step, initial=(math.inf, math.nan, math.nan))(BID_PRICE, ASK_PRICE)
SPREAD_TICKS = Operator(in_ticks)(SPREAD, TICK)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def spread_ticks() -> Node:
    """Spread over the smallest step of price or spread seen so far, rounded: 1 is as tight as this market gets."""
    return SPREAD_TICKS


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def wide_age() -> Node:
    """Seconds since the spread was last wider than 1 tick (see spread_ticks), since the first quote if it never was."""
    return Operator(age_s, counters=2)(TS_NS, SPREAD_TICKS)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def spread_peak(half_life_ns: DurationNs = 1_000_000_000) -> Node:
    """Widest spread so far in ticks (see spread_ticks), fading by half every `half_life_ns`; never below the spread."""
    return peak_of(SPREAD_TICKS, half_life_ns)
