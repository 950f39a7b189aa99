"""Intervals of a mean over blocks, by turning the sign-flip test around, and further out where results are skewed.

The interval holds every mean mu that the self-normalized statistic would not reject:

    |sum_g r_g| <= q sqrt(sum_g r_g^2),  r_g = S_g - mu n_g

where q is the quantile of the statistic under flipped signs of the residuals at the estimate. Both sides are quadratic in mu, so
the ends are roots. Blocks that hold nothing add nothing; the interval is the whole line where too few blocks carry it.

Flipped signs know no skewness, so many small wins and rare large losses look surer than they are. Each end is therefore the
further out of that one and of Hall's: with t the studentized mean, k the skewness of the residuals, G the number of blocks,

    h(t) = t + a t^2 + a^2 t^3 / 3 + k / (6 sqrt(G)),  a = k / (3 sqrt(G))

is compared with the same quantile (Hall 1992, On the removal of skewness by transformation). Hall's ends alone would be too
short where tails are heavy and even: the skewness is then an estimate of nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FLIPS = 9_999
# What is left of a difference after cancellation is nothing below this share of its parts.
ROUNDING = 1e-9


class Interval(NamedTuple):
    """An estimate and the ends of its interval; NaN without rows, infinite ends where the blocks cannot bound it."""

    mean: float
    low: float
    high: float


def mean_interval(n: Floats, s: Floats, *, level: float = 0.90, seed: int = 0, flips: int = FLIPS) -> Interval:
    """Return the mean of the rows and its two-sided interval at `level`; `n`, `s` (blocks,) counts and sums."""
    total = float(n.sum())
    if total == 0:
        return Interval(math.nan, -math.inf, math.inf)
    mean = float(s.sum()) / total
    residual = s - mean * n
    norm = float(np.sqrt((residual**2).sum()))
    if norm == 0.0:
        single = int((n > 0).sum()) < 2
        return Interval(mean, -math.inf, math.inf) if single else Interval(mean, mean, mean)
    draw = np.random.Generator(np.random.PCG64([seed, len(n)]))
    signs = draw.integers(0, 2, (flips, len(n)), dtype=np.int8).astype(np.float64) * 2.0 - 1.0
    flipped = np.sort(np.abs(signs @ (residual / norm)))
    # The residuals sum to zero by construction; each flip is compared as if the mean had been known.
    quantile = float(flipped[min(math.ceil(level * (flips + 1)) - 1, flips - 1)])
    low, high = _roots(n, s, quantile)
    skewed_low, skewed_high = (mean - norm / total * _unskewed(end, residual, n) for end in (quantile, -quantile))
    return Interval(mean, min(low, skewed_low), max(high, skewed_high))


def skewness_widening(n: Floats, s: Floats) -> float:
    """Return what the statistic of "no profit" must be divided by, at least 1, where losses are rare and large.

    It is the ratio of sum s / sqrt(sum s^2) to the same after Hall's transformation; infinite where nothing is left of it.
    """
    norm = float(np.sqrt((s * s).sum()))
    statistic = float(s.sum()) / norm if norm > 0.0 else 0.0
    residual = s - n * (float(s.sum()) / max(float(n.sum()), 1.0))
    scale = float(np.sqrt((residual**2).sum()))
    if statistic <= 0.0 or scale == 0.0:
        return 1.0
    shape, shift, blocks = _skewness(residual, n)
    t = float(s.sum()) / scale
    h = t + shape * t**2 + shape**2 * t**3 / 3.0 + shift
    return max(statistic / (h / math.sqrt(1.0 + h * h / blocks)), 1.0) if h > 0.0 else math.inf


def _skewness(residual: Floats, n: Floats) -> tuple[float, float, int]:
    # a and k / (6 sqrt(G)) of Hall's transformation, and G.
    blocks = int((n > 0).sum())
    skewness = math.sqrt(blocks) * float((residual**3).sum()) / float((residual**2).sum()) ** 1.5
    return skewness / (3.0 * math.sqrt(blocks)), skewness / (6.0 * math.sqrt(blocks)), blocks


def _unskewed(quantile: float, residual: Floats, n: Floats) -> float:
    # The t that Hall's transformation takes to the quantile, which is first turned from self-normalized to studentized.
    shape, shift, blocks = _skewness(residual, n)
    if quantile**2 >= blocks * (1.0 - ROUNDING):
        return math.copysign(math.inf, quantile)
    beyond = quantile / math.sqrt(1.0 - quantile**2 / blocks) - shift
    return (math.cbrt(1.0 + 3.0 * shape * beyond) - 1.0) / shape if abs(shape) > 1e-9 else beyond


def _roots(n: Floats, s: Floats, quantile: float) -> tuple[float, float]:
    # (sum s - mu sum n)^2 <= q^2 sum (s - mu n)^2, as a mu^2 + b mu + c <= 0.
    q2 = quantile**2
    total_n, total_s = float(n.sum()), float(s.sum())
    a = total_n**2 - q2 * float((n * n).sum())
    b = -2.0 * (total_s * total_n - q2 * float((s * n).sum()))
    c = total_s**2 - q2 * float((s * s).sum())
    if a <= ROUNDING * total_n**2:
        return -math.inf, math.inf
    root = math.sqrt(max(b * b - 4.0 * a * c, 0.0))
    return (-b - root) / (2.0 * a), (-b + root) / (2.0 * a)
