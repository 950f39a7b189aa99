"""Intervals of a mean over blocks, by turning the sign-flip test around.

The interval holds every mean mu that the self-normalized statistic would not reject:

    |sum_g r_g| <= q sqrt(sum_g r_g^2),  r_g = S_g - mu n_g

where q is the quantile of the statistic under flipped signs of the residuals at the estimate. Both sides are quadratic in mu, so
the ends are roots. Blocks that hold nothing add nothing; the interval is the whole line where too few blocks carry it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FLIPS = 9_999


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
    return Interval(mean, *_roots(n, s, quantile))


def _roots(n: Floats, s: Floats, quantile: float) -> tuple[float, float]:
    # (sum s - mu sum n)^2 <= q^2 sum (s - mu n)^2, as a mu^2 + b mu + c <= 0.
    q2 = quantile**2
    total_n, total_s = float(n.sum()), float(s.sum())
    a = total_n**2 - q2 * float((n * n).sum())
    b = -2.0 * (total_s * total_n - q2 * float((s * n).sum()))
    c = total_s**2 - q2 * float((s * s).sum())
    if a <= 0.0:
        return -math.inf, math.inf
    root = math.sqrt(max(b * b - 4.0 * a * c, 0.0))
    return (-b - root) / (2.0 * a), (-b + root) / (2.0 * a)
