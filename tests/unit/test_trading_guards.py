"""Guards by example: events out of order, and strategies that raise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders import small_lake
from builders_tape import T0, Scripted, bbo, engine_of, random_tape, tape
from edgesmith.errors import HaltError, InputError, OrderingError, StrategyError
from edgesmith.lake.catalog import Catalog
from edgesmith.trading.backtest import backtest
from edgesmith.trading.engine import EngineConfig
from edgesmith.trading.guards import ErrorPolicy, GuardConfig, OrderingMode
from edgesmith.trading.python_driver import PythonDriver


class Raising(Scripted):
    """Raises at every third event, after having sent an order there."""

    name = "raising"

    def __init__(self) -> None:
        super().__init__({})

    def on_event(self, event: Any, ctx: Any) -> None:
        self.index += 1
        if self.index % 3 == 2:
            ctx.buy(0.001, event.instrument)
            raise ValueError(f"event {self.index}")


def guarded(errors: ErrorPolicy, max_errors: int = 1_000) -> GuardConfig:
    return GuardConfig(errors=errors, max_errors=max_errors)


def swapped() -> Any:
    rows = [bbo(T0 + offset, 2000.0, 2000.1) for offset in (0, 10, 20, 15, 30)]
    return tape(rows)


def test_strict_ordering_stops_at_the_event_and_names_it() -> None:
    engine = engine_of(PythonDriver(Scripted({})))
    with pytest.raises(OrderingError) as raised:
        engine.feed(swapped())
    text = str(raised.value)
    assert f"ts_recv {T0 + 15}, seq 3" in text
    assert f"ts_recv {T0 + 20}, seq 2" in text
    assert "sort" in text
    assert "\n" not in text
    assert int(engine.run[0]["events"]) == 3


def test_warn_ordering_counts_and_time_never_runs_backwards() -> None:
    class Clock(Scripted):
        def on_event(self, event: Any, ctx: Any) -> None:
            self.told.append(ctx.now_ns)

    strategy = Clock({})
    engine = engine_of(PythonDriver(strategy), guards=GuardConfig(ordering=OrderingMode.WARN))
    engine.feed(swapped())
    assert (int(engine.run[0]["out_of_order"]), int(engine.run[0]["events"])) == (1, 5)
    assert strategy.told == [T0, T0 + 10, T0 + 20, T0 + 20, T0 + 30]


def test_a_duplicate_is_a_violation_of_its_own() -> None:
    events = swapped()[:2]
    events["ts_recv"] = events["ts_event"] = T0
    events["seq"] = 0
    engine = engine_of(PythonDriver(Scripted({})), guards=GuardConfig(ordering=OrderingMode.WARN))
    engine.feed(events)
    assert (int(engine.run[0]["duplicates"]), int(engine.run[0]["out_of_order"])) == (1, 0)


def test_order_is_checked_across_chunks() -> None:
    engine, events = engine_of(PythonDriver(Scripted({}))), swapped()
    engine.feed(events[:3])
    with pytest.raises(OrderingError):
        engine.feed(events[3:])


def test_fail_fast_names_hook_error_and_line() -> None:
    engine = engine_of(PythonDriver(Raising()))
    with pytest.raises(StrategyError, match=r"strategy 'raising' raised in on_event: ValueError: event 2 \(.*\.py:\d+\)"):
        engine.feed(random_tape(1, 30))


def test_skip_goes_on_and_keeps_what_was_sent() -> None:
    driver = PythonDriver(Raising())
    engine = engine_of(driver, guards=guarded(ErrorPolicy.SKIP))
    engine.feed(random_tape(1, 300))
    assert int(engine.run[0]["events"]) == 300
    assert driver.errors.count == 100
    assert int(engine.run[0]["orders_sent"]) + int(engine.run[0]["refused"].sum()) == 100
    assert len(driver.errors.records) == 50, "only the first are kept, all are counted"


def test_the_limit_of_errors_halts_under_any_policy() -> None:
    for policy in (ErrorPolicy.SKIP, ErrorPolicy.QUARANTINE):
        engine = engine_of(PythonDriver(Raising()), guards=guarded(policy, 5))
        with pytest.raises(HaltError, match="raised 5 times, the limit; the last: ValueError: event 14"):
            engine.feed(random_tape(1, 300))


def test_a_mistake_of_the_program_is_not_contained() -> None:
    class Wrong(Scripted):
        def on_event(self, event: Any, ctx: Any) -> None:
            ctx.buy(1.0, 7)

    engine = engine_of(PythonDriver(Wrong({})), guards=guarded(ErrorPolicy.SKIP))
    with pytest.raises(InputError, match="instrument was 7, expected 0 to 0"):
        engine.feed(random_tape(1, 30))


def test_a_loop_of_fills_and_orders_at_one_instant_halts() -> None:
    class Echo(Scripted):
        def on_fill(self, fill: Any, ctx: Any) -> None:
            ctx.buy(0.001)

    engine = engine_of(PythonDriver(Echo({20: [("market", 0, 1, 1, False)]})))
    with pytest.raises(HaltError, match="answered its own fills 100 times"):
        engine.feed(random_tape(1, 100))


def test_too_many_reports_at_once_halt_the_run() -> None:
    class Flood(Scripted):
        def on_event(self, event: Any, ctx: Any) -> None:
            self.index += 1
            for _ in range(20 if self.index > 10 else 0):
                ctx.buy(0.020)

    engine = engine_of(PythonDriver(Flood({})))
    with pytest.raises(HaltError, match="more than 256 execution reports"):
        engine.feed(random_tape(1, 300))


def test_quarantine_writes_a_file_and_a_failing_run_leaves_nothing(tmp_path: Path) -> None:
    partitions = Catalog(small_lake(tmp_path / "data", count=60)).partitions()
    config = EngineConfig(guards=guarded(ErrorPolicy.QUARANTINE))
    result = backtest(partitions, Raising(), config, runs_root=tmp_path / "runs")
    lines = [json.loads(line) for line in (result.folder / "errors.jsonl").read_text().splitlines()]
    assert len(lines) == result.manifest["guard_counters"]["errors_contained"] == 100
    assert {"hook", "now_ns", "error", "input"} <= set(lines[0])
    assert lines[0]["error"].startswith("ValueError: event 2")
    before = sorted(path.name for path in (tmp_path / "runs").iterdir())
    with pytest.raises(StrategyError):
        backtest(partitions, Raising(), EngineConfig(), runs_root=tmp_path / "runs")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == before == [result.folder.name]
