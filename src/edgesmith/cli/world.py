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
from edgesmith.lake.schema import ClockRecord, PartitionKey, PartitionMeta, Source
from edgesmith.lake.stream_write import Chunk, PartitionsWriter, chunk_of
from edgesmith.parallel import Progress, map_ordered
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import RECIPE_VERSION, VENUE, TruthRecord, World, WorldHour

DEFAULT_START_DAY = date(2026, 1, 5)
_HOURS_PER_DAY = 24
# Trades of one hour stay below this, so that ids are unique over all hours.
_TRADE_IDS_PER_HOUR = 100_000_000


class WorldResult(msgspec.Struct, frozen=True):
    """What was written: the instrument, the truth of each day, and the partitions."""

    instrument: Instrument
    truths: tuple[TruthRecord, ...]
    partitions: tuple[PartitionMeta, ...]

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
    """Simulate scenario `name`, and the market that leads it where there is one, and write them into the lake at `root`.

    `hours` defaults to the scenario's, `workers` to one a core.
    """
    scenario = find_scenario(name)
    world = World(scenario, seed=seed, start_day=start_day, hours=scenario.hours if hours is None else hours, rate=rate)
    if world.leader is None:
        return write_world(world, root, workers=workers, progress=progress)

    def later(done: int, _: int | None) -> None:
        if progress is not None:
            progress(world.hours + done, 2 * world.hours)

    def first(done: int, _: int | None) -> None:
        later(done - world.hours, None)

    leading = write_world(world.leader, root, workers=workers, progress=first)
    written = write_world(world, root, workers=workers, progress=later)
    return msgspec.structs.replace(written, partitions=leading.partitions + written.partitions)


def write_world(world: World, root: Path, *, workers: int | None = None, progress: Progress | None = None) -> WorldResult:
    """Write `world` into the lake at `root`; a day appears with all its streams or not at all, and only hours are in memory.

    `workers` threads (one a core by default) simulate hours; their number does not change the files. `progress` is told of hours.
    """
    truths: list[TruthRecord] = []
    partitions: list[PartitionMeta] = []
    hours = map_ordered(partial(_hour, world), range(world.hours), workers=workers, mode="threads", progress=progress)
    for number in range(-(-world.hours // _HOURS_PER_DAY)):
        truth, written = _write_day(world, world.start_day + timedelta(days=number), islice(hours, _HOURS_PER_DAY), root)
        truths.append(truth)
        partitions.extend(written)
    return WorldResult(world.instrument, tuple(truths), tuple(partitions))


def _hour(world: World, number: int) -> tuple[WorldHour, list[Chunk]]:
    # The hour without its events, and these as they go into the lake.
    hour = world.hour(number)
    day = world.start_day + timedelta(days=number // _HOURS_PER_DAY)
    keys = [PartitionKey(VENUE, stream, world.instrument.symbol, day) for stream in Stream]
    chunks = [chunk_of(key, _columns(hour, key.stream)) for key in keys]
    return replace(hour, events=np.zeros(0, EVENT)), chunks


def _write_day(
    world: World, day: date, hours: Iterator[tuple[WorldHour, list[Chunk]]], root: Path
) -> tuple[TruthRecord, tuple[PartitionMeta, ...]]:
    keys = [PartitionKey(VENUE, stream, world.instrument.symbol, day) for stream in Stream]
    day_hours: list[WorldHour] = []
    with PartitionsWriter(root, keys, simulated=True) as writer:
        for hour, chunks in hours:
            day_hours.append(hour)
            while chunks:
                writer.write(chunks.pop())
        truth = world.truth(day_hours)
        source = Source(f"world {world.scenario.name} seed {world.seed}", _recipe_hash(world, truth), "edgesmith-world")
        metas = writer.commit(
            source=source,
            clock=ClockRecord("venue", "local"),
            price_increment=world.instrument.tick_size,
            qty_increment=world.instrument.lot_size,
            truth=msgspec.json.decode(canonical_json(truth)),
        )
    return truth, metas


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
