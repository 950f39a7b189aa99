"""Slow and obvious twins of what an analysis of features computes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def psi(base: np.ndarray, other: np.ndarray, cuts: np.ndarray, least: float = 1e-4) -> float:
    """Bins between `cuts`, a bin for missing values, shares of at least `least`."""
    shares = []
    for values in (base, other):
        counts = [int(np.isnan(values).sum())]
        edges = [-np.inf, *cuts, np.inf]
        counts += [int(((values >= low) & (values < high)).sum()) for low, high in pairwise(edges)]
        shares.append([max(count / len(values), least) for count in counts])
    return sum((b - a) * np.log(b / a) for a, b in zip(*shares, strict=True))


def permuted_loss(z: np.ndarray, weight: float, errors: np.ndarray, sources: np.ndarray, block_rows: int) -> np.ndarray:
    """Forecast again with the blocks of `z` exchanged, and see how much each block's squared error grew."""
    grown = np.zeros(sources.shape[1])
    for source in sources:
        for block, origin in enumerate(source):
            for k in range(block_rows):
                row, taken = block * block_rows + k, origin * block_rows + k
                error = errors[row] - weight * (z[taken] - z[row])
                if not np.isnan(error):
                    grown[block] += error**2 - errors[row] ** 2
    return grown


def autocorrelation(values: np.ndarray, ts_ns: np.ndarray, mean: float, lag_ns: int) -> float:
    at = {int(instant): value for instant, value in zip(ts_ns, values, strict=True) if not np.isnan(value)}
    pairs = [(value - mean, at[instant + lag_ns] - mean) for instant, value in at.items() if instant + lag_ns in at]
    first, later = np.array(pairs).T
    return float((first * later).sum() / np.sqrt((first**2).sum() * (later**2).sum()))


def jackknife_error(x: np.ndarray, y: np.ndarray, blocks: np.ndarray) -> float:
    """Leave out one block at a time."""
    names = np.unique(blocks)
    left = np.array([np.corrcoef(x[blocks != name], y[blocks != name])[0, 1] for name in names])
    return float(np.sqrt((len(names) - 1) / len(names) * ((left - left.mean()) ** 2).sum()))
