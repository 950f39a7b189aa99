"""The benchmark: planted edges P1 to P12, nulls N1 to N5 and traps T1 to T8, each with what a method should say about it.

What they are, one by one, is in docs/worlds.md. N6, the placebo made from any tape, is `worlds.nulls`.

Sizes are gross returns over the claim's horizon: what is planted and the natural effect together. They were set on seeds 1 to 3
and hold within a tenth over a dozen hours; the truth record of each world has the exact number. Edges larger than a few bps fire
rarely, or they would move the market more than everything else.
"""

from __future__ import annotations

from typing import Any

import msgspec

from edgesmith.worlds.calendars import Calendar
from edgesmith.worlds.claims import Claim, Rung
from edgesmith.worlds.plant import Plant
from edgesmith.worlds.regions import Cell, Region
from edgesmith.worlds.scenario import CALM, Scenario
from edgesmith.worlds.traps import TRAPS

_DAY_HOURS = 24
# What to shift by for each bp within the horizon (not every draw hits, some shifts are posted late, and triggers cluster), and
# what the market does there by itself, in bps.
_BOOK_GAIN, _BOOK_NATURAL = 1.97, 0.19
_RARE_GAIN = 2.01
_BLOW_OUT_GAIN, _BLOW_OUT_NATURAL = 2.52, -0.1
_ABSORPTION_GAIN, _ABSORPTION_NATURAL = 0.89, 0.3
_LEAD_GAIN = 1.32
_PRODUCT_GAIN = 2.77
_FLOW_GAIN, _FLOW_NATURAL = 1.16, -2.35
# What is left of P12 after cost, 10.5 bps, is half eaten by the impact of a tenth of a unit.
_IMPACT_BPS_PER_QTY = 51.5

_BOOK = Region(feature="imbalance_ema", low=0.93, mirrored=True)
# So large a move at every onset of the book would carry the price away within an hour.
_BOOK_RARE = Region(feature="imbalance_ema", low=0.95, mirrored=True)
_BLOWN_OUT = Region(
    feature="spread", low=0.95, within=(Cell(feature="imbalance_ema", params={"period": 1}, low=0.3, role="sign"),)
)
_ABSORBED = Region(
    feature="trade_flow_imbalance", low=0.45, mirrored=True, within=(Cell(feature="imbalance_ema", low=0.6, role="opposite"),)
)
_LEADER_MOVES = Region(feature="roc", params={"period": 10}, low=0.015, mirrored=True)
_BUSY_TRADES = 500.0
_BOOK_BUSY = msgspec.structs.replace(_BOOK, within=(Cell(feature="trade_activity", low=_BUSY_TRADES),))
_BOOK_QUIET = msgspec.structs.replace(_BOOK, within=(Cell(feature="trade_activity", low=0.0, high=_BUSY_TRADES),))
_BOOK_TIMES_FLOW = Region(
    feature="imbalance_ema", low=0.75, mirrored=True, within=(Cell(feature="trade_flow_imbalance", low=0.25, role="sign"),)
)
_FLOW = Region(feature="trade_flow_imbalance", low=0.55, mirrored=True)
_ONE_FLOW = Region(feature="trade_flow_imbalance", low=0.25, mirrored=True)
_ONE_BOOK = Region(feature="imbalance_ema", low=0.75, mirrored=True)


def _symbol(name: str) -> str:
    return name.replace("_", "X").upper() + "USDT"


def _on_book(size_bps: float, gain: float = _BOOK_GAIN, natural_bps: float = _BOOK_NATURAL, **changes: Any) -> Plant:
    shift_bps = gain * (size_bps - natural_bps)
    fields: dict[str, Any] = {"region": _BOOK, "side": 1, "shift_bps": shift_bps, "probability_ratio": 0.8}
    fields |= {"every_ms": 500, "onset": True, "window_ms": 2_000}
    return Plant(**(fields | changes))


def _claim(right: Rung, **changes: Any) -> Claim:
    fields: dict[str, Any] = {"region": _BOOK, "side": 1, "right": right, "horizon_ms": 5_000, "every_ms": 500, "onset": True}
    fields |= {"basis": "plant"}
    return Claim(**(fields | changes))


def _planted(name: str, summary: str, plants: tuple[Plant, ...], claims: tuple[Claim, ...], **changes: Any) -> Scenario:
    return Scenario(name=name, summary=summary, symbol=_symbol(name), group="P", plants=plants, claims=claims, **changes)


