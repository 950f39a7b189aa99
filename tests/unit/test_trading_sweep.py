"""A sweep is its runs: the same numbers as one engine at a time, in the order of the configurations."""

from __future__ import annotations

import pytest

from builders_tape import instrument, random_tape
from edgesmith.errors import InputError
from edgesmith.strategies.baseline import Baseline, BaselineConfig
from edgesmith.trading.backtest import program_of
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine, EngineConfig
from edgesmith.trading.execution import execution_preset
from edgesmith.trading.metrics import run_metrics
from edgesmith.trading.risk import RiskConfig
from edgesmith.trading.strategy import PythonStrategy, StrategyConfig
from edgesmith.trading.sweep import sweep

CONFIG = EngineConfig(execution=execution_preset("instant"), risk=RiskConfig(cooldown_events=0))
CONFIGS = [BaselineConfig(momentum_threshold_ratio=1e-6 * step, cooldown_events=0) for step in (1, 2, 5, 10, 100_000)]
TAPE = random_tape(11, 3_000, 1)
INSTRUMENTS = [instrument(symbol="A")]


def alone(config: BaselineConfig) -> dict[str, object]:
    strategy = Baseline(config)
    engine = Engine(INSTRUMENTS, CONFIG, CompiledDriver(strategy), program=program_of(strategy))
    engine.feed(TAPE)
    engine.finish()
    return run_metrics(engine)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_run_is_what_it_is_alone(workers: int) -> None:
    found = sweep(TAPE, INSTRUMENTS, Baseline, CONFIGS, CONFIG, workers=workers)
    assert found == [alone(config) for config in CONFIGS]
    fills = [metrics["fills"] for metrics in found]
    assert fills[0] > 10 and fills[-1] == 0, "the configurations must differ in what they do"


def test_no_configurations_give_no_runs() -> None:
    assert sweep(TAPE, INSTRUMENTS, Baseline, [], CONFIG) == []


class OtherConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Not the baseline's."""


class Slow(PythonStrategy):
    """Not compiled."""

    name = "slow"


@pytest.mark.parametrize(
    ("strategy", "configs", "workers", "message"),
    [
        (Slow, [StrategyConfig()], 2, "is not compiled"),
        (Baseline, [OtherConfig()], 2, "expected BaselineConfig"),
        (Baseline, CONFIGS, 0, "workers was 0"),
    ],
)
def test_what_cannot_be_swept_is_said_before_anything_runs(strategy, configs, workers, message) -> None:
    with pytest.raises(InputError, match=message):
        sweep(TAPE, INSTRUMENTS, strategy, configs, CONFIG, workers=workers)
