"""One run, many ways: run-ahead and event by event, compiled and plain Python, both forms of a strategy, process and process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import small_lake
from builders_strategies import HONEST, TIGHT_RISK, Curious, noise_hashes
from builders_tape import INSTANT, Scripted, engine_of, instrument, play, random_tape
from edgesmith.domain.events import Stream
from edgesmith.domain.records import joined
from edgesmith.strategies.registry import find_strategy
from edgesmith.trading import python_driver
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.risk import RiskConfig
from edgesmith.trading.strategy import configure

TESTS = Path(__file__).resolve().parents[1]
EXAMPLES = TESTS.parent / "examples"


class RowNumber:
    """A feature program of one column: the number of events so far, so that a row tells which event it belongs to."""

    width = 1

    def new_state(self, instruments: int = 1) -> Any:
        return [0]

    def run(self, events: Any, out: Any, state: Any) -> None:
        out[:, 0] = state[0] + 1 + np.arange(len(events))
        state[0] += len(events)


def curious_run(seed: int, streams: tuple[Stream, ...], execution: Any, cuts: list[int]) -> tuple[Any, ...]:
    strategy = Curious(seed, streams)
    instruments = [instrument(symbol="A"), instrument(symbol="B")]
    engine = engine_of(PythonDriver(strategy), instruments, execution=execution, risk=TIGHT_RISK, program=RowNumber())
    for part in np.split(np.asarray(random_tape(seed, 1_500, 2)), cuts):
        engine.feed(joined([part]))
    state = engine.state_hash
    engine.finish()
    assert int(engine.run[0]["fills"]) > 20
    return engine.recorder.fills_hash, engine.recorder.decision_hash, state, strategy.seen


@pytest.mark.parametrize("execution", [HONEST, INSTANT], ids=["honest", "instant"])
@pytest.mark.parametrize("streams", [tuple(Stream), (Stream.TRADE,), ()], ids=["all", "trades", "bars"])
def test_running_ahead_changes_nothing(streams, execution, monkeypatch) -> None:
    """A strategy that is shown events long after compiled code ran past them sees what it saw one event at a time."""
    ahead = curious_run(3, streams, execution, [])
    chunked = curious_run(3, streams, execution, [1, 2, 600, 601, 1_000])
    monkeypatch.setattr(python_driver, "WINDOW_FIRST", 1)
    monkeypatch.setattr(python_driver, "WINDOW_LAST", 1)
    single = curious_run(3, streams, execution, [])
    assert ahead[3] == single[3]
    assert ahead == single == chunked


def test_position_is_not_shown_before_its_fill_is_known() -> None:
    class Watcher(Scripted):
        def on_event(self, event: Any, ctx: Any) -> None:
            super().on_event(event, ctx)
            self.told.append((ctx.now_ns, ctx.position_qty(0)))

    strategy = Watcher({50: [("market", 0, 1, 5, False)]})
    engine = engine_of(PythonDriver(strategy), execution=HONEST)
    engine.feed(random_tape(1, 600))
    known = [fill for fill in strategy.told if not isinstance(fill, tuple)]
    assert known
    for ts, qty in (line for line in strategy.told if isinstance(line, tuple) and len(line) == 2):
        assert qty == pytest.approx(sum(fill.qty for fill in known if fill.ts_known <= ts))


def test_t08_features_at_a_bar_are_from_before_the_bar_ended() -> None:
    class Bars(Scripted):
        streams = ()
        bar_ns = 100_000_000

        def on_bar(self, bar: Any, ctx: Any) -> None:
            self.told.append((bar.ts_close, ctx.features[0]))

    strategy, events = Bars({}), random_tape(2, 800)
    engine = engine_of(PythonDriver(strategy), program=RowNumber())
    for part in np.split(np.asarray(events), [333, 334]):
        engine.feed(joined([part]))
    assert len(strategy.told) > 20
    for closed, row in strategy.told:
        assert row == np.count_nonzero(events["ts_recv"] < closed)


def steady(example: type) -> type:
    """Return the Python example looking its position up before every event: after a stop or a refusal it asks again."""

    class Steady(example):
        def on_event(self, event: Any, ctx: Any) -> None:
            position = ctx.position()
            self.wanted = position.qty + position.pending_qty
            super().on_event(event, ctx)

    return Steady


@pytest.mark.parametrize("execution", [HONEST, INSTANT], ids=["honest", "instant"])
@pytest.mark.parametrize("risk", [RiskConfig(enabled=False), TIGHT_RISK], ids=["free", "risk"])
def test_both_forms_of_the_example_trade_alike(execution, risk) -> None:
    settings, hashes = {"fast_events": 10, "slow_events": 40, "order_qty": 0.004}, []
    events = random_tape(4, 3_000)
    events = events[(events["kind"] == Stream.BBO) | (events["kind"] == Stream.TRADE)]
    compiled, python = (find_strategy(f"{EXAMPLES / name}.py:EmaCross") for name in ("ema_cross_compiled", "ema_cross_python"))
    forms = [(compiled, CompiledDriver), (steady(python), PythonDriver)]
    if not risk.enabled:
        forms.append((python, PythonDriver))
    for form, driver in forms:
        engine = engine_of(driver(configure(form, settings)), execution=execution, risk=risk)
        engine.feed(events)
        engine.finish()
        assert int(engine.run[0]["fills"]) > 20
        assert (int(engine.run[0]["forced_exits"]) > 3) == risk.enabled
        hashes.append((engine.recorder.fills_hash, engine.recorder.decision_hash))
    assert len(set(hashes)) == 1


def in_a_process(code: str, **environment: str) -> Any:
    env = {**os.environ, "PYTHONPATH": str(TESTS), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2_000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_plain_python_gives_the_bytes_compiled_code_gives() -> None:
    code = "import json; from builders_strategies import noise_hashes; print(json.dumps(noise_hashes()))"
    compiled, plain = noise_hashes(), in_a_process(code, NUMBA_DISABLE_JIT="1", PYTHONWARNINGS="ignore")
    assert compiled["fills"] == plain["fills"]
    assert compiled == plain
    assert min(compiled[name] for name in ("maker_fills", "forced_exits")) > 3
    assert compiled["funding_e8"] != 0


def test_two_processes_give_one_run(tmp_path: Path) -> None:
    """The hash seed of Python, which orders its sets, reaches neither the name of a run nor its result."""
    small_lake(tmp_path / "data", symbols=("BTCUSDT", "ETHUSDT"), count=400)
    code = f"""
