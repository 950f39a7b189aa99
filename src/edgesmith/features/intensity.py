"""Features of how fast buyers and sellers come: sums of exponentials at three time scales, eight times apart.

A trade excites the rate of its own side; the half-lives h, 8 h and 64 h together fade like a power of time, which is what
the rate of trades does. Rates are as of now: they fade on quotes too.

References
----------
Bacry, Mastromatteo, Muzy (2015), Hawkes processes in finance.
Hardiman, Bouchaud (2014), Branching-ratio approximation for the self-exciting Hawkes process.
"""

from __future__ import annotations

import math

from edgesmith.features.flow import SIDED, WarmupEvents
from edgesmith.features.operator import (
    QUOTES_AND_TRADES,
    TRADE_QTY,
    TRADE_SIDE,
    DurationNs,
    Mirror,
    Node,
    Operator,
    Unit,
    register,
)
from edgesmith.features.rolling import LN_2, faded_sum_of

SCALES = (1, 8, 64)
NS_PER_S = 1e9


def taken_by(side: float, qty: float, taker: float) -> float:
    """Return 1 for a trade whose taker is on the side of `taker`, else 0; NaN where the size is not a finite number."""
    if qty - qty != 0.0:
        return math.nan
    return 1.0 if side * taker > 0.0 else 0.0


def mean_rate(fast: float, middle: float, slow: float, half_life_ns: int) -> float:
    """Return the mean of three faded counts as rates per second, at 1, 8 and 64 times `half_life_ns`."""
    return (fast + middle / 8.0 + slow / 64.0) * (LN_2 * NS_PER_S / half_life_ns / 3.0)


def balance(a: float, b: float) -> float:
    """Return (a - b) / (a + b); 0 where both are 0."""
    return (a - b) / (a + b) if a + b != 0.0 else 0.0


def speed_up(fast: float, slow: float) -> float:
    """Return the rate at half-life h over that at 64 h, from the two counts; 0 where both have faded away."""
    return 64.0 * fast / slow if slow != 0.0 else 0.0


_TAKEN_BY = Operator(taken_by)
_MEAN_RATE = Operator(mean_rate)

BUYS = _TAKEN_BY(TRADE_SIDE, TRADE_QTY, params=(1.0,))
SELLS = _TAKEN_BY(TRADE_SIDE, TRADE_QTY, params=(-1.0,))


def _counts(trades: Node, half_life_ns: int, warmup_events: int) -> list[Node]:
    return [faded_sum_of(trades, TRADE_QTY, half_life_ns * scale, warmup_events, also=QUOTES_AND_TRADES) for scale in SCALES]


def _intensity(trades: Node, half_life_ns: int, warmup_events: int) -> Node:
    return _MEAN_RATE(*_counts(trades, half_life_ns, warmup_events), params=(half_life_ns,))


@register(unit=Unit.RATIO, mirror=Mirror.NONE)
def buy_intensity(half_life_ns: DurationNs = 500_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """Buys per second: mean of their faded rates at half-lives h, 8 h and 64 h, as of now. Mirrored it is sell_intensity."""
    return _intensity(BUYS, half_life_ns, warmup_events)


@register(unit=Unit.RATIO, mirror=Mirror.NONE)
def sell_intensity(half_life_ns: DurationNs = 500_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """Sells per second: mean of their faded rates at half-lives h, 8 h and 64 h, as of now. Mirrored it is buy_intensity."""
    return _intensity(SELLS, half_life_ns, warmup_events)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def excitation_ratio(half_life_ns: DurationNs = 500_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """(buy_intensity - sell_intensity) / (buy_intensity + sell_intensity), -1 to 1; 0 where both have faded away."""
    buys, sells = (_intensity(trades, half_life_ns, warmup_events) for trades in (BUYS, SELLS))
    return Operator(balance)(buys, sells)


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def burst_ratio(half_life_ns: DurationNs = 500_000_000, warmup_events: WarmupEvents = 20) -> Node:
    """Rate of trades with a side at half-life h over that at 64 h, as of now: 1 in steady flow, up to 64 in a burst."""
    fast, _, slow = _counts(SIDED, half_life_ns, warmup_events)
    return Operator(speed_up)(fast, slow)
