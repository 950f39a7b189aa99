"""Price impact in a tape: what trades do to the price, planted exactly or measured, in bps per unit of base quantity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, KIND_TRADE
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import as_records
from edgesmith.domain.units import BPS, NS_PER_S
from edgesmith.worlds.bridge import Grid
from edgesmith.worlds.shifts import shift_prices

# The mean time a price remembers a trade.
MEMORY_NS = 60 * NS_PER_S
# At both ends of a tape the price is the one without impact; it gets there over this long.
_FADE_NS = 120 * NS_PER_S
STEP_NS = NS_PER_S


def with_impact(events: NDArray[Any], impact_bps_per_qty: float, instrument: Instrument) -> NDArray[Any]:
    """Return `events`, one instrument in venue order, with every trade moving the price its way, in a copy.

    A trade of size q moves the next quote by `impact_bps_per_qty` x q; the price forgets it at the rate of 1 / `MEMORY_NS`, with
    updates that change the mid price anyway.
    """
    out = as_records(events.copy())
    quotes = np.flatnonzero(events["kind"] == KIND_BBO)
    if not len(quotes):
        return out
    grid = Grid.of(instrument.tick_size)
    ticks_per_qty = impact_bps_per_qty * BPS * float(events["bid_price"][quotes[0]]) * grid.denominator / grid.numerator
    offset_ticks = np.zeros(len(events), np.int64)
    ends_ns = int(events["ts_event"][quotes[0]]), int(events["ts_event"][quotes[-1]])
    _press(as_records(events), ticks_per_qty, ends_ns[0], ends_ns[1], offset_ticks)
    shift_prices(out, offset_ticks, grid.numerator, grid.denominator)
    return out


@kernel
def _press(events: NDArray[Any], ticks_per_qty: float, first_ns: int, last_ns: int, offset_ticks: NDArray[np.int64]) -> None:
    pressure, since_ns, traded = 0.0, first_ns, False
    mid_before, offset = -1.0, 0
    for i in range(len(events)):
        row = events[i]
        if row.kind == KIND_TRADE:
            pressure *= math.exp(-(row.ts_event - since_ns) / MEMORY_NS)
            pressure += row.side * row.qty * ticks_per_qty
            since_ns = row.ts_event
            traded = True
        elif row.kind == KIND_BBO:
            mid = row.bid_price + row.ask_price
            if traded or mid != mid_before:
                kept = pressure * math.exp(-(row.ts_event - since_ns) / MEMORY_NS)
                nearest_ns = min(row.ts_event - first_ns, last_ns - row.ts_event)
                offset = math.floor(kept * min(1.0, nearest_ns / _FADE_NS) + 0.5)
            mid_before = mid
            traded = False
        offset_ticks[i] = offset


def impact_sums(events: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sums of x y and of x squared over seconds: x the signed volume of a second, y the change of the mid in bps.

    Their ratio is the slope of price on volume; sums of tapes add.
    """
    quotes, trades = events[events["kind"] == KIND_BBO], events[events["kind"] == KIND_TRADE]
    if not len(quotes) or not len(trades):
        return np.zeros(2)
    quoted = quotes["ts_recv"] // STEP_NS
    first, count = int(quoted[0]), int(quoted[-1] - quoted[0]) + 1
    last = np.searchsorted(quoted, np.arange(first, first + count), side="right") - 1
    mid = (quotes["bid_price"] + quotes["ask_price"])[last] / 2.0
    moved_bps = np.diff(np.log(mid), prepend=math.log(mid[0])) / BPS
    at = trades["ts_recv"] // STEP_NS - first
    inside = (at >= 0) & (at < count)
    volume = np.bincount(at[inside], (trades["side"] * trades["qty"])[inside], minlength=count)
    return np.array([float((volume * moved_bps).sum()), float((volume**2).sum())])
