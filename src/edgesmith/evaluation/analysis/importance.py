"""PermutationImportance: what a model trained on the train rows loses on held-out rows when one feature is shuffled in blocks.

The importance of a feature is the loss of out-of-sample R^2. Whole blocks change places, in one cycle, so that a slow feature
keeps its rhythm and no block stays where it is; the interval is over blocks. Two features that say the same share their
importance: read it beside the clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis import ridge, trees
from edgesmith.evaluation.analysis.coded import Coded
from edgesmith.evaluation.analysis.codes import average_ranks
from edgesmith.evaluation.analysis.config import AnalysisConfig
from edgesmith.evaluation.analysis.intervals import block_error
from edgesmith.evaluation.analysis.label_correlation import interval_of
from edgesmith.evaluation.analysis.moments import PAIR_MOMENTS, influence_of, pair_moments
from edgesmith.evaluation.feature_report import TOO_FEW_BLOCKS, Importance, ImportanceSection
from edgesmith.parallel import Progress, map_ordered

Floats = NDArray[np.float64]

DIGITS = 9
NEEDED, HARMS, NO_EFFECT = "needed", "harms out of sample", "not told from 0"


class Judged(NamedTuple):
    """A fitted model on held-out rows: label, forecast, and the growth of each block's loss when a feature is permuted."""

    settings: dict[str, float]
    train_rows: int
    r2_train: float | None
    label: NDArray[np.float32]
    forecast: NDArray[np.float32]
    block_rows: int
    weights: Floats | None
    losses: Callable[[int, NDArray[np.int64]], Floats]
    workers: int | None


