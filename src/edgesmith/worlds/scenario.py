"""What a recipe of a world is made of.

All recipes start from a calm market: activity steady over the hours, order sizes without whales. There the extremes of a
feature visit often and briefly, and eight hours hold the hundred independent blocks a test needs; at the rate of a BTC
perpetual the same evidence would take 7 million events.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from edgesmith.domain.instruments import ContractKind
from edgesmith.errors import InputError
from edgesmith.worlds.claims import Claim
from edgesmith.worlds.delisting import Delisting
from edgesmith.worlds.feeds import find_feed
from edgesmith.worlds.links import Link
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.plant import Plant
from edgesmith.worlds.traps import find_trap

CALM = TapeParameters(
    activity_sd_15_min=0.1,
    activity_sd_2_min=0.1,
    medium_branching_ratio=0.30,
    slow_branching_ratio=0.04,
    metaorder_ratio=0.4,
    metaorder_tail=2.5,
    sign_tilt=0.3,
    order_log_sd=1.2,
    order_tail=1.8,
    order_tail_ratio=0.01,
)
CALM_RATE = 0.15


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recipe: a market, its fees, what is planted in it, and what a method should say about it.

    Parameters
    ----------
    group
        "P" plants an edge, "N" is a null, "T" a trap for a method that looks ahead, "M" has several markets, "demo" is for
        showing.
    rate
        Multiplies the activity of the market (1 is about 190 quotes and 65 trades a second).
    chimera
        Sizes and sides are those of an independent market, so that they say nothing about this one's prices.
    drift_hour_bps
        A trend, up or down for a whole UTC day.
    feed
        The level of `worlds.feeds`: what happens between the venue and the recorder.
    leader
        Another market of the same world, made before this one; plants and claims may look at it.
    companions
        Further markets of the same world.
    own_share, links
        The price is this part of its own path and copies of those of other markets of the world (`worlds.links`).
    impact_bps_per_qty
        Every trade moves the price its way, by so much for each unit of base quantity (`worlds.impact`).
    delisted
        The market ends before the world does (`worlds.delisting`).
    trap
        The leaking column or join of `worlds.traps` that belongs to this world.
    """

    name: str
    summary: str
    symbol: str
    group: Literal["demo", "P", "N", "T", "M"] = "demo"
    plants: tuple[Plant, ...] = ()
    claims: tuple[Claim, ...] = ()
    parameters: TapeParameters = CALM
    rate: float = CALM_RATE
    hours: int = 8
    tick_size: str = "0.1"
    lot_size: str = "0.001"
    maker_fee_ratio: float = 0.0
    taker_fee_ratio: float = 0.000075
    chimera: bool = False
    drift_hour_bps: float = 0.0
    feed: str = "off"
    leader: Scenario | None = None
    companions: tuple[Scenario, ...] = ()
    kind: ContractKind = ContractKind.LINEAR
    own_share: float = 1.0
    links: tuple[Link, ...] = ()
    impact_bps_per_qty: float = 0.0
    delisted: Delisting | None = None
    trap: str = ""

    def __post_init__(self) -> None:
        if self.hours < 1:
            raise InputError(f"scenario {self.name}: hours was {self.hours}, expected >= 1")
        if not abs(self.drift_hour_bps) <= 1_000.0:
            raise InputError(f"scenario {self.name}: drift_hour_bps was {self.drift_hour_bps}, expected -1000..1000")
        if self.leader is None and (any(item.by_leader for item in self.plants) or any(one.by_leader for one in self.claims)):
            raise InputError(f"scenario {self.name}: a plant or claim looks at a leader, expected a leader")
        for other in self.others:
            if other.plants or other.others:
                raise InputError(f"scenario {self.name}: {other.symbol} has plants or others of its own, expected a plain market")
        if not 0.0 <= self.impact_bps_per_qty <= 10_000.0:
            raise InputError(f"scenario {self.name}: impact_bps_per_qty was {self.impact_bps_per_qty}, expected 0..10000")
        if not 0.0 < self.own_share <= 1.0 or (self.own_share < 1.0 and not self.links):
            raise InputError(
                f"scenario {self.name}: own_share was {self.own_share}, expected 1, or with links above 0 and at most 1"
            )
        if self.chimera and (self.links or self.impact_bps_per_qty):
            raise InputError(f"scenario {self.name}: a chimera has links or impact, expected neither: they would make it no null")
        if self.delisted is not None and (self.plants or self.claims):
            raise InputError(f"scenario {self.name}: a market that ends has plants or claims, expected a plain market")
        find_feed(self.feed)
        if self.trap:
            find_trap(self.trap)

    @property
    def others(self) -> tuple[Scenario, ...]:
        """Return the other markets of the world, the leader first."""
        return (*(() if self.leader is None else (self.leader,)), *self.companions)
