"""Named recipes of worlds, each with what is true of it.

Costs decide what is tradable, so a scenario carries its fees. At common taker fees (5 bps a side) only a move of more than
10 bps within seconds could pay, which would dwarf everything else in the tape. The scenarios below trade at maker 0, taker
0.75 bps, better than the best public fee tiers: a round trip of a taker costs 1.5 bps and the spread. That is stated in the
instrument and in the truth record.

Seeds 900000 to 999999 are kept for release checks: nothing is tuned, tested or shown on them.
"""

from __future__ import annotations

import msgspec

from edgesmith.errors import UnknownNameError
from edgesmith.worlds.benchmark import BENCHMARK
from edgesmith.worlds.claims import Claim
from edgesmith.worlds.plant import Plant
from edgesmith.worlds.regions import Region
from edgesmith.worlds.scenario import Scenario
from edgesmith.worlds.several import SEVERAL

RELEASE_SEEDS = range(900_000, 1_000_000)

_FLOW = Region(feature="trade_flow_imbalance", low=0.4, mirrored=True)
_BOOK = Region(feature="imbalance_ema", low=0.75, mirrored=True)
_ANY_VOLATILITY = Region(feature="volatility", low=0.0)

_BOOK_TOO_SMALL = Claim(region=_BOOK, side=1, horizon_ms=5_000, right="REJECT_COST", basis="plant")
_BOOK_TRADABLE = Claim(region=_BOOK, side=1, horizon_ms=5_000, right="VALIDATED", basis="plant")
_FLOW_TRADABLE = Claim(region=_FLOW, side=1, horizon_ms=10_000, right="VALIDATED", basis="plant")
_FLOW_TOO_SHORT = Claim(region=_FLOW, side=1, horizon_ms=1_000, right="REJECT_COST", basis="plant")
_VOLATILITY_NOTHING = Claim(region=_ANY_VOLATILITY, side=1, horizon_ms=10_000, right="REJECT_NULL", basis="symmetry")


def _book_drift(shift_bps: float) -> Plant:
    return Plant(region=_BOOK, side=1, shift_bps=shift_bps, probability_ratio=0.3, every_ms=500)


_SCENARIOS = (
    Scenario(
        name="demo",
        summary="the flow of trades is tradable over 10 s, the book is real but too small, volatility says nothing",
        symbol="DEMO1USDT",
        plants=(
            Plant(region=_FLOW, side=1, shift_bps=1.2, probability_ratio=0.75, window_ms=4_000),
            _book_drift(0.3),
        ),
        claims=(_FLOW_TRADABLE, _FLOW_TOO_SHORT, _BOOK_TOO_SMALL, _VOLATILITY_NOTHING),
    ),
    Scenario(
        name="null_plain",
        summary="nothing planted: only the simulator's own book pressure, real and far below cost",
        symbol="NULL1USDT",
        claims=(msgspec.structs.replace(_BOOK_TOO_SMALL, basis="natural"), _VOLATILITY_NOTHING),
    ),
    Scenario(
        name="imbalance_small",
        summary="book pressure drifts the price, by less than a round trip costs",
        symbol="SMALL1USDT",
        plants=(_book_drift(0.5),),
        claims=(_BOOK_TOO_SMALL, _VOLATILITY_NOTHING),
    ),
    Scenario(
        name="imbalance_large",
        summary="book pressure drifts the price, by a multiple of what a round trip costs",
        symbol="LARGE1USDT",
        plants=(_book_drift(4.0),),
        claims=(_BOOK_TRADABLE, _VOLATILITY_NOTHING),
    ),
)
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (*_SCENARIOS, *SEVERAL, *BENCHMARK)}


def find_scenario(name: str) -> Scenario:
    """Return the scenario called `name`."""
    if name not in SCENARIOS:
        raise UnknownNameError("scenario", name, SCENARIOS)
    return SCENARIOS[name]
