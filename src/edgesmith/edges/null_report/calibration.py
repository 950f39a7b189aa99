"""Are p-values what they say: shares below a level, distance from uniform, quantiles against quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.null_report.result import KS_FACTOR, MethodRow, QuantileCurve

Floats = NDArray[np.float64]

# Levels per factor of ten, and the least share of a placebo's cells that a quantile may rest on.
LEVELS_PER_DECADE = 8
CELLS_BEYOND = 5
BAND = (0.05, 0.95)


def ks_distance(p: Floats) -> float:
    """Return the largest distance of the distribution of `p` from that of uniform values."""
    ordered = np.sort(p)
    ranks = np.arange(1, len(p) + 1) / len(p)
    return float(np.maximum(np.abs(ranks - ordered), np.abs(ordered - ranks + 1.0 / len(p))).max())


def share_below(p: Floats, level: float) -> float | None:
    """Return the share of `p` at or below a level; None of none."""
    return float((p <= level).mean()) if len(p) else None


def method_row(method: str, p: Sequence[float | None], any_found: int | None) -> MethodRow | None:
    """Return how one method's p-values are spread; None where it has none."""
    known = np.array([one for one in p if one is not None])
    if not len(known):
        return None
    return MethodRow(
        method=method,
        p_values=len(known),
        share_5=float((known <= 0.05).mean()),
        share_1=float((known <= 0.01).mean()),
        ks=ks_distance(known),
        ks_bar=KS_FACTOR / math.sqrt(len(known)),
        any_found=any_found,
    )


def quantile_curve(kind: str, of_placebos: Sequence[Floats]) -> QuantileCurve | None:
    """Return the quantiles of all p-values of the placebos of a kind, and the band of single placebos."""
    tested = [p for p in of_placebos if len(p)]
    if not tested:
        return None
    decades = math.log10(max(10.0, min(len(p) for p in tested) / CELLS_BEYOND))
    levels = 10.0 ** -(np.arange(int(decades * LEVELS_PER_DECADE) + 1) / LEVELS_PER_DECADE)
    single = np.array([np.quantile(p, levels) for p in tested])
    low, high = np.quantile(single, BAND, axis=0)
    return QuantileCurve(
        kind=kind,
        level=tuple(map(float, levels)),
        p=tuple(map(float, np.quantile(np.concatenate(tested), levels))),
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
    )
