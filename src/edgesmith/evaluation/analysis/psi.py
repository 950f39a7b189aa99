"""Population stability index between two sets of rows, from how often each code occurs.

PSI = sum over bins of (b - a) ln(b / a), a and b the shares of the two sets. Bins are the deciles of the first set (fewer where
it has fewer levels) and one for missing values; a share counts as at least 1e-4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis.codes import BINS, MISSING

PSI_BINS = 10
SHARE_MIN = 1e-4
# Of fewer rows the index says more about chance than about drift.
ROWS_MIN = 200
DIGITS = 9


def psi_by_codes(base: NDArray[np.int64], other: NDArray[np.int64]) -> float | None:
    """Return the PSI of `other` against `base`, both counts (256,) by code; None where either has too few rows."""
    if base.sum() < ROWS_MIN or other.sum() < ROWS_MIN:
        return None
    bins = _bins_of(base)
    shares = [np.maximum(np.bincount(bins, counts, PSI_BINS + 1) / counts.sum(), SHARE_MIN) for counts in (base, other)]
    return round(float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()), DIGITS)


def _bins_of(base: NDArray[np.int64]) -> NDArray[np.int64]:
    present = base[:BINS]
    middle = (np.cumsum(present) - 0.5 * present) / max(1, int(present.sum()))
    bins = np.full(len(base), PSI_BINS, np.int64)
    bins[:MISSING] = np.minimum((middle * PSI_BINS).astype(np.int64), PSI_BINS - 1)
    return bins
