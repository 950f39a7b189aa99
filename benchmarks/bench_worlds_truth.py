"""Is the truth true? The extra return of a planted edge, measured from prices over 100,000 triggers, against the analytic one."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Check, Options, Row
from edgesmith.clock import monotonic_s
from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.units import BPS, NS_PER_MS
from edgesmith.worlds.plant import plant_edges
from edgesmith.worlds.random import child_key
from edgesmith.worlds.regions import decisions
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

TITLE = "planted edges: measured return against the analytic truth"
SCENARIO, SEED, START_DAY = "P1_4", 1, date(2026, 1, 5)
TRIGGERS, QUICK_TRIGGERS = 100_000, 5_000
ERROR_RATIO_MAX = 0.01
# Each hour carries this many independent draws of its plants: the truth is a mean over draws, given the tape.
DRAWS = 10
HOURS_MAX = 500


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What prices did beside what the truth record says, per trigger, with the standard error over the tapes."""

    triggers: int
    truth_bps: float
    measured_bps: float
    error_bps: float

    @property
    def off_ratio(self) -> float:
        """Return how far the measured return is from the truth, as a share of it."""
        return abs(self.measured_bps / self.truth_bps - 1.0)


def measure(triggers: int = TRIGGERS) -> Measured:
    """Plant until there are `triggers` decisions inside the region; return their extra return and the truth."""
    world = World(find_scenario(SCENARIO), SEED, START_DAY, HOURS_MAX)
    sums: list[tuple[float, float, float]] = []
    hour = 0
    while sum(count for count, _, _ in sums) < triggers:
        base = world.received(hour).events
        sums += [_draw(world, base, draw) for draw in range(DRAWS)]
        hour += 1
    count, truth, moved = np.sum(sums, axis=0).tolist()
    residuals = [got - expected for _, expected, got in sums]
    return Measured(
        triggers=int(count),
        truth_bps=truth / count,
        measured_bps=moved / count,
        error_bps=float(np.sqrt(np.square(residuals).sum()) / count),
    )


def _draw(world: World, base: NDArray[Any], draw: int) -> tuple[float, float, float]:
    # Decisions, the sum of their expected extra returns, and the sum of what prices did.
    claim, instrument = world.scenario.claims[0], world.instrument
    planted = plant_edges(base, world.scenario.plants, instrument=instrument, key=child_key(world.market.key, 99, draw))
    horizon_ns = claim.horizon_ms * NS_PER_MS
    instants_ns, signs = decisions(base, claim.region, claim.every_ms * NS_PER_MS, horizon_ns, onset=claim.onset)
    instants_ns, signs = instants_ns[signs != 0], signs[signs != 0] * claim.side
    quotes = base["kind"] == KIND_BBO
    received_ns = base["ts_recv"][quotes]
    now, then = (np.searchsorted(received_ns, at, side="right") - 1 for at in (instants_ns, instants_ns + horizon_ns))
    mids = [(tape["bid_price"][quotes] + tape["ask_price"][quotes]) / 2.0 for tape in (base, planted.events)]
    scale = signs / (BPS * mids[0][now])
    expected = scale * instrument.tick * (planted.expected_ticks[quotes][then] - planted.expected_ticks[quotes][now])
    natural, moved = ((mid[then] - mid[now]) * scale for mid in mids)
    return float(len(signs)), float(expected.sum()), float((moved - natural).sum())


def rows(options: Options) -> list[Row]:
    """Measure once: the result is exact for its seed, not a timing."""
    start = monotonic_s()
    found = measure(QUICK_TRIGGERS if options.quick else TRIGGERS)
    seconds = [monotonic_s() - start]
    check = Check(
        what="measured / analytic - 1",
        value=found.off_ratio,
        target=f"<= {ERROR_RATIO_MAX}",
        reached=found.off_ratio <= ERROR_RATIO_MAX,
    )
    note = f"{found.truth_bps:.4f} bps true, {found.measured_bps:.4f} +- {found.error_bps:.4f} measured"
    return [Row(who=f"edgesmith, {SCENARIO}", count=found.triggers, unit="triggers", seconds=seconds, checks=[check], note=note)]
