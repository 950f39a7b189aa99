"""FeatureDistribution: what values a feature takes, and whether the held-out rows look like the train rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis.coded import Coded
from edgesmith.evaluation.analysis.codes import BINS, even_sample
from edgesmith.evaluation.analysis.describe import QUANTILES, Described, describe
from edgesmith.evaluation.analysis.layout import HELD_OUT, TRAIN
from edgesmith.evaluation.analysis.psi import psi_by_codes
from edgesmith.evaluation.feature_report import Distribution
from edgesmith.parallel import Progress, map_ordered

DIGITS = 9
SKEWED, OUTLIERS, MISSING = 2.0, 0.05, 0.05


def feature_distributions(coded: Coded, progress: Progress | None = None) -> tuple[Distribution, ...]:
    """Describe every feature over all rows."""

    def one(place: int) -> Distribution:
        values = coded.rows.values[place]
        sample = even_sample(values)
        described, counts = describe(values, sample), coded.counts[place]
        psi = psi_by_codes(counts.by_part[TRAIN], counts.by_part[HELD_OUT])
        return _distribution(coded, place, described, sample, psi)

    return tuple(map_ordered(one, range(len(coded.rows.columns)), workers=None, mode="threads", progress=progress))


def _distribution(coded: Coded, place: int, found: Described, sample: NDArray[np.float32], psi: float | None) -> Distribution:
    rows = coded.rows.values.shape[1]
    missing_ratio = 1.0 - found.rows / rows
    return Distribution(
        column=coded.rows.columns[place],
        rows=found.rows,
        missing_ratio=round(missing_ratio, DIGITS),
        levels=coded.levels[place] if coded.levels[place] <= BINS else None,
        mean=found.mean,
        sd=found.sd,
        skewness=found.skewness,
        excess_kurtosis=found.excess_kurtosis,
        minimum=found.minimum,
        maximum=found.maximum,
        quantiles=tuple(float(value) for value in np.quantile(sample, QUANTILES)) if len(sample) else (),
        outlier_ratio=found.outlier_ratio,
        psi=psi,
        notes=_notes(found, missing_ratio),
    )


def _notes(found: Described, missing_ratio: float) -> tuple[str, ...]:
    notes = []
    if not found.rows:
        return ("always missing",)
    if found.sd == 0.0:
        notes.append("never varies")
    if missing_ratio > MISSING:
        notes.append("often missing")
    if found.outlier_ratio is not None and found.outlier_ratio > OUTLIERS:
        notes.append("many outliers")
    if found.skewness is not None and abs(found.skewness) > SKEWED:
        notes.append("skewed")
    return tuple(notes)
