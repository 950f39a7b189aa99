"""Every streaming feature is a function of the past, and price impact is measured as it is."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from edgesmith.domain.events import EVENT, KIND_BBO, KIND_TRADE
from edgesmith.domain.records import records, taken
from edgesmith.evaluation.impact import DisplayedSize, ImpactMeter, capacity
from edgesmith.evaluation.intervals import Interval
from edgesmith.evaluation.leak import leaking_columns
from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

NS_PER_S = 10**9


def test_no_feature_of_the_base_set_knows_the_future() -> None:
    hour = World(find_scenario("demo"), 3, date(2026, 1, 5), 1).hour(0).events[:20_000]
    tape = taken(hour, np.argsort(hour["ts_recv"], kind="stable"))
    program = Program(feature_set("base"))

    def columns(known: Any, until_ns: int) -> Any:
        rows = program.compute(known)[known["ts_recv"] <= until_ns]
        ahead = np.roll(rows[:, :1], -1, axis=0)
        return np.concatenate([rows, ahead], axis=1)

    cuts_ns = [int(tape["ts_recv"][at]) for at in (5_000, 9_000, 15_000)]
    assert leaking_columns(columns, tape, cuts_ns) == (program.width,)


def market(slope_bps: float, seconds: int = 4_000, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    volume = draw.normal(0.0, 2.0, seconds)
    mid = 100.0 * np.exp(np.cumsum(slope_bps * volume + draw.normal(0.0, 1.0, seconds)) * 1e-4)
    tape = records(EVENT, 2 * seconds)
    tape["ts_recv"] = np.arange(2 * seconds) * (NS_PER_S // 2)
    trades, quotes = tape[::2], tape[1::2]
    trades["kind"], quotes["kind"] = KIND_TRADE, KIND_BBO
    trades["side"], trades["qty"] = np.sign(volume), np.abs(volume)
    quotes["bid_price"], quotes["ask_price"] = mid - 0.01, mid + 0.01
    return tape


@pytest.mark.parametrize("slope_bps", [0.5, 0.0])
def test_the_slope_of_price_on_volume_is_found(slope_bps: float) -> None:
    meter = ImpactMeter(0, 60 * NS_PER_S)
    tape = market(slope_bps)
    for begin in range(0, len(tape), 1_000):
        meter.feed(tape[begin : begin + 1_000])
    found = meter.slope_bps(1)
    assert found.low <= slope_bps <= found.high
    assert found.high - found.low < 0.1


def test_capacity_halves_where_impact_doubles() -> None:
    one = capacity(6.0, Interval(2.0, 1.5, 2.5), displayed_qty=100.0, unit_value=50.0)
    assert one == (1.5, 1.5, 75.0)
    assert capacity(6.0, Interval(4.0, 3.0, 5.0), 100.0, 50.0).best_qty == 0.75
    assert capacity(6.0, Interval(0.1, 0.05, 0.2), 100.0, 50.0) == (30.0, 10.0, 500.0)
    assert capacity(6.0, Interval(0.1, -0.2, 0.4), 100.0, 50.0) == (None, 10.0, 500.0)
    assert capacity(-1.0, Interval(2.0, 1.5, 2.5), 100.0, 50.0).capped_qty == 0.0


def test_the_displayed_size_is_that_of_the_side_taken() -> None:
    tape = market(0.0)
    quotes = tape[1::2]
    quotes["ask_qty"], quotes["bid_qty"] = 3.0, 0.002
    for side, size in ((1, 3.0), (-1, 0.002)):
        shown = DisplayedSize(0, side)
        shown.feed(tape)
        assert shown.median == pytest.approx(size, rel=0.01)
    assert DisplayedSize(1, 1).median == 0.0
