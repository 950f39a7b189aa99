"""What is true of a world: claims about cells of features, measured against what was planted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import BPS, NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS
from edgesmith.errors import InputError
from edgesmith.worlds.impact import impact_sums
from edgesmith.worlds.plant import PlantedTape
from edgesmith.worlds.regions import Cell, Region, decisions

# In a word for people; a report has its own words for these.
Verdict = Literal["tradable", "real_but_cost", "real_but_unstable", "nothing"]
# The ladder of verdicts a method climbs; the first that applies is the right one.
Rung = Literal[
    "LEAK",
    "INSUFFICIENT",
    "REJECT_NULL",
    "REJECT_COST",
    "REJECT_UNSTABLE",
    "REJECT_DECAYED",
    "CANDIDATE",
    "VALIDATED",
]
VERDICTS: dict[Rung, Verdict] = {
    "LEAK": "nothing",
    "INSUFFICIENT": "nothing",
    "REJECT_NULL": "nothing",
    "REJECT_COST": "real_but_cost",
    "REJECT_UNSTABLE": "real_but_unstable",
    "REJECT_DECAYED": "real_but_unstable",
    "CANDIDATE": "tradable",
    "VALIDATED": "tradable",
}

# Errors are taken over blocks this long, far beyond the memory of any observable here.
BLOCK_NS = 5 * NS_PER_MINUTE
_DIGITS = 6
# Sizes a truth record lists, times the best one.
_SIZES = (0.1, 0.5, 1.0, 1.5, 2.0)
_UNSIZED: tuple[None, None, tuple[()]] = (None, None, ())


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement a method has to judge, with the right verdict.

    `basis` says why the verdict is known: "plant", what was planted and the natural effect together; "natural", the simulator's
    own effect; "symmetry", the law of the world is the same with buyers and sellers exchanged, which leaves the feature as it
    is, or draws every direction afresh, so no return can have a sign.

    Parameters
    ----------
    latency_ms
        From the decision to the price that is paid.
    every_ms, onset, by_leader
        Which instants count, as in a plant; claims have their own.
    hours
        Only instants in these UTC hours count, if given.
    sized
        How much can be traded is part of the claim: the slope of price on volume is measured, and with it comes a capacity.
    """

    region: Region
    side: int
    horizon_ms: int
    right: Rung
    basis: Literal["plant", "natural", "symmetry"]
    latency_ms: int = 0
    every_ms: int = 1_000
    onset: bool = False
    by_leader: bool = False
    hours: tuple[int, ...] = ()
    sized: bool = False

    def __post_init__(self) -> None:
        if self.side not in (1, -1) or self.horizon_ms < 1:
            raise InputError(
                f"claim on {self.region.feature}: side {self.side} and horizon_ms {self.horizon_ms}, expected +-1 and >= 1"
            )
        if self.latency_ms < 0 or self.every_ms < 1:
            raise InputError(
                f"claim on {self.region.feature}: latency_ms {self.latency_ms}, every_ms {self.every_ms}; expected >= 0, >= 1"
            )

    @property
    def verdict(self) -> Verdict:
        """Return the right verdict in a word for people."""
        return VERDICTS[self.right]


