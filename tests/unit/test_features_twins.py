"""Every feature against its naive twin, at its defaults and at small windows, on tick tapes and on tapes hypothesis makes up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders_features import bbo_tape, default_program, small_program, trade_tape
from edgesmith.domain.events import EVENT, KIND_BBO, KIND_TRADE, Stream
from edgesmith.features.catalog import features
from edgesmith.features.operator import FeatureSpec, Unit
from edgesmith.features.program import Program
from naive import behavior
from naive import features as naive

TWINS = {name: twin for module in (behavior, naive) for name, twin in vars(module).items()}
# Features of one stream; those of several, and of the streams that come now and then, have theirs in test_features_flow_twins.
NAMES = [registered.name for registered in features() if registered.name in TWINS]
# Differences of nearly equal numbers: absolute error in units of the largest value in the column. A standard deviation or a
# mean gets none, which is what proves that a jump leaves no residue behind.
ABSOLUTE = {
    "ema_slope": 1e-11,
    "rsi": 1e-12,
    "bollinger_pos": 1e-9,
    "trade_flow_imbalance": 1e-12,
    "imbalance_ema": 1e-15,
    "liquidity_pressure": 1e-15,
    "return_momentum": 1e-15,
    "behavior_divergence": 1e-15,
    "imbalance_acceleration": 1e-12,
    # Differences of averages near 60,000, in units of a tick of 0.1.
    "trend_strength": 1e-8,
    "regime_stability": 1e-8,
    "spread_compression": 1e-9,
    "path_efficiency": 1e-9,
}


def program(size: str) -> Program:
    return small_program() if size == "small" else default_program()


def spec_of(name: str, size: str) -> FeatureSpec:
    return program(size).features[program(size).names.index(name)]


def check(name: str, size: str, bbo: NDArray[Any], trades: NDArray[Any]) -> None:
    spec = spec_of(name, size)
    events = bbo if Stream.BBO in spec.consumes else trades
    got = program(size).compute(events)[:, program(size).names.index(name)]
    twin, params = TWINS[name], dict(spec.params)
    if spec.definition.unit is Unit.LABEL:
        # A ratio that sits on its threshold may be rounded to either side.
        nudged = [
            {key: value * k if key.endswith("_ratio") else value for key, value in params.items()}
            for k in (1 - 1e-9, 1, 1 + 1e-9)
        ]
        wanted = np.array([twin(events, **each) for each in nudged])
        assert ((got == wanted) | (np.isnan(got) & np.isnan(wanted))).any(axis=0).all()
        return
    wanted = np.array(twin(events, **params), np.float64)
    largest = np.nanmax(np.abs(wanted), initial=0.0, where=~np.isnan(wanted))
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=ABSOLUTE.get(name, 0.0) * largest)


@pytest.mark.parametrize("size", ["default", "small"])
@pytest.mark.parametrize("name", NAMES)
def test_tick_tape(name: str, size: str) -> None:
    check(name, size, bbo_tape(1_500, seed=1, tick=0.1, level_ticks=600_000), trade_tape(600, seed=2))


QUOTE = st.tuples(
    st.sampled_from([-3, -1, 0, 0, 0, 1, 2]), st.sampled_from([-1, 0, 1, 1, 4]), st.integers(0, 5), st.integers(0, 5)
)
BAD = st.dictionaries(st.integers(0, 59), st.sampled_from(["bid_price", "ask_price", "bid_qty", "ask_qty"]), max_size=4)


def quotes(rows: list[tuple[int, int, int, int]], bad: dict[int, str]) -> NDArray[Any]:
    events = np.zeros(len(rows), EVENT)
    steps, spreads, bid_qty, ask_qty = np.array(rows).T
    events["kind"] = KIND_BBO
    events["bid_price"] = (100 + np.cumsum(steps)) * 0.1 + 1_000.0
    events["ask_price"] = events["bid_price"] + spreads * 0.1
    events["bid_qty"], events["ask_qty"] = bid_qty, ask_qty
    for place, name in bad.items():
        if place < len(rows):
            events[name][place] = np.nan
    return events


@settings(max_examples=60, deadline=None)
@given(st.lists(QUOTE, min_size=1, max_size=60), BAD)
def test_any_quotes(rows: list[tuple[int, int, int, int]], bad: dict[int, str]) -> None:
    # Empty books, locked and crossed quotes, NaN fields.
    events = quotes(rows, bad)
    for name in NAMES:
        if Stream.BBO in spec_of(name, "small").consumes:
            check(name, "small", events, events[:0])


TRADE = st.tuples(st.integers(0, 5_000_000), st.sampled_from([0.0, 1.0, 2.5, 1e6, np.nan]), st.sampled_from([-1, 1]))


@settings(max_examples=60, deadline=None)
@given(st.lists(TRADE, min_size=1, max_size=60))
def test_any_trades(rows: list[tuple[int, float, int]]) -> None:
    events = np.zeros(len(rows), EVENT)
    events["kind"] = KIND_TRADE
    events["ts_recv"] = np.cumsum([row[0] for row in rows])
    events["price"], events["qty"], events["side"] = 100.0, [row[1] for row in rows], [row[2] for row in rows]
    for name in ("trade_flow_imbalance", "trade_activity"):
        check(name, "small", events, events)


def test_flat_market_is_exactly_flat_after_a_jump() -> None:
    events = bbo_tape(600, seed=4)
    events["bid_price"][:200] *= 3.0
    events["bid_price"][200:], events["ask_price"][200:] = 65_536.1, 65_536.2
    rows = program("default").compute(events)[420:]
    for name, value in {"volatility": 0.0, "return_1": 0.0, "rsi": 50.0, "bollinger_pos": 0.5, "regime_volatility": 1.0}.items():
        assert (rows[:, program("default").names.index(name)] == value).all(), name
