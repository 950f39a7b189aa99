"""One live event: the 15 base features and the baseline's decision through the engine, one event at a time, each one timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Contestant, Options, Row, at_most_check, race
from benchmarks.market import INSTRUMENT, engine_config, tape_events
from edgesmith.domain.units import NS_PER_S, NS_PER_US
from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program
from edgesmith.strategies.baseline import Baseline
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine
from edgesmith.trading.strategy import CompiledStrategy

TITLE = "one live event: 15 features, decision, risk, ledger"
EVENTS = 100_000
WARM_EVENTS = 2_000
P50_US_MAX, P99_US_MAX = 3.0, 15.0


def rows(options: Options) -> list[Row]:
    """Time every event; the seconds of a row are those of the median event."""
    count = min(EVENTS, options.events - WARM_EVENTS)
    side = Contestant(
        who="edgesmith",
        prepare="benchmarks.bench_live:prepare",
        options={"events": options.events, "count": count},
        count=1,
        note=f"{count:,} events, two clock readings (about 0.1 us) inside each",
    )
    found = race([side], options.repeats)
    (row,) = found
    if row.seconds:
        at_most_check(row, "p50 us", row.median_fact("p50_us"), P50_US_MAX, "us")
        at_most_check(row, "p99 us", row.median_fact("p99_us"), P99_US_MAX, "us")
    return found


class WideBaseline(Baseline):
    """The baseline, with every base feature computed and shown to it; the three it reads come first."""

    @property
    def features(self) -> tuple[str, ...]:
        """Return the features read, then the rest of the base set."""
        read = super().features
        return (*read, *(spec.name for spec in feature_set("base") if spec.name not in read))


def prepare(events: int, count: int) -> Callable[[], dict[str, Any]]:
    """Return a run that feeds events one by one."""
    strategy = WideBaseline()
    specs = {spec.name: spec for spec in feature_set("base")}
    program = Program([specs[name] for name in strategy.features])
    return timed_one_by_one(tape_events(events, WARM_EVENTS + count), strategy, program, count)


def timed_one_by_one(
    market: NDArray[Any], strategy: CompiledStrategy, program: Program, count: int
) -> Callable[[], dict[str, Any]]:
    """Return a run that feeds the last `count` events one by one, after a warm-up, and times each."""
    arrivals = [market[index : index + 1] for index in range(WARM_EVENTS, WARM_EVENTS + count)]

    def run() -> dict[str, Any]:
        engine = Engine([INSTRUMENT], engine_config("honest"), CompiledDriver(strategy, live=True), program=program)
        for index in range(WARM_EVENTS):
            engine.feed(market[index : index + 1])
        taken_ns = np.empty(count, np.int64)
        feed, clock_ns = engine.feed, time.perf_counter_ns  # noqa: TID251 - the product's clock has no ns
        for index, event in enumerate(arrivals):
            start_ns = clock_ns()
            feed(event)
            taken_ns[index] = clock_ns() - start_ns
        engine.finish()
        p50_ns, p99_ns, p999_ns = np.percentile(taken_ns, (50, 99, 99.9))
        return {
            "seconds": p50_ns / NS_PER_S,
            "p50_us": p50_ns / NS_PER_US,
            "p99_us": p99_ns / NS_PER_US,
            "p999_us": p999_ns / NS_PER_US,
            "fills": int(engine.run[0]["fills"]),
        }

    run()
    return run
