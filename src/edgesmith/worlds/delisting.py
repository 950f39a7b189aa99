"""Markets that end: a fall over the last hours, and then no more data, as when a venue delists a symbol."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import as_records
from edgesmith.domain.units import NS_PER_HOUR
from edgesmith.errors import InputError
from edgesmith.worlds.bridge import Grid
from edgesmith.worlds.shifts import shift_prices


class Delisting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The end of a market.

    Parameters
    ----------
    after_hours
        Hours of the world it lives; there is not one event after them.
    fall_ratio, fall_hours
        Over its last `fall_hours` the price loses this part of itself, evenly in logs, on top of what it does anyway.
    """

    after_hours: int
    fall_ratio: float = 0.6
    fall_hours: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.fall_hours <= self.after_hours:
            raise InputError(f"delisting after {self.after_hours} hours: fall_hours was {self.fall_hours}, expected 1..that")
        if not 0.0 <= self.fall_ratio < 1.0:
            raise InputError(f"delisting fall_ratio was {self.fall_ratio}, expected at least 0 and below 1")

    def has_ended(self, hour: int) -> bool:
        """Tell whether hour `hour` of the world comes after the end."""
        return hour >= self.after_hours


def fallen(tape: NDArray[Any], delisting: Delisting, world_start_ns: int, instrument: Instrument) -> NDArray[Any]:
    """Return an hour of a market in venue order with its share of the fall, in a copy; before the fall, as it is.

    The price falls with updates that change the mid price anyway; sizes, spreads and times stay.
    """
    falls_ns = world_start_ns + (delisting.after_hours - delisting.fall_hours) * NS_PER_HOUR
    quotes = np.flatnonzero(tape["kind"] == KIND_BBO)
    if not len(quotes) or int(tape["ts_event"][-1]) <= falls_ns:
        return tape
    grid = Grid.of(instrument.tick_size)
    mid = (tape["bid_price"][quotes] + tape["ask_price"][quotes]) / 2.0
    moving = np.r_[True, np.diff(mid) != 0.0]
    elapsed_ratio = (tape["ts_event"][quotes] - falls_ns) / (delisting.fall_hours * NS_PER_HOUR)
    kept_ratio = np.exp(math.log1p(-delisting.fall_ratio) * np.clip(elapsed_ratio, 0.0, 1.0))
    ticks = np.rint(mid * (kept_ratio - 1.0) * grid.denominator / grid.numerator).astype(np.int64)
    # An event carries the offset of the last quote that moved; the few before the first quote carry its own.
    latest = np.maximum.accumulate(np.where(moving, np.arange(len(quotes)), 0))
    before = np.maximum(np.searchsorted(quotes, np.arange(len(tape)), side="right") - 1, 0)
    out = as_records(tape.copy())
    shift_prices(out, ticks[latest][before], grid.numerator, grid.denominator)
    return out
