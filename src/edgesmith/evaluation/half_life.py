"""Three half-lives of an edge: of its response, over latency, over the calendar; each with an interval or none.

They answer different questions. Response: how long after the trigger does the move take. Latency: how much of the net result is
left when we act later. Calendar: how fast does the edge itself fade from day to day. An interval comes from drawing whole blocks
with replacement; a half-life is called not identifiable when the draws do not agree that there is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 999
# Fewer draws than this with a half-life, and there is none to report.
AGREEMENT = 0.9
# Share of draws in which the largest response must be positive: the largest of several is positive by luck more often than not.
POSITIVE = 0.99
NS_PER_DAY = 86_400_000_000_000
DAYS_MIN = 4
# Longer than this many times the observed days cannot be told from no decay.
EXTRAPOLATION = 10.0


class HalfLife(NamedTuple):
    """A half-life in ns with its 90 % interval; None where it cannot be identified, an infinite end where decay is unsure."""

    value_ns: float | None
    low_ns: float | None
    high_ns: float | None

    @property
    def identified(self) -> bool:
        """Return whether there is a value at all."""
        return self.value_ns is not None


UNIDENTIFIED = HalfLife(None, None, None)


def response_half_life(n: Floats, s: Floats, horizons_ns: NDArray[np.int64], *, seed: int) -> HalfLife:
    """Return the horizon at which the mean response first reaches half of its peak.

    Parameters
    ----------
    n, s : float64 (blocks, horizons): rows and sums of the gross label to the side of the edge, one latency
    horizons_ns : ascending
    """
    return _drawn(n, s, lambda means: _first_half(means, horizons_ns), seed)


def latency_half_life(n: Floats, s: Floats, latencies_ns: NDArray[np.int64], *, seed: int) -> HalfLife:
    """Return the latency at which the mean result has fallen to half of that at the lowest latency.

    `n`, `s` are (blocks, latencies) of the gross or net label of one horizon; unidentified where the first is not positive or
    half of it is not reached within the latencies given.
    """
    return _drawn(n, s, lambda means: _first_below_half(means, latencies_ns), seed)


def calendar_half_life(n: Floats, s: Floats, day_index: NDArray[np.int64], *, seed: int) -> HalfLife:
    """Return the half-life of the daily mean, from a weighted exponential fit A 2^(-day / H).

    Parameters
    ----------
    n, s : float64 (blocks,): rows and sums of the label
    day_index : int64 (blocks,): the day of each block, from 0

    Notes
    -----
    Blocks are drawn within the whole span, so the interval knows how noisy days are. `high_ns` is infinite where draws without
    decay are not rare.
    """
    days = int(day_index.max()) + 1 if len(day_index) else 0
    if days < DAYS_MIN:
        return UNIDENTIFIED
    draw = np.random.Generator(np.random.PCG64([seed, len(n)]))
    point = _calendar_days(n, s, day_index, days)
    if point is None:
        return UNIDENTIFIED
    found = []
    for _ in range(DRAWS):
        weight = np.bincount(draw.integers(0, len(n), len(n)), minlength=len(n)).astype(np.float64)
        one = _calendar_days(n * weight, s * weight, day_index, days)
        found.append(math.inf if one is None else one)
    low, high = _ends(np.array(found))
    if not math.isfinite(low):
        return UNIDENTIFIED
    return HalfLife(point * NS_PER_DAY, low * NS_PER_DAY, high * NS_PER_DAY)


def _drawn(n: Floats, s: Floats, measure: Callable[[Floats], float], seed: int) -> HalfLife:
    if not n.sum(axis=0).all():
        return UNIDENTIFIED
    draw = np.random.Generator(np.random.PCG64([seed, len(n)]))
    point = measure(s.sum(axis=0) / n.sum(axis=0))
    weights = np.array([np.bincount(draw.integers(0, len(n), len(n)), minlength=len(n)) for _ in range(DRAWS)], np.float64)
    rows = weights @ n
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(rows > 0, weights @ s / rows, np.nan)
    found = np.array([measure(row) for row in means])
    if (means[:, int(np.argmax(s.sum(axis=0) / n.sum(axis=0)))] > 0.0).mean() < POSITIVE:
        return UNIDENTIFIED
    if not math.isfinite(point) or np.isfinite(found).mean() < AGREEMENT:
        return UNIDENTIFIED
    # A draw that never gets to half of it is one in which that takes longer than anybody looked.
    low, high = _ends(np.where(np.isfinite(found), found, np.inf))
    return HalfLife(point, low, high)


def _ends(found: Floats) -> tuple[float, float]:
    low, high = np.quantile(found, (0.05, 0.95), method="inverted_cdf")
    return float(low), float(high)


def _first_half(means: Floats, horizons_ns: NDArray[np.int64]) -> float:
    if not np.isfinite(means).all() or means.max() <= 0.0:
        return math.nan
    return _crossing(np.r_[0.0, means], np.r_[0, horizons_ns], means.max() / 2.0, rising=True)


def _first_below_half(means: Floats, latencies_ns: NDArray[np.int64]) -> float:
    if not np.isfinite(means).all() or means[0] <= 0.0:
        return math.nan
    return _crossing(means, latencies_ns, means[0] / 2.0, rising=False)


def _crossing(values: Floats, at: NDArray[np.int64], level: float, *, rising: bool) -> float:
    beyond = values >= level if rising else values <= level
    if not beyond.any():
        return math.nan
    right = int(beyond.argmax())
    if right == 0:
        return float(at[0])
    before, after = float(values[right - 1]), float(values[right])
    if not rising and after > 0.0:
        # Decay is straight in the logarithm.
        before, after, level = math.log(before), math.log(after), math.log(level)
    share = (level - before) / (after - before)
    return float(at[right - 1] + share * (at[right] - at[right - 1]))


def _calendar_days(n: Floats, s: Floats, day_index: NDArray[np.int64], days: int) -> float | None:
    # Least squares of daily means on A 2^(-day / H), weighted by rows; A follows from H, so H alone is searched.
    rows = np.bincount(day_index, n, days)
    sums = np.bincount(day_index, s, days)
    kept = rows > 0
    if kept.sum() < DAYS_MIN:
        return None
    day, weight, mean = np.arange(days)[kept], rows[kept], sums[kept] / rows[kept]
    lives = np.geomspace(0.25, EXTRAPOLATION * days, 400)
    shape = np.exp2(-day[None, :] / lives[:, None])
    explained = (weight * mean * shape).sum(axis=1)
    gain = np.where(explained > 0, explained, 0.0) ** 2 / (weight * shape**2).sum(axis=1)
    best = int(gain.argmax())
    return None if gain[best] <= 0.0 or best == len(lives) - 1 else float(lives[best])