class SizeTruth(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision earns with size `qty`."""

    qty: float
    net_bps: float


class ClaimTruth(msgspec.Struct, frozen=True, kw_only=True):
    """A claim with its numbers, all means over the decision instants inside the region, signed by the side.

    `planted_bps` is exact (the expectation over the plants' draws, given the tape); `drawn_bps` is what this tape got.
    `natural_bps` is the base tape's own forward return, an estimate with standard error `natural_error_bps`. `cost_bps` is a
    taker's round trip at the instrument's fees plus half the spread on the way in and half on the way out.

    Of a claim with sizes, `impact_bps_per_qty` is the slope of the mid price on signed volume, by seconds, before planting.
    Entering with size q earns net(q) = gross - cost - impact x q, listed in `net_by_qty`; q net(q) is largest at `capacity_qty`.
    """

    feature: str
    params: dict[str, int | float]
    low: float
    high: float
    mirrored: bool
    side: int
    horizon_ms: int
    verdict: Verdict
    right: Rung
    basis: str
    within: tuple[Cell, ...]
    latency_ms: int
    every_ms: int
    onset: bool
    by_leader: bool
    hours: tuple[int, ...]
    decisions: int
    planted_bps: float
    drawn_bps: float
    natural_bps: float
    natural_error_bps: float
    gross_bps: float
    cost_bps: float
    impact_bps_per_qty: float | None
    capacity_qty: float | None
    net_by_qty: tuple[SizeTruth, ...]


@dataclass(frozen=True)
class ClaimTally:
    """Sums over one tape by block, columns: decisions, planted, drawn, natural, spread (bps); tallies of tapes concatenate.

    `impact` are the sums of `worlds.impact` over the tape, which add.
    """

    sums: NDArray[np.float64]
    impact: NDArray[np.float64]


def tally(
    base: NDArray[Any], planted: PlantedTape, claim: Claim, instrument: Instrument, leader: NDArray[Any] | None = None
) -> ClaimTally:
    """Sum what a claim is about over the decision instants of one tape."""
    horizon_ns, latency_ns = claim.horizon_ms * NS_PER_MS, claim.latency_ms * NS_PER_MS
    watched = leader if claim.by_leader else None
    every_ns = claim.every_ms * NS_PER_MS
    instants_ns, signs = decisions(base, claim.region, every_ns, latency_ns + horizon_ns, onset=claim.onset, watched=watched)
    at_quote = base["kind"] == KIND_BBO
    quotes_ns = base["ts_recv"][at_quote]
    if claim.hours:
        signs = np.where(np.isin(instants_ns % NS_PER_DAY // NS_PER_HOUR, claim.hours), signs, 0)
    inside = np.flatnonzero(signs)
    blocks = instants_ns[inside] // BLOCK_NS - (instants_ns[0] // BLOCK_NS if len(instants_ns) else 0)
    count = int((instants_ns[-1] - instants_ns[0]) // BLOCK_NS) + 2 if len(instants_ns) else 0
    instants_ns, signs = instants_ns[inside] + latency_ns, signs[inside]
    now = np.searchsorted(quotes_ns, instants_ns, side="right") - 1
    then = np.searchsorted(quotes_ns, instants_ns + horizon_ns, side="right") - 1
    mid = (base["bid_price"][at_quote] + base["ask_price"][at_quote]) / 2.0
    spread = (planted.events["ask_price"] - planted.events["bid_price"])[at_quote]
    scale = signs * claim.side / (BPS * mid[now])
    parts = (
        np.abs(signs),
        scale * instrument.tick * _change(planted.expected_ticks[at_quote], now, then),
        scale * instrument.tick * _change(planted.offset_ticks[at_quote], now, then),
        scale * _change(mid, now, then),
        (spread[now] + spread[then]) / (2.0 * BPS * mid[now]),
    )
    sums = np.stack([np.bincount(blocks, part, minlength=count) for part in parts], axis=1)
    return ClaimTally(sums.astype(np.float64), impact_sums(base) if claim.sized else np.zeros(2))


def _change(series: NDArray[Any], now: NDArray[np.int64], then: NDArray[np.int64]) -> NDArray[Any]:
    return series[then] - series[now]


def truth_of(claim: Claim, tallies: Sequence[ClaimTally], instrument: Instrument) -> ClaimTruth:
    """Unite the tallies of a world's tapes into the truth about one claim."""
    sums = np.concatenate([part.sums for part in tallies])
    count, planted, drawn, natural, spread = sums.sum(axis=0).tolist()
    count = max(count, 1.0)
    residual = sums[:, 3] - sums[:, 0] * natural / count
    gross = 0.0 if claim.basis == "symmetry" else (planted + natural) / count
    cost = 2.0 * instrument.taker_fee_ratio / BPS + spread / count
    region = claim.region
    impact, capacity, sizes = _sizes(gross - cost, np.sum([part.impact for part in tallies], axis=0)) if claim.sized else _UNSIZED
    return ClaimTruth(
        feature=region.feature,
        params=dict(region.spec.params),
        low=region.low,
        high=region.high,
        mirrored=region.mirrored,
        side=claim.side,
        horizon_ms=claim.horizon_ms,
        verdict=claim.verdict,
        right=claim.right,
        basis=claim.basis,
        within=region.within,
        latency_ms=claim.latency_ms,
        every_ms=claim.every_ms,
        onset=claim.onset,
        by_leader=claim.by_leader,
        hours=claim.hours,
        decisions=int(sums[:, 0].sum()),
        planted_bps=round(planted / count, _DIGITS),
        drawn_bps=round(drawn / count, _DIGITS),
        natural_bps=round(natural / count, _DIGITS),
        natural_error_bps=round(math.sqrt(float((residual**2).sum())) / count, _DIGITS),
        gross_bps=round(gross, _DIGITS),
        cost_bps=round(cost, _DIGITS),
        impact_bps_per_qty=impact,
        capacity_qty=capacity,
        net_by_qty=sizes,
    )


def _sizes(edge_bps: float, impact: NDArray[np.float64]) -> tuple[float | None, float | None, tuple[SizeTruth, ...]]:
    slope = float(impact[0] / impact[1]) if impact[1] else 0.0
    if slope <= 0.0:
        return _UNSIZED
    best = max(edge_bps, 0.0) / (2.0 * slope)
    qtys = [share * best for share in _SIZES] if best else []
    sizes = (SizeTruth(qty=round(qty, _DIGITS), net_bps=round(edge_bps - slope * qty, _DIGITS)) for qty in qtys)
    return round(slope, _DIGITS), round(best, _DIGITS), tuple(sizes)
