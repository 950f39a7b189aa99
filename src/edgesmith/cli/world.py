"""Put a simulated world into a lake: the one place where worlds and lake meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import canonical_json, content_hash
from edgesmith.domain.events import PAYLOAD_FIELDS, Stream
from edgesmith.domain.instruments import Instrument
from edgesmith.lake.schema import ClockRecord, PartitionKey, PartitionMeta, Source
from edgesmith.lake.segments import merge_partition
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import RECIPE_VERSION, VENUE, TruthRecord, World, WorldHour

DEFAULT_START_DAY = date(2026, 1, 5)
_HOURS_PER_DAY = 24
# Trades of one hour stay below this, so that ids are unique over all hours.
_TRADE_IDS_PER_HOUR = 100_000_000

# Called with hours done and hours in all.
Progress = Callable[[int, int], None]


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
    progress: Progress | None = None,
) -> WorldResult:
    """Simulate scenario `name` and write it into the lake at `root`; `hours` defaults to the scenario's."""
    scenario = find_scenario(name)
    world = World(scenario, seed=seed, start_day=start_day, hours=scenario.hours if hours is None else hours, rate=rate)
    return write_world(world, root, progress)


def write_world(world: World, root: Path, progress: Progress | None = None) -> WorldResult:
    """Write `world` into the lake at `root`, a whole day at a time; each partition appears complete or not at all."""
    truths: list[TruthRecord] = []
    partitions: list[PartitionMeta] = []
    for number, day_hours in enumerate(_days(world, progress)):
        truth = world.truth(day_hours)
        day = world.start_day + timedelta(days=number)
        truths.append(truth)
        for stream in Stream:
            partitions.append(
                _write_stream(world, day_hours, PartitionKey(VENUE, stream, world.instrument.symbol, day), truth, root)
            )
    return WorldResult(world.instrument, tuple(truths), tuple(partitions))


def _days(world: World, progress: Progress | None) -> Iterator[list[WorldHour]]:
    day_hours: list[WorldHour] = []
    for hour in world:
        day_hours.append(hour)
        if progress is not None:
            progress(hour.hour + 1, world.hours)
        if len(day_hours) == _HOURS_PER_DAY:
            yield day_hours
            day_hours = []
    if day_hours:
        yield day_hours


def _write_stream(world: World, day_hours: list[WorldHour], key: PartitionKey, truth: TruthRecord, root: Path) -> PartitionMeta:
    parts = [(hour, hour.events[hour.events["kind"] == key.stream]) for hour in day_hours]
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([part[name] for _, part in parts]) for name in ("ts_event", "ts_recv", *PAYLOAD_FIELDS[key.stream])
    }
    if key.stream == Stream.TRADE:
        columns["trade_id"] = np.concatenate([part["seq"] + hour.hour * _TRADE_IDS_PER_HOUR for hour, part in parts])
    source = Source(f"world {world.scenario.name} seed {world.seed}", _recipe_hash(world, truth), "edgesmith-world")
    merged = merge_partition(
        root,
        key,
        columns,
        source=source,
        clock=ClockRecord("venue", "local"),
        price_increment=world.instrument.tick_size,
        qty_increment=world.instrument.lot_size,
        simulated=True,
        truth=msgspec.json.decode(canonical_json(truth)),
    )
    return merged.meta


def _recipe_hash(world: World, truth: TruthRecord) -> str:
    recipe = (RECIPE_VERSION, world.scenario, world.seed, world.start_day, world.rate, truth.first_hour, truth.hours)
    return content_hash(recipe)
