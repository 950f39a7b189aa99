"""Notice that an edge no longer keeps what it promised, looking after every block of time, without crying wolf.

The detector tests "the mean result of a block is at least half of the promise". For a bet b it multiplies
1 + b (promise / 2 - x) over the blocks; while the edge is healthy each factor is worth at
most 1 on average, whatever the distribution. The Shiryaev-Roberts sum starts such a product at every block,

    R = (R + 1) (1 + b (promise / 2 - x)),

and the mean of R over a few bets is compared with a threshold A. While the edge is healthy an alarm comes after A blocks or more
on average, with no model of the noise but that blocks do not know each other (Shin, Ramdas, Rinaldo 2023, E-detectors).

A bet can be the larger the less a single win can cost it, so wins count up to `WIN_CUT` standard deviations of a block, losses up
to `LOSS_CUT`; the promise is that of results cut in the same way, and so is what an alarm is evidence against. An edge that lives
on rare large wins is cut at `WIN_CUT_MAX` and watched with smaller bets. A cumulative sum (Page 1954) notices sooner and promises
nothing: its limit is tuned on the blocks of the validation, so it only warns.
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
WIN_CUT, WIN_CUT_MAX, LOSS_CUT = 2.0, 5.0, 5.0
# At least this part of the profit must be left by the smaller cut.
LEFT_MIN = 2.0 / 3.0
# What is still healthy, as a part of the promise.
KEPT = 0.5
# Bets in units of what is kept of the promise: best against a fade to a quarter, against death, against a reversal.
BETS = (0.5, 1.0, 2.0)
# The sum stops growing here, so that a detector nobody listens to stays finite.
TOTAL_MAX = 1e300
WARNING_HEALTHY_BLOCKS = 6_000
WARNING_FALSE_RATIO = 0.02


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a block is said to keep: mean of cut results and standard deviation of uncut ones, in one unit.

    `win_cut` is the largest win that counts, in deviations.
    """

    mean: float
    deviation: float
    win_cut: float = WIN_CUT

    def __post_init__(self) -> None:
        if not (math.isfinite(self.deviation) and self.deviation > 0.0):
            raise InputError(f"deviation was {self.deviation}, expected the standard deviation of a block, above 0")
        if not 0.0 < self.mean <= self.win_cut * self.deviation:
            raise InputError(
                f"promise was {self.mean} at a deviation of {self.deviation}, expected above 0 and at most {self.win_cut:g} "
                "deviations; an edge that promises nothing cannot be watched, one that promises more needs shorter blocks"
            )

    @property
    def sharpe(self) -> float:
        """Return the promise in standard deviations of a block."""
        return self.mean / self.deviation

    @property
    def bets(self) -> Floats:
        """Return the bets, per deviation; none can lose more than everything on one block."""
        kept = KEPT * self.sharpe
        return np.minimum(np.array(BETS) * kept, 1.0 / (self.win_cut - kept))

    def short(self, results: Floats) -> Floats:
        """Return what blocks fall short of the part that must be kept, in deviations."""
        cut: Floats = np.clip(results / self.deviation, -LOSS_CUT, self.win_cut)
        return KEPT * self.sharpe - cut


def promise_of(results: Floats, sure_ratio: float = 1.0) -> Promise | None:
    """Return what blocks like `results` promise, times `sure_ratio`; None where that is nothing or cannot be watched."""
    deviation = float(results.std()) if len(results) else 0.0
    if not deviation > 0.0:
        return None
    for win_cut in (WIN_CUT, WIN_CUT_MAX):
        mean = float(np.clip(results, -LOSS_CUT * deviation, win_cut * deviation).mean())
        if win_cut == WIN_CUT_MAX or mean >= LEFT_MIN * float(results.mean()):
            promised = mean * sure_ratio
            return Promise(mean=promised, deviation=deviation, win_cut=win_cut) if 0.0 < promised <= win_cut * deviation else None
    return None


class DecayDetector(msgspec.Struct, kw_only=True):
    """The state of one watch; plain numbers, so it can be stored after any block and goes on from there.

    `threshold` is the alarm, and the fewest blocks between false alarms on average.
    """

    promise: Promise
    threshold: float = THRESHOLD
    blocks: int = 0
    totals: tuple[float, ...] = (0.0,) * len(BETS)

    def __post_init__(self) -> None:
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
        factors = 1.0 + self.promise.bets * self.promise.short(np.array([result]))
        self.totals = tuple(
            min((total + 1.0) * factor, TOTAL_MAX) for total, factor in zip(self.totals, factors.tolist(), strict=True)
        )
        self.blocks += 1
        return self.alarmed


class DecayWarning(msgspec.Struct, kw_only=True):
    """A one-sided cumulative sum of what is missing to half of the promise; it warns at `limit` standard deviations."""

    promise: Promise
    limit: float
    missing: float = 0.0

    def update(self, result: float) -> bool:
        """Take the result of one more block and return whether to warn."""
        self.missing = max(0.0, self.missing + (KEPT * self.promise.mean - float(result)) / self.promise.deviation)
        return self.missing >= self.limit


def alarm_blocks(results: Floats, promise: Promise, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Return after how many blocks the detector alarms on each path of `results` (paths, blocks); 0 where it never does."""
    bets, short = promise.bets, promise.short(results)
    totals = np.zeros((len(results), len(bets)))
    found = np.zeros(len(results), np.int64)
    for at in range(results.shape[1]):
        totals = np.minimum((totals + 1.0) * (1.0 + bets * short[:, at, None]), TOTAL_MAX)
        found[(found == 0) & (totals.mean(axis=1) >= threshold)] = at + 1
        if found.all():
            break
    return found


def warning_blocks(results: Floats, promise: Promise, limit: float) -> NDArray[np.int64]:
    """Return after how many blocks the cumulative sum reaches `limit` on each path; 0 where it never does."""
    missing, found = np.zeros(len(results)), np.zeros(len(results), np.int64)
    for at in range(results.shape[1]):
        missing = np.maximum(0.0, missing + (KEPT * promise.mean - results[:, at]) / promise.deviation)
        found[(found == 0) & (missing >= limit)] = at + 1
        if found.all():
            break
    return found


def warning_limit(healthy: Floats, promise: Promise, *, false_ratio: float = WARNING_FALSE_RATIO) -> float:
    """Return the limit of the sum that `false_ratio` of the paths of healthy results (paths, blocks) reach."""
    missing, worst = np.zeros(len(healthy)), np.zeros(len(healthy))
    for at in range(healthy.shape[1]):
        missing = np.maximum(0.0, missing + (KEPT * promise.mean - healthy[:, at]) / promise.deviation)
        worst = np.maximum(worst, missing)
    return float(np.quantile(worst, 1.0 - false_ratio, method="higher"))