def _book_drift(size_bps: int) -> Scenario:
    right: Rung = "REJECT_COST" if size_bps < 5 else "VALIDATED"
    return _planted(
        f"P1_{size_bps}",
        f"book pressure is followed by {size_bps} bps in 5 s; a round trip costs 5",
        (_on_book(size_bps),),
        (_claim(right),),
        taker_fee_ratio=0.00025,
    )


def _blow_out(size_bps: int) -> Scenario:
    right: Rung = "REJECT_COST" if size_bps < 8 else "VALIDATED"
    settings: dict[str, Any] = {"region": _BLOWN_OUT, "side": -1, "every_ms": 10, "onset": True}
    return _planted(
        f"P2_{size_bps}",
        f"a spread blown out to 10 ticks is followed by {size_bps} bps back; a round trip costs 8",
        (
            Plant(
                shift_bps=_BLOW_OUT_GAIN * (size_bps - _BLOW_OUT_NATURAL),
                probability_ratio=0.8,
                delay_ms=20,
                window_ms=2_000,
                **settings,
            ),
        ),
        (Claim(horizon_ms=5_000, right=right, basis="plant", **settings),),
        taker_fee_ratio=0.0004,
    )


def _absorption(size_bps: int) -> Scenario:
    settings: dict[str, Any] = {"region": _ABSORBED, "side": -1, "onset": True}
    return _planted(
        f"P3_{size_bps}",
        f"sells absorbed by the bid are followed by {size_bps} bps up in 30 s",
        (
            Plant(
                shift_bps=_ABSORPTION_GAIN * (size_bps - _ABSORPTION_NATURAL), probability_ratio=0.8, window_ms=25_000, **settings
            ),
        ),
        (Claim(horizon_ms=30_000, right="VALIDATED", basis="plant", **settings),),
    )


def _lead_lag() -> Scenario:
    settings: dict[str, Any] = {"region": _LEADER_MOVES, "side": 1, "every_ms": 5, "onset": True, "by_leader": True}
    claims = (
        Claim(horizon_ms=1_000, latency_ms=5, right="VALIDATED", basis="plant", **settings),
        Claim(horizon_ms=1_000, latency_ms=100, right="REJECT_COST", basis="plant", **settings),
    )
    leader = Scenario(name="P4_leader", summary="the market that leads P4", symbol="P4LEADUSDT", group="P", rate=1.0)
    plant = Plant(shift_bps=_LEAD_GAIN * 6.0, probability_ratio=0.8, delay_ms=40, window_ms=5, patience_ms=0, **settings)
    summary = "another market moves first: 6 bps after 40 ms; 5 ms are fast enough, 100 are not"
    return _planted("P4", summary, (plant,), claims, leader=leader, rate=1.0, hours=4)


def _in_regime() -> Scenario:
    return _planted(
        "P5",
        "book pressure: 12 bps in a busy market, half of it the other way in a quiet one; a round trip costs 8",
        (_on_book(9.2, region=_BOOK_BUSY), _on_book(6.0, region=_BOOK_QUIET, side=-1)),
        (_claim("VALIDATED", region=_BOOK_BUSY), _claim("REJECT_COST")),
        taker_fee_ratio=0.0004,
        parameters=msgspec.structs.replace(CALM, activity_sd_15_min=0.7),
    )


def _interaction() -> Scenario:
    settings: dict[str, Any] = {"region": _BOOK_TIMES_FLOW, "every_ms": 500, "onset": True}
    return _planted(
        "P6",
        "book and flow together: 12 bps up where their signs agree, down where not; nothing alone",
        (_on_book(12.0, _PRODUCT_GAIN, 0.0, balanced=True, window_ms=1_500, **settings),),
        (
            _claim("VALIDATED", **settings),
            _claim("REJECT_COST", region=_ONE_BOOK, onset=False),
            _claim("REJECT_COST", region=_ONE_FLOW, onset=False),
        ),
    )


