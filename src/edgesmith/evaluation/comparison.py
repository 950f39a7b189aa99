"""How sure a difference between runs over the same time is: a paired bootstrap of blocks of their equity changes.

All runs are drawn with the same blocks, so what the market did to all of them cancels in a comparison. Blocks are circular and
of n^(1/3) periods, which keeps dependence shorter than a block.

References
----------
Politis, Romano (1992), A circular block-resampling procedure for stationary data.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 4_000
# Fewer periods than this bound nothing.
PERIODS_MIN = 30
LEVEL = 0.90


class Resampled(NamedTuple):
    """Draws of (resamples, runs): the sum of the changes, and their mean over their standard deviation."""

    total: Floats
    sharpe: Floats


def block_length(periods: int) -> int:
    """Return how many periods a block has."""
    return max(1, math.ceil(periods ** (1.0 / 3.0)))


def resample(changes: Floats, *, seed: int, resamples: int = RESAMPLES) -> Resampled | None:
    """Draw blocks of the rows of `changes` (periods, runs), the same for every run; None where there are too few periods."""
    periods, runs = changes.shape
    if periods < PERIODS_MIN:
        return None
    length = block_length(periods)
    count = periods // length
    starts = np.random.Generator(np.random.PCG64(seed)).integers(0, periods, (resamples, count))
    sums, squares = _block_sums(changes, length), _block_sums(changes**2, length)
    total, square = sums[starts].sum(axis=1), squares[starts].sum(axis=1)
    drawn = count * length
    mean = total / drawn
    variance = np.maximum(square / drawn - mean**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = np.where(variance > 0.0, mean / np.sqrt(variance), 0.0)
    assert total.shape == (resamples, runs)
    return Resampled(total * (periods / drawn), sharpe)


def _block_sums(values: Floats, length: int) -> Floats:
    around = np.concatenate([values, values[: length - 1]])
    running = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(around, axis=0)])
    return running[length:] - running[:-length]


def interval_of(draws: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the central interval of the draws of one run."""
    low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def probability_above(first: Floats, second: Floats) -> float:
    """Return the share of draws in which `first` is larger; ties count half."""
    return float(np.mean(first > second) + 0.5 * np.mean(first == second))


def sharpe_of(changes: Floats) -> float | None:
    """Return mean over standard deviation of one run's changes; None where they never varied."""
    deviation = float(changes.std())
    return float(changes.mean()) / deviation if len(changes) >= PERIODS_MIN and deviation > 0.0 else None
