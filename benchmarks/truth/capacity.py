"""How much an edge carries: P12, whose market has impact, against the capacity in its record."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from benchmarks.truth.desk import desk_of
from benchmarks.truth.effects import BLOCK_NS, edge
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.edge import Bound, Trigger
from edgesmith.edges.validation.frozen import frozen_replay

WORLD = "P12"
FACTOR = 1.5


class CapacityRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world: the size that earns most by the record and by the replay; None where the slope could not be told from zero."""

    seed: int
    hours: int
    true_qty: float
    found_qty: float | None
    true_slope_bps: float
    slope_bps: float
    net_bps: float

    @property
    def ratio(self) -> float:
        """Return how many times the truth was found; 0 where nothing was."""
        return (self.found_qty or 0.0) / self.true_qty


def capacity_row(job: tuple[str, int, int]) -> CapacityRow:
    """Replay what P12 plants and take the capacity of the card."""
    world, seed, hours = job
    with desk_of(world, seed, hours) as desk:
        claim, planted = desk.claim, desk.world.scenario.claims[0]
        text = next(str(one) for one in desk.program.features if one.name == planted.region.feature)
        trigger = Trigger(bounds=(Bound(feature=text, low=planted.region.low),))
        fee_bps = desk.instrument.taker_fee_ratio * 1e4
        spec = edge(desk, trigger, planted.horizon_ms * NS_PER_MS, fee_bps, grid_ns=planted.every_ms * NS_PER_MS)
        found = frozen_replay(
            desk.partitions, spec, block_ns=max(BLOCK_NS, 20 * spec.horizon_ns // NS_PER_S * NS_PER_S), seed=seed
        )
    return CapacityRow(
        seed=seed,
        hours=hours,
        true_qty=claim["capacity_qty"],
        found_qty=found.capacity.best_qty,
        true_slope_bps=claim["impact_bps_per_qty"],
        slope_bps=found.slope_bps.mean,
        net_bps=found.net_bps.mean,
    )


def capacity_summary(rows: list[CapacityRow]) -> dict[str, Any]:
    """Return in how many worlds the capacity is within a factor of 1.5 of the truth."""
    ratios = [row.ratio for row in rows]
    return {
        "worlds": len(rows),
        "near_ratio": float(np.mean([1.0 / FACTOR <= one <= FACTOR for one in ratios])),
        "median_ratio": float(np.median(ratios)),
    }
