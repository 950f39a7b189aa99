"""Moments, outliers and autocorrelation of one column; compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
OUTLIER_IQR = 1.5
# IQR of a normal distribution in standard deviations.
NORMAL_IQR = 1.349


class Described(NamedTuple):
    """Figures of the present values of a column; None where there are none, or where it never varied."""

    rows: int
    mean: float | None
    sd: float | None
    skewness: float | None
    excess_kurtosis: float | None
    minimum: float | None
    maximum: float | None
    outlier_ratio: float | None


@kernel
def power_sums(values: NDArray[np.float32], center: float, scale: float, low: float, high: float, out: NDArray[Any]) -> None:
    """Write n, sums of powers 1 to 4 of (x - center) / scale, minimum, maximum, and values outside `low` to `high`."""
    n, first, second, third, fourth, outside = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    smallest, largest = np.inf, -np.inf
    for i in range(values.shape[0]):
        x = float(values[i])
        if np.isnan(x):
            continue
        z = (x - center) / scale
        n += 1.0
        first += z
        second += z * z
        third += z * z * z
        fourth += z * z * z * z
        smallest = min(smallest, x)
        largest = max(largest, x)
        if x < low or x > high:
            outside += 1.0
    out[0], out[1], out[2], out[3], out[4] = n, first, second, third, fourth
    out[5], out[6], out[7] = smallest, largest, outside


@kernel
def lagged_products(
    values: NDArray[np.float32], center: float, ts_ns: NDArray[np.int64], lag: int, lag_ns: int, out: NDArray[Any]
) -> None:
    """Write how many pairs of rows lie exactly `lag_ns` apart, the sum of their products, and those of the squares of each."""
    n, product, square, later = 0.0, 0.0, 0.0, 0.0
    for i in range(values.shape[0] - lag):
        x, y = float(values[i]) - center, float(values[i + lag]) - center
        if ts_ns[i + lag] - ts_ns[i] != lag_ns or np.isnan(x) or np.isnan(y):
            continue
        n += 1.0
        product += x * y
        square += x * x
        later += y * y
    out[0], out[1], out[2], out[3] = n, product, square, later


def center_and_scale(ordered: NDArray[np.float32]) -> tuple[float, float]:
    """Return median and IQR / 1.349 of an ascending sample; where the quartiles meet, its standard deviation, else 1."""
    if not len(ordered):
        return 0.0, 1.0
    low, middle, high = (float(value) for value in np.quantile(ordered, (0.25, 0.5, 0.75)))
    spread = (high - low) / NORMAL_IQR or float(ordered.std(dtype=np.float64))
    return middle, spread if spread > 0.0 else 1.0


def describe(values: NDArray[np.float32], ordered: NDArray[np.float32]) -> Described:
    """Describe a column; `ordered` is an ascending sample of it, from which the quartiles come."""
    center, scale = center_and_scale(ordered)
    low, high = (float(value) for value in np.quantile(ordered, (0.25, 0.75))) if len(ordered) else (0.0, 0.0)
    fence, sums = OUTLIER_IQR * (high - low), np.zeros(8)
    power_sums(values, center, scale, low - fence, high + fence, sums)
    n = sums[0]
    if n == 0:
        return Described(0, None, None, None, None, None, None, None)
    m1, m2, m3, m4 = sums[1:5] / n
    variance = m2 - m1 * m1
    edges = (float(sums[5]), float(sums[6]))
    if edges[0] == edges[1] or variance <= 0.0:
        return Described(int(n), float(center + scale * m1), 0.0, None, None, *edges, 0.0)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    sd = float(scale * variance**0.5)
    shape = (float(third / variance**1.5), float(fourth / variance**2 - 3.0))
    return Described(int(n), float(center + scale * m1), sd, *shape, *edges, float(sums[7] / n))


def autocorrelation(values: NDArray[np.float32], ts_ns: NDArray[np.int64], center: float, lag: int, lag_ns: int) -> float | None:
    """Return the correlation of a column with itself `lag` rows later, over rows exactly `lag_ns` apart."""
    sums = np.zeros(4)
    lagged_products(values, center, ts_ns, lag, lag_ns, sums)
    n, product, square, later = (float(value) for value in sums)
    return product / (square * later) ** 0.5 if n > 1 and square > 0 and later > 0 else None