def permutation_importance(
    coded: Coded, centers: Floats, scales: Floats, config: AnalysisConfig, progress: Progress | None = None
) -> ImportanceSection:
    """Train on train rows, permute on held-out ones."""
    judged = (_ridge if config.model == "ridge" else _trees)(coded, centers, scales, config)
    sources = block_cycles(len(judged.label) // judged.block_rows, config.repeats, config.seed)
    blocks = sources.shape[1]
    errors = judged.label - judged.forecast
    kept = slice(0, blocks * judged.block_rows)
    spread = _squares(judged.label[kept] - np.nanmean(judged.label[kept], dtype=np.float64)) if blocks else 0.0
    present = np.isfinite(errors[kept].reshape(blocks, judged.block_rows)).any(axis=1) if blocks else np.empty(0, bool)

    def one(place: int) -> Importance:
        if blocks < 2 or spread == 0.0:
            return _importance(coded.rows.columns[place], np.zeros(0), present[:0], judged, place)
        grown = judged.losses(place, sources) / config.repeats / spread
        return _importance(coded.rows.columns[place], grown, present, judged, place)

    found = tuple(map_ordered(one, range(len(coded.rows.columns)), workers=judged.workers, mode="threads", progress=progress))
    whole = _squares(judged.label - np.nanmean(judged.label, dtype=np.float64))
    r2 = 1.0 - _squares(errors) / whole if whole > 0.0 else None
    ic, low, high = _information_coefficient(judged)
    return ImportanceSection(
        model=config.model,
        settings=judged.settings,
        train_rows=judged.train_rows,
        held_out_rows=int(np.isfinite(judged.label).sum()),
        block_ns=judged.block_rows * coded.rows.step_ns * (_thinning(coded) if config.model == "xgboost" else 1),
        blocks=blocks,
        repeats=config.repeats,
        r2_train=_rounded(judged.r2_train),
        r2=_rounded(r2),
        ic=_rounded(ic),
        ic_low=round(low, DIGITS),
        ic_high=round(high, DIGITS),
        sentence=_sentence(config.model, r2, ic, low, high),
        features=found,
    )


def block_cycles(blocks: int, repeats: int, seed: int) -> NDArray[np.int64]:
    """Return, for each repeat, which block each block takes its values from: one random cycle through all of them."""
    draw = np.random.default_rng([seed, 1])
    sources = np.empty((repeats, blocks), np.int64)
    for source in sources:
        order = draw.permutation(blocks)
        source[order] = np.roll(order, 1)
    return sources


def _ridge(coded: Coded, centers: Floats, scales: Floats, config: AnalysisConfig) -> Judged:
    rows, split = coded.rows, coded.layout.split
    model = ridge.fit_ridge(rows, split.train, -(-config.reach_ns // rows.step_ns), centers, scales)
    forecast = ridge.forecast(model, rows, split.held_out, centers, scales)
    label, block_rows = rows.label[split.held_out], max(1, coded.layout.block_ns // rows.step_ns)
    errors = label - forecast

    def losses(place: int, sources: NDArray[np.int64]) -> Floats:
        out = np.zeros(sources.shape[1])
        z = ridge.scaled(rows.values[place, split.held_out], centers[place], scales[place])
        ridge.permuted_losses(z, float(model.weights[place]), errors, sources, block_rows, out)
        return out

    train_rows = int(np.isfinite(rows.label[split.train]).sum())
    settings = {"penalty": model.penalty}
    return Judged(settings, train_rows, model.r2_train, label, forecast, block_rows, model.weights, losses, None)


def _trees(coded: Coded, centers: Floats, scales: Floats, config: AnalysisConfig) -> Judged:
    rows, split = coded.rows, coded.layout.split
    model = trees.Trees(rows, split.train, config.seed)
    every = _thinning(coded)
    matrix = np.ascontiguousarray(rows.values[:, split.held_out][:, ::every].T)
    label = rows.label[split.held_out][::every]
    forecast = model.forecast(matrix)
    errors, block_rows = label - forecast, max(1, coded.layout.block_ns // (rows.step_ns * every))

    def losses(place: int, sources: NDArray[np.int64]) -> Floats:
        return trees.permuted_losses(model, matrix, place, label, errors, sources, block_rows)

    # One worker: the features take turns in one matrix.
    return Judged(trees.SETTINGS, model.train_rows, model.r2_train, label, forecast, block_rows, None, losses, 1)


def _thinning(coded: Coded) -> int:
    held_out = coded.layout.split.held_out
    return -(-(held_out.stop - held_out.start) // trees.HELD_OUT_ROWS_MAX)


def _importance(column: str, grown: Floats, present: NDArray[np.bool_], judged: Judged, place: int) -> Importance:
    mean = float(grown.sum())
    share = present / max(1, int(np.count_nonzero(present)))
    reach = block_error(grown - mean * share, present).reach
    weight = None if judged.weights is None else round(float(judged.weights[place]), DIGITS)
    if not grown.any() and len(grown):
        return Importance(column, 0.0, 0.0, 0.0, weight, NO_EFFECT)
    if not math.isfinite(reach):
        return Importance(column, round(mean, DIGITS), None, None, weight, TOO_FEW_BLOCKS)
    verdict = NEEDED if mean > reach else HARMS if mean < -reach else NO_EFFECT
    return Importance(column, round(mean, DIGITS), round(mean - reach, DIGITS), round(mean + reach, DIGITS), weight, verdict)


def _information_coefficient(judged: Judged) -> tuple[float | None, float, float]:
    present = np.isfinite(judged.label)
    blocks = -(-len(present) // judged.block_rows)
    ranks = [np.full(len(present), np.nan, np.float32) for _ in range(2)]
    for out, values in zip(ranks, (judged.label, judged.forecast), strict=True):
        out[present] = average_ranks(values[present])
    starts = np.minimum(np.arange(blocks + 1, dtype=np.int64) * judged.block_rows, len(present))
    moments = np.zeros((blocks, 1, PAIR_MOMENTS))
    pair_moments(ranks[1], 0.0, 1.0, ranks[0], 0.0, 1.0, starts, np.zeros(len(present), np.uint8), moments)
    influence = influence_of(moments[:, 0])
    low, high = interval_of(influence, moments[:, 0, 0] > 0)
    return (influence.r if math.isfinite(influence.r) else None), low, high


def _sentence(model: str, r2: float | None, ic: float | None, low: float, high: float) -> str:
    if r2 is None or ic is None:
        return f"{model} forecasts the same value always: importance says nothing here"
    figures = f"rank correlation {ic:+.3f} ({low:+.3f} to {high:+.3f}), R2 {r2:.4f}"
    if low <= -1.0 and high >= 1.0:
        return f"{model}: rank correlation {ic:+.3f}, R2 {r2:.4f} on held-out rows, but too few blocks to tell that from chance"
    if low <= 0.0:
        return f"{model} forecasts nothing that can be told from chance on held-out rows ({figures}): importance says little here"
    return f"{model} forecasts the held-out label: {figures}"


def _squares(errors: NDArray[Any]) -> float:
    return float(np.nansum(np.square(errors.astype(np.float64))))


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DIGITS)
