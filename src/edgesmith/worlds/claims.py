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
from edgesmith.domain.units import BPS, NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.worlds.plant import PlantedTape
from edgesmith.worlds.regions import Region, decisions

Verdict = Literal["tradable", "real_but_cost", "nothing"]

# Claims are measured once a second, whatever the plants' own decision instants.
DECISION_NS = NS_PER_S
# Errors are taken over blocks this long, far beyond the memory of any observable here.
BLOCK_NS = 5 * NS_PER_MINUTE
_DIGITS = 6


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement a method has to judge, with the right verdict.

    `basis` says why the verdict is known: "plant", what was planted and the natural effect together; "natural", the simulator's
    own effect; "symmetry", the law of the world is the same with buyers and sellers exchanged, which leaves the feature as it
    is, so no return can have a sign.
    """

    region: Region
    side: int
    horizon_ms: int
    verdict: Verdict
    basis: Literal["plant", "natural", "symmetry"]

    def __post_init__(self) -> None:
        if self.side not in (1, -1) or self.horizon_ms < 1:
            raise InputError(
                f"claim on {self.region.feature}: side {self.side} and horizon_ms {self.horizon_ms}, expected +-1 and >= 1"
            )


class ClaimTruth(msgspec.Struct, frozen=True, kw_only=True):
    """A claim with its numbers, all means over the decision instants inside the region, signed by the side.

    `planted_bps` is exact (the expectation over the plants' draws, given the tape); `drawn_bps` is what this tape got.
    `natural_bps` is the base tape's own forward return, an estimate with standard error `natural_error_bps`. `cost_bps` is a
    taker's round trip at the instrument's fees plus the spread.
    """

    feature: str
    params: dict[str, int | float]
    low: float
    high: float
    mirrored: bool
    side: int
    horizon_ms: int
    verdict: Verdict
    basis: str
    decisions: int
    planted_bps: float
    drawn_bps: float
    natural_bps: float
    natural_error_bps: float
    gross_bps: float
    cost_bps: float


@dataclass(frozen=True)
class ClaimTally:
    """Sums over one tape by block, columns: decisions, planted, drawn, natural, spread (bps); tallies of tapes concatenate."""

    sums: NDArray[np.float64]


def tally(base: NDArray[Any], planted: PlantedTape, claim: Claim, instrument: Instrument) -> ClaimTally:
    """Sum what a claim is about over the decision instants of one tape."""
    horizon_ns = claim.horizon_ms * NS_PER_MS
    instants_ns, signs = decisions(base, claim.region, DECISION_NS, horizon_ns)
    at_quote = base["kind"] == KIND_BBO
    quotes_ns = base["ts_recv"][at_quote]
    now = np.searchsorted(quotes_ns, instants_ns, side="right") - 1
    then = np.searchsorted(quotes_ns, instants_ns + horizon_ns, side="right") - 1
    bid, ask = base["bid_price"][at_quote], base["ask_price"][at_quote]
    mid = (bid + ask) / 2.0
    scale = signs * claim.side / (BPS * mid[now])
    parts = (
        np.abs(signs),
        scale * instrument.tick * _change(planted.expected_ticks[at_quote], now, then),
        scale * instrument.tick * _change(planted.offset_ticks[at_quote], now, then),
        scale * _change(mid, now, then),
        np.abs(signs) * (ask - bid)[now] / (BPS * mid[now]),
    )
    blocks = instants_ns // BLOCK_NS
    blocks -= blocks[0] if len(blocks) else 0
    return ClaimTally(np.stack([np.bincount(blocks, part) for part in parts], axis=1))


def _change(series: NDArray[Any], now: NDArray[np.int64], then: NDArray[np.int64]) -> NDArray[Any]:
    return series[then] - series[now]


def truth_of(claim: Claim, tallies: Sequence[ClaimTally], instrument: Instrument) -> ClaimTruth:
    """Unite the tallies of a world's tapes into the truth about one claim."""
    sums = np.concatenate([part.sums for part in tallies])
    count, planted, drawn, natural, spread = sums.sum(axis=0).tolist()
    count = max(count, 1.0)
    residual = sums[:, 3] - sums[:, 0] * natural / count
    is_symmetric = claim.basis == "symmetry"
    region = claim.region
    return ClaimTruth(
        feature=region.feature,
        params=dict(region.spec.params),
        low=region.low,
        high=region.high,
        mirrored=region.mirrored,
        side=claim.side,
        horizon_ms=claim.horizon_ms,
        verdict=claim.verdict,
        basis=claim.basis,
        decisions=int(sums[:, 0].sum()),
        planted_bps=round(planted / count, _DIGITS),
        drawn_bps=round(drawn / count, _DIGITS),
        natural_bps=round(natural / count, _DIGITS),
        natural_error_bps=round(math.sqrt(float((residual**2).sum())) / count, _DIGITS),
        gross_bps=0.0 if is_symmetric else round((planted + natural) / count, _DIGITS),
        cost_bps=round(2.0 * instrument.taker_fee_ratio / BPS + spread / count, _DIGITS),
    )
