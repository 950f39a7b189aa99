"""One compiled strategy under many configurations over the same events, on several cores.

Every run is a whole engine of its own: venue, risk, ledger, metrics. Compiled code runs without the GIL, so threads share the
events and use every core; what one run holds in memory is its records and buffers, a few MiB.
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
from edgesmith.trading.backtest import program_of
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine, EngineConfig
from edgesmith.trading.metrics import run_metrics
from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig

# Events a run takes at a time: bounds the feature rows it holds.
BATCH_EVENTS = 65_536


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

    def run(config: StrategyConfig) -> dict[str, Any]:
        configured = strategy(config)
        engine = Engine(
            instruments,
            engine_config,
            CompiledDriver(configured),
            program=program_of(configured),
            skew_ns=skew_ns,
            receive_time_known=receive_time_known,
        )
        for begin in range(0, len(events), BATCH_EVENTS):
            engine.feed(events[begin : begin + BATCH_EVENTS])
        engine.finish()
        return run_metrics(engine)

    found = []
    with ThreadPoolExecutor(workers) as pool:
        for metrics in pool.map(run, configs):
            found.append(metrics)
            if progress is not None:
                progress(len(found), len(configs))
    return found


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
