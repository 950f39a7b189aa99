"""Compile what most tests share, in two processes at once, so that no two test workers compile the same thing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesmith.features.program import Program

WORKERS = 2


def engine() -> None:
    from edgesmith.strategies.baseline import Baseline
    from edgesmith.strategies.v1.strategy import StrategyV1
    from edgesmith.trading.entry import advance, advance_lanes, compile_decide, idle

    advance()
    advance_lanes()
    idle()
    for strategy in (Baseline, StrategyV1):
        compile_decide(strategy.name, strategy.decide)


def of_all() -> None:
    from builders_features import default_program

    _computed(default_program())


def of_all_small() -> None:
    from builders_features import small_program

    _computed(small_program())


def sets() -> None:
    from edgesmith.features.catalog import feature, feature_set
    from edgesmith.features.program import Program
    from edgesmith.strategies.baseline import Baseline

    for name in ("base", "stationary"):
        _computed(Program(feature_set(name)))
    _computed(Program([feature(name) for name in Baseline().features]))


def _computed(program: Program) -> None:
    import numpy as np

    from edgesmith.domain.events import EVENT

    program.compute(np.zeros(2, EVENT), instruments=2)


def world() -> None:
    from datetime import date

    from edgesmith.worlds.scenarios import find_scenario
    from edgesmith.worlds.world import World

    World(find_scenario("demo"), 1, date(2026, 1, 5), 1).hour(0)
    World(find_scenario("lead_lag"), 1, date(2026, 1, 5), 1, rate=0.02).hour(0)


# Longest first: the pool takes them in this order.
STEPS: tuple[Callable[[], None], ...] = (of_all, of_all_small, world, engine, sets)


def main() -> None:
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(step) for step in STEPS]:
            done.result()


if __name__ == "__main__":
    main()
