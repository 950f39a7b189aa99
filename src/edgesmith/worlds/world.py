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
from edgesmith.worlds.feeds import FEEDS, FeedRecord, Received, receive
from edgesmith.worlds.market import Market
from edgesmith.worlds.nulls import chimera
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.plant import Plant, plant_edges
from edgesmith.worlds.random import child_key
from edgesmith.worlds.scenario import Scenario
from edgesmith.worlds.traps import TrapTruth, trap_truth

VENUE = "simulated"
# Changes whenever the same seed gives other bytes.
RECIPE_VERSION = 2
HOURS_MAX = 24 * 3_660
_LABEL_PLANTS, _LABEL_FEED = 20, 21
# Positions of the further markets of a world among its symbols.
_LEADER, _FLOW = 1, 2


class TruthRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of the hours it covers; goes into the lake beside the data."""

    recipe_version: int
    scenario: str
    group: str
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
    chimera: bool
    drift_hour_bps: float
    drift_sign: int
    leader: str | None
    feed_level: str
    feed: FeedRecord
    trap: TrapTruth | None


@dataclass(frozen=True)
class WorldHour:
    """One hour: its events in venue order, and what its part of the truth is made of."""

    hour: int
    events: NDArray[Any]
    tallies: tuple[ClaimTally, ...]
    shifts: tuple[int, int, int, int]
    feed: FeedRecord


@dataclass(frozen=True)
class World:
    """A scenario made concrete; any hour can be asked for, in any order, and is the same bytes.

    Parameters
    ----------
    hours, rate
        Default to those of the scenario; a rate multiplies the scenario's own.
    position
        Of its symbol among those of the world.
    """

    scenario: Scenario
    seed: int
    start_day: date
    hours: int
    rate: float = 1.0
    position: int = 0

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
        return self._market(self.position)

    @cached_property
    def leader(self) -> World | None:
        """Return the world of the leading symbol, where there is one; it is made, and stored, like any other."""
        leader = self.scenario.leader
        return None if leader is None else World(leader, self.seed, self.start_day, self.hours, self.rate, _LEADER)

    @cached_property
    def _flow_market(self) -> Market:
        return self._market(_FLOW)

    def _market(self, position: int) -> Market:
        return Market(
            instrument=self.instrument,
            parameters=self.scenario.parameters.at_rate(self.scenario.rate * self.rate),
            seed=self.seed,
            start_ns=ns_of_date(self.start_day),
            symbol_index=position,
            drift_hour_bps=self.scenario.drift_hour_bps,
        )

    def received(self, hour: int) -> Received:
        """Return hour `hour` as its feed delivers it, before anything is planted."""
        if not 0 <= hour < self.hours:
            raise InputError(f"hour was {hour}, expected 0..{self.hours - 1}")
        tape = self.market.hour(hour)
        if self.scenario.chimera:
            tape = chimera(tape, self._flow_market.hour(hour))
        return receive(tape, FEEDS[self.scenario.feed], child_key(self.market.key, _LABEL_FEED))

    def hour(self, hour: int) -> WorldHour:
        """Return hour `hour` of the world, a pure function of the world and the number."""
        received = self.received(hour)
        base = received.events
        leader = None if self.leader is None else self.leader.hour(hour).events
        planted = plant_edges(
            base,
            self.scenario.plants,
            instrument=self.instrument,
            key=child_key(self.market.key, _LABEL_PLANTS),
            start_ns=self.market.start_ns,
            leader=leader,
        )
        tallies = tuple(tally(base, planted, claim, self.instrument, leader) for claim in self.scenario.claims)
        shifts = (planted.scheduled, planted.taken_back, planted.late, planted.late_ticks)
        return WorldHour(hour, planted.events, tallies, shifts, received.record)

    def __iter__(self) -> Iterator[WorldHour]:
        return (self.hour(hour) for hour in range(self.hours))

    def truth(self, hours: Sequence[WorldHour]) -> TruthRecord:
        """Return what is true of `hours`, which follow each other."""
        scheduled, taken_back, late, late_ticks = (sum(part.shifts[i] for part in hours) for i in range(4))
        return TruthRecord(
            recipe_version=RECIPE_VERSION,
            scenario=self.scenario.name,
            group=self.scenario.group,
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
            chimera=self.scenario.chimera,
            drift_hour_bps=self.scenario.drift_hour_bps,
            drift_sign=self.market.trend_sign(hours[0].hour) if self.scenario.drift_hour_bps else 0,
            leader=None if self.leader is None else self.leader.instrument.symbol,
            feed_level=self.scenario.feed,
            feed=sum((part.feed for part in hours), FeedRecord()),
            trap=trap_truth(self.scenario.trap) if self.scenario.trap else None,
        )
