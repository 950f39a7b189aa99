"""Find the decimal step prices or quantities move in."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

# No venue quotes finer; beyond it the digits are rounding.
DECIMALS_MAX = 12

_SAMPLE_ROWS = 1_024


def decimal_step(columns: Iterable[NDArray[np.float64]]) -> str | None:
    """Return the smallest decimal step all values lie on, such as `0.1`; None where there is none of `DECIMALS_MAX` places."""
    arrays = list(columns)
    places = 0
    # A sample settles the places nearly always, so that the full columns are passed over once.
    for each in [array[:_SAMPLE_ROWS] for array in arrays] + arrays:
        while not _on_grid(each, places):
            places += 1
            if places > DECIMALS_MAX:
                return None
    return format(Decimal(1).scaleb(-places), "f")


def _on_grid(values: NDArray[np.float64], places: int) -> bool:
    steps = values * 10.0**places
    # Scaling rounds twice, each time by at most half a unit in the last place.
    tolerance = 1e-9 + np.abs(steps) * 4 * np.finfo(np.float64).eps
    return bool(np.all(np.abs(steps - np.rint(steps)) <= tolerance))
