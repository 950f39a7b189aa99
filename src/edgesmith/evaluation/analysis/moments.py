"""Correlation from sums: second moments of two columns by block, or of all pairs of columns at once; compiled where it loops.

Pairwise complete: a pair counts the rows in which both values are present.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.parallel import map_ordered

Floats = NDArray[np.float64]

# n, sum x, sum y, sum x^2, sum y^2, sum x y
PAIR_MOMENTS = 6
# A slice of 48 columns is 6 MB and stays near the processor.
SLICE_ROWS = 16_384


@kernel
def pair_moments(
    x: NDArray[np.float32],
    x_center: float,
    x_scale: float,
    y: NDArray[np.float32],
    y_center: float,
    y_scale: float,
    starts: NDArray[np.int64],
    regimes: NDArray[np.uint8],
    out: NDArray[Any],
) -> None:
    """Add the moments of the scaled pair to `out` (segments, regimes, 6)."""
    for s in range(out.shape[0]):
        for i in range(starts[s], starts[s + 1]):
            u = (float(x[i]) - x_center) / x_scale
            v = (float(y[i]) - y_center) / y_scale
            if np.isnan(u) or np.isnan(v):
                continue
            cell = out[s, regimes[i]]
            cell[0] += 1.0
            cell[1] += u
            cell[2] += v
            cell[3] += u * u
            cell[4] += v * v
            cell[5] += u * v


def correlation_of(moments: Floats) -> Floats:
    """Return Pearson's correlation from moments (..., 6); NaN where one side does not vary."""
    n, x, y, xx, yy, xy = np.moveaxis(moments, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = xy / n - (x / n) * (y / n)
        variance_x, variance_y = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2
        # What rounding leaves of the variance of a constant is not a variance.
        varies = (variance_x > 1e-12 * xx / n) & (variance_y > 1e-12 * yy / n)
        found = np.where(varies, covariance / np.sqrt(variance_x * variance_y), np.nan)
    return np.asarray(np.clip(found, -1.0, 1.0))


class PairInfluence(NamedTuple):
    """A correlation, what each block contributes to its error (blocks,), and the same with a correlation of 0 imposed."""

    r: float
    rows: int
    psi: Floats
    psi_null: Floats


def influence_of(moments: Floats) -> PairInfluence:
    """Return the influence of each block on a correlation, from moments (blocks, 6).

    psi_b = sum over the block of (u v - r (u^2 + v^2) / 2) / n for standardized u, v; sum psi_b = 0.
    """
    total = moments.sum(axis=0)
    r = float(correlation_of(total))
    rows = int(total[0])
    if not np.isfinite(r):
        return PairInfluence(r, rows, np.zeros(len(moments)), np.zeros(len(moments)))
    n, x, y, xx, yy, xy = moments.T
    mean_x, mean_y = total[1] / rows, total[2] / rows
    variance_x, variance_y = total[3] / rows - mean_x**2, total[4] / rows - mean_y**2
    cross = (xy - mean_x * y - mean_y * x + n * mean_x * mean_y) / np.sqrt(variance_x * variance_y) / rows
    square_x = (xx - 2 * mean_x * x + n * mean_x**2) / variance_x / rows
    square_y = (yy - 2 * mean_y * y + n * mean_y**2) / variance_y / rows
    return PairInfluence(r, rows, cross - r * (square_x + square_y) / 2.0, cross)


def correlation_matrix(width: int, rows: int, read: Callable[[slice], Floats], slice_rows: int = SLICE_ROWS) -> Floats:
    """Return the correlation of all pairs of columns (width, width).

    `read` gives the columns of a slice of rows, (width, rows) float64, NaN where missing, centered and scaled roughly.
    """
    slices = [slice(begin, min(begin + slice_rows, rows)) for begin in range(0, rows, slice_rows)]
    total = np.zeros((4, width, width))
    for part in map_ordered(lambda at: _slice_moments(read(at)), slices, workers=None, mode="threads"):
        total += part
    n, x, xx, xy = total
    return correlation_of(np.stack([n, x, x.T, xx, xx.T, xy], axis=-1))


def _slice_moments(z: Floats) -> Floats:
    # n, sum x_i, sum x_i^2 and sum x_i x_j over the rows where both i and j are present.
    present = np.isfinite(z)
    shape = (len(z), len(z))
    if present.all():
        sums, squares = z.sum(axis=1)[:, None], np.einsum("ij,ij->i", z, z)[:, None]
        return np.stack(
            [np.full(shape, float(z.shape[1])), np.broadcast_to(sums, shape), np.broadcast_to(squares, shape), z @ z.T]
        )
    mask = present.astype(np.float64)
    filled = np.where(present, z, 0.0)
    return np.stack([mask @ mask.T, filled @ mask.T, (filled * filled) @ mask.T, filled @ filled.T])
