"""Programs: what may be asked for, what is refused and how, and the generated module."""

from __future__ import annotations

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from builders_features import bbo_tape, default_program, mixed_tape
from edgesmith.domain.events import Stream
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.features import arithmetic, rolling
from edgesmith.features.catalog import FEATURE_SETS, feature, feature_set, features
from edgesmith.features.generation import kernel_source, lay_out, load_module
from edgesmith.features.inlining import inlined
from edgesmith.features.operator import FeatureSpec
from edgesmith.features.program import Program

# 1-based number of the first event with a value, table 3.2 of the prior system.
FIRST = {
    "mid_price": 1,
    "spread": 1,
    "return_1": 2,
    "volatility": 21,
    "ema": 14,
    "rsi": 15,
    "atr": 15,
    "roc": 11,
    "regime_volatility": 120,
    "regime_trend": 30,
    "regime_spread": 100,
    "microprice": 1,
    "imbalance_ema": 20,
    "ema_slope": 19,
    "bollinger_pos": 20,
}


def test_base_is_the_fifteen_with_the_warm_up_of_the_table() -> None:
    specs = feature_set("base")
    assert {spec.name: spec.warmup_events for spec in specs} == FIRST
    program = Program(specs)
    assert (program.width, program.warmup_events, program.consumes) == (15, 120, {Stream.BBO})
    rows = program.compute(bbo_tape(130, seed=9))
    assert (np.isnan(rows).sum(axis=0) + 1).tolist() == list(FIRST.values())


# As above, where the table's value needs no other feature; ours do not wait for features they do not read.
FIRST_BEHAVIOR = {
    "liquidity_pressure": 10,
    "return_momentum": 21,
    "regime_stability": 200,
    "spread_compression": 50,
    "imbalance_acceleration": 15,
    "micro_reversion": 52,
    "quote_intensity": 219,
    "behavior_divergence": 21,
    "volatility_compression_score": 101,
}


def test_behavior_and_regime_features_warm_up_each_for_itself() -> None:
    assert {spec.name: spec.warmup_events for spec in feature_set("behavior")} == FIRST_BEHAVIOR
    regime = {"volatility_ratio": 101, "trend_strength": 101, "spread_ratio": 100, "trend_efficiency": 101}
    assert {spec.name: spec.warmup_events for spec in feature_set("regime")} == regime


def test_a_missing_value_of_one_feature_leaves_the_others_alone() -> None:
    specs = [spec for name in ("base", "behavior", "regime") for spec in feature_set(name)]
    program, events = default_program(), bbo_tape(400, seed=9)
    columns = [program.names.index(spec.name) for spec in specs]
    # A locked book has no spread to compare, an empty one no imbalance.
    for place, gone in (
        (300, {"regime_stability", "spread_compression", "spread_ratio", "volatility_compression_score"}),
        (301, {"imbalance_ema", "liquidity_pressure", "imbalance_acceleration", "behavior_divergence"}),
    ):
        broken = events.copy()
        if place == 300:
            broken["ask_price"][place] = broken["bid_price"][place]
        else:
            broken["bid_qty"][place] = broken["ask_qty"][place] = 0.0
        rows = program.compute(broken)[:, columns]
        assert {specs[k].name for k in np.flatnonzero(np.isnan(rows[place]))} == gone
        assert np.isfinite(rows[place + 1]).all()
    # Quotes of one instant are fast, not missing.
    events["ts_recv"] = events["ts_recv"][0]
    assert program.compute(events)[-1, program.names.index("quote_intensity")] == 1.0


