"""A ridge regression from sums of products: fitted in one pass whatever the number of rows, penalty chosen inside the train part.

Features are centered by their train median, scaled by IQR / 1.349 and held to +-8; a missing value counts as the median. The
penalty is the one of `PENALTIES` that forecasts the last quarter of the train rows best when fitted on the rows before it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.evaluation.analysis.moments import SLICE_ROWS
from edgesmith.evaluation.analysis.rows import AnalysisRows
from edgesmith.parallel import map_ordered

Floats = NDArray[np.float64]

HELD_TO = 8.0
PENALTIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
TUNE_RATIO = 0.25


class Ridge(NamedTuple):
    """A fitted model: forecast = intercept + weights . z; `r2_train` is what it explains of the rows it was fitted on."""

    weights: Floats
    intercept: float
    penalty: float
    r2_train: float | None


def scaled(values: NDArray[np.float32], center: float, scale: float) -> NDArray[np.float32]:
    """Return a column as the model sees it."""
    z = np.clip((values - np.float32(center)) / np.float32(scale), -HELD_TO, HELD_TO)
    return np.nan_to_num(z, copy=False, nan=0.0)


def fit_ridge(rows: AnalysisRows, train: slice, purge_rows: int, centers: Floats, scales: Floats) -> Ridge:
    """Fit on the train rows; `purge_rows` are left out between what chooses the penalty and what is fitted for that."""
    border = train.stop - int(TUNE_RATIO * (train.stop - train.start))
    early = _products(rows, slice(train.start, max(train.start, border - purge_rows)), centers, scales)
    gap = _products(rows, slice(max(train.start, border - purge_rows), border), centers, scales)
    late = _products(rows, slice(border, train.stop), centers, scales)
    penalty = min(PENALTIES, key=lambda one: _loss(late, _solve(early, one)))
    whole = early + gap + late
    weights = _solve(whole, penalty)
    n, total, square = (float(value) for value in (whole[-2, -2], whole[-2, -1], whole[-1, -1]))
    spread = square - total * total / n if n else 0.0
    r2 = 1.0 - _loss(whole, weights) / spread if spread > 0.0 else None
    return Ridge(weights[:-1], float(weights[-1]), penalty, r2)


def forecast(model: Ridge, rows: AnalysisRows, part: slice, centers: Floats, scales: Floats) -> NDArray[np.float32]:
    """Return the forecasts (rows of `part`,) in bps."""
    out = np.full(part.stop - part.start, np.float32(model.intercept))
    # Column by column in one order, so that the sum is the same for any number of threads.
    for place, weight in enumerate(model.weights):
        out += np.float32(weight) * scaled(rows.values[place, part], centers[place], scales[place])
    return out


@kernel
def permuted_losses(
    z: NDArray[np.float32],
    weight: float,
    errors: NDArray[np.float32],
    sources: NDArray[np.int64],
    block_rows: int,
    out: NDArray[Any],
) -> None:
    """Add to `out` (blocks,) how much the squared error grows when blocks take the feature's values of other blocks.

    `errors` are label - forecast, NaN where the label is missing; `sources` (repeats, blocks) names the block taken from.
    """
    for repeat in range(sources.shape[0]):
        for block in range(out.shape[0]):
            here, there = block * block_rows, sources[repeat, block] * block_rows
            grown = 0.0
            for k in range(block_rows):
                error = float(errors[here + k])
                if not np.isnan(error):
                    change = weight * (float(z[there + k]) - float(z[here + k]))
                    grown += change * change - 2.0 * error * change
            out[block] += grown


def _products(rows: AnalysisRows, part: slice, centers: Floats, scales: Floats) -> Floats:
    # Sums of products of (features, 1, label), over rows with a label.
    width = len(rows.columns)
    slices = [slice(begin, min(begin + SLICE_ROWS, part.stop)) for begin in range(part.start, part.stop, SLICE_ROWS)]

    def one(at: slice) -> Floats:
        z = np.empty((width + 2, at.stop - at.start))
        z[:width] = (rows.values[:, at] - centers[:width, None]) / scales[:width, None]
        np.nan_to_num(np.clip(z[:width], -HELD_TO, HELD_TO, out=z[:width]), copy=False, nan=0.0)
        z[width], z[width + 1] = 1.0, rows.label[at]
        z = z[:, np.isfinite(z[-1])]
        return np.asarray(z @ z.T)

    total = np.zeros((width + 2, width + 2))
    for found in map_ordered(one, slices, workers=None, mode="threads"):
        total += found
    return total


def _solve(products: Floats, penalty: float) -> Floats:
    # The intercept is not penalized; a feature is penalized in proportion to its variance, so scale does not matter.
    n = products[-2, -2]
    if n == 0:
        return np.zeros(len(products) - 1)
    system = products[:-1, :-1] / n
    variance = np.diag(system)[:-1] - system[-1, :-1] ** 2
    penalties = np.append(np.where(variance > 1e-12, penalty * variance, 1.0), 0.0)
    return np.asarray(np.linalg.solve(system + np.diag(penalties), products[:-1, -1] / n))


def _loss(products: Floats, weights: Floats) -> float:
    full = np.append(-weights, 1.0)
    return float(full @ products @ full)
