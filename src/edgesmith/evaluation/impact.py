"""How much the price moves against those who trade: the slope of the mid price on signed volume, by time block.

The mid-price change over a second is regressed on the taker volume in the same second, through the origin (Kyle 1985; the slope
that Cont, Kukanov and Stoikov 2014 call the price impact coefficient, with traded volume in place of order flow). Sums per block
are enough for slope and interval.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO, KIND_TRADE
from edgesmith.domain.units import BPS, NS_PER_S
from edgesmith.evaluation.intervals import Interval, mean_interval

STEP_NS = NS_PER_S
# Sizes from e^-40 to e^40 in steps of 2 %.
SIZE_BINS, SIZE_STEP = 4_096, 0.02


class Capacity(NamedTuple):
    """What size an edge carries; in the market's quantity and its notional at the value of a unit that was given.

    `best_qty` earns most: net(q) = edge - slope q, so q = edge / (2 slope). `capped_qty` is that, or a tenth of the median size
    displayed at entry where that is less. None where the slope cannot be told from zero.
    """

    best_qty: float | None
    capped_qty: float
    notional: float


class DisplayedSize:
    """The median size at the touch a taker of `side` meets, one value a quote; a histogram of fixed size, within 1 %."""

    def __init__(self, instrument: int, side: int) -> None:
        self._instrument = instrument
        self._field = "ask_qty" if side > 0 else "bid_qty"
        self._counts = np.zeros(SIZE_BINS, np.int64)

    def feed(self, events: NDArray[Any]) -> None:
        """Take a batch of events."""
        sizes = events[self._field][(events["instrument"] == self._instrument) & (events["kind"] == KIND_BBO)]
        known = sizes[sizes > 0.0]
        place = np.rint(np.log(known) / SIZE_STEP).astype(np.int64) + SIZE_BINS // 2
        self._counts += np.bincount(np.clip(place, 0, SIZE_BINS - 1), minlength=SIZE_BINS)

    @property
    def median(self) -> float:
        """Return the median in base quantity; 0 where no size was ever displayed."""
        total = int(self._counts.sum())
        if total == 0:
            return 0.0
        middle = int(np.searchsorted(np.cumsum(self._counts), (total + 1) // 2))
        return float(np.exp((middle - SIZE_BINS // 2) * SIZE_STEP))


class ImpactMeter:
    """Collects, for one instrument, the block sums of x y and x^2: x signed volume, y mid change in bps, both of one second.

    `last_mid` is the mid price at the end of what it has seen, NaN before the first quote.
    """

    def __init__(self, instrument: int, block_ns: int) -> None:
        self._instrument = instrument
        self._block_ns = block_ns
        self.last_mid = np.nan
        self._sums: dict[int, NDArray[np.float64]] = {}

    def feed(self, events: NDArray[Any]) -> None:
        """Take a batch of events in receive order; a second cut by the end of a batch is two."""
        mine = events["instrument"] == self._instrument
        quotes, trades = np.flatnonzero(mine & (events["kind"] == KIND_BBO)), mine & (events["kind"] == KIND_TRADE)
        if not len(quotes):
            return
        step = events["ts_recv"][quotes] // STEP_NS
        closes = np.flatnonzero(np.diff(step, append=step[-1] + 1))
        seconds = step[closes]
        mids = (events["bid_price"][quotes[closes]] + events["ask_price"][quotes[closes]]) / 2.0
        before = np.r_[self.last_mid, mids[:-1]]
        self.last_mid = float(mids[-1])
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = (mids / before - 1.0) / BPS
        traded = events["ts_recv"][trades] // STEP_NS
        place = np.searchsorted(seconds, traded)
        inside = place < len(seconds)
        inside[inside] &= seconds[place[inside]] == traded[inside]
        signed = events["side"][trades] * events["qty"][trades]
        volume = np.bincount(place[inside], signed[inside], len(seconds))
        known = np.isfinite(moved)
        for block in np.unique(seconds[known] * STEP_NS // self._block_ns):
            chosen = known & (seconds * STEP_NS // self._block_ns == block)
            sums = self._sums.setdefault(int(block), np.zeros(2))
            sums += [(volume[chosen] * moved[chosen]).sum(), (volume[chosen] ** 2).sum()]

    def slope_bps(self, seed: int) -> Interval:
        """Return the slope in bps per unit of base quantity, with its 90 % interval over blocks."""
        sums = np.array([self._sums[key] for key in sorted(self._sums)]).reshape(-1, 2)
        return mean_interval(sums[:, 1], sums[:, 0], seed=seed)


def capacity(edge_bps: float, slope_bps: Interval, displayed_qty: float, unit_value: float) -> Capacity:
    """Return the size that earns most; `edge_bps` is the net result of a small trade, `displayed_qty` that at the touch.

    `unit_value` is what one unit of quantity is worth: the price, or the value of an inverse contract.
    """
    tenth = displayed_qty / 10.0
    if edge_bps <= 0.0:
        return Capacity(0.0, 0.0, 0.0)
    if not slope_bps.low > 0.0:
        return Capacity(None, tenth, tenth * unit_value)
    best = edge_bps / (2.0 * slope_bps.mean)
    return Capacity(best, min(best, tenth), min(best, tenth) * unit_value)


def kept_bps(edge_bps: float, slope_bps: Interval, qty: float) -> float:
    """Return what a trade of `qty` keeps of the net result of a small one; a slope that is not known takes nothing."""
    slope = slope_bps.mean if slope_bps.mean > 0.0 else 0.0
    return edge_bps - slope * qty
