"""Is the truth true? Planted edges against their analytic size, drift of plants, nulls over many worlds, impact, lead and lag."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Options, Row, at_most_check
from edgesmith.clock import monotonic_s
from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.records import taken
from edgesmith.domain.units import BPS, NS_PER_HOUR, NS_PER_MS, NS_PER_S, ns_of_date
from edgesmith.evaluation.impact import ImpactMeter
from edgesmith.parallel import map_ordered
from edgesmith.worlds.claims import BLOCK_NS
from edgesmith.worlds.leads import lead_facts
from edgesmith.worlds.plant import plant_edges
from edgesmith.worlds.random import child_key
from edgesmith.worlds.regions import Region, decisions
from edgesmith.worlds.scenarios import SCENARIOS, find_scenario
from edgesmith.worlds.world import World

TITLE = "worlds: what is measured in them against what their truth records say"
SCENARIO, SEED, START_DAY = "P1_4", 1, date(2026, 1, 5)
TRIGGERS, QUICK_TRIGGERS = 100_000, 5_000
ERROR_RATIO_MAX = 0.01
NULLS, WORLDS, QUICK_WORLDS, NULL_SEED = ("N1", "N3", "N4"), 200, 8, 2_000
NULL_HORIZON_NS = 5 * NS_PER_S
# Of four cells by chance once in a hundred.
NULL_T_MAX = 3.02
TAPES, QUICK_TAPES, BLOCK_STEPS, DRIFT_T_MAX = 20, 3, 300, 2.0
# Where the first hours do not show an edge.
SHOWN_HOURS = {"P10": 17 * 24, "P11": 13}
SIZE_SEEDS, SIZE_HOURS, QUICK_SIZE_HOURS, SIZE_RATIO_MAX = (1, 2, 3), 12, 1, 0.1
NOMINAL_BPS = {"P1_1": 1, "P1_2": 2, "P1_4": 4, "P1_8": 8, "P1_16": 16, "P2_6": 6, "P2_12": 12, "P3_8": 8, "P3_15": 15, "P4": 6}
NOMINAL_BPS |= {"P5": 12, "P6": 12, "P7": 20, "P8_dies": 15, "P8_turns": 15, "P9": 9, "P10": 90, "P11": 12, "P12": 12}
IMPACT_RATIO_MAX = 0.1
# Correlation of the follower's return over 50 ms with the leader's before it, measured in captures of 8 August 2024.
REAL_LEADS = {("perp, spot", 0, 2): 0.22, ("spot, perp", 2, 0): 0.21, ("perp, other coin", 0, 1): 0.22}
LEAD_HOURS, LEAD_OFF_MAX = 4, 0.1
START_NS = ns_of_date(START_DAY)
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


def null_t_values(name: str, worlds: int) -> NDArray[np.float64]:
    """Return the t value of the mean forward return of each cell of a null, over worlds of an hour, less the stated drift."""
    scenario = find_scenario(name)

    def means(number: int) -> list[float]:
        world = World(scenario, NULL_SEED + number, START_DAY, 1)
        events = world.hour(0).events
        return [mean for claim in scenario.claims for mean in _cell_means(events, claim.region, _drift_bps(world))]

    found = np.array(list(map_ordered(means, range(worlds), workers=None, mode="threads")))
    return found.mean(axis=0) / (found.std(axis=0, ddof=1) / np.sqrt(worlds))


def _drift_bps(world: World) -> float:
    hours = NULL_HORIZON_NS / NS_PER_HOUR
    return world.scenario.drift_hour_bps * world.market.trend_sign(0) * hours if world.scenario.drift_hour_bps else 0.0


def _cell_means(events: NDArray[Any], region: Region, drift_bps: float) -> list[float]:
    instants_ns, signs = decisions(events, region, NS_PER_S, NULL_HORIZON_NS)
    moves = (_mid_at(events, instants_ns + NULL_HORIZON_NS) / _mid_at(events, instants_ns) - 1.0) / BPS - drift_bps
    return [float(moves[signs == sign].mean()) if (signs == sign).any() else 0.0 for sign in (1, -1)]


def _mid_at(events: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    quotes = events["kind"] == KIND_BBO
    mids = (events["bid_price"][quotes] + events["ask_price"][quotes]) / 2.0
    return mids[np.searchsorted(events["ts_recv"][quotes], instants_ns, side="right") - 1]


def drift_t_value(name: str, tapes: int) -> float:
    """Return the t value of the extra return of a scenario's plants over all instants of a tape, from blocks of five minutes."""
    world = World(find_scenario(name), SEED, START_DAY, HOURS_MAX)
    hour = SHOWN_HOURS.get(name, 0)
    base, leader = world.received(hour).events, None if world.leader is None else world.leader.hour(hour).events
    horizon_ns = world.scenario.claims[0].horizon_ms * NS_PER_MS
    first_ns, last_ns = int(base["ts_recv"].min()), int(base["ts_recv"].max())
    instants_ns = np.arange(first_ns, last_ns, NS_PER_S)
    blocks: list[float] = []
    for draw in range(tapes):
        key = child_key(world.market.key, 98, draw)
        tape = plant_edges(base, world.scenario.plants, instrument=world.instrument, key=key, leader=leader, start_ns=START_NS)
        extra = np.log(_mid_at(tape.events, instants_ns) / _mid_at(base, instants_ns)) / BPS
        steps = horizon_ns // NS_PER_S
        blocks += [float(part.mean()) for part in np.array_split(extra[steps:] - extra[:-steps], len(extra) // BLOCK_STEPS)]
    error = float(np.std(blocks, ddof=1)) / np.sqrt(len(blocks))
    return float(np.mean(blocks) / error) if error else 0.0


def size_ratios(hours: int) -> dict[str, float]:
    """Return, of each planted edge that has a size, its gross return over its nominal size, over `hours` hours of three seeds."""
    return {name: _gross_bps(name, hours) / size for name, size in NOMINAL_BPS.items()}


def _gross_bps(name: str, hours: int) -> float:
    sums = np.zeros(2)
    for seed in SIZE_SEEDS:
        world = World(find_scenario(name), seed, START_DAY, HOURS_MAX)
        numbers = range(SHOWN_HOURS.get(name, 0), HOURS_MAX, 24) if name == "P11" else range(SHOWN_HOURS.get(name, 0), HOURS_MAX)
        claim = world.truth([world.hour(number) for number in numbers[:hours]]).claims[0]
        sums += (claim.decisions * claim.gross_bps, claim.decisions)
    return float(sums[0] / sums[1])


def impact_ratio(hours: int) -> tuple[float, float]:
    """Return the slope of price on volume in P12 over that of its truth record, measured as capacity is; and the capacity."""
    world = World(find_scenario("P12"), SEED, START_DAY, hours)
    parts = list(world)
    meter = ImpactMeter(0, BLOCK_NS)
    for part in parts:
        meter.feed(taken(part.events, np.argsort(part.events["ts_recv"], kind="stable")))
    claim = world.truth(parts).claims[0]
    assert claim.impact_bps_per_qty is not None and claim.capacity_qty is not None
    return meter.slope_bps(SEED).mean / claim.impact_bps_per_qty, claim.capacity_qty


def rows(options: Options) -> list[Row]:
    """Measure once: results are exact for their seeds, not timings."""
    found = [_row(f"edgesmith, {SCENARIO}", lambda row: _truth(row, options), "triggers")]
    for name in NULLS:
        found.append(_row(f"edgesmith, {name}", lambda row, name=name: _null(row, name, options), "worlds"))  # type: ignore[misc]
    found.append(_row("edgesmith, drift of plants", lambda row: _drifts(row, options), "plants"))
    found.append(_row("edgesmith, sizes of plants", lambda row: _sizes(row, options), "plants"))
    found.append(_row("edgesmith, P12 impact", lambda row: _impact(row, options), "hours"))
    found.append(_row("edgesmith, lead_lag", lambda row: _leads(row, options), "hours"))
    return found


def _row(who: str, fill: Callable[[Row], None], unit: str) -> Row:
    row = Row(who=who, count=0, unit=unit)
    start = monotonic_s()
    fill(row)
    row.seconds = [monotonic_s() - start]
    return row


def _truth(row: Row, options: Options) -> None:
    found = measure(QUICK_TRIGGERS if options.quick else TRIGGERS)
    row.count = found.triggers
    at_most_check(row, "measured / analytic - 1", found.off_ratio, ERROR_RATIO_MAX, "")
    row.note = f"{found.truth_bps:.4f} bps true, {found.measured_bps:.4f} +- {found.error_bps:.4f} measured"


def _null(row: Row, name: str, options: Options) -> None:
    row.count = QUICK_WORLDS if options.quick else WORLDS
    values = null_t_values(name, row.count)
    at_most_check(row, "largest |t| of four cells", float(np.abs(values).max()), NULL_T_MAX, "")
    row.note = f"t of the mean return over 5 s: {', '.join(f'{value:.2f}' for value in values)}"


def _drifts(row: Row, options: Options) -> None:
    names = [name for name, scenario in SCENARIOS.items() if scenario.group == "P"]
    row.count = len(names)
    values = [drift_t_value(name, QUICK_TAPES if options.quick else TAPES) for name in names]
    at_most_check(row, "largest |drift|, standard errors", float(np.abs(values).max()), DRIFT_T_MAX, "")


def _sizes(row: Row, options: Options) -> None:
    ratios = size_ratios(QUICK_SIZE_HOURS if options.quick else SIZE_HOURS)
    row.count = len(ratios)
    worst = max(ratios, key=lambda name: abs(ratios[name] - 1.0))
    at_most_check(row, "largest |gross / nominal - 1|", abs(ratios[worst] - 1.0), SIZE_RATIO_MAX, "")
    row.note = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())


def _impact(row: Row, options: Options) -> None:
    row.count = QUICK_SIZE_HOURS if options.quick else SIZE_HOURS
    ratio, capacity_qty = impact_ratio(row.count)
    at_most_check(row, "|slope / truth - 1|", abs(ratio - 1.0), IMPACT_RATIO_MAX, "")
    row.note = f"capacity {capacity_qty:.3f}"


def _leads(row: Row, options: Options) -> None:
    row.count = 1 if options.quick else LEAD_HOURS
    world = World(find_scenario("lead_lag"), SEED, START_DAY, row.count)
    tapes = [[part.events for part in world.together(hour)] for hour in range(row.count)]
    for (name, first, second), real in REAL_LEADS.items():
        facts = [lead_facts(hour[first], hour[second]) for hour in tapes]
        next_correlation = float(np.mean([one.next_correlation for one in facts]))
        at_most_check(row, f"{name}: |correlation - real|", abs(next_correlation - real), LEAD_OFF_MAX, "")
        means = [float(np.mean([one.next[i].mean_bps for one in facts])) for i in range(4)]
        row.note += f"{name} {next_correlation:.2f} (real {real}), next 0.5 s {', '.join(f'{mean:.2f}' for mean in means)} bps; "
