"""Values as ranks: each column is cut into at most 255 quantile bins once; ranks are then read off one byte per value; compiled.

The cut points come from an even sample of at most 131,072 train rows. A column with at most 255 distinct values there is cut
between them, and its ranks are exact. Otherwise two values less than 0.4 % of the rows apart may share a rank: a rank
correlation then differs from the exact one by less than 0.001 (`tests/unit/test_analysis_correlation.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel

CODES = 256
MISSING = CODES - 1
BINS = CODES - 1
SAMPLE_ROWS_MAX = 1 << 17


def even_sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return every k-th value in ascending order, missing ones left out."""
    thinned = values[:: -(-len(values) // SAMPLE_ROWS_MAX) or 1]
    return np.sort(thinned[np.isfinite(thinned)])


def levels_of(ordered: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distinct values of an ascending sample."""
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


def cuts_of(ordered: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cut points (255,) of an ascending sample: bin k holds `cuts[k-1] <= x < cuts[k]`; infinite where unused."""
    cuts = np.full(BINS, np.inf, np.float32)
    levels = levels_of(ordered)
    if len(levels) > BINS:
        levels = np.concatenate([levels[:1], np.unique(ordered[np.arange(1, BINS) * len(ordered) // BINS])])
    cuts[: max(0, len(levels) - 1)] = levels[1:]
    return cuts


@kernel
def encode(values: NDArray[np.float32], cuts: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Write the bin of each value, found in eight halvings; `MISSING` for NaN."""
    for i in range(values.shape[0]):
        x = values[i]
        if np.isnan(x):
            out[i] = 255
            continue
        at = 0
        step = 128
        while step > 0:
            if at + step <= 255 and x >= cuts[at + step - 1]:
                at += step
            step >>= 1
        # The last cut point is infinite, so no value gets the code of missing ones.
        out[i] = at


@kernel
def count_codes(
    codes: NDArray[np.uint8],
    starts: NDArray[np.int64],
    parts: NDArray[np.int64],
    periods: NDArray[np.int64],
    regimes: NDArray[np.uint8],
    by_part: NDArray[Any],
    by_period: NDArray[Any],
    by_regime: NDArray[Any],
) -> None:
    """Add how often each code occurs to (parts, 256), (periods, 256) and (regimes, 256), in one pass over the segments."""
    for s in range(parts.shape[0]):
        in_part = by_part[parts[s]]
        in_period = by_period[periods[s]]
        for i in range(starts[s], starts[s + 1]):
            in_part[codes[i]] += 1
            in_period[codes[i]] += 1
            by_regime[regimes[i], codes[i]] += 1


def rank_table(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the average rank of each code as a fraction in (-0.5, 0.5), from how often codes occur; NaN for missing."""
    table = np.full(CODES, np.nan, np.float32)
    present = counts[:BINS]
    total = int(present.sum())
    if total:
        table[:BINS] = (np.cumsum(present) - 0.5 * present) / total - 0.5
    return table


def average_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return exact average ranks, ties sharing theirs, as fractions in (-0.5, 0.5); no missing values."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(begins[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((begins + ends) / 2.0, ends - begins)
    return ranks / len(values) - 0.5
