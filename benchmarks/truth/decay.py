"""Edges that end: how soon is that noticed, beside an oracle that knows both the life and the death of the edge.

P8 in short: the edge ends a day in. The product's detector is given what a validation of the first part would promise, the lower
end of its interval, and watches block after block. The oracle is a cumulative sum that is told the true means before and after;
its limit is set on healthy blocks of all worlds so that it makes as few false alarms there as ours does.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.truth.desk import Desk, desk_of
from benchmarks.truth.effects import BLOCK_NS, book_edge
from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR
from edgesmith.edges.validation.curves import half_lives
from edgesmith.edges.validation.frozen import Trades, frozen_replay
from edgesmith.edges.validation.sums import edge_sums
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import code_panel
from edgesmith.evaluation.decay_detection import (
    WARNING_FALSE_RATIO,
    WARNING_HEALTHY_BLOCKS,
    Promise,
    alarm_blocks,
    promise_of,
)
from edgesmith.evaluation.intervals import mean_interval
from edgesmith.evaluation.labels import LabelSpec, column_groups
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program
from edgesmith.worlds.scenario import Scenario
from edgesmith.worlds.scenarios import find_scenario

Floats = NDArray[np.float64]

# The promise is made by the first part of the day before the end, the watch begins with the rest of it.
PROMISED_HOURS, END_DAY = 18, 1
PATHS = 400
FEE_BPS = 0.75


class DecayRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world: net bps of each block up to the promise, then healthy, then after the end; one sum of trades a block."""

    world: str
    seed: int
    promised: tuple[float, ...]
    healthy: tuple[float, ...]
    ended: tuple[float, ...]


def ending(world: str) -> Scenario:
    """Return P8 with its end on the second day."""
    scenario = find_scenario(world)
    (plant,) = scenario.plants
    calendar = msgspec.structs.replace(plant.calendar, end_day=END_DAY)
    return msgspec.structs.replace(scenario, plants=(msgspec.structs.replace(plant, calendar=calendar),))


