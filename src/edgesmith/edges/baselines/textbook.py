"""What textbooks do with ticks: p-values of tests that count rows or instants as independent.

They compare the mean of a cell with the rest, or rank a feature against what follows. They are here to be printed beside ours,
never to be used.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NORMAL = NormalDist()


def _two_sided(t: float) -> float:
    return 2.0 * NORMAL.cdf(-abs(t)) if math.isfinite(t) else 1.0


def welch(cell: Mask, y: Floats) -> float:
    """Return the p-value of Welch's t-test, rows independent."""
    a, b = y[cell], y[~cell]
    if min(len(a), len(b)) < 2:
        return 1.0
    error = math.sqrt(a.var() / len(a) + b.var() / len(b))
    return _two_sided((a.mean() - b.mean()) / error) if error > 0 else 1.0


def newey_west(cell: Mask, y: Floats, lag: int | None = None) -> float:
    """Return the p-value of the cell's coefficient in y ~ 1 + cell with Newey-West errors.

    `lag` rows; 4 (T / 100)^(2/9) where None, the usual automatic choice (Newey, West 1994).
    """
    count = len(y)
    if lag is None:
        lag = int(4.0 * (count / 100.0) ** (2.0 / 9.0))
    x = cell.astype(np.float64) - cell.mean()
    power = float((x * x).sum())
    if power == 0.0:
        return 1.0
    centered = y - y.mean()
    slope = float((x * centered).sum()) / power
    score = x * (centered - slope * x)
    variance = float((score * score).sum())
    for k in range(1, lag + 1):
        variance += 2.0 * (1.0 - k / (lag + 1.0)) * float((score[k:] * score[:-k]).sum())
    return _two_sided(slope * power / math.sqrt(variance)) if variance > 0 else 1.0


def iid_permutation(cell: Mask, y: Floats, *, draws: int, seed: int) -> float:
    """Return the p-value of the mean difference under shuffles of the rows; never below 1 / (draws + 1)."""
    inside = int(cell.sum())
    if not 0 < inside < len(y):
        return 1.0
    total = float(y.sum())

    def difference(sum_inside: float) -> float:
        return abs(sum_inside / inside - (total - sum_inside) / (len(y) - inside))

    observed = difference(float(y[cell].sum()))
    draw = np.random.default_rng(seed)
    beaten = sum(difference(float(draw.choice(y, inside, replace=False).sum())) >= observed for _ in range(draws))
    return (1 + beaten) / (draws + 1)


def ic_t(factor: Floats, y: Floats, *, group: int = 10) -> float:
    """Return the p-value of the t-test that the mean information coefficient is zero, as alphalens prints it.

    alphalens correlates ranks across assets at each date and takes dates as independent, also where forward returns overlap. With
    one asset, `group` rows in a row stand for a date; groups in which the factor or `y` does not vary have no coefficient.
    """
    count = len(y) // group
    ranks = [_ranks(np.asarray(one[: count * group], np.float64).reshape(count, group)) for one in (factor, y)]
    x, z = (one - one.mean(axis=1, keepdims=True) for one in ranks)
    power = np.sqrt((x * x).sum(axis=1) * (z * z).sum(axis=1))
    known = power > 0.0
    ic = (x * z).sum(axis=1)[known] / power[known]
    deviation = float(ic.std(ddof=1)) if len(ic) > 1 else 0.0
    return _two_sided(float(ic.mean()) / deviation * math.sqrt(len(ic))) if deviation > 0.0 else 1.0


def _ranks(rows: Floats) -> Floats:
    # Along the last axis; equal values share the mean of their ranks.
    below = (rows[:, :, None] > rows[:, None, :]).sum(axis=2)
    equal = (rows[:, :, None] == rows[:, None, :]).sum(axis=2)
    ranks: Floats = below + (equal + 1) / 2.0
    return ranks
