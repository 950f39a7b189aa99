"""LabelDistribution: what is to be predicted, how its classes are balanced, and how long it remembers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis.coded import Coded
from edgesmith.evaluation.analysis.codes import even_sample
from edgesmith.evaluation.analysis.config import AnalysisConfig
from edgesmith.evaluation.analysis.describe import QUANTILES, autocorrelation, describe
from edgesmith.evaluation.feature_report import LabelSection
from edgesmith.parallel import map_ordered

DIGITS = 9
# Lags in horizons: labels closer than one share part of their future, so only what lies beyond is memory of the market.
LAG_HORIZONS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
BALANCES = ((1.2, "balanced"), (2.0, "slightly imbalanced"), (5.0, "imbalanced"))
# Half the L1 distance of class shares to those of the train rows.
DRIFTS = ((0.2, "steady"), (0.3, "drifts"))
# Mean of a standard normal above its 90 % quantile.
TOP_DECILE_MEAN = 1.755


def label_distribution(coded: Coded, config: AnalysisConfig) -> LabelSection:
    """Describe the label over all rows; drift is against the train rows."""
    rows = coded.rows
    sample = even_sample(rows.label)
    described = describe(rows.label, sample)
    assert described.mean is not None and described.sd is not None, "rows without a single label are refused when read"
    classes = class_counts(rows.label)
    steps = sorted({max(1, round(one * config.horizon_ns / rows.step_ns)) for one in LAG_HORIZONS})
    shares = _period_shares(coded)
    drift = [_distance(one, class_counts(rows.label[coded.layout.split.train])) for one in shares]
    worst = max((value for value in drift if value is not None), default=0.0)
    needed = rows.cost_bps / (TOP_DECILE_MEAN * described.sd) if described.sd > 0 else None
    return LabelSection(
        rows=described.rows,
        missing_rows=len(rows.label) - described.rows,
        up=int(classes[2]),
        flat=int(classes[1]),
        down=int(classes[0]),
        imbalance_ratio=_imbalance(classes),
        entropy_ratio=round(entropy_ratio(classes), DIGITS),
        balance=next((word for most, word in BALANCES if (_imbalance(classes) or 1.0) <= most), "severely imbalanced"),
        mean_bps=round(described.mean, DIGITS),
        sd_bps=round(described.sd, DIGITS),
        excess_kurtosis=round(described.excess_kurtosis or 0.0, DIGITS),
        quantiles_bps=tuple(round(float(value), DIGITS) for value in np.quantile(sample, QUANTILES)),
        cost_bps=round(rows.cost_bps, DIGITS),
        needed_ic=None if needed is None else round(needed, DIGITS),
        autocorrelation_lags_ns=tuple(step * rows.step_ns for step in steps),
        autocorrelation=_autocorrelations(coded, described.mean, steps),
        drift_ratios=tuple(drift),
        drift=next((word for most, word in DRIFTS if worst <= most), "drifts strongly"),
    )


def class_counts(label: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many labels are below, at and above 0."""
    return np.array([np.count_nonzero(label < 0), np.count_nonzero(label == 0), np.count_nonzero(label > 0)])


def entropy_ratio(classes: NDArray[np.int64]) -> float:
    """Return the entropy of the classes that occur over that of even ones, in [0, 1]; 0 where there is one class."""
    shares = classes[classes > 0] / max(1, int(classes.sum()))
    return float(-(shares * np.log(shares)).sum() / math.log(len(shares))) if len(shares) > 1 else 0.0


def _imbalance(classes: NDArray[np.int64]) -> float | None:
    present = classes[classes > 0]
    return round(float(present.max() / present.min()), DIGITS) if len(present) > 1 else None


def _period_shares(coded: Coded) -> list[NDArray[np.int64]]:
    segments, label = coded.layout.segments, coded.rows.label
    shares = [np.zeros(3, np.int64) for _ in coded.layout.period_starts_ns]
    for begin, end, period in zip(segments.starts[:-1], segments.starts[1:], segments.periods, strict=True):
        shares[int(period)] += class_counts(label[begin:end])
    return shares


def _distance(classes: NDArray[np.int64], base: NDArray[np.int64]) -> float | None:
    if not classes.sum() or not base.sum():
        return None
    return round(float(np.abs(classes / classes.sum() - base / base.sum()).sum() / 2.0), DIGITS)


def _autocorrelations(coded: Coded, mean: float, steps: list[int]) -> tuple[float | None, ...]:
    rows = coded.rows

    def one(step: int) -> float | None:
        found = autocorrelation(rows.label, rows.ts_ns, mean, step, step * rows.step_ns)
        return None if found is None else round(found, DIGITS)

    return tuple(map_ordered(one, steps, workers=None, mode="threads"))