def decay_row(job: tuple[str, int, int]) -> DecayRow:
    """Trade the edge of a world that ends a day in, and return its results by block."""
    world, seed, hours = job
    with desk_of(ending(world), seed, hours) as desk:
        found = frozen_replay(desk.partitions, book_edge(desk, fee_bps=FEE_BPS), block_ns=BLOCK_NS, seed=seed)
        start_ns = desk.source.span(desk.index)[0] // NS_PER_HOUR * NS_PER_HOUR
    blocks = _blocks(found.trades, start_ns, hours * NS_PER_HOUR // BLOCK_NS)
    promise, end = PROMISED_HOURS * NS_PER_HOUR // BLOCK_NS, END_DAY * NS_PER_DAY // BLOCK_NS
    parts = (tuple(part.tolist()) for part in np.split(blocks, [promise, end]))
    return DecayRow(world=world, seed=seed, **dict(zip(("promised", "healthy", "ended"), parts, strict=True)))


def _blocks(trades: Trades, start_ns: int, count: int) -> Floats:
    place = (trades.ts_ns - start_ns) // BLOCK_NS
    inside = (place >= 0) & (place < count)
    return np.bincount(place[inside], trades.net_bps[inside], count).astype(np.float64)


def decay_summary(rows: list[DecayRow]) -> dict[str, Any]:
    """Return the median blocks to notice by world, the oracle's beside them, and false alarms on healthy blocks.

    `loose_oracle_blocks` is of an oracle allowed 2 % of false alarms in 6,000 blocks, as the design measured.
    """
    healthy = np.concatenate([np.array(row.promised + row.healthy) for row in rows])
    deviation = float(healthy.std())
    draw = np.random.Generator(np.random.PCG64(1))
    paths = draw.choice(healthy, (PATHS, WARNING_HEALTHY_BLOCKS))
    typical = promise_of(healthy)
    assert typical is not None, "healthy blocks that promise nothing"
    false = alarm_blocks(paths, typical)
    table: dict[str, Any] = {
        "sharpe_of_block": float(healthy.mean()) / deviation,
        "healthy_blocks_drawn": int(paths.size),
        "false_alarms": int((false > 0).sum()),
    }
    for world in sorted({row.world for row in rows}):
        chosen = [row for row in rows if row.world == world]
        after = float(np.mean(np.concatenate([row.ended for row in chosen])))
        middle = (float(healthy.mean()) + after) / 2.0
        ours = [_noticed(row) for row in chosen]
        same, loose = (
            float(np.median([_oracle(row, middle, _oracle_limit(paths, middle, ratio)) for row in chosen]))
            for ratio in (float((false > 0).mean()), WARNING_FALSE_RATIO)
        )
        table[world] = {
            "worlds": len(chosen),
            "blocks": float(np.median(ours)),
            "oracle_blocks": same,
            "ratio": float(np.median(ours)) / same,
            "loose_oracle_blocks": loose,
            "alarms_before_the_end": sum(one <= 0.0 for one in ours),
            "never_noticed": sum(one == np.inf for one in ours),
        }
    return table


def _promise(row: DecayRow) -> Promise | None:
    # What a validation of the first part would promise of a block.
    blocks = np.array(row.promised)
    found = mean_interval(np.ones(len(blocks)), blocks, seed=row.seed)
    return promise_of(blocks, found.low / found.mean)


def _noticed(row: DecayRow) -> float:
    # Blocks after the end; 0 or less is an alarm before it, infinity none at all.
    promise = _promise(row)
    at = 0 if promise is None else int(alarm_blocks(np.array([row.healthy + row.ended]), promise)[0])
    return float(at - len(row.healthy)) if at else np.inf


def _oracle_limit(paths: Floats, middle: float, false_ratio: float) -> float:
    # Above it lie `false_ratio` of the healthy paths.
    missing, worst = np.zeros(len(paths)), np.zeros(len(paths))
    for at in range(paths.shape[1]):
        missing = np.maximum(0.0, missing + middle - paths[:, at])
        worst = np.maximum(worst, missing)
    return float(np.nextafter(np.quantile(worst, 1.0 - false_ratio, method="higher"), np.inf))


def _oracle(row: DecayRow, middle: float, limit: float) -> float:
    missing = 0.0
    for at, result in enumerate(row.healthy + row.ended, 1):
        missing = max(0.0, missing + middle - result)
        if missing >= limit:
            return float(at - len(row.healthy))
    return np.inf


class HalfLifeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world of P7: the calendar half-life that was estimated, in days, with its interval; None where there was none."""

    seed: int
    days: int
    true_days: float
    value_days: float | None
    low_days: float | None
    high_days: float | None


def half_life_row(job: tuple[str, int, int]) -> HalfLifeRow:
    """Estimate the calendar half-life of a fading edge, as a validation of its days does."""
    world, seed, days = job
    with desk_of(world, seed, days * 24) as desk:
        lives = half_lives(_groups(desk), *_shape(desk), seed=seed)
        true_days = desk.world.scenario.plants[0].calendar.half_life_days
    found = lives["calendar"]
    value, low, high = (None if one is None else one / NS_PER_DAY for one in found)
    return HalfLifeRow(seed=seed, days=days, true_days=true_days, value_days=value, low_days=low, high_days=high)


def _shape(desk: Desk) -> tuple[int, int, int]:
    spec = book_edge(desk)
    return spec.latency_ns, spec.horizon_ns, spec.side


def _groups(desk: Desk) -> tuple[Any, ...]:
    spec = book_edge(desk, fee_bps=FEE_BPS)
    bound = spec.trigger.bounds[0]
    assert bound.low is not None
    first_ns, last_ns = desk.source.span(desk.index)
    labels = LabelSpec(
        horizons_ns=(spec.horizon_ns,),
        latencies_ns=(spec.latency_ns,),
        fee_in_bps=FEE_BPS,
        fee_out_bps=FEE_BPS,
        grid_ns=spec.grid_ns,
    )
    bins = [FeatureBins("imbalance_ema", (bound.low,))]
    program = Program([feature("imbalance_ema")])
    panel = code_panel(desk.source, desk.index, program, labels, bins, first_ns, last_ns, lake=None)
    groups = column_groups(labels, last_ns - first_ns)
    return tuple(
        edge_sums(panel.trigger_sums([spec.trigger], block_ns=group.block_ns, columns=group.columns)[0]) for group in groups
    )


def half_life_summary(rows: list[HalfLifeRow]) -> dict[str, float]:
    """Return in how many worlds the estimate is within 30 % of the truth."""
    near = [row.value_days is not None and abs(row.value_days / row.true_days - 1.0) <= 0.3 for row in rows]
    values = [row.value_days for row in rows if row.value_days is not None]
    return {
        "worlds": len(rows),
        "near_ratio": float(np.mean(near)),
        "identified": len(values),
        "median_days": float(np.median(values)) if values else float("nan"),
    }
