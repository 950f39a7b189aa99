"""Prices over hours: a skeleton walk of hourly opening prices, and the bridge, compiled, that makes simulated hours meet it.

Hour k opens at opening k of the walk and ends at opening k+1. The simulator's own drift over the hour is exchanged for the
skeleton's, little by little and only with updates that change the mid price anyway. Like a Brownian path turned into a
bridge between two points of an independent walk, this leaves the law of shorter moves alone, as long as the walk's hourly
volatility is that of the simulator.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, KIND_MARK_PRICE, KIND_OPEN_INTEREST, KIND_TRADE
from edgesmith.domain.instruments import Instrument
from edgesmith.errors import InputError
from edgesmith.worlds.random import child_key, normal_at
from edgesmith.worlds.tape import LABEL_SKELETON

# Below this price in ticks a simulated sweep could reach zero.
OPENING_TICKS_MIN = 20_000
# Mark and index prices are on a grid this much finer than the tick.
_MARK_STEPS_PER_TICK = 100.0


class Grid(msgspec.Struct, frozen=True):
    """A price or quantity step as numerator and denominator, so that `steps * numerator / denominator` is correctly rounded."""

    numerator: float
    denominator: float

    @classmethod
    def of(cls, step: str) -> Grid:
        """Return the grid of a decimal step such as '0.1'."""
        numerator, denominator = Decimal(step).as_integer_ratio()
        return cls(float(numerator), float(denominator))

    def steps(self, value: float) -> int:
        """Return the number of steps nearest to `value`."""
        return round(value * self.denominator / self.numerator)


def opening_ticks(root: np.uint64, hour: int, opening_price: float, volatility_hour_bps: float, tick: Grid) -> int:
    """Return the bid, in ticks, that hour `hour` opens at: a pure function of the symbol's key and the hour."""
    start = tick.steps(opening_price)
    if start < OPENING_TICKS_MIN:
        raise InputError(f"opening_price was {opening_price} = {start} ticks, expected at least {OPENING_TICKS_MIN} ticks")
    key = child_key(root, LABEL_SKELETON)
    with np.errstate(over="ignore"):
        log_move = _skeleton_walk(key, hour)
    return max(OPENING_TICKS_MIN, round(start * math.exp(volatility_hour_bps * 1e-4 * log_move)))


@kernel
def _skeleton_walk(key: np.uint64, hour: int) -> float:
    total = 0.0
    for step in range(hour):
        total += normal_at(key, np.uint64(step))
    return total


def settle(
    events: NDArray[Any], start_ns: int, duration_ns: int, opening: int, closing: int | None, instrument: Instrument
) -> None:
    """Turn simulated ticks and lots into prices and sizes, in place, opening at bid `opening` and closing at `closing`.

    Without `closing`, prices end where the simulation left them.
    """
    tick, lot = Grid.of(instrument.tick_size), Grid.of(instrument.lot_size)
    first, last = _first_and_last_bid(events)
    closing = last + opening - first if closing is None else closing
    _settle(events, start_ns, duration_ns, opening, closing, tick.numerator, tick.denominator, lot.numerator, lot.denominator)


@kernel
def _settle(
    events: Any,
    start_ns: int,
    duration_ns: int,
    opening: int,
    closing: int,
    tick_numerator: float,
    tick_denominator: float,
    lot_numerator: float,
    lot_denominator: float,
) -> None:
    first, last = _first_and_last_bid(events)
    offset = float(opening - first)
    drift = (closing - last) - offset
    opening_offset = offset
    mid_before = -1.0
    for i in range(len(events)):
        row = events[i]
        if row.kind == KIND_BBO:
            mid = row.bid_price + row.ask_price
            if mid != mid_before:
                offset = opening_offset + math.floor(drift * ((row.ts_event - start_ns) / duration_ns) + 0.5)
                mid_before = mid
            row.bid_price = (row.bid_price + offset) * tick_numerator / tick_denominator
            row.ask_price = (row.ask_price + offset) * tick_numerator / tick_denominator
            row.bid_qty = row.bid_qty * lot_numerator / lot_denominator
            row.ask_qty = row.ask_qty * lot_numerator / lot_denominator
        elif row.kind == KIND_TRADE:
            row.price = (row.price + offset) * tick_numerator / tick_denominator
            row.qty = row.qty * lot_numerator / lot_denominator
        elif row.kind == KIND_MARK_PRICE:
            row.mark_price = _fine_price(row.mark_price + offset, tick_numerator, tick_denominator)
            row.index_price = _fine_price(row.index_price + offset, tick_numerator, tick_denominator)
        elif row.kind == KIND_OPEN_INTEREST:
            row.open_interest = row.open_interest * lot_numerator / lot_denominator


@kernel
def _fine_price(ticks: float, numerator: float, denominator: float) -> float:
    return math.floor(ticks * _MARK_STEPS_PER_TICK + 0.5) * numerator / (denominator * _MARK_STEPS_PER_TICK)


@kernel
def _first_and_last_bid(events: Any) -> tuple[int, int]:
    first = 0
    last = 0
    seen = False
    for i in range(len(events)):
        row = events[i]
        if row.kind == KIND_BBO:
            last = int(row.bid_price)
            if not seen:
                first = last
                seen = True
    return first, last
