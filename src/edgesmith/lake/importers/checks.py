"""Find the wrong rows of a batch of columns, and why each is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, Any]

# The code of a fault is its place here; 0 is a sound row. A row with several faults is counted under the first found.
FAULTS = (
    "",
    "unit_unclear",
    "off_day",
    "not_finite",
    "non_positive",
    "crossed_quote",
    "side_unclear",
    "non_monotone_id",
    "duplicate",
)
UNIT_UNCLEAR, OFF_DAY, NOT_FINITE, NON_POSITIVE, CROSSED_QUOTE, SIDE_UNCLEAR, NON_MONOTONE_ID, DUPLICATE = range(1, len(FAULTS))

# What an importer writes where a word is not a side.
INVALID_SIDE = 2

_POSITIVE = ("bid_price", "bid_qty", "ask_price", "ask_qty", "price", "qty", "mark_price", "index_price")
# Absent values of these are NaN.
_OPTIONAL = frozenset({"mark_price", "index_price", "funding_rate", "open_interest"})


def find_faults(columns: Columns, required: tuple[str, ...], faults: NDArray[np.uint8]) -> None:
    """Write the fault of every row that has none yet: numbers that are missing or impossible, and crossed quotes."""
    for name in (*_POSITIVE, "funding_rate", "open_interest"):
        if name not in columns:
            continue
        values = columns[name]
        wrong = np.isinf(values) if name in _OPTIONAL and name not in required else ~np.isfinite(values)
        mark(faults, wrong, NOT_FINITE)
        if name in _POSITIVE:
            mark(faults, values <= 0.0, NON_POSITIVE)
        elif name == "open_interest":
            mark(faults, values < 0.0, NON_POSITIVE)
    if "side" in columns:
        mark(faults, np.abs(columns["side"]) > 1, SIDE_UNCLEAR)
    if "bid_price" in columns:
        mark(faults, columns["bid_price"] >= columns["ask_price"], CROSSED_QUOTE)


def mark(faults: NDArray[np.uint8], wrong: NDArray[np.bool_], fault: int) -> None:
    """Give `fault` to the wrong rows that have none yet."""
    if wrong.any():
        faults[wrong & (faults == 0)] = fault


def late_ids(ids: NDArray[np.int64], reached: int) -> NDArray[np.bool_]:
    """Return which ids are not above everything before them, of which `reached` is the highest of earlier batches."""
    before = np.empty(len(ids), np.int64)
    before[:1] = reached
    np.maximum.accumulate(ids[:-1], out=before[1:])
    np.maximum(before, reached, out=before)
    return ids <= before


def repeats(columns: Columns, where: NDArray[np.int64], held: Columns) -> NDArray[np.bool_]:
    """Return which rows at `where` are equal to the row of `held` (ids rising) with the same id, but for the receive time."""
    ids = columns["id"][where]
    if not len(held["id"]):
        return np.zeros(len(where), np.bool_)
    at = np.minimum(np.searchsorted(held["id"], ids), len(held["id"]) - 1)
    same = held["id"][at] == ids
    for name, column in columns.items():
        if name not in ("id", "ts_recv", "trade_id"):
            same &= column[where] == held[name][at]
    return same