def test_every_feature_says_what_it_is() -> None:
    for registered in features():
        assert registered.summary.endswith("."), registered.name
        assert registered.spec().node.consumes
    assert {spec.feature for name in FEATURE_SETS for spec in feature_set(name)} == {registered.name for registered in features()}


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("ema", {"period": 0}, "ema: period was 0, expected an integer from 1 to 65536"),
        ("ema", {"period": 2.5}, "ema: period was 2.5, expected an integer"),
        ("ema", {"period": True}, "ema: period was True"),
        ("bollinger_pos", {"width": float("nan")}, "width was nan"),
        ("ema", {"window": 3}, "unknown parameter of feature ema 'window'; possible: period"),
        ("regime_trend", {"fast": 30}, "regime_trend: fast was 30, expected less than slow (30)"),
        ("regime_spread", {"low_ratio": 3.0}, "low_ratio was 3.0, expected at most high_ratio (2.0)"),
    ],
)
def test_bad_parameters_are_refused(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refused:
        feature(name, **params)
    assert message in str(refused.value)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown feature 'emma'; possible: .*\bema\b.* and \d+ more"):
        feature("emma")
    with pytest.raises(UnknownNameError, match=r"unknown feature set 'all'; possible: base, behavior, .*flow"):
        feature_set("all")


def test_columns_need_different_names() -> None:
    fast, slow = feature("ema", period=5), feature("ema", period=50)
    with pytest.raises(InputError, match="feature 'ema' was given twice"):
        Program([fast, slow])
    with pytest.raises(InputError, match="column name was 'ema 5'"):
        fast.named("ema 5")
    with pytest.raises(InputError, match="number of features was 0"):
        Program([])
    program = Program([fast.named("fast"), slow.named("slow")])
    assert program.names == ("fast", "slow")
    assert str(program.features[1]) == "ema(period=50)"


def test_equal_nodes_are_computed_once() -> None:
    specs = [feature("volatility"), feature("regime_volatility"), feature("return_1")]
    layouts = lay_out([spec.node for spec in specs])
    (layout,) = layouts
    assert sum(node.name == "rolling_std" for node in layout.names) == 1
    assert sum(node.name == "relative_change" for node in layout.names) == 1
    source = kernel_source(specs, layouts)
    assert "for volatility, regime_volatility\n" in source
    ast.parse(source)


def test_snapshots_belong_to_their_program() -> None:
    one, other = Program([feature("mid_price")]), Program([feature("spread")])
    with pytest.raises(InputError, match="snapshot was of program"):
        other.new_state().restore(one.new_state().snapshot())
    with pytest.raises(InputError, match="with 2 instruments"):
        one.new_state(1).restore(one.new_state(2).snapshot())
    with pytest.raises(AssertionError, match="state of program"):
        other.run(bbo_tape(2), np.empty((2, 1)), one.new_state())


def test_the_output_array_must_fit() -> None:
    program, events = Program([feature("mid_price"), feature("spread")]), bbo_tape(5)
    for out in (np.empty((5, 3)), np.empty((2, 5)).T, np.empty((5, 2), np.float32), np.empty((5, 4))[:, ::2]):
        with pytest.raises(AssertionError, match="out"):
            program.run(events, out, program.new_state())


def test_an_instrument_without_state_is_refused() -> None:
    program, events = Program([feature("mid_price")]), bbo_tape(5)
    events["instrument"][3] = 2
    with pytest.raises(InputError, match="event 3 was of instrument 2, expected one of the state's 2"):
        program.compute(events, instruments=2)
    with pytest.raises(InputError, match="instruments was 0"):
        program.new_state(0)


def test_read_only_and_strided_events_are_read() -> None:
    program, events = Program([feature("mid_price")]), bbo_tape(10)
    frozen = events.copy()
    frozen.flags.writeable = False
    assert np.array_equal(program.compute(frozen), program.compute(events))
    assert np.array_equal(program.compute(events[::2]), program.compute(events)[::2])
    assert program.compute(events[:0]).shape == (0, 1)


def test_trades_and_quotes_share_a_program() -> None:
    program, events = default_program(), mixed_tape(400, seed=2)
    assert Program(feature_set("flow")).consumes == {Stream.BBO, Stream.TRADE}
    rows = program.compute(events)[:, [program.names.index(name) for name in ("microprice", "trade_flow_imbalance")]]
    trades = events["kind"] == Stream.TRADE
    assert (rows[1:, 0] == rows[:-1, 0])[trades[1:] & ~np.isnan(rows[1:, 0])].all()
    assert np.abs(rows[-1, 1]) <= 1.0


def test_zero_size_falls_back_to_the_mid_price() -> None:
    events = bbo_tape(40, seed=6)
    events["bid_qty"][30] = events["ask_qty"][30] = 0.0
    program = Program(feature_set("base"))
    rows = program.compute(events)[:, [program.names.index(name) for name in ("microprice", "mid_price", "imbalance_ema")]]
    assert rows[30, 0] == rows[30, 1]
    assert np.isnan(rows[:, 2]).nonzero()[0].tolist() == [*range(19), 30]


def test_the_file_is_rewritten_where_it_was_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESMITH_CACHE_DIR", str(tmp_path))
    source = "run = 'written for this test'\n"
    assert load_module(source).run == "written for this test"
    (file,) = (tmp_path / "programs").glob("*.py")
    file.write_text("run = ")
    load_module(source)
    assert file.read_text() == source
    assert [path.name for path in (tmp_path / "programs").iterdir() if path.suffix == ".partial"] == []


def test_definitions_do_not_import_the_compiler() -> None:
    check = "import sys, edgesmith.features.catalog as c; c.feature_set('base'); sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_inlining_keeps_the_meaning() -> None:
    text = inlined(arithmetic.positive_part, {"x": "y"}, {}, "_1", "result")
    assert text == "result = 0.0 if y <= 0.0 else y"
    state = {"at": ["f0"], "n": ["i0"]}
    text = inlined(rolling.ema, {"f": "f", "i": "i", "at": "at", "n": "n", "x": "y", "period": "3"}, state, "_1", "result")
    variables: dict[str, float] = {"y": 4.0, "f0": 1.0, "i0": 2, "math": np}  # type: ignore[dict-item]
    exec(text, variables)
    assert (variables["result"], variables["f0"], variables["i0"], variables["value_1"]) == (2.5, 2.5, 3, 2.5)


def test_inlining_refuses_what_it_would_break() -> None:
    def assigns_its_parameter(x: float) -> float:
        x = abs(x)
        return x + 1.0

    def returns_from_a_loop(x: float) -> float:
        for _ in range(3):
            return x
        return 0.0

    with pytest.raises(AssertionError, match="a parameter is assigned to"):
        inlined(assigns_its_parameter, {"x": "y"}, {}, "_1", "result")
    with pytest.raises(AssertionError, match="must not return"):
        inlined(returns_from_a_loop, {"x": "y"}, {}, "_1", "result")


def test_a_spec_is_its_text() -> None:
    assert feature("ema") == FeatureSpec("ema", "ema", (("period", 14),))
    assert Program([feature("ema")]).program_id == Program([feature("ema", period=14)]).program_id
    assert Program([feature("ema")]).program_id != Program([feature("ema", period=15)]).program_id


def test_threads_may_ask_for_one_program_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESMITH_CACHE_DIR", str(tmp_path))
    source = "import time\n\ntime.sleep(0.05)\n\n\ndef run():\n    return 7\n"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_module(source).run(), range(16)))
    assert found == [7] * 16
