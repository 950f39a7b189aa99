"""FeatureStability: does a feature keep its distribution, and does its correlation keep its sign, from period to period.

stability = (A + B) / 2, both in [0, 1]:
A = max(0, 1 - PSI_worst / 0.5), the worst PSI of a period against the train rows;
B = max(0, 2 a - 1), a the share of rows in periods and regimes whose label correlation has the sign it has on train rows.
The PSI by regime is shown and not scored: a feature that measures volatility must differ between calm and wild.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis.coded import Coded
from edgesmith.evaluation.analysis.label_correlation import LabelMoments
from edgesmith.evaluation.analysis.layout import NEITHER, NO_REGIME, REGIMES, TRAIN
from edgesmith.evaluation.analysis.moments import PAIR_MOMENTS, correlation_of
from edgesmith.evaluation.analysis.psi import ROWS_MIN, psi_by_codes
from edgesmith.evaluation.feature_report import LabelCorrelation, Stability, StabilitySection

PSI_WORDS = ((0.1, "stable"), (0.25, "moves"))
PSI_UNSTABLE = 0.5
DIGITS = 9


def feature_stability(
    coded: Coded, moments: list[LabelMoments], found: tuple[LabelCorrelation, ...], volatility: str
) -> StabilitySection:
    """Compare every period and regime with the train rows."""
    layout = coded.layout
    regime_rows = np.bincount(layout.regimes, minlength=NO_REGIME + 1)
    return StabilitySection(
        period_ns=layout.period_ns,
        period_starts_ns=tuple(int(start) for start in layout.period_starts_ns),
        regime_column=volatility,
        regimes=REGIMES,
        regime_rows=tuple(int(rows) for rows in regime_rows[:NO_REGIME]),
        features=tuple(
            _stability(coded, place, one.ranks, correlation)
            for place, (one, correlation) in enumerate(zip(moments, found, strict=True))
        ),
    )


def _stability(coded: Coded, place: int, moments: NDArray[np.float64], label: LabelCorrelation) -> Stability:
    segments, counts = coded.layout.segments, coded.counts[place]
    base = counts.by_part[TRAIN]
    by_period = np.zeros((len(coded.layout.period_starts_ns), PAIR_MOMENTS))
    used = segments.parts != NEITHER
    np.add.at(by_period, segments.periods[used], moments[used].sum(axis=1))
    by_regime = moments[used].sum(axis=0)[:NO_REGIME]
    psi = [psi_by_codes(base, one) for one in counts.by_period]
    worst = max((value for value in psi if value is not None), default=None)
    agreement = sign_agreement(label.spearman, np.concatenate([by_period, by_regime]))
    distribution = 0.0 if worst is None else max(0.0, 1.0 - worst / PSI_UNSTABLE)
    sign = 0.0 if agreement is None else max(0.0, 2.0 * agreement - 1.0)
    return Stability(
        column=coded.rows.columns[place],
        psi_by_period=tuple(psi),
        psi_by_regime=tuple(psi_by_codes(base, one) for one in counts.by_regime[:NO_REGIME]),
        psi_worst=worst,
        correlation_by_period=_correlations(by_period),
        correlation_by_regime=_correlations(by_regime),
        sign_agreement_ratio=agreement,
        stability=round((distribution + sign) / 2.0, DIGITS),
        word="unknown" if worst is None else next((word for most, word in PSI_WORDS if worst < most), "drifts"),
    )


def sign_agreement(whole: float | None, moments: NDArray[np.float64]) -> float | None:
    """Return the share of rows in parts (parts, 6) whose correlation has the sign of `whole`; None where there is none."""
    found, rows = correlation_of(moments), moments[:, 0]
    known = np.isfinite(found) & (rows >= ROWS_MIN)
    if not whole or not known.any():
        return None
    return round(float(rows[known & (found * whole > 0)].sum() / rows[known].sum()), DIGITS)


def _correlations(moments: NDArray[np.float64]) -> tuple[float | None, ...]:
    enough = moments[:, 0] >= ROWS_MIN
    found = correlation_of(moments)
    return tuple(round(float(r), DIGITS) if known and np.isfinite(r) else None for r, known in zip(found, enough, strict=True))
