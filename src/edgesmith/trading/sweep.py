"""One compiled strategy under many configurations over the same events, on several cores.

Every run is a whole engine of its own: venue, risk, ledger, metrics. Those that read the same features go through the events
side by side (`trading.lanes`). Compiled code runs without the GIL, so threads share the events and use every core; what one run
holds in memory is its records and buffers, about a MiB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import joined
from edgesmith.errors import InputError
from edgesmith.lake.replay import Replay
from edgesmith.trading.backtest import feature_specs, program_of
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine, EngineConfig
from edgesmith.trading.metrics import run_metrics
from edgesmith.trading.side_by_side import SideBySide
from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig

# Events a group takes at a time: bounds the feature rows it holds.
BATCH_EVENTS = 65_536
# Runs side by side: enough to share the work of an event among, few enough for the cache.
LANES_MAX = 32


def sweep(
    events: NDArray[Any],
    instruments: Sequence[Instrument],
    strategy: type[CompiledStrategy],
    configs: Sequence[StrategyConfig],
    engine_config: EngineConfig,
    *,
    workers: int = 2,
    skew_ns: NDArray[np.int64] | None = None,
    receive_time_known: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Run `strategy` once per configuration.

    Parameters
    ----------
    events : EVENT array
        In decision order; `instrument` is the index into `instruments`. Shared by all runs, not changed.
    configs : sequence of StrategyConfig
        Each of `strategy.Config`.
    workers : int
        Threads; more than there are cores gains nothing.
    skew_ns, receive_time_known
        What `Engine` takes: how the clocks of the data relate.

    Returns
    -------
    list of dict
        `run_metrics` of every run, in the order of `configs`; the same whatever the number of workers.
    """
    _check(strategy, configs, workers)

    strategies = [strategy(config) for config in configs]
    groups = _groups(strategies, workers)

    def run(group: list[int]) -> list[dict[str, Any]]:
        program = program_of(strategies[group[0]])

        def engine(place: int) -> Engine:
            return Engine(
                instruments,
                engine_config,
                CompiledDriver(strategies[place]),
                program=program,
                skew_ns=skew_ns,
                receive_time_known=receive_time_known,
                kept=False,
            )

        engines = [engine(place) for place in group]
        together = SideBySide(engines, engine(group[0]))
        for begin in range(0, len(events), BATCH_EVENTS):
            together.feed(events[begin : begin + BATCH_EVENTS])
        together.finish()
        return [run_metrics(engine) for engine in engines]

    found: dict[int, dict[str, Any]] = {}
    with ThreadPoolExecutor(workers) as pool:
        for group, metrics in zip(groups, pool.map(run, groups), strict=True):
            found.update(zip(group, metrics, strict=True))
            if progress is not None:
                progress(len(found), len(configs))
    return [found[place] for place in range(len(configs))]


def _groups(strategies: Sequence[CompiledStrategy], workers: int) -> list[list[int]]:
    """Return which strategies run side by side: those that read the same features, in even parts for the workers."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for place, strategy in enumerate(strategies):
        alike.setdefault(tuple(feature_specs(strategy)), []).append(place)
    groups = []
    for places in alike.values():
        rounds = -(-len(places) // (LANES_MAX * workers))
        size = -(-len(places) // (rounds * workers))
        groups += [places[begin : begin + size] for begin in range(0, len(places), size)]
    return groups


def load_events(replay: Replay) -> NDArray[Any]:
    """Return every event of a replay as one array: a sweep reads it many times."""
    batches = list(replay.batches())
    if not batches:
        raise InputError("the chosen range holds no events; `edgesmith lake ls` shows what the lake has")
    return joined(batches)


def _check(strategy: type[CompiledStrategy], configs: Sequence[StrategyConfig], workers: int) -> None:
    if not issubclass(strategy, CompiledStrategy):
        raise InputError(f"strategy '{strategy.__name__}' is not compiled, expected a CompiledStrategy; run it with backtest")
    if workers < 1:
        raise InputError(f"workers was {workers}, expected at least 1")
    wrong = next((config for config in configs if not isinstance(config, strategy.Config)), None)
    if wrong is not None:
        raise InputError(f"a configuration was {type(wrong).__name__}, expected {strategy.Config.__name__} of '{strategy.name}'")
