"""How sure a Sharpe ratio is, and how much of it is the luck of having tried many.

Only a `BlockSeries` has a Sharpe ratio here: one net result per block that does not overlap its neighbors. Per-event returns of
overlapping windows would count the same move many times (Bailey, Lopez de Prado 2012, The Sharpe ratio efficient frontier;
2014, The deflated Sharpe ratio). Nothing is annualized inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError

NORMAL = NormalDist()
EULER_GAMMA = 0.577_215_664_901_532_9
BLOCKS_MIN = 3


@dataclass(frozen=True, eq=False)
class BlockSeries:
    """Net results of consecutive blocks that do not overlap, float64, finite; `length_ns` is the length of a block."""

    values: NDArray[np.float64]
    length_ns: int

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or not np.isfinite(self.values).all():
            raise InputError("a block series holds values that are not finite numbers in one dimension, expected one per block")
        if len(self.values) < BLOCKS_MIN:
            raise InputError(f"a block series had {len(self.values)} blocks, expected at least {BLOCKS_MIN}")

    @property
    def sharpe(self) -> float:
        """Return mean over standard deviation (of the blocks, divided by n), per block; 0 where nothing varies."""
        deviation = float(self.values.std())
        return float(self.values.mean()) / deviation if deviation > 0 else 0.0

    @property
    def skewness(self) -> float:
        """Return the third standardized moment."""
        return self._standardized(3, 0.0)

    @property
    def kurtosis(self) -> float:
        """Return the fourth standardized moment, raw: 3 for a normal series."""
        return self._standardized(4, 3.0)

    def _standardized(self, power: int, otherwise: float) -> float:
        centered = self.values - self.values.mean()
        variance = float((centered**2).mean())
        return float((centered**power).mean()) / variance ** (power / 2) if variance > 0 else otherwise


def _spread_of_estimate(series: BlockSeries) -> float:
    sharpe = series.sharpe
    return max(1.0 - series.skewness * sharpe + (series.kurtosis - 1.0) / 4.0 * sharpe**2, 1e-12)


def probabilistic_sharpe(series: BlockSeries, benchmark: float = 0.0) -> float:
    """Return the chance, 0 to 1, that the true Sharpe ratio per block lies above `benchmark`.

    PSR = Phi((SR - SR*) sqrt(G - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)).
    """
    distance = (series.sharpe - benchmark) * math.sqrt(len(series.values) - 1)
    return NORMAL.cdf(distance / math.sqrt(_spread_of_estimate(series)))


def expected_best(trials: float) -> float:
    """Return the expected largest of `trials` independent standard normal results: 1.57 of 10, 3.26 of 1,000; 0 of one."""
    if trials <= 1:
        return 0.0
    return (1.0 - EULER_GAMMA) * NORMAL.inv_cdf(1.0 - 1.0 / trials) + EULER_GAMMA * NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))


def deflated_sharpe(series: BlockSeries, *, sharpe_sd_of_trials: float, trials: float) -> float:
    """Return the chance, 0 to 1, that the true Sharpe ratio is above what the best of `trials` worthless ones would show."""
    return probabilistic_sharpe(series, sharpe_sd_of_trials * expected_best(trials))


def track_record_min_blocks(series: BlockSeries, *, benchmark: float = 0.0, alpha: float = 0.05) -> float:
    """Return how many blocks are needed to call the Sharpe ratio above `benchmark` at level `alpha`; inf when it is not above.

    MinTRL = 1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (z(1 - alpha) / (SR - SR*))^2.
    """
    excess = series.sharpe - benchmark
    if excess <= 0:
        return math.inf
    return 1.0 + _spread_of_estimate(series) * (NORMAL.inv_cdf(1.0 - alpha) / excess) ** 2
