"""Intervals from blocks: what a sum of few, uneven, independent contributions may be."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCKS_MIN = 12
BLOCKS_EFFECTIVE_MIN = 6.0
CONFIDENCE = 0.95


class BlockError(NamedTuple):
    """Standard error of a sum of block contributions, and how many blocks stand behind it."""

    standard_error: float
    blocks: int
    blocks_effective: float  # (sum |psi|)^2 / sum psi^2

    @property
    def enough(self) -> bool:
        """Tell whether an interval may be drawn from it."""
        return self.blocks >= BLOCKS_MIN and self.blocks_effective >= BLOCKS_EFFECTIVE_MIN and self.standard_error > 0.0

    @property
    def reach(self) -> float:
        """Return half the width of the 95 % interval; infinite where there are too few blocks."""
        if not self.enough:
            return math.inf
        return student_quantile(0.5 + CONFIDENCE / 2, self.blocks_effective - 1.0) * self.standard_error


def block_error(psi: NDArray[np.float64], present: NDArray[np.bool_]) -> BlockError:
    """Return the error of `psi.sum()`; `present` tells which blocks have rows."""
    blocks = int(np.count_nonzero(present))
    squares = float((psi * psi).sum())
    if blocks < 2 or squares == 0.0:
        return BlockError(0.0, blocks, 0.0)
    effective = float(np.abs(psi).sum()) ** 2 / squares
    return BlockError(math.sqrt(squares * blocks / (blocks - 1)), blocks, effective)


def student_quantile(level: float, degrees: float) -> float:
    """Return a quantile of Student's t by its expansion about the normal one.

    Within 0.1 % for `degrees` >= 5 and levels up to 0.995.

    References: Abramowitz, Stegun 1964, Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees ** (power + 1) for power, term in enumerate(terms))
