"""The sign-flip tests with loops."""

from __future__ import annotations

import numpy as np


def excess_psi(n: np.ndarray, s: np.ndarray, n_all: np.ndarray, s_all: np.ndarray) -> np.ndarray:
    """Return psi_g of one cell from its counts and sums per block."""
    pooled = s_all.sum() / n_all.sum()
    n_cell, n_rest = n.sum(), (n_all - n).sum()
    return np.array(
        [(s[g] - pooled * n[g]) / n_cell - ((s_all[g] - s[g]) - pooled * (n_all[g] - n[g])) / n_rest for g in range(len(n))]
    )


def step_down(strength: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    """Return step-down max-T p-values by definition: the r-th strongest cell against the maximum over itself and all weaker."""
    order = sorted(range(len(strength)), key=lambda cell: (-strength[cell], cell))
    p = np.empty(len(strength))
    worst = 0.0
    for rank, cell in enumerate(order):
        beaten = sum(max(row[other] for other in order[rank:]) >= strength[cell] for row in flipped)
        worst = max(worst, (1 + beaten) / (len(flipped) + 1))
        p[cell] = worst
    return p
