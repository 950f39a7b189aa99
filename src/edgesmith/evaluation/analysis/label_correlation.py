"""FeatureLabelCorrelation: does a feature say something about the label, judged by blocks because labels overlap."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis.coded import Coded
from edgesmith.evaluation.analysis.config import AnalysisConfig
from edgesmith.evaluation.analysis.intervals import block_error
from edgesmith.evaluation.analysis.layout import HELD_OUT, NO_REGIME, TRAIN
from edgesmith.evaluation.analysis.moments import PAIR_MOMENTS, PairInfluence, correlation_of, influence_of, pair_moments
from edgesmith.evaluation.feature_report import NOT_TOLD, TOLD, TOLD_ALONE, TOO_FEW_BLOCKS, LabelCorrelation
from edgesmith.evaluation.significance import sign_flip
from edgesmith.parallel import Progress, map_ordered

Floats = NDArray[np.float64]

DIGITS = 9
ALPHA = 0.05
STRENGTHS = ((0.5, "strong"), (0.3, "moderate"), (0.1, "weak"), (0.05, "faint"))


class LabelMoments(NamedTuple):
    """Moments of one feature with the label, by rank and by value: both (segments, regimes + 1, 6)."""

    ranks: Floats
    values: Floats


def label_moments(coded: Coded, centers: Floats, scales: Floats, progress: Progress | None = None) -> list[LabelMoments]:
    """Sum the moments of every column with the label, by segment and regime; the label's center and scale come last."""
    rows, segments, regimes = coded.rows, coded.layout.segments, coded.layout.regimes
    label_ranks = np.take(coded.ranks[coded.label], coded.codes[coded.label])

    def one(place: int) -> LabelMoments:
        shape = (len(segments.parts), NO_REGIME + 1, PAIR_MOMENTS)
        found = LabelMoments(np.zeros(shape), np.zeros(shape))
        ranks = np.take(coded.ranks[place], coded.codes[place])
        pair_moments(ranks, 0.0, 1.0, label_ranks, 0.0, 1.0, segments.starts, regimes, found.ranks)
        by_value = (rows.values[place], centers[place], scales[place], rows.label, centers[-1], scales[-1])
        pair_moments(*by_value, segments.starts, regimes, found.values)
        return found

    return list(map_ordered(one, range(len(rows.columns)), workers=None, mode="threads", progress=progress))


def label_correlations(coded: Coded, moments: list[LabelMoments], config: AnalysisConfig) -> tuple[LabelCorrelation, ...]:
    """Correlate each feature with the label on train rows, with intervals and p-values over blocks."""
    blocks, parts = coded.layout.segments.blocks, coded.layout.segments.parts
    ranks = [_by_block(one.ranks, blocks, parts == TRAIN) for one in moments]
    influences = [influence_of(one) for one in ranks]
    flips = sign_flip([(0, np.stack([one.psi_null for one in influences], axis=1))], flips=config.flips, seed=config.seed)
    found = []
    for place, column in enumerate(coded.rows.columns):
        by_value = _by_block(moments[place].values, blocks, parts == TRAIN)
        held_out = correlation_of(moments[place].ranks[parts == HELD_OUT].sum(axis=(0, 1)))
        p = (float(flips.p_cell[place]), float(flips.p_family[place]))
        found.append(_judged(column, influences[place], ranks[place], by_value, float(held_out), p))
    return tuple(found)


def interval_of(influence: PairInfluence, present: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the 95 % interval of a correlation, by Fisher's transform; (-1, 1) where there are too few blocks."""
    reach = block_error(influence.psi, present).reach
    if not math.isfinite(reach) or not abs(influence.r) < 1.0:
        return -1.0, 1.0
    middle, half = math.atanh(influence.r), reach / (1.0 - influence.r**2)
    return math.tanh(middle - half), math.tanh(middle + half)


def _by_block(moments: Floats, blocks: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Floats:
    summed = np.zeros((int(blocks.max()) + 1, PAIR_MOMENTS))
    np.add.at(summed, blocks[chosen], moments[chosen].sum(axis=1))
    return summed


def _judged(
    column: str, ranked: PairInfluence, ranks: Floats, values: Floats, held_out: float, p: tuple[float, float]
) -> LabelCorrelation:
    present = ranks[:, 0] > 0
    error, by_value = block_error(ranked.psi, present), influence_of(values)
    low, high = interval_of(ranked, present)
    value_low, value_high = interval_of(by_value, present)
    known = math.isfinite(ranked.r)
    naive = (1.0 - ranked.r**2) / error.standard_error if error.standard_error > 0 else 0.0
    return LabelCorrelation(
        column=column,
        spearman=_rounded(ranked.r),
        low=round(low, DIGITS),
        high=round(high, DIGITS),
        pearson=_rounded(by_value.r),
        pearson_low=round(value_low, DIGITS),
        pearson_high=round(value_high, DIGITS),
        rows=ranked.rows,
        rows_effective=round(min(float(ranked.rows), naive**2), 1),
        blocks=error.blocks,
        blocks_effective=round(error.blocks_effective, 3),
        p=p[0] if known else None,
        p_family=p[1] if known else None,
        held_out=_rounded(held_out),
        strength=next((word for least, word in STRENGTHS if known and abs(ranked.r) >= least), "tiny"),
        verdict=_verdict(error.enough and known, low > 0.0 or high < 0.0, p[1]),
    )


def _verdict(enough: bool, apart: bool, p_family: float) -> str:
    if not enough:
        return TOO_FEW_BLOCKS
    if not apart:
        return NOT_TOLD
    return TOLD if p_family <= ALPHA else TOLD_ALONE


def _rounded(value: float) -> float | None:
    return round(value, DIGITS) if math.isfinite(value) else None
