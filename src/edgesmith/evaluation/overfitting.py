"""Does choosing the best of many carry over: the probability of backtest overfitting by combinatorially symmetric splits.

The blocks are cut into S parts; every half of the parts is once the past and the other half the future. In each split the best
of the past is looked up in the future; PBO is how often it lands in the lower half there (Bailey, Borwein, Lopez de Prado,
Zhu 2017). Sums and sums of squares of the parts are all it needs, so 12,870 splits are one matrix product.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError

Floats = NDArray[np.float64]

PARTS = 16
SPLITS_PER_CHUNK = 1_024


class Overfitting(NamedTuple):
    """Outcome over all splits.

    `pbo` in 0..1; `logits` (splits,) of the future rank of the past's best; `loss_ratio` how often that best loses money in the
    future; `slope` of future on past performance of the chosen: near 1 carries over, 0 or below does not.
    """

    pbo: float
    logits: Floats
    loss_ratio: float
    slope: float


def overfitting(results: Floats, parts: int = PARTS) -> Overfitting:
    """Return how much choosing by past Sharpe ratio overfits.

    Parameters
    ----------
    results : float64 (blocks, trials), finite
        Net result of each trial in each block.
    parts : even, at least 2 blocks each

    Notes
    -----
    Ranks of equal performances are averaged. A trial that never varies has a Sharpe ratio of 0.
    """
    blocks, trials = results.shape
    if parts < 2 or parts % 2 or blocks < 2 * parts:
        raise InputError(
            f"there were {blocks} blocks for {parts} parts, expected an even number of parts with at least 2 blocks each"
        )
    if trials < 2:
        raise InputError(f"there were {trials} trials, expected at least 2 to choose from")
    if not np.isfinite(results).all():
        raise InputError("results hold values that are not finite numbers, expected one number per block and trial")
    part = np.arange(blocks) * parts // blocks
    member = (part == np.arange(parts)[:, None]).astype(np.float64)
    counts, sums, squares = member.sum(axis=1), member @ results, member @ results**2
    chosen = np.array(list(combinations(range(parts), parts // 2)))
    logits, past, future = np.empty(len(chosen)), np.empty(len(chosen)), np.empty(len(chosen))
    for begin in range(0, len(chosen), SPLITS_PER_CHUNK):
        rows = slice(begin, min(begin + SPLITS_PER_CHUNK, len(chosen)))
        inside = np.zeros((rows.stop - begin, parts))
        np.put_along_axis(inside, chosen[rows], 1.0, axis=1)
        before = _sharpe(inside, counts, sums, squares)
        after = _sharpe(1.0 - inside, counts, sums, squares)
        best = before.argmax(axis=1)[:, None]
        past[rows] = np.take_along_axis(before, best, axis=1)[:, 0]
        of_best = np.take_along_axis(after, best, axis=1)
        future[rows] = of_best[:, 0]
        rank = (after < of_best).sum(axis=1) + ((after == of_best).sum(axis=1) + 1) / 2.0
        relative = rank / (trials + 1)
        logits[rows] = np.log(relative / (1.0 - relative))
    variance = past.var()
    slope = float(((past - past.mean()) * (future - future.mean())).mean() / variance) if variance > 0 else 0.0
    return Overfitting(float((logits <= 0).mean()), logits, float((future < 0).mean()), slope)


def _sharpe(chosen: Floats, counts: Floats, sums: Floats, squares: Floats) -> Floats:
    n = (chosen @ counts)[:, None]
    mean = chosen @ sums / n
    variance = np.maximum((chosen @ squares - n * mean**2) / (n - 1), 0.0)
    # What is left of a variance after cancellation is noise below this share of the mean square.
    varies = variance > 1e-12 * np.maximum(chosen @ squares / n, 1e-300)
    return np.where(varies, mean / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