def _over_days() -> tuple[Scenario, ...]:
    return (
        _planted(
            "P7",
            "book pressure, 20 bps, fading by half every 5 days",
            (_on_book(20.0, calendar=Calendar(half_life_days=5.0)),),
            (_claim("REJECT_DECAYED"),),
            hours=20 * _DAY_HOURS,
        ),
        _planted(
            "P8_dies",
            "book pressure, 15 bps, until day 5",
            (_on_book(15.0, calendar=Calendar(end_day=5)),),
            (_claim("REJECT_DECAYED"),),
            hours=10 * _DAY_HOURS,
        ),
        _planted(
            "P8_turns",
            "book pressure, 15 bps, the other way from day 5 on",
            (_on_book(15.0, calendar=Calendar(end_day=5, after_end_ratio=-1.0)),),
            (_claim("REJECT_DECAYED"),),
            hours=10 * _DAY_HOURS,
        ),
        _planted(
            "P10",
            "strong book pressure, 60 bps on day 17 of 30 and nothing else: 2 bps on average",
            (_on_book(60.0, _RARE_GAIN, region=_BOOK_RARE, calendar=Calendar(only_day=17)),),
            (_claim("REJECT_UNSTABLE", region=_BOOK_RARE),),
            hours=30 * _DAY_HOURS,
        ),
        _planted(
            "P11",
            "book pressure, 12 bps from 13 to 14 UTC only",
            (_on_book(12.0, calendar=Calendar(hours=(13,))),),
            (
                _claim("VALIDATED", hours=(13,)),
                _claim("REJECT_COST", hours=tuple(hour for hour in range(_DAY_HOURS) if hour != 13)),
            ),
            hours=5 * _DAY_HOURS,
        ),
    )


def _costly() -> tuple[Scenario, ...]:
    flow: dict[str, Any] = {"region": _FLOW, "every_ms": 1_000}
    return (
        _planted(
            "P9",
            "book pressure, 9 bps, where the spread widens so that a round trip costs 10",
            (_on_book(9.0, widen_bps=16.0),),
            (_claim("REJECT_COST"),),
        ),
        _planted(
            "P12",
            "the flow of trades, 12 bps, for the 0.1 on offer; impact eats the profit of more",
            (_on_book(12.0, _FLOW_GAIN, _FLOW_NATURAL, touch_qty_max=0.1, window_ms=3_000, **flow),),
            (_claim("VALIDATED", horizon_ms=10_000, sized=True, **flow),),
            lot_size="0.0001",
            impact_bps_per_qty=_IMPACT_BPS_PER_QTY,
        ),
    )


def _null(name: str, summary: str, **changes: Any) -> Scenario:
    claims = tuple(_claim("REJECT_NULL", region=region, basis="symmetry", onset=False) for region in (_ONE_BOOK, _ONE_FLOW))
    return Scenario(**({"name": name, "summary": summary, "symbol": _symbol(name), "group": "N", "claims": claims} | changes))


def _nulls() -> tuple[Scenario, ...]:
    undirected = Plant(
        region=Region(feature="imbalance_ema", low=0.6, mirrored=True), side=0, shift_bps=2.0, probability_ratio=0.5
    )
    natural = tuple(_claim("REJECT_COST", region=region, basis="natural", onset=False) for region in (_ONE_BOOK, _ONE_FLOW))
    return (
        _null("N1", "a chimera: sizes and sides of another market, which say nothing about these prices", chimera=True),
        _null("N2", "nothing planted: the natural effects of the book, real and far below cost", claims=natural),
        _null(
            "N3", "a chimera whose book foretells ten times the variance, and no direction", chimera=True, plants=(undirected,)
        ),
        _null("N4", "a chimera that drifts 50 bps an hour all day, up or down", chimera=True, drift_hour_bps=50.0, hours=48),
        _null("N5", "a chimera behind a hostile feed: gaps, skew, stalls, late trades", chimera=True, feed="hostile"),
    )


def _traps() -> tuple[Scenario, ...]:
    # Large moves without a direction: who knows them before they happen looks brilliant.
    undirected = _on_book(60.0, side=0)
    return tuple(
        Scenario(
            name=trap.name,
            summary=trap.summary,
            symbol=_symbol(trap.name),
            group="T",
            plants=(undirected,),
            hours=2,
            trap=trap.name,
        )
        for trap in TRAPS.values()
    )


BENCHMARK: tuple[Scenario, ...] = (
    *map(_book_drift, (1, 2, 4, 8, 16)),
    *map(_blow_out, (6, 12)),
    *map(_absorption, (8, 15)),
    _lead_lag(),
    _in_regime(),
    _interaction(),
    *_over_days(),
    *_costly(),
    *_nulls(),
    *_traps(),
)
