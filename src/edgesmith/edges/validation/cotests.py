"""The same effect measured in other ways: not further trials, but all must point to the side of the edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.validation.sums import EdgeSums
from edgesmith.evaluation.labels import GG, G, N

Floats = NDArray[np.float64]

# The share of results at either end that is moved to its edge.
WINSORIZED_RATIO = 0.005


def winsorized_bps(net_bps: Floats) -> float | None:
    """Return the mean of the results with the largest and smallest of them moved to the next; None without any."""
    if not len(net_bps):
        return None
    ordered = np.sort(net_bps)
    cut = int(np.ceil(WINSORIZED_RATIO * len(ordered))) if len(ordered) > 2 else 0
    low, high = ordered[cut], ordered[-1 - cut]
    return float(np.clip(ordered, low, high).mean())


def per_volatility(sums: EdgeSums, column: int, side: int) -> float | None:
    """Return the mean move to `side` in units of the volatility of its block, over all rows of the trigger; None without any."""
    with np.errstate(divide="ignore", invalid="ignore"):
        volatility = np.sqrt(sums.total[:, column, GG] / sums.total[:, column, N])
    known = np.isfinite(volatility) & (volatility > 0.0)
    rows = float(sums.cell[known, column, N].sum())
    return side * float((sums.cell[known, column, G] / volatility[known]).sum()) / rows if rows else None
