"""A simulated market: one symbol whose every hour is a pure function of (seed, symbol, hour, parameters)."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import EVENT
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import records
from edgesmith.domain.units import BPS, NS_PER_DAY, NS_PER_HOUR, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.worlds.bridge import Grid, opening_ticks, settle
from edgesmith.worlds.latency import LANE
from edgesmith.worlds.parameters import TapeParameters, packed
from edgesmith.worlds.random import child_key, root_key, uniform_at
from edgesmith.worlds.rows import ROWS_PER_ACTION_MAX
from edgesmith.worlds.tape import TAPE_STATE, simulate_hour

_LABEL_TREND = 5
# BBO; trades; everything slow.
_LANES = 3
# An hour that needs more rows than this is a parameter mistake: 64 million events are 4 GiB.
ROWS_PER_HOUR_MAX = 2**26
# Nor can it need this many times the rows its rate says: its bursts would feed themselves.
_GROWTH_MAX = 32
SEED_MAX = 2**63 - 1
SYMBOLS_MAX = 4_096


class Market(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One symbol of a world.

    Parameters
    ----------
    start_ns
        The instant hour 0 begins at.
    symbol_index
        Position among the symbols of the world: part of the key of all random numbers, and `EVENT.instrument`.
    drift_hour_bps
        A trend of this size, up or down for a whole UTC day.
    """

    instrument: Instrument
    parameters: TapeParameters
    seed: int
    start_ns: int
    symbol_index: int = 0
    drift_hour_bps: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= SEED_MAX:
            raise InputError(f"seed was {self.seed}, expected 0..{SEED_MAX}")
        if not 0 <= self.symbol_index < SYMBOLS_MAX:
            raise InputError(f"symbol_index was {self.symbol_index}, expected 0..{SYMBOLS_MAX - 1}")
        if self.start_ns % NS_PER_HOUR or self.start_ns < NS_PER_HOUR:
            raise InputError(f"start_ns was {self.start_ns}, expected a whole hour UTC")

    @cached_property
    def key(self) -> np.uint64:
        """Return the key all random numbers of this symbol derive from."""
        return root_key(self.seed, self.symbol_index)

    def hour(self, hour: int) -> NDArray[Any]:
        """Return the events of one hour in venue order, as an EVENT array; `seq` counts each stream from 0."""
        if hour < 0:
            raise InputError(f"hour was {hour}, expected >= 0")
        events = self._simulated(hour, NS_PER_HOUR)
        settle(
            events,
            self.start_ns + hour * NS_PER_HOUR,
            NS_PER_HOUR,
            self.opening_ticks(hour),
            self.opening_ticks(hour + 1),
            self.instrument,
        )
        return events

    def opening(self, duration_ns: int) -> NDArray[Any]:
        """Return the first `duration_ns` of hour 0 as they are before prices are led to where hour 1 opens."""
        if not 0 < duration_ns <= NS_PER_HOUR:
            raise InputError(f"duration_ns was {duration_ns}, expected a part of an hour")
        events = self._simulated(0, duration_ns)
        settle(events, self.start_ns, duration_ns, self.opening_ticks(0), None, self.instrument)
        return events

    def trend_sign(self, hour: int) -> int:
        """Return which way prices drift on the UTC day of `hour`."""
        with np.errstate(over="ignore"):
            return 1 if uniform_at(child_key(self.key, _LABEL_TREND), np.uint64(self._day(hour))) < 0.5 else -1

    def _day(self, hour: int) -> int:
        return (self.start_ns + hour * NS_PER_HOUR) // NS_PER_DAY

    def opening_ticks(self, hour: int) -> int:
        """Return the bid, in ticks, that an hour opens at."""
        p = self.parameters
        opening = p.opening_price
        if self.drift_hour_bps:
            opening *= math.exp(BPS * self.drift_hour_bps * sum(map(self.trend_sign, range(hour))))
        return opening_ticks(self.key, hour, opening, p.volatility_hour_bps, Grid.of(self.instrument.tick_size))

    def log_path(self, hour: int) -> float:
        """Return how far, in logs, the opening of an hour is from that of hour 0."""
        return math.log(self.opening_ticks(hour) / self.opening_ticks(0))

    def _simulated(self, hour: int, duration_ns: int) -> NDArray[Any]:
        # Bursts make the number of rows uncertain; a second try with more room gives the same events.
        capacity = int(self.parameters.actions_per_s * duration_ns / NS_PER_S * 2) + 50 * ROWS_PER_ACTION_MAX
        state, lanes, parameters = records(TAPE_STATE), records(LANE, _LANES), packed(self.parameters)
        state["instrument"] = self.symbol_index
        most = min(_GROWTH_MAX * capacity, ROWS_PER_HOUR_MAX)
        while capacity <= most:
            out = records(EVENT, capacity)
            with np.errstate(over="ignore"):
                count = simulate_hour(hour, duration_ns, self.key, self.start_ns - NS_PER_HOUR, state, lanes, parameters, out)
            if count >= 0:
                return out[:count]
            capacity *= 2
        raise InputError(
            f"hour {hour} needs more than {most} events, expected fewer: lower actions_per_s, the branching ratios or the runs"
        )
