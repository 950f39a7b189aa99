"""Simulated markets at the rate of a BTC perpetual: events on one core and on two, and a whole day with its memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.harness import Contestant, Options, Row, at_least_check, at_most_check, race, rate_check
from edgesmith.cli.world import write_world
from edgesmith.parallel import map_ordered
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World, WorldHour

TITLE = "simulated markets: a BTC perpetual at its own rate"
SEED, START_DAY = 1, date(2026, 1, 5)
EVENTS_PER_S = 3e6
SPEED_UP = 1.8
DAY_SECONDS_MAX = 10.0
# A day may hold this much more than three hours: hours differ in size. All its events would be over a GiB.
GROWTH_MIB_MAX = 160.0
# Hours differ in size: with six of them, one core would wait for the other at the end.
SPEED_HOURS, SHORT_HOURS, DAY_HOURS = 12, 3, 24
QUICK_HOURS = 2


def rows(options: Options) -> list[Row]:
    """Time the tape on one core and on two; then a day, simulated and written into a lake, beside three hours of it."""
    found = race(
        [
            _side("the tape, one core", "prepare_tape", _hours(SPEED_HOURS, options), workers=1),
            _side("the tape, two cores", "prepare_tape", _hours(SPEED_HOURS, options), workers=2),
            _side("a day simulated", "prepare_hours", _hours(DAY_HOURS, options), workers=2, note="24 hours, in order, not kept"),
            _side("three hours into a lake", "prepare_lake", _hours(SHORT_HOURS, options), workers=2, once=True),
            _side("a day into a lake", "prepare_lake", _hours(DAY_HOURS, options), workers=2, once=True, note="24 hours, fsync"),
            _side("a day into a lake, one core", "prepare_lake", _hours(DAY_HOURS, options), workers=1, once=True),
        ],
        options.repeats,
    )
    for row in found:
        row.count = row.fact("events") if row.facts else 0
    one, two, simulated, short, day, alone = found
    rate_check(one, EVENTS_PER_S)
    if one.seconds and two.seconds:
        at_least_check(two, "one core / it", two.rate / one.rate, SPEED_UP, "x")
    if day.seconds and alone.seconds:
        at_least_check(day, "one core / it", day.rate / alone.rate, SPEED_UP, "x")
    for row in (simulated, day):
        if row.seconds:
            at_most_check(row, "seconds", row.count / row.rate, DAY_SECONDS_MAX, "s")
    if short.seconds and day.seconds:
        growth = day.median_fact("peak_rss_mib") - short.median_fact("peak_rss_mib")
        at_most_check(day, "growth MiB", growth, GROWTH_MIB_MAX, "MiB")
    return found


def _hours(hours: int, options: Options) -> int:
    return min(hours, QUICK_HOURS) if options.quick else hours


def _side(who: str, prepare: str, hours: int, *, workers: int, once: bool = False, note: str = "") -> Contestant:
    return Contestant(
        who=f"edgesmith, {who}",
        prepare=f"benchmarks.bench_worlds:{prepare}",
        options={"hours": hours, "workers": workers},
        count=0,
        ours=True,
        once=once,
        note=note,
    )


def a_world(hours: int) -> World:
    """Return a market with nothing planted and nothing claimed, as busy as the perpetual."""
    scenario = find_scenario("null_plain")
    plain = msgspec.structs.replace(scenario, plants=(), claims=(), parameters=TapeParameters(), rate=1.0)
    return World(plain, SEED, START_DAY, hours)


def prepare_tape(hours: int, workers: int) -> Callable[[], dict[str, Any]]:
    """Return the simulator alone, hours on `workers` threads."""
    market = a_world(hours).market
    market.hour(0)

    def events(hour: int) -> int:
        return len(market.hour(hour))

    return lambda: {"events": sum(map_ordered(events, range(hours), workers=workers, mode="threads"))}


def prepare_hours(hours: int, workers: int) -> Callable[[], dict[str, Any]]:
    """Return the hours of a world, taken one after the other."""
    world = a_world(hours)
    world.hour(0)

    def run() -> dict[str, Any]:
        return {"events": sum(map(_events, map_ordered(world.hour, range(hours), workers=workers, mode="threads")))}

    return run


def _events(hour: WorldHour) -> int:
    return len(hour.events)


def prepare_lake(hours: int, workers: int) -> Callable[[], dict[str, Any]]:
    """Return a world written into a new lake."""

    def run(hours: int = hours) -> dict[str, Any]:
        root = Path(tempfile.mkdtemp(prefix="edgesmith_bench_"))
        try:
            written = write_world(a_world(hours), root, workers=workers)
            size = sum(path.stat().st_size for path in root.rglob("*.parquet"))
        finally:
            shutil.rmtree(root)
        return {"events": written.events, "written_mib": round(size / 1_048_576, 1)}

    run(1)
    return run
