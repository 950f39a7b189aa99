"""Count, mean and t of the next move in every cell of every pair of binned features: a bare loop, polars and pandas.

All get the bins and the moves as arrays. The loop adds one row of eight numbers at a time, in blocks that stay in the cache; it
is what a histogram of all pairs costs at least. Groups of the data frames are timed on some of the pairs and scaled to all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numba
import numpy as np
from numba import njit, prange
from numba.core import config
from numpy.typing import NDArray

from benchmarks.coded_days import PAIR_BINS, bins_and_moves
from edgesmith.clock import monotonic_s

BLOCK_ROWS = 4_096
THREADS = 2
TABLES = 2


def prepare_loop(rows: int, features: int) -> Callable[[], dict[str, Any]]:
    """Return one scan of all pairs by the compiled loop."""
    config.SLP_VECTORIZE = 1
    numba.set_num_threads(THREADS)
    codes, moves = bins_and_moves(rows, features)
    left, right = (np.array(side, np.int64) for side in zip(*combinations(range(features), 2), strict=True))

    def run() -> dict[str, Any]:
        tables = np.zeros((len(left), TABLES, PAIR_BINS * PAIR_BINS, 8))
        _scan(codes, _packed(moves), left, right, tables)
        count, mean, _ = _statistics(tables.sum(axis=1))
        return {"rows_in_cells": int(count.sum()), "mean_of_means": float(np.nanmean(mean))}

    run()
    return run


def prepare_frame(library: str, rows: int, features: int, pairs: int) -> Callable[[], dict[str, Any]]:
    """Return one scan of `pairs` of the pairs, spread evenly, by groups of a data frame; its time is scaled to all pairs."""
    codes, moves = bins_and_moves(rows, features)
    columns = {f"f{at}": one for at, one in enumerate(codes)} | {f"r{at}": one for at, one in enumerate(moves)}
    known = list(combinations(range(features), 2))
    chosen = known[:: len(known) // pairs][:pairs]
    group = _polars(columns) if library == "polars" else _pandas(columns)
    group("f0", "f1")

    def run() -> dict[str, Any]:
        start_s = monotonic_s()
        in_cells = sum(group(f"f{a}", f"f{b}") for a, b in chosen)
        scale = len(known) / len(chosen)
        return {"seconds": (monotonic_s() - start_s) * scale, "rows_in_cells": int(in_cells * scale), "pairs_timed": len(chosen)}

    return run


def _polars(columns: dict[str, NDArray[Any]]) -> Callable[[str, str], int]:
    import polars as pl

    frame = pl.DataFrame(columns)
    moves = [pl.col(name) for name in columns if name.startswith("r")]
    statistics = [one.mean().name.suffix("_mean") for one in moves]
    statistics += [(one.mean() / (one.std() / pl.len().sqrt())).name.suffix("_t") for one in moves]

    def group(a: str, b: str) -> int:
        found = frame.lazy().group_by(a, b).agg(pl.len().alias("n"), *statistics).sort(a, b).collect()
        return int(found["n"].sum())

    return group


def _pandas(columns: dict[str, NDArray[Any]]) -> Callable[[str, str], int]:
    import pandas as pd

    frame = pd.DataFrame(columns)
    moves = [name for name in columns if name.startswith("r")]

    def group(a: str, b: str) -> int:
        groups = frame.groupby([a, b], sort=True)[moves]
        count, mean, deviation = groups.count(), groups.mean(), groups.std()
        assert len(mean / (deviation / count**0.5)) == len(count)
        return int(count[moves[0]].sum())

    return group


def _statistics(table: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    count, total, squares = table[..., :1], table[..., 1:4], table[..., 4:7]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        yield from (count, mean, mean / np.sqrt((squares - count * mean * mean) / (count - 1) / count))


@njit(nogil=True)
def _packed(moves):  # type: ignore[no-untyped-def]
    rows = np.zeros((moves.shape[1], 8))
    for i in range(moves.shape[1]):
        rows[i, 0] = 1.0
        for h in range(3):
            rows[i, 1 + h] = moves[h, i]
            rows[i, 4 + h] = moves[h, i] * moves[h, i]
    return rows


@njit(inline="always")
def _added(table, cell, rows, i):  # type: ignore[no-untyped-def]
    t_0, t_1, t_2, t_3 = table[cell, 0], table[cell, 1], table[cell, 2], table[cell, 3]
    t_4, t_5, t_6, t_7 = table[cell, 4], table[cell, 5], table[cell, 6], table[cell, 7]
    table[cell, 0], table[cell, 1] = t_0 + rows[i, 0], t_1 + rows[i, 1]
    table[cell, 2], table[cell, 3] = t_2 + rows[i, 2], t_3 + rows[i, 3]
    table[cell, 4], table[cell, 5] = t_4 + rows[i, 4], t_5 + rows[i, 5]
    table[cell, 6], table[cell, 7] = t_6 + rows[i, 6], t_7 + rows[i, 7]


@njit(parallel=True, nogil=True)
def _scan(codes, rows, left, right, tables):  # type: ignore[no-untyped-def]
    one, width = np.uint32(1), np.uint32(PAIR_BINS)
    for thread in prange(THREADS):
        for low in range(0, rows.shape[0], BLOCK_ROWS):
            high = min(low + BLOCK_ROWS, rows.shape[0])
            for pair in range(thread, left.shape[0], THREADS):
                x, y, even, odd = codes[left[pair]], codes[right[pair]], tables[pair, 0], tables[pair, 1]
                # Two tables, so that a run of equal cells does not wait on itself.
                for half in range((high - low) // 2):
                    i = np.uint32(low + 2 * half)
                    _added(even, np.uint32(x[i]) * width + np.uint32(y[i]), rows, i)
                    _added(odd, np.uint32(x[i + one]) * width + np.uint32(y[i + one]), rows, i + one)
                if (high - low) % 2:
                    i = np.uint32(high - 1)
                    _added(even, np.uint32(x[i]) * width + np.uint32(y[i]), rows, i)
