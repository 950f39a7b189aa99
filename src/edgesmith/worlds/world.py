"""A world: a scenario with a seed, a first day and a length; its hours and the record of what is true of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import EVENT, KIND_TRADE
from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.records import records, taken
from edgesmith.domain.units import NS_PER_HOUR, ns_of_date
from edgesmith.errors import InputError
from edgesmith.worlds.claims import ClaimTally, ClaimTruth, tally, truth_of
from edgesmith.worlds.delisting import Delisting, fallen
from edgesmith.worlds.feeds import FEEDS, FeedRecord, Received, receive
from edgesmith.worlds.impact import with_impact
from edgesmith.worlds.links import FACTOR, Link, Source, hung_together
from edgesmith.worlds.market import Market
from edgesmith.worlds.nulls import chimera
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.plant import Plant, plant_edges
from edgesmith.worlds.random import child_key
from edgesmith.worlds.scenario import Scenario
from edgesmith.worlds.traps import TrapTruth, trap_truth

VENUE = "simulated"
# Changes whenever the same seed gives other bytes.
RECIPE_VERSION = 7
HOURS_MAX = 24 * 3_660
_LABEL_PLANTS, _LABEL_FEED, _LABEL_LINKS = 20, 21, 22
# Positions of the further markets of a world among its symbols.
_LEADER, _FLOW, _FACTOR, _COMPANIONS = 1, 2, 3, 8


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
    symbols: tuple[str, ...]
    own_share: float
    links: tuple[Link, ...]
    impact_bps_per_qty: float
    delisted: Delisting | None
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


class _Tapes:
    """The base tapes of one hour, each simulated once."""

    def __init__(self, hour: int) -> None:
        self.hour = hour
        self._made: dict[int, NDArray[Any]] = {}

    def of(self, market: Market) -> NDArray[Any]:
        """Return the tape of a market of the world; it is shared, so nobody may change it."""
        if market.symbol_index not in self._made:
            self._made[market.symbol_index] = market.hour(self.hour)
        return self._made[market.symbol_index]


@dataclass(frozen=True)
class World:
    """A scenario made concrete; any hour can be asked for, in any order, and is the same bytes.

    Parameters
    ----------
    hours, rate
        Default to those of the scenario; a rate multiplies the scenario's own.
    position
        Of its symbol among those of the world.
    family
        The world whose other market this is.
    """

    scenario: Scenario
    seed: int
    start_day: date
    hours: int
    rate: float = 1.0
    position: int = 0
    family: World | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.hours <= HOURS_MAX:
            raise InputError(f"hours was {self.hours}, expected 1..{HOURS_MAX}")
        for link in self.scenario.links:
            self._position_of(link.source)

    @cached_property
    def instrument(self) -> Instrument:
        """Return what is traded in this world, with the scenario's fees."""
        scenario = self.scenario
        return Instrument(
            venue=VENUE,
            symbol=scenario.symbol,
            kind=scenario.kind,
            tick_size=scenario.tick_size,
            lot_size=scenario.lot_size,
            settle="USDT",
            maker_fee_ratio=scenario.maker_fee_ratio,
            taker_fee_ratio=scenario.taker_fee_ratio,
            simulated=True,
        )

    @cached_property
    def market(self) -> Market:
        """Return the market before it hears of others and before anything is planted."""
        return self._market(self.position)

    @cached_property
    def leader(self) -> World | None:
        """Return the world of the leading symbol, where there is one; it is made, and stored, like any other."""
        return None if self.scenario.leader is None else self._other(self.scenario.leader, _LEADER)

    @cached_property
    def members(self) -> tuple[World, ...]:
        """Return the worlds of all its symbols: the leader, companions, and itself."""
        companions = (self._other(scenario, _COMPANIONS + i) for i, scenario in enumerate(self.scenario.companions))
        return (*(() if self.leader is None else (self.leader,)), *companions, self)

    def _other(self, scenario: Scenario, position: int) -> World:
        return World(scenario, self.seed, self.start_day, self.hours, self.rate, position, self)

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

    def _position_of(self, symbol: str) -> int:
        # Where the market that a link names stands among the symbols of the world.
        family = (self.family or self).scenario
        positions = {FACTOR: _FACTOR, family.symbol: (self.family or self).position}
        positions |= {scenario.symbol: _COMPANIONS + i for i, scenario in enumerate(family.companions)}
        positions |= {} if family.leader is None else {family.leader.symbol: _LEADER}
        if symbol not in positions or symbol == self.scenario.symbol:
            others = ", ".join(sorted({*positions} - {self.scenario.symbol}))
            raise InputError(f"scenario {self.scenario.name}: a link names {symbol}, expected one of {others}")
        return positions[symbol]

    def _source(self, link: Link) -> Market:
        family, position = self.family or self, self._position_of(link.source)
        known = {member.position: member.market for member in family.members}
        return known[position] if position in known else family._market(position)

    def received(self, hour: int) -> Received:
        """Return hour `hour` as its feed delivers it, before anything is planted."""
        return self._received(_Tapes(self._checked(hour)))

    def hour(self, hour: int) -> WorldHour:
        """Return hour `hour` of the world, a pure function of the world and the number."""
        tapes = _Tapes(self._checked(hour))
        leader = None if self.leader is None else self.leader._planted(tapes, None)
        return self._planted(tapes, leader)

    def together(self, hour: int) -> tuple[WorldHour, ...]:
        """Return hour `hour` of each of `members`: what `hour` gives of them one by one, simulated once."""
        tapes = _Tapes(self._checked(hour))
        leader = None if self.leader is None else self.leader._planted(tapes, None)
        others = [member._planted(tapes, None) for member in self.members if member.position >= _COMPANIONS]
        return (*([] if leader is None else [leader]), *others, self._planted(tapes, leader))

    def _checked(self, hour: int) -> int:
        if not 0 <= hour < self.hours:
            raise InputError(f"hour was {hour}, expected 0..{self.hours - 1}")
        return hour

    def _received(self, tapes: _Tapes) -> Received:
        scenario = self.scenario
        if scenario.delisted is not None and scenario.delisted.has_ended(tapes.hour):
            return Received(records(EVENT, 0), records(EVENT, 0), FeedRecord())
        tape = tapes.of(self.market)
        if scenario.chimera:
            tape = chimera(tape, tapes.of(self._flow_market))
        if scenario.links:
            tape = self._linked(tape, tapes)
        if scenario.impact_bps_per_qty:
            tape = with_impact(tape, scenario.impact_bps_per_qty, self.instrument)
        if scenario.delisted is not None:
            tape = fallen(tape, scenario.delisted, self.market.start_ns, self.instrument)
        if scenario.kind == ContractKind.SPOT:
            tape = taken(tape, np.flatnonzero(tape["kind"] <= KIND_TRADE))
        return receive(tape, FEEDS[scenario.feed], child_key(self.market.key, _LABEL_FEED))

    def _linked(self, tape: NDArray[Any], tapes: _Tapes) -> NDArray[Any]:
        markets = [self._source(link) for link in self.scenario.links]
        return hung_together(
            tape,
            [
                Source(link, tapes.of(market), market.log_path(tapes.hour))
                for link, market in zip(self.scenario.links, markets, strict=True)
            ],
            own_share=self.scenario.own_share,
            own_log_path=self.market.log_path(tapes.hour),
            opening=self.market.opening_ticks(0),
            start_ns=self.market.start_ns + tapes.hour * NS_PER_HOUR,
            stamp_ns=self.market.parameters.stamp_ns,
            instrument=self.instrument,
            key=child_key(self.market.key, _LABEL_LINKS),
        )

    def _planted(self, tapes: _Tapes, leader: WorldHour | None) -> WorldHour:
        received = self._received(tapes)
        base = received.events
        watched = None if leader is None else leader.events
        planted = plant_edges(
            base,
            self.scenario.plants,
            instrument=self.instrument,
            key=child_key(self.market.key, _LABEL_PLANTS),
            start_ns=self.market.start_ns,
            leader=watched,
        )
        tallies = tuple(tally(base, planted, claim, self.instrument, watched) for claim in self.scenario.claims)
        shifts = (planted.scheduled, planted.taken_back, planted.late, planted.late_ticks)
        return WorldHour(tapes.hour, planted.events, tallies, shifts, received.record)

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
            leader=None if self.scenario.leader is None else self.scenario.leader.symbol,
            symbols=tuple(
                scenario.symbol for scenario in ((self.family or self).scenario, *(self.family or self).scenario.others)
            ),
            own_share=self.scenario.own_share,
            links=self.scenario.links,
            impact_bps_per_qty=self.scenario.impact_bps_per_qty,
            delisted=self.scenario.delisted,
            feed_level=self.scenario.feed,
            feed=sum((part.feed for part in hours), FeedRecord()),
            trap=trap_truth(self.scenario.trap) if self.scenario.trap else None,
        )
