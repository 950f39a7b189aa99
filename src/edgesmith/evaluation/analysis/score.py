"""The alpha score: 0.4 importance + 0.3 abs(label correlation) + 0.3 stability, each divided by the largest in the set.

A term is 0 for all where no feature has any. What is negative (a feature that harms out of sample) counts as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.feature_report import FeatureScore, Importance, LabelCorrelation, Stability

IMPORTANCE_WEIGHT, CORRELATION_WEIGHT, STABILITY_WEIGHT = 0.4, 0.3, 0.3
DIGITS = 9


def alpha_scores(
    specs: Mapping[str, tuple[str, dict[str, float]]],
    importances: Sequence[Importance],
    correlations: Sequence[LabelCorrelation],
    stabilities: Sequence[Stability],
    centers: NDArray[np.float64],
    scales: NDArray[np.float64],
) -> tuple[FeatureScore, ...]:
    """Score every feature and rank them by alpha, ties by name; `specs` gives feature and parameters of each column."""
    terms = [
        normalized([one.mean for one in importances]),
        normalized([abs(one.spearman or 0.0) for one in correlations]),
        normalized([one.stability for one in stabilities]),
    ]
    scores = []
    for place, (importance, correlation, stability) in enumerate(zip(importances, correlations, stabilities, strict=True)):
        shares = [round(float(term[place]), DIGITS) for term in terms]
        r = correlation.spearman or 0.0
        feature, params = specs[correlation.column]
        scores.append(
            FeatureScore(
                column=correlation.column,
                feature=feature,
                params=params,
                importance=importance.mean,
                label_correlation=r,
                correlation_low=correlation.low,
                correlation_high=correlation.high,
                stability=stability.stability,
                importance_term=shares[0],
                correlation_term=shares[1],
                stability_term=shares[2],
                alpha=round(
                    IMPORTANCE_WEIGHT * shares[0] + CORRELATION_WEIGHT * shares[1] + STABILITY_WEIGHT * shares[2], DIGITS
                ),
                median=float(centers[place]),
                scale=float(scales[place]),
                direction=int(np.sign(r)),
                verdict=correlation.verdict,
            )
        )
    return tuple(sorted(scores, key=lambda score: (-score.alpha, score.column)))


def normalized(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the values divided by the largest, negative ones as 0; all 0 where none is positive."""
    held = np.maximum(np.array(values, np.float64), 0.0)
    largest = float(held.max()) if len(held) else 0.0
    return np.asarray(held / largest) if largest > 0.0 else np.zeros(len(held))
