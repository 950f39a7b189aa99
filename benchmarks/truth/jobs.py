"""What a run consists of: the worlds of each scale, what each costs, and how rows are made, kept and taken up again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from benchmarks.truth import capacity, decay, effects, nulls, plants, shards, traps
from benchmarks.truth.plants import Planted
from benchmarks.truth.store import RowStore
from edgesmith.parallel import map_ordered
from edgesmith.worlds.scenarios import RELEASE_SEEDS
from edgesmith.worlds.traps import TRAPS

# Release checks have seeds of their own; tuning never sees them.
CI_SEED, RELEASE_SEED = 5_000, RELEASE_SEEDS.start
NULLS = ("N1", "N3", "N4")
DECAY_HOURS, DECAY_WORLD, TURN_WORLD = 34, "P8_dies", "P8_turns"
HALF_LIFE_WORLD, HALF_LIFE_DAYS = "P7", 15
EFFECT_WORLD, EFFECT_HOURS = "P1_16", 2
CAPACITY_HOURS = 4

# How each planted world is searched, fixed before it was. (CI, release) worlds.
PLANTED = (
    Planted(world="P1_1", right="REJECT_COST", worlds=(1, 8)),
    Planted(world="P1_2", right="REJECT_COST", worlds=(1, 4), hours=20),
    Planted(world="P1_4", right="REJECT_COST", worlds=(1, 4), hours=20),
    Planted(world="P1_8", right="VALIDATED", worlds=(1, 6), hours=20),
    Planted(world="P1_16", right="VALIDATED", worlds=(2, 8), hours=20),
    Planted(
        world="P5",
        right="VALIDATED",
        worlds=(0, 2),
        hours=96,
        horizons_s=(3, 5),
        depth=2,
        features=("imbalance_ema", "trade_activity"),
    ),
    Planted(world="P6", right="VALIDATED", worlds=(1, 3), hours=20, depth=2),
    Planted(world="P12", right="VALIDATED", worlds=(1, 3), hours=60, horizons_s=(5, 10), grid_ms=1_000),
    Planted(world="P9", right="REJECT_COST", worlds=(1, 4)),
    Planted(world="N2", right="REJECT_COST", worlds=(1, 4)),
)


class Kind(NamedTuple):
    """A kind of row: the function that makes one, its type, and what one costs in seconds of a core."""

    make: Callable[[Any], Any]
    row: Any
    cost_s: float


KINDS: dict[str, Kind] = {
    "half-life": Kind(decay.half_life_row, decay.HalfLifeRow, 66.0),
    "plant": Kind(plants.plant_row, plants.PlantRow, 0.8),
    "decay": Kind(decay.decay_row, decay.DecayRow, 7.2),
    "shards": Kind(shards.shard_row, shards.ShardRow, 8.0),
    "null": Kind(nulls.null_row, nulls.NullRow | None, 1.25),
    "capacity": Kind(capacity.capacity_row, capacity.CapacityRow, 1.2),
    "trap": Kind(traps.trap_row, dict[str, Any], 0.8),
    "effect": Kind(effects.effect_row, effects.EffectRow | None, 0.65),
}


class Scale(NamedTuple):
    """How many worlds of each kind, and the first seed; `at` is the place in `Planted.worlds`."""

    seed: int
    at: int
    nulls: int
    effects: int
    dies: int
    turns: int
    half_lives: int
    capacities: int


SCALES = {
    "quick": Scale(CI_SEED, 0, 2, 3, 2, 1, 0, 1),
    "ci": Scale(CI_SEED, 0, 67, 60, 9, 3, 0, 3),
    "release": Scale(RELEASE_SEED, 1, 334, 1_000, 29, 7, 10, 40),
}
RELEASE_NULLS_LIMIT = 0.064


class Job(NamedTuple):
    """One row to make."""

    kind: str
    arguments: Any
    cost_s: float


def jobs_of(name: str, hours: int = 1) -> list[Job]:
    """Return the jobs of a scale, the dearest kinds first, so that no worker ends up alone with one; null worlds of `hours`."""
    scale = SCALES[name]
    seeds = range(scale.seed, scale.seed + 100_000)
    planted = [
        (one, seeds[at]) for one in PLANTED for at in range(min(one.worlds[0], 1) if name == "quick" else one.worlds[scale.at])
    ]
    wanted: dict[str, list[Any]] = {
        "half-life": [(HALF_LIFE_WORLD, seeds[at], HALF_LIFE_DAYS) for at in range(scale.half_lives)],
        "plant": planted,
        "decay": [
            (world, seeds[at], DECAY_HOURS)
            for world, count in ((DECAY_WORLD, scale.dies), (TURN_WORLD, scale.turns))
            for at in range(count)
        ],
        "shards": [("P1_16", scale.seed, 2)],
        "null": [(world, seeds[at], hours) for at in range(scale.nulls) for world in NULLS],
        "capacity": [(capacity.WORLD, seeds[at], CAPACITY_HOURS) for at in range(scale.capacities)],
        "trap": sorted(TRAPS),
        "effect": [(EFFECT_WORLD, seeds[at], EFFECT_HOURS) for at in range(scale.effects)],
    }
    return [Job(kind, one, made.cost_s * _length(kind, one)) for kind, made in KINDS.items() for one in wanted[kind]]


def _length(kind: str, arguments: Any) -> float:
    # Hours, for what is dearer the longer the world is.
    return float(arguments[0].hours if kind == "plant" else arguments[2] if kind == "null" else 1)


def make_row(job: Job) -> bytes:
    """Make one row, as JSON."""
    return msgspec.json.encode(KINDS[job.kind].make(job.arguments))


def run_jobs(jobs: list[Job], workers: int, store: RowStore | None, advance: Callable[[float], None]) -> dict[str, list[Any]]:
    """Return the rows of `jobs` by kind, in their order; what `store` has is not made again, what is made goes there."""
    rows: dict[str, list[Any]] = defaultdict(list)
    keys = [None if store is None else store.key(job.kind, msgspec.to_builtins(job.arguments)) for job in jobs]
    kept = [None if store is None or key is None else store.get(key) for key in keys]
    made = map_ordered(
        make_row, [job for job, row in zip(jobs, kept, strict=True) if row is None], workers=workers, mode="processes"
    )
    for job, key, row in zip(jobs, keys, kept, strict=True):
        if row is None:
            row = next(made)
            if store is not None and key is not None:
                store.add(key, job.kind, row)
        rows[job.kind].append(msgspec.json.decode(row, type=KINDS[job.kind].row))
        advance(job.cost_s)
    return {kind: [row for row in some if row is not None] for kind, some in rows.items()}
