"""StrategyV1 beside the baseline it has to beat: the whole engine over the tape, and one live event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.bench_live import EVENTS, P50_US_MAX, WARM_EVENTS, timed_one_by_one
from benchmarks.harness import Contestant, Options, Row, at_most_check, race, rate_check
from benchmarks.market import run_engine, tape_events
from edgesmith.strategies.baseline import Baseline
from edgesmith.strategies.registry import find_strategy
from edgesmith.trading.backtest import program_of
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.strategy import CompiledStrategy

TITLE = "StrategyV1 default with gate, features and full engine, beside the baseline"
LIVE_TITLE = "one live event: StrategyV1 default with gate, features, decision, risk, ledger"
EVENTS_PER_S = 5e6
NAMES = ("v1", Baseline.name)


def rows(options: Options) -> list[Row]:
    """Run both over the whole tape."""
    found = race(
        [
            Contestant(
                who=f"edgesmith, {name}",
                prepare="benchmarks.bench_v1:prepare",
                options={"events": options.events, "name": name},
                count=options.events,
                ours=True,
            )
            for name in NAMES
        ],
        options.repeats,
    )
    rate_check(found[0], EVENTS_PER_S)
    return found


def live_rows(options: Options) -> list[Row]:
    """Time every event of both."""
    count = min(EVENTS, options.events - WARM_EVENTS)
    found = race(
        [
            Contestant(
                who=f"edgesmith, {name}",
                prepare="benchmarks.bench_v1:prepare_live",
                options={"events": options.events, "count": count, "name": name},
                count=1,
                ours=True,
                note=f"{count:,} events, two clock readings (about 0.1 us) inside each",
            )
            for name in NAMES
        ],
        options.repeats,
    )
    if found[0].seconds:
        at_most_check(found[0], "p50 us", found[0].median_fact("p50_us"), P50_US_MAX, "us")
    return found


def _strategy(name: str) -> CompiledStrategy:
    strategy = find_strategy(name)()
    assert isinstance(strategy, CompiledStrategy)
    return strategy


def prepare(events: int, name: str) -> Callable[[], dict[str, Any]]:
    """Return a run of the engine over the tape; the first has compiled everything."""
    market, strategy = tape_events(events), _strategy(name)
    program = program_of(strategy)

    def run() -> dict[str, Any]:
        return run_engine(market, CompiledDriver(strategy), "honest", program=program)

    run()
    return run


def prepare_live(events: int, count: int, name: str) -> Callable[[], dict[str, Any]]:
    """Return a run that feeds events one by one."""
    strategy = _strategy(name)
    program = program_of(strategy)
    assert program is not None
    return timed_one_by_one(tape_events(events, WARM_EVENTS + count), strategy, program, count)
