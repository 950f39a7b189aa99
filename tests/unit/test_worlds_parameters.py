"""Parameters no market can have are refused in one clear line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import pytest

from builders_worlds import START_DAY, a_market, an_instrument
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.worlds.market import Market
from edgesmith.worlds.parameters import TapeParameters, packed
from edgesmith.worlds.plant import Plant
from edgesmith.worlds.regions import Region
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

FLOW = Region(feature="trade_flow_imbalance", low=0.4, mirrored=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fast_branching_ratio": 0.8}, "branching ratio was 1.220"),
        ({"actions_per_s": -1.0}, "actions_per_s was -1.0"),
        ({"actions_per_s": 0.0}, "actions_per_s was 0.0, expected > 0"),
        ({"market_ratio": 1.2}, "market_ratio was 1.2, expected a probability"),
        ({"market_ratio": 0.5}, "market_ratio x market_excitation was 1.600"),
        ({"metaorder_ratio": -0.1}, "metaorder_ratio was -0.1"),
        ({"slow_ms": float("nan")}, "slow_ms was nan, expected a finite number"),
        ({"queue_typical_lots": 0.0}, "queue_typical_lots was 0.0"),
        ({"run_start_ratio": 1.5}, "run_start_ratio was 1.5, expected a probability"),
        ({"run_length_min": 0.0}, "run_length_min was 0.0, expected > 0"),
        ({"stamp_ms": 7.0}, "stamp_ms was 7.0"),
        ({"stamp_ms": 1e-7}, "stamp_ms was 1e-07"),
    ],
)
def test_impossible_parameters(changes: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        TapeParameters(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: TapeParameters().at_rate(0.0), "rate was 0.0"),
        (lambda: a_market(seed=-1), "seed was -1"),
        (lambda: a_market(symbol_index=-1), "symbol_index was -1"),
        (lambda: a_market().hour(-1), "hour was -1"),
        (lambda: a_market(opening_price=100.0).hour(0), "expected at least 20000 ticks"),
        (lambda: Market(instrument=an_instrument(), parameters=TapeParameters(), seed=1, start_ns=5), "start_ns was 5"),
        (lambda: Region(feature="spread", low=1.0, high=1.0), "expected low < high"),
        (lambda: Region(feature="spread", low=0.1, mirrored=True), "expected an odd feature"),
        (lambda: Plant(region=FLOW, side=2, shift_bps=1.0, probability_ratio=0.1), "side was 2"),
        (lambda: Plant(region=FLOW, side=1, shift_bps=1.0, probability_ratio=1.1), "probability_ratio was 1.1"),
        (lambda: Plant(region=FLOW, side=1, shift_bps=0.0, probability_ratio=0.1), "shift_bps was 0.0"),
        (lambda: Plant(region=FLOW, side=1, shift_bps=1.0, probability_ratio=0.1, window_ms=0), "window_ms"),
        (
            lambda: Plant(region=Region(feature="rsi", low=70.0), side=1, shift_bps=1.0, probability_ratio=0.1),
            "changes when prices are shifted",
        ),
        (lambda: World(find_scenario("demo"), seed=1, start_day=START_DAY, hours=0), "hours was 0"),
        (lambda: World(find_scenario("demo"), seed=1, start_day=date(2026, 1, 5), hours=2).hour(2), "hour was 2"),
    ],
)
def test_impossible_worlds(build: Callable[[], Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build()


def test_unknown_names_list_what_is_possible() -> None:
    with pytest.raises(UnknownNameError, match="unknown scenario 'demoo'; possible: N1, N2, "):
        find_scenario("demoo")
    with pytest.raises(UnknownNameError, match="unknown feature 'flow'"):
        Region(feature="flow", low=0.0)


def test_packing_keeps_every_parameter() -> None:
    parameters = TapeParameters(actions_per_s=3.0, funding_mean=-0.0002)
    record = packed(parameters)[0]
    assert {name: float(record[name]) for name in record.dtype.names} == msgspec.structs.asdict(parameters)


def test_rate_scales_activity_and_volatility() -> None:
    quarter = TapeParameters().at_rate(0.25)
    assert quarter.actions_per_s == TapeParameters().actions_per_s / 4
    assert quarter.volatility_hour_bps == TapeParameters().volatility_hour_bps / 2
    assert TapeParameters().at_rate(1.0) == TapeParameters()
