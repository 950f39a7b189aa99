"""StrategyV1 in worlds whose truth is known: it finds a planted edge, pays its costs where none is, and proves its trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from builders_v1 import halves, measured_report, run, world
from edgesmith.strategies.baseline import Baseline
from edgesmith.strategies.v1.replay import decide_again
from edgesmith.strategies.v1.strategy import StrategyV1
from edgesmith.trading.engine import EngineConfig
from edgesmith.trading.metrics import run_metrics
from edgesmith.trading.strategy import configure
from edgesmith.trading.trace import TraceLevel

STRONG_BPS = 0.7


def v1(preset: str, shift_bps: float, folder: Path) -> tuple[StrategyV1, Any, Any]:
    events, instrument = world(shift_bps)
    train, later = halves(events)
    report = folder / f"report_{shift_bps}.json"
    if not report.exists():
        measured_report(train).save(report)
    strategy = configure(StrategyV1, {"preset": preset, "report": str(report)})
    assert isinstance(strategy, StrategyV1)
    return strategy, later, instrument


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("v1")


@pytest.mark.parametrize("preset", StrategyV1.presets)
def test_every_preset_earns_on_a_strong_edge_and_beats_the_baseline(preset: str, folder: Path) -> None:
    strategy, later, instrument = v1(preset, STRONG_BPS, folder)
    found, baseline = run_metrics(run(strategy, later, instrument)), run_metrics(run(Baseline(), later, instrument))
    assert found["round_trips"] > 50
    assert found["pnl_net"] > 0.0
    # Per minute and per unit of risk: presets trade other sizes than the baseline.
    assert found["sharpe_minute"] > baseline["sharpe_minute"]
    assert found["drawdown_max"] < found["pnl_net"]


@pytest.mark.parametrize("preset", StrategyV1.presets)
def test_nothing_planted_costs_about_the_costs(preset: str, folder: Path) -> None:
    strategy, later, instrument = v1(preset, 0.0, folder)
    metrics = run_metrics(run(strategy, later, instrument))
    costs = metrics["fees"] + metrics["spread_cost"]
    assert metrics["round_trips"] > 20
    assert -1.3 * costs < metrics["pnl_net"] < -0.7 * costs


def test_baseline_loses_where_nothing_is_planted() -> None:
    events, instrument = world(0.0)
    metrics = run_metrics(run(Baseline(), halves(events)[1], instrument))
    assert metrics["pnl_net"] < 0.0


@pytest.mark.parametrize("settings", [{}, {"signals_min": 1, "standardize_events": 2_000, "strength_min": 0.2}])
def test_every_traced_row_gives_its_decision_again(settings: dict[str, Any], folder: Path) -> None:
    strategy, later, instrument = v1("default", STRONG_BPS, folder)
    if settings:
        strategy = StrategyV1(strategy.Config(**settings))
    out = folder / ("fallback" if settings else "traced")
    out.mkdir()
    events = later[:60_000]
    engine = run(strategy, events, instrument, folder=out, config=EngineConfig(trace=TraceLevel.REFUSALS))
    plain = run(strategy, events, instrument)
    assert engine.state_hash == plain.state_hash
    rows = pl.read_parquet(out / "trace.parquet").to_dicts()
    funnel = strategy.funnel(engine.views["memory"].sum(axis=0))
    stopped = {step["reason"]: step["stopped"] for step in funnel["steps"]}
    seen = {row["gate"] for row in rows}
    assert {"entered", "gate_signal", "gate_cooldown", "exit_time"} <= seen
    for gate in ("entered", *(name for name in seen if name.startswith("gate_"))):
        assert sum(row["gate"] == gate for row in rows) == (funnel["entered"] if gate == "entered" else stopped[gate])
    for row in rows[:: max(1, len(rows) // 400)]:
        gate, qty = decide_again(strategy, row, instrument.lot)
        assert (gate, qty) == (row["gate"], pytest.approx(row["qty"], nan_ok=True)), row


def test_the_funnel_adds_up(folder: Path) -> None:
    strategy, later, instrument = v1("default", STRONG_BPS, folder)
    funnel = strategy.funnel(run(strategy, later, instrument).views["memory"].sum(axis=0))
    assert funnel["steps"][-1]["left"] == funnel["entered"] > 0
    assert funnel["quotes"] == sum(step["stopped"] for step in funnel["steps"]) + funnel["entered"] + sum(
        funnel["exits"].values()
    )
