"""Memory of a long run: fills on half of all events, streamed to disk, beside a run with a tenth of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from benchmarks.harness import Contestant, Options, Row, at_most_check, race
from benchmarks.market import run_engine, tape_events
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig

TITLE = "memory of a run, fills and decisions written to disk"
PEAK_MIB_MAX = 64.0
# More fills may move the allocator and the writers by this much; a run that kept its fills would grow by over 200 MiB.
GROWTH_MIB_MAX = 8.0
EVENTS_PER_FILL = (20, 2)

SEEN, HELD = 0, 1


class FlipConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`period_events` is how often the position turns."""

    period_events: Annotated[int, Meta(ge=1)]


class Flip(CompiledStrategy):
    """Turns its position every few events, whatever the market does."""

    name = "flip"
    Config = FlipConfig

    def params(self) -> tuple[float, ...]:
        return (float(self.config.period_events),)

    @staticmethod
    def decide(view: Any) -> float:
        view.memory[SEEN] += 1.0
        if view.memory[SEEN] < view.params[0]:
            return np.nan
        view.memory[SEEN] = 0.0
        view.memory[HELD] = 1.0 - view.memory[HELD]
        return 0.001 if view.memory[HELD] > 0.0 else -0.001


def rows(options: Options) -> list[Row]:
    """Run both; what counts is the peak above what was held with everything imported, compiled and loaded."""
    sides = [
        Contestant(
            who=f"edgesmith, a fill every {period} events",
            prepare="benchmarks.bench_memory:prepare",
            options={"events": options.events, "period_events": period},
            count=options.events,
            ours=True,
            once=True,
            note="peak above imports, compiled code and input",
        )
        for period in EVENTS_PER_FILL
    ]
    found = race(sides, options.repeats)
    few, many = found
    if few.seconds and many.seconds:
        at_most_check(many, "peak MiB", many.median_fact("peak_rss_mib"), PEAK_MIB_MAX, "MiB")
        growth = many.median_fact("peak_rss_mib") - few.median_fact("peak_rss_mib")
        at_most_check(many, "growth MiB", growth, GROWTH_MIB_MAX, "MiB")
    return found


def prepare(events: int, period_events: int) -> Callable[[], dict[str, Any]]:
    """Return one run; what compiles and imports has happened on a short one."""
    market = tape_events(events)

    def run(count: int = len(market)) -> dict[str, Any]:
        folder = Path(tempfile.mkdtemp(prefix="edgesmith_bench_"))
        try:
            strategy = Flip(FlipConfig(period_events=period_events))
            facts = run_engine(market[:count], CompiledDriver(strategy), "instant", folder)
            facts["written_mib"] = round(sum(path.stat().st_size for path in folder.iterdir()) / 1_048_576, 1)
        finally:
            shutil.rmtree(folder)
        return facts

    run(1_000)
    return run
