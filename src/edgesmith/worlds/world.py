"""A world: a scenario with a seed, a first day and a length; its hours and the record of what is true of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import msgspec
from numpy.typing import NDArray

from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.units import ns_of_date
from edgesmith.errors import InputError
from edgesmith.worlds.claims import ClaimTally, ClaimTruth, tally, truth_of
from edgesmith.worlds.market import Market
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.plant import Plant, plant_edges
from edgesmith.worlds.random import child_key
from edgesmith.worlds.scenarios import Scenario

VENUE = "simulated"
# Changes whenever the same seed gives other bytes.
RECIPE_VERSION = 1
HOURS_MAX = 24 * 3_660
_LABEL_PLANTS = 20


class TruthRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of the hours it covers; goes into the lake beside the data."""

    recipe_version: int
    scenario: str
    summary: str
    seed: int
    rate: float
    first_hour: int
    hours: int
    instrument: Instrument
    parameters: TapeParameters
    plants: tuple[Plant, ...]
    claims: tuple[ClaimTruth, ...]
    shifts_scheduled: int
    shifts_taken_back: int
    shifts_late: int
    late_ticks: int


@dataclass(frozen=True)
class WorldHour:
    """One hour: its events in venue order, and what its part of the truth is made of."""

    hour: int
    events: NDArray[Any]
    tallies: tuple[ClaimTally, ...]
    shifts: tuple[int, int, int, int]


@dataclass(frozen=True)
class World:
    """A scenario made concrete; any hour can be asked for, in any order, and is the same bytes.

    Parameters
    ----------
    hours, rate
        Default to those of the scenario; a rate multiplies the scenario's own.
    """

    scenario: Scenario
    seed: int
    start_day: date
    hours: int
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.hours <= HOURS_MAX:
            raise InputError(f"hours was {self.hours}, expected 1..{HOURS_MAX}")

    @cached_property
    def instrument(self) -> Instrument:
        """Return what is traded in this world, with the scenario's fees."""
        scenario = self.scenario
        return Instrument(
            venue=VENUE,
            symbol=scenario.symbol,
            kind=ContractKind.LINEAR,
            tick_size=scenario.tick_size,
            lot_size=scenario.lot_size,
            settle="USDT",
            maker_fee_ratio=scenario.maker_fee_ratio,
            taker_fee_ratio=scenario.taker_fee_ratio,
            simulated=True,
        )

    @cached_property
    def market(self) -> Market:
        """Return the market before anything is planted."""
        parameters = self.scenario.parameters.at_rate(self.scenario.rate * self.rate)
        return Market(instrument=self.instrument, parameters=parameters, seed=self.seed, start_ns=ns_of_date(self.start_day))

    def hour(self, hour: int) -> WorldHour:
        """Return hour `hour` of the world, a pure function of the world and the number."""
        if not 0 <= hour < self.hours:
            raise InputError(f"hour was {hour}, expected 0..{self.hours - 1}")
        base = self.market.hour(hour)
        planted = plant_edges(
            base, self.scenario.plants, instrument=self.instrument, key=child_key(self.market.key, _LABEL_PLANTS)
        )
        tallies = tuple(tally(base, planted, claim, self.instrument) for claim in self.scenario.claims)
        shifts = (planted.scheduled, planted.taken_back, planted.late, planted.late_ticks)
        return WorldHour(hour, planted.events, tallies, shifts)

    def __iter__(self) -> Iterator[WorldHour]:
        return (self.hour(hour) for hour in range(self.hours))

    def truth(self, hours: Sequence[WorldHour]) -> TruthRecord:
        """Return what is true of `hours`, which follow each other."""
        scheduled, taken_back, late, late_ticks = (sum(part.shifts[i] for part in hours) for i in range(4))
        return TruthRecord(
            recipe_version=RECIPE_VERSION,
            scenario=self.scenario.name,
            summary=self.scenario.summary,
            seed=self.seed,
            rate=self.scenario.rate * self.rate,
            first_hour=hours[0].hour,
            hours=len(hours),
            instrument=self.instrument,
            parameters=self.market.parameters,
            plants=self.scenario.plants,
            claims=tuple(
                truth_of(claim, [part.tallies[i] for part in hours], self.instrument)
                for i, claim in enumerate(self.scenario.claims)
            ),
            shifts_scheduled=scheduled,
            shifts_taken_back=taken_back,
            shifts_late=late,
            late_ticks=late_ticks,
        )
