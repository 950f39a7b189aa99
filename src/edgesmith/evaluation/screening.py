"""Sums of conjunctions over all rows, to choose which are worth testing block by block; compiled.

Bins are merged to at most ten for this, the outermost never, so that a pair of features has at most 121 cells; wider tails and
halves are sums of those. One row is eight integers, a count and g of up to seven columns: one wide register, and integers add to
the same bits in any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel, wide_kernel
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.labels import G

MERGED_BINS = 10
# Ten merged bins and the missing value.
SLOTS = MERGED_BINS + 1
COLUMNS_MAX = 7
LANES = 8


def merged(bins: FeatureBins) -> NDArray[np.uint8]:
    """Return the merged bin of each code (256,): the middle ones become two, the same seen from either end; missing is last."""
    table = np.full(256, SLOTS - 1, np.uint8)
    half, kept = (bins.count + 1) // 2, MERGED_BINS // 2
    for code in range(bins.count):
        if bins.count <= MERGED_BINS:
            table[code] = code
        elif code < half:
            table[code] = min(code, kept - 1)
        else:
            table[code] = MERGED_BINS - 1 - min(bins.count - 1 - code, kept - 1)
    return table


# Runs of merged bins a condition may be: each alone, the missing value, tails of two bins to half of all, and two in between.
TAILS = ((0, 1), (0, 2), (0, 3), (0, 4), (3, 4), (5, 6), (5, 9), (6, 9), (7, 9), (8, 9))
INTERVALS = (*((slot, slot) for slot in range(SLOTS)), *TAILS)


def intervals_of(bins: FeatureBins) -> NDArray[np.bool_]:
    """Return which of the INTERVALS a feature has: those that hold some of its bins, but not all, and none twice."""
    count = min(bins.count, MERGED_BINS)
    has = [high < count and (low == high or high - low + 1 < count) for low, high in INTERVALS]
    has[SLOTS - 1] = True
    return np.array(has)


def over_intervals(table: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Sum an axis of merged bins to the INTERVALS."""
    parts = [table.take(range(low, high + 1), axis).sum(axis=axis) for low, high in INTERVALS]
    return np.stack(parts, axis=axis)


def codes_of_interval(bins: FeatureBins, interval: int) -> tuple[int, int]:
    """Return the first and last code of an interval, (255, 255) for the missing value."""
    low, high = INTERVALS[interval]
    if low == SLOTS - 1:
        return MISSING, MISSING
    slots = merged(bins)[: bins.count]
    codes = np.flatnonzero((slots >= low) & (slots <= high))
    assert len(codes), "an interval without bins was chosen"
    return int(codes[0]), int(codes[-1])


@kernel
def merge_codes(codes: NDArray[np.uint8], tables: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Write the merged bins of `codes` (features, rows) into `out`."""
    for f in range(codes.shape[0]):
        for i in range(codes.shape[1]):
            out[f, i] = tables[f, codes[f, i]]


@kernel
def pack_labels(labels: NDArray[np.int64], columns: int, out: NDArray[np.int64]) -> None:
    """Write 1 and g of each column of every row whose labels are all known into `out` (rows, 8); zeros elsewhere."""
    for i in range(labels.shape[0]):
        known = True
        for j in range(columns):
            known &= labels[i, j] == 1
        for q in range(LANES):
            out[i, q] = 0
        if known:
            out[i, 0] = 1
            for j in range(columns):
                out[i, 1 + j] = labels[i, G * columns + j]


@wide_kernel
def add_pairs(
    codes: NDArray[np.uint8], left: NDArray[np.int64], right: NDArray[np.int64], rows: NDArray[np.int64], sums: NDArray[Any]
) -> None:
    """Add every row (rows, 8) to the cell of each pair of features: `sums` (pairs, 121, 8)."""
    slots = np.uint32(SLOTS)
    for p in range(left.shape[0]):
        x, y, t = codes[left[p]], codes[right[p]], sums[p]
        for at in range(rows.shape[0]):
            i = np.uint32(at)
            c = np.uint32(x[i]) * slots + np.uint32(y[i])
            # Eight loads, eight adds, eight stores: one instruction each where the processor is wide enough.
            t_0, t_1, t_2, t_3 = t[c, 0] + rows[i, 0], t[c, 1] + rows[i, 1], t[c, 2] + rows[i, 2], t[c, 3] + rows[i, 3]
            t_4, t_5, t_6, t_7 = t[c, 4] + rows[i, 4], t[c, 5] + rows[i, 5], t[c, 6] + rows[i, 6], t[c, 7] + rows[i, 7]
            t[c, 0], t[c, 1], t[c, 2], t[c, 3] = t_0, t_1, t_2, t_3
            t[c, 4], t[c, 5], t[c, 6], t[c, 7] = t_4, t_5, t_6, t_7


@kernel
def add_refinements(
    codes: NDArray[np.uint8],
    features: NDArray[np.int64],
    slots: NDArray[np.int64],
    rows: NDArray[np.int64],
    sums: NDArray[Any],
) -> None:
    """Add every row inside a pair's cell to the cell's refinement by each feature: `sums` (cells, features, 11, 8).

    Cell c is where the code of each of its two features lies from `slots[c, ., 0]` to `slots[c, ., 1]`.
    """
    for c in range(features.shape[0]):
        x, y = codes[features[c, 0]], codes[features[c, 1]]
        for i in range(rows.shape[0]):
            if slots[c, 0, 0] <= x[i] <= slots[c, 0, 1] and slots[c, 1, 0] <= y[i] <= slots[c, 1, 1]:
                row = rows[i]
                for f in range(codes.shape[0]):
                    cell = sums[c, f, codes[f, i]]
                    for q in range(row.shape[0]):
                        cell[q] += row[q]