import json
from pathlib import Path
from edgesmith.lake.catalog import Catalog
from edgesmith.strategies.registry import find_strategy
from edgesmith.trading.backtest import backtest
from edgesmith.trading.engine import EngineConfig
from edgesmith.trading.strategy import configure
strategy = configure(find_strategy("baseline"), {{"momentum_threshold_ratio": 1e-6, "spread_bps_max": 100.0, "order_qty": 0.1}})
root = Path({str(tmp_path)!r})
result = backtest(Catalog(root / "data").partitions(), strategy, EngineConfig(), runs_root=root)
print(json.dumps(result.manifest, sort_keys=True))
"""
    first, second = in_a_process(code, PYTHONHASHSEED="1"), in_a_process(code, PYTHONHASHSEED="2")
    assert first == second
    assert first["result"]["fills"] > 0


def test_interleaved_engines_do_not_touch_each_other() -> None:
    scripts = [
        {10: [("market", 0, 1, 5, False)], 200: [("market", 0, -1, 9, False)]},
        {50: [("limit", 0, 1, 3, False, 1, 0, False)]},
    ]
    tapes = [random_tape(8, 500), random_tape(9, 500)]
    alone = [play(events, script, execution=HONEST).state_hash for events, script in zip(tapes, scripts, strict=True)]
    engines = [engine_of(PythonDriver(Scripted(script)), execution=HONEST) for script in scripts]
    for begin in range(0, 500, 50):
        for engine, events in zip(engines, tapes, strict=True):
            engine.feed(joined([np.asarray(events)[begin : begin + 50]]))
    assert [engine.state_hash for engine in engines] == alone
    assert alone[0] != alone[1]
