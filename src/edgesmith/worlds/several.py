"""Worlds of several markets: of several venues that hang together, as real ones do, and of one venue that delists a symbol."""

from __future__ import annotations

import msgspec

from edgesmith.domain.instruments import ContractKind
from edgesmith.worlds.claims import Claim
from edgesmith.worlds.delisting import Delisting
from edgesmith.worlds.fitted import find_fit
from edgesmith.worlds.links import FACTOR, Link
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.regions import Region
from edgesmith.worlds.scenario import Scenario

_PERP, _SPOT, _OTHER = "SIMBTC.PERP", "SIMBTC.SPOT", "SIMETH.PERP"
_LAG_LOG_SD = 0.7
_DAY_HOURS = 24
# Parts of the coin's price that come from each of its venues, from news that reaches all, and from the other coin; both venues
# have the same parts, or their prices would part for good.
_FROM_PERP, _FROM_SPOT, _FROM_FACTOR, _FROM_OTHER = 0.36, 0.48, 0.79, 0.12
# A move of the leader, more than 1 bp in its last ten changes, and what comes after.
_LEADER_MOVES = Region(feature="roc", params={"period": 10}, low=0.01, mirrored=True)
_LATENCIES_MS = (0, 20, 50, 100)


def _links(*copies: tuple[str, float, float]) -> tuple[Link, ...]:
    return tuple(Link(source=name, share=share, lag_median_ms=ms, lag_log_sd=_LAG_LOG_SD) for name, share, ms in copies)


def _perp() -> Scenario:
    fit = find_fit("btc_perp")
    return Scenario(
        name="lead_lag_perp",
        summary="the perpetual of the coin",
        symbol=_PERP,
        group="M",
        parameters=fit.parameters,
        rate=1.0,
        tick_size=fit.tick_size,
        lot_size=fit.lot_size,
        own_share=_FROM_PERP,
        links=_links((_SPOT, _FROM_SPOT, 47.0), (FACTOR, _FROM_FACTOR, 17.0), (_OTHER, _FROM_OTHER, 60.0)),
    )


def _other_coin() -> Scenario:
    fit = find_fit("btc_perp")
    # A tick of this coin is twice as many bps, its jumps as large.
    parameters = msgspec.structs.replace(
        fit.parameters, opening_price=2_600.0, jump_median_ticks=0.45 * fit.parameters.jump_median_ticks
    )
    return Scenario(
        name="lead_lag_other",
        summary="the perpetual of another coin",
        symbol=_OTHER,
        group="M",
        parameters=parameters,
        rate=0.8,
        tick_size="0.01",
        lot_size=fit.lot_size,
        own_share=0.87,
        links=_links((_PERP, 0.17, 40.0), (_SPOT, 0.25, 35.0), (FACTOR, 0.37, 40.0)),
    )


def _lead_lag() -> Scenario:
    fit = find_fit("btc_spot")
    parameters: TapeParameters = msgspec.structs.replace(fit.parameters, stamp_ms=0.001)
    return Scenario(
        name="lead_lag",
        summary="a coin's perpetual and spot on two venues, and another coin: each follows the others within tens of ms",
        symbol=_SPOT,
        group="M",
        kind=ContractKind.SPOT,
        parameters=parameters,
        rate=1.0,
        hours=4,
        tick_size=fit.tick_size,
        lot_size=fit.lot_size,
        leader=_perp(),
        companions=(_other_coin(),),
        own_share=_FROM_SPOT,
        links=_links((_PERP, _FROM_PERP, 52.0), (FACTOR, _FROM_FACTOR, 13.0), (_OTHER, _FROM_OTHER, 60.0)),
        claims=tuple(
            Claim(
                region=_LEADER_MOVES,
                side=1,
                horizon_ms=500,
                latency_ms=latency_ms,
                every_ms=50,
                by_leader=True,
                right="REJECT_COST",
                basis="natural",
            )
            for latency_ms in _LATENCIES_MS
        ),
    )


def _plain(symbol: str, rate: float, delisted: Delisting | None = None) -> Scenario:
    return Scenario(name=symbol.lower(), summary="a plain market", symbol=symbol, group="M", rate=rate, delisted=delisted)


def _delisted() -> Scenario:
    # By what they trade: the first, then the one that ends, then two that would fill its place in a list made afterwards.
    return Scenario(
        name="delisted",
        summary="four markets by size, the second loses 60 % on its fourth day and is delisted",
        symbol="STEADY1USDT",
        group="M",
        rate=0.03,
        hours=6 * _DAY_HOURS,
        companions=(
            _plain("FALLEN1USDT", 0.024, Delisting(after_hours=3 * _DAY_HOURS + 15)),
            _plain("THIRD1USDT", 0.012),
            _plain("FOURTH1USDT", 0.006),
        ),
    )


SEVERAL: tuple[Scenario, ...] = (_lead_lag(), _delisted())
