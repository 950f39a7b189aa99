"""Put a simulated world into a lake: the one place where worlds and lake meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import canonical_json, content_hash
from edgesmith.domain.events import EVENT, PAYLOAD_FIELDS, Stream
from edgesmith.domain.instruments import Instrument
from edgesmith.errors import DataError
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.schema import ClockRecord, PartitionKey, PartitionMeta, Source
from edgesmith.lake.stream_write import Chunk, Description, PartitionsWriter, chunk_of
from edgesmith.parallel import Progress, map_ordered
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import RECIPE_VERSION, VENUE, TruthRecord, World, WorldHour

DEFAULT_START_DAY = date(2026, 1, 5)
_HOURS_PER_DAY = 24
# Trades of one hour stay below this, so that ids are unique over all hours.
_TRADE_IDS_PER_HOUR = 100_000_000


class WorldResult(msgspec.Struct, frozen=True):
    """What was written: the instruments, the world's own first; the truth of each day of that; and all partitions."""

    instruments: tuple[Instrument, ...]
    truths: tuple[TruthRecord, ...]
    partitions: tuple[PartitionMeta, ...]

    @property
    def instrument(self) -> Instrument:
        """Return the instrument the truths are about."""
        return self.instruments[0]

    @property
    def events(self) -> int:
        """Return the number of events in all partitions."""
        return sum(meta.rows for meta in self.partitions)


def make_world(
    name: str,
    *,
    seed: int,
    root: Path,
    hours: int | None = None,
    start_day: date = DEFAULT_START_DAY,
    rate: float = 1.0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> WorldResult:
    """Simulate scenario `name`, with all its markets, and write them into the lake at `root`.

    `hours` defaults to the scenario's, `workers` to one a core.
    """
    scenario = find_scenario(name)
    world = World(scenario, seed=seed, start_day=start_day, hours=scenario.hours if hours is None else hours, rate=rate)
    return write_world(world, root, workers=workers, progress=progress)


def write_world(world: World, root: Path, *, workers: int | None = None, progress: Progress | None = None) -> WorldResult:
    """Write `world` into the lake at `root`: a day appears with all markets and streams or not at all; only hours are in memory.

    `workers` threads (one a core by default) simulate hours; their number does not change the files. `progress` is told of hours.
    """
    for member in world.members:
        # Made now, so that a seed or a rate that cannot be is refused before anything is written.
        assert member.market
        _check_held(member, root)
    truths: list[TruthRecord] = []
    partitions: list[PartitionMeta] = []
    hours = map_ordered(partial(_hour, world), range(world.hours), workers=workers, mode="threads", progress=progress)
    for number in range(-(-world.hours // _HOURS_PER_DAY)):
        day = world.start_day + timedelta(days=number)
        truth, written = _write_day(world, day, islice(hours, _HOURS_PER_DAY), root, workers)
        truths.append(truth)
        partitions.extend(written)
    instruments = (world.instrument, *(member.instrument for member in world.members[:-1]))
    return WorldResult(instruments, tuple(truths), tuple(partitions))


def _check_held(world: World, root: Path) -> None:
    # What the lake has of this symbol must be the same world.
    ours = {"recipe_version": RECIPE_VERSION, "scenario": world.scenario.name, "seed": world.seed}
    ours |= {"rate": world.scenario.rate * world.rate, "first_day": str(world.start_day)}
    for partition in Catalog(root).partitions(VENUE, None, world.instrument.symbol):
        truth = partition.meta.truth
        if truth is None:
            continue
        held = {name: truth.get(name) for name in ours}
        held["first_day"] = str(partition.key.day - timedelta(days=truth.get("first_hour", 0) // _HOURS_PER_DAY))
        differs = [name for name in ours if held[name] != ours[name]]
        if differs:
            said = "; ".join(f"its {name} is {held[name]}, that of the new one {ours[name]}" for name in differs)
            raise DataError(
                f"{partition.key}: the lake at {root} holds a simulated world with another truth: {said}. Worlds are not mixed: "
                f"write into another lake root, or delete the folders symbol={world.instrument.symbol.lower()} of it"
            )


def _hour(world: World, number: int) -> list[tuple[WorldHour, list[Chunk]]]:
    # The hour of each market without its events, and these as they go into the lake.
    day = world.start_day + timedelta(days=number // _HOURS_PER_DAY)
    made = []
    for member, hour in zip(world.members, world.together(number), strict=True):
        chunks = [chunk_of(key, _columns(hour, key.stream)) for key in _keys(member, day)]
        made.append((replace(hour, events=np.zeros(0, EVENT)), chunks))
    return made


def _keys(world: World, day: date) -> list[PartitionKey]:
    return [PartitionKey(VENUE, stream, world.instrument.symbol, day) for stream in Stream]


def _write_day(
    world: World, day: date, hours: Iterator[list[tuple[WorldHour, list[Chunk]]]], root: Path, workers: int | None
) -> tuple[TruthRecord, tuple[PartitionMeta, ...]]:
    done: list[list[WorldHour]] = [[] for _ in world.members]
    with PartitionsWriter(root, [key for member in world.members for key in _keys(member, day)], simulated=True) as writer:
        for made in hours:
            for own, (hour, _) in zip(done, made, strict=True):
                own.append(hour)
            # Partitions are encoded side by side: in one thread this would take longer than the simulation.
            chunks = [chunk for _, chunks in made for chunk in chunks]
            for _ in map_ordered(writer.write, chunks, workers=workers, mode="threads"):
                pass
            del made, chunks
        truths = [member.truth(own) for member, own in zip(world.members, done, strict=True)]
        described: dict[PartitionKey, Description] = {}
        for member, truth in zip(world.members, truths, strict=True):
            described |= dict.fromkeys(_keys(member, day), _description(member, truth))
        metas = writer.commit(described)
    return truths[-1], metas


def _description(world: World, truth: TruthRecord) -> Description:
    return Description(
        source=Source(f"world {world.scenario.name} seed {world.seed}", _recipe_hash(world, truth), "edgesmith-world"),
        clock=ClockRecord("venue", "local"),
        price_increment=world.instrument.tick_size,
        qty_increment=world.instrument.lot_size,
        truth=msgspec.json.decode(canonical_json(truth)),
    )


def _columns(hour: WorldHour, stream: Stream) -> dict[str, NDArray[Any]]:
    where = np.flatnonzero(hour.events["kind"] == stream)
    names = ("ts_event", "ts_recv", *PAYLOAD_FIELDS[stream])
    columns: dict[str, NDArray[Any]] = {name: hour.events[name][where] for name in names}
    if stream == Stream.TRADE:
        columns["trade_id"] = hour.events["seq"][where] + hour.hour * _TRADE_IDS_PER_HOUR
    return columns


def _recipe_hash(world: World, truth: TruthRecord) -> str:
    recipe = (RECIPE_VERSION, world.scenario, world.seed, world.start_day, world.rate, truth.first_hour, truth.hours)
    return content_hash(recipe)
