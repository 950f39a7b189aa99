"""Notice that an edge no longer keeps what it promised, looking after every block of time, without crying wolf.

The detector tests "the mean result of a block is at least half of the promise". For a bet b it multiplies
1 + b (promise / 2 - x) over the blocks, all in standard deviations of a block; while the edge is healthy each factor is worth at
most 1 on average, whatever the distribution. The Shiryaev-Roberts sum starts such a product at every block,

    R = (R + 1) (1 + b (promise / 2 - x)),

and the mean of R over a few bets is compared with a threshold A. While the edge is healthy an alarm comes after A blocks or more
on average, with no model of the noise but that blocks do not know each other (Shin, Ramdas, Rinaldo 2023, E-detectors).

Results are cut at `CLIP` standard deviations on both sides, or a single block could end the bet; the promise is that of results
cut in the same way. A cumulative sum (Page 1954) notices sooner and promises nothing: its limit is tuned on the blocks of the
validation, so it only warns.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError

Floats = NDArray[np.float64]

# Blocks a healthy edge lasts on average before a false alarm, at least.
THRESHOLD = 20_000.0
CLIP = 5.0
# What is still healthy, as a part of the promise.
KEPT = 0.5
# Bets in units of what is kept of the promise: best against a fade to a quarter, against death, against a reversal.
BETS = (0.5, 1.0, 2.0)
# The sum stops growing here, so that a detector nobody listens to stays finite.
TOTAL_MAX = 1e300
WARNING_HEALTHY_BLOCKS = 6_000
WARNING_FALSE_RATIO = 0.02


def bets_of(sharpe: float) -> Floats:
    """Return the bets on an edge with this promise per block, in standard deviations; none can lose more than everything."""
    kept = KEPT * sharpe
    return np.minimum(np.array(BETS) * kept, 1.0 / (CLIP - kept))


class DecayDetector(msgspec.Struct, kw_only=True):
    """The state of one watch; plain numbers, so it can be stored after any block and goes on from there.

    Parameters
    ----------
    promise, deviation : mean and standard deviation of the result of a block, in one unit
    threshold : the alarm; also the fewest blocks between false alarms, on average
    """

    promise: float
    deviation: float
    threshold: float = THRESHOLD
    blocks: int = 0
    totals: tuple[float, ...] = (0.0,) * len(BETS)

    def __post_init__(self) -> None:
        _check_promise(self.promise, self.deviation)
        if not (math.isfinite(self.threshold) and self.threshold > 1.0):
            raise InputError(f"threshold was {self.threshold}, expected a number of blocks above 1")

    @property
    def evidence(self) -> float:
        """Return the evidence that the edge keeps less than half of its promise; an alarm at `threshold`."""
        return math.fsum(self.totals) / len(self.totals)

    @property
    def alarmed(self) -> bool:
        """Return whether the evidence suffices to stop the edge."""
        return self.evidence >= self.threshold

    def update(self, result: float) -> bool:
        """Take the result of one more block and return whether there is an alarm."""
        if not math.isfinite(result):
            raise InputError(f"the result of block {self.blocks + 1} was {result}, expected a finite number")
        short = KEPT * self.promise / self.deviation - min(max(float(result) / self.deviation, -CLIP), CLIP)
        bets = bets_of(self.promise / self.deviation).tolist()
        self.totals = tuple(
            min((total + 1.0) * (1.0 + bet * short), TOTAL_MAX) for total, bet in zip(self.totals, bets, strict=True)
        )
        self.blocks += 1
        return self.alarmed


class DecayWarning(msgspec.Struct, kw_only=True):
    """A one-sided cumulative sum of what is missing to half of the promise; it warns above `limit` standard deviations."""

    promise: float
    deviation: float
    limit: float
    missing: float = 0.0

    def __post_init__(self) -> None:
        _check_promise(self.promise, self.deviation)

    def update(self, result: float) -> bool:
        """Take the result of one more block and return whether to warn."""
        self.missing = max(0.0, self.missing + (KEPT * self.promise - float(result)) / self.deviation)
        return self.missing >= self.limit


def alarm_blocks(results: Floats, sharpe: float, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Return after how many blocks the detector alarms on each path; 0 where it never does.

    Parameters
    ----------
    results : (paths, blocks), in standard deviations of a block
    """
    _check_promise(sharpe, 1.0)
    bets = bets_of(sharpe)
    totals = np.zeros((len(results), len(bets)))
    found = np.zeros(len(results), np.int64)
    for at in range(results.shape[1]):
        short = KEPT * sharpe - np.clip(results[:, at], -CLIP, CLIP)
        totals = np.minimum((totals + 1.0) * (1.0 + bets * short[:, None]), TOTAL_MAX)
        found[(found == 0) & (totals.mean(axis=1) >= threshold)] = at + 1
        if found.all():
            break
    return found


def warning_blocks(results: Floats, sharpe: float, limit: float) -> NDArray[np.int64]:
    """Return after how many blocks the cumulative sum passes `limit` on each path; 0 where it never does."""
    missing, found = np.zeros(len(results)), np.zeros(len(results), np.int64)
    for at in range(results.shape[1]):
        missing = np.maximum(0.0, missing + KEPT * sharpe - results[:, at])
        found[(found == 0) & (missing >= limit)] = at + 1
        if found.all():
            break
    return found


def warning_limit(healthy: Floats, sharpe: float, *, false_ratio: float = WARNING_FALSE_RATIO) -> float:
    """Return the limit of the sum that `false_ratio` of the paths of healthy results (paths, blocks) pass."""
    missing, worst = np.zeros(len(healthy)), np.zeros(len(healthy))
    for at in range(healthy.shape[1]):
        missing = np.maximum(0.0, missing + KEPT * sharpe - healthy[:, at])
        worst = np.maximum(worst, missing)
    return float(np.quantile(worst, 1.0 - false_ratio, method="higher"))


def _check_promise(promise: float, deviation: float) -> None:
    if not (math.isfinite(deviation) and deviation > 0.0):
        raise InputError(f"deviation was {deviation}, expected the standard deviation of a block, above 0")
    if not 0.0 < promise < CLIP * deviation:
        raise InputError(
            f"promise was {promise} at a deviation of {deviation}, expected above 0 and below {CLIP:g} deviations of a block; "
            "an edge that promises nothing cannot be watched, one that promises more needs shorter blocks"
        )
