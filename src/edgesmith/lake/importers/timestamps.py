"""Find the unit of a column of instants by its size, and turn it into nanoseconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# 2010-01-01 and 2040-01-01, the years an instant of market data can plausibly lie in. Their ranges in milli-, micro- and
# nanoseconds are far apart, so size decides.
PLAUSIBLE_S_MIN = 1_262_304_000
PLAUSIBLE_S_MAX = 2_208_988_800

# Unit -> (units per second, nanoseconds per unit).
_UNITS: dict[str, tuple[int, int]] = {
    "nanoseconds": (1_000_000_000, 1),
    "microseconds": (1_000_000, 1_000),
    "milliseconds": (1_000, 1_000_000),
}


def to_ns(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_], dict[str, int]]:
    """Return `values` in nanoseconds, which of them have a clear unit, and how many had which unit; unclear ones become 0."""
    nanoseconds = np.zeros(len(values), np.int64)
    clear = np.zeros(len(values), np.bool_)
    units: dict[str, int] = {}
    if not len(values):
        return nanoseconds, clear, units
    low, high = int(values.min()), int(values.max())
    for unit, (per_second, factor) in _UNITS.items():
        first, last = PLAUSIBLE_S_MIN * per_second, PLAUSIBLE_S_MAX * per_second
        if low >= first and high < last:
            return values * factor, ~clear, {unit: len(values)}
        fits = (values >= first) & (values < last)
        count = int(fits.sum())
        if count:
            nanoseconds[fits] = values[fits] * factor
            clear |= fits
            units[unit] = count
    return nanoseconds, clear, units


def is_plausible_ns(instant_ns: int) -> bool:
    """Return whether an instant is in nanoseconds of a plausible year."""
    return PLAUSIBLE_S_MIN * 1_000_000_000 <= instant_ns < PLAUSIBLE_S_MAX * 1_000_000_000
