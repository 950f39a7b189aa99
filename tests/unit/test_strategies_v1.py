"""StrategyV1 against its naive twin, its bounds, its gate, and settings that cannot work."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders_v1 import MEASURED, decisions_of, report_of, rows_of, scores
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.features.catalog import feature
from edgesmith.strategies.gate import GateReason, judge_gate
from edgesmith.strategies.v1.combiner import confidence_of
from edgesmith.strategies.v1.config import Mode, V1Config
from edgesmith.strategies.v1.modes import is_move, multiplier
from edgesmith.strategies.v1.strategy import StrategyV1
from edgesmith.trading.strategy import configure
from naive.v1 import NaiveV1

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_of(scores()).save(tmp_path_factory.mktemp("report") / "features_report.json")


SETTINGS: dict[str, dict[str, Any]] = {
    **{preset: {"preset": preset} for preset in StrategyV1.presets},
    "fallback": {"standardize_events": 120, "signals_min": 1, "gate_cooldown_ms": 50.0, "hold_s_max": 2.0, "hold_s_min": 0.1},
    "no gate, majority": {"gate": False, "combiner": "majority", "hold_s_max": 0.4, "hold_s_min": 0.0},
    "quiet": {"gate_volatility_ratio_min": 0.9, "sizing": "fixed", "against_mode_ratio": 0.6, "confidence_exit": 0.7},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_compiled_decisions_are_those_of_the_naive_twin(name: str, report: Path) -> None:
    settings = SETTINGS[name] if name == "fallback" else {"report": str(report), **SETTINGS[name]}
    strategy = configure(StrategyV1, settings)
    assert isinstance(strategy, StrategyV1)
    rows = rows_of(strategy, 4_000, seed=3)
    decided = decisions_of(strategy, rows)
    twin = NaiveV1(strategy)
    wanted = [twin.decide(*seen) for seen, _ in decided]
    assert [outcome for _, outcome in decided] == [
        (code, pytest.approx(target, rel=1e-12, nan_ok=True)) for code, target in wanted
    ]
    codes = {code for code, _ in wanted}
    assert {"entered", "in_flight", "holding", "no_signal"} <= codes
    assert any(code.startswith("exit_") for code in codes)
    assert len({np.sign(target) for code, target in wanted if code == "entered"}) == 2


def test_plain_python_decides_as_compiled_code() -> None:
    code = "import json; from builders_v1 import fallback_decisions; print(json.dumps(fallback_decisions()))"
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2_000:]
    from builders_v1 import fallback_decisions

    compiled = fallback_decisions()
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(json.dumps(compiled))
    assert compiled["entered"] > 5


def test_confidence_is_monotone_from_one_half_to_one() -> None:
    raw = np.linspace(0.0, 1.0, 1_001)
    confidence = np.array([confidence_of(value) for value in raw])
    assert confidence[0] == 0.5
    assert confidence[-1] == 1.0
    assert np.all(np.diff(confidence) > 0.0)


PASSING: dict[str, float] = {
    "direction": 1.0, "confidence": 0.9, "trend": 0.5, "volatility_ratio": 1.0, "spread_ratio": 1.0, "since_fill_ns": 1e10,
    "spread_share": 1e-4, "trend_min": -0.2, "volatility_ratio_min": 0.5, "spread_ratio_max": 2.0, "confidence_min": 0.8,
    "cooldown_ns": 5e9, "spread_share_max": 5e-4,
}  # fmt: skip
FAILING: list[tuple[GateReason, dict[str, float]]] = [
    (GateReason.TREND, {"trend": -0.21}),
    (GateReason.VOLATILITY, {"volatility_ratio": 0.49}),
    (GateReason.SPREAD_REGIME, {"spread_ratio": 2.01}),
    (GateReason.SIGNAL, {"confidence": 0.79}),
    (GateReason.COOLDOWN, {"since_fill_ns": 4.9e9}),
    (GateReason.SPREAD, {"spread_share": 6e-4}),
]


def judged(**changes: float) -> GateReason:
    return GateReason(judge_gate(*{**PASSING, **changes}.values()))


def test_gate_names_the_first_check_that_fails() -> None:
    assert judged() is GateReason.PASSED
    for first, last in itertools.combinations_with_replacement(range(len(FAILING)), 2):
        changes = {name: value for _, failing in FAILING[first : last + 1] for name, value in failing.items()}
        assert judged(**changes) is FAILING[first][0]
    assert judged(trend=math.nan) is GateReason.TREND
    assert judged(since_fill_ns=math.inf) is GateReason.PASSED


@pytest.mark.parametrize("trend", [-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0])
def test_gate_judges_the_trend_in_the_direction_of_the_signal(trend: float) -> None:
    assert judged(trend=trend) is judged(trend=-trend, direction=-1.0)
    assert judged(trend=-0.9, direction=-1.0) is GateReason.PASSED


def test_modes_read_moves_and_nothing_else() -> None:
    assert [is_move(feature(name)) for name in ("roc", "rsi", "ema_slope", "imbalance_ema", "volatility", "mid_price")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip

    def of(mode: Mode, direction: int, *, measured: bool = True, move: bool = True) -> float:
        return multiplier(mode, move=move, direction=direction, measured=measured, config=V1Config())

    assert [of(mode, 1) for mode in Mode] == [1.0, 1.0, 0.25]
    assert [of(mode, -1) for mode in Mode] == [0.25, 1.0, 1.0]
    assert [of(mode, 1, measured=False) for mode in Mode] == [1.0, 1.0, -1.0]
    assert [of(mode, 1, move=False) for mode in Mode] == [1.0, 1.0, 1.0]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"gate_confidence_min": 1.01}, "gate confidence_min was 1.01, but what it is compared with reaches 1 at most"),
    ({"gate_confidence_min": 0.45}, "gate confidence_min was 0.45, but what it is compared with is never below 0.5"),
    ({"confidence_min": 1.2}, "confidence_min was 1.2, but"),
    ({"gate_volatility_ratio_min": 2.5}, "gate volatility_ratio_min was 2.5, but what it is compared with reaches 2.23607"),
    ({"volatility_high_ratio": 3.0}, "no market would ever be one of high volatility"),
    ({"signals_min": 6}, "signals_min was 6, but only 5 features are in use"),
    ({"alpha_min": 0.95}, "alpha_min was 0.95, but the largest alpha score of a usable feature in"),
    ({"volatility_low_ratio": 1.5}, "volatility_low_ratio was 1.5, expected at most volatility_high_ratio (1.4)"),
    ({"confidence_exit": 0.8}, "confidence_exit was 0.8, expected at most confidence_min (0.7)"),
    ({"hold_s_min": 11.0}, "hold_s_min was 11, but a position is left after 5 s"),
    ({"signal_min_scales": 3.0}, "signal_min_scales was 3, expected at most signal_full_scales (2)"),
]


@pytest.mark.parametrize(("settings", "said"), REFUSED)
def test_settings_nothing_could_pass_are_refused_in_one_line(settings: dict[str, Any], said: str, report: Path) -> None:
    with pytest.raises(InputError) as error:
        configure(StrategyV1, {"report": str(report), **settings})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_confidence_the_features_cannot_reach_is_refused(tmp_path: Path) -> None:
    """The book's imbalance ends at 1, which is 1.25 of its scales from the center: 0.8125 is the most it can be sure of."""
    ends = {"imbalance_ema": (-1.0, 1.0), "liquidity_pressure": (-1.0, 1.0)}
    chosen = [{**score, "median": 0.0, "scale": 0.8} for score in scores() if score["feature"] in ends]
    path = report_of(chosen, ends=ends).save(tmp_path / "features_report.json")
    assert isinstance(configure(StrategyV1, {"report": str(path), "gate_confidence_min": 0.81}), StrategyV1)
    with pytest.raises(InputError, match=r"gate confidence_min was 0\.82, but what it is compared with reaches 0\.8125 at most"):
        configure(StrategyV1, {"report": str(path), "gate_confidence_min": 0.82})


def test_selection_follows_the_report(report: Path) -> None:
    strategy = configure(StrategyV1, {"report": str(report), "top_n": 3})
    assert isinstance(strategy, StrategyV1)
    assert [one.spec.name for one in strategy.selection.features] == list(MEASURED[:3])
    assert strategy.fitted_ns == (1, 1_000)
    assert strategy.resolved["features"][0]["direction"] == 1
    assert not StrategyV1().resolved["report_sha256"]
    with pytest.raises(UnknownNameError, match="preset of strategy v1 'bold'"):
        configure(StrategyV1, {"preset": "bold"})


def test_a_report_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="edgesmith features analyze"):
        configure(StrategyV1, {"report": str(tmp_path / "none.json")})


def test_a_size_below_the_lot_is_no_order() -> None:
    strategy = StrategyV1(V1Config(standardize_events=100, signals_min=1, gate=False))
    decided = decisions_of(strategy, rows_of(strategy, 1_500, seed=4), lot=1.0)
    assert {code for _, (code, _) in decided} >= {"below_lot"}
    assert all(math.isnan(target) for _, (_, target) in decided)
