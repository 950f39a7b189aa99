"""All analyses of one set of rows, put together into a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import format_duration_ns
from edgesmith.evaluation.analysis.coded import Coded, encode_rows
from edgesmith.evaluation.analysis.config import AnalysisConfig
from edgesmith.evaluation.analysis.correlation import feature_correlation
from edgesmith.evaluation.analysis.describe import QUANTILES, center_and_scale
from edgesmith.evaluation.analysis.distribution import feature_distributions
from edgesmith.evaluation.analysis.importance import HARMS, NEEDED, permutation_importance
from edgesmith.evaluation.analysis.intervals import BLOCKS_MIN
from edgesmith.evaluation.analysis.label_correlation import label_correlations, label_moments
from edgesmith.evaluation.analysis.label_distribution import label_distribution
from edgesmith.evaluation.analysis.layout import Split, lay_out
from edgesmith.evaluation.analysis.rows import AnalysisRows
from edgesmith.evaluation.analysis.score import alpha_scores
from edgesmith.evaluation.analysis.stability import feature_stability
from edgesmith.evaluation.feature_report import TOLD, TOLD_ALONE, TOO_FEW_BLOCKS, FeatureReport, TimeSplit
from edgesmith.features.operator import FeatureSpec

# Called with the stage, done and total.
Progress = Callable[[str, int, int | None], None]


class Source(NamedTuple):
    """What the rows were computed from."""

    instrument: str
    simulated: bool
    data_fingerprint: str
    recipe: str


def analyze(
    rows: AnalysisRows,
    features: Mapping[str, FeatureSpec],
    config: AnalysisConfig,
    source: Source,
    *,
    volatility: str,
    progress: Progress | None = None,
) -> FeatureReport:
    """Analyze the features of `rows` against their label.

    `features` names the columns; `volatility` says what the regimes were cut by. Memory: the rows, one byte for each value, and
    a few columns. The result does not depend on the order of columns, nor on the number of cores.
    """

    def told(stage: str) -> Callable[[int, int | None], None] | None:
        return None if progress is None else lambda done, total: progress(stage, done, total)

    layout = lay_out(rows, config)
    coded = encode_rows(rows, layout, told("ranking"))
    centers, scales = _scales(coded)
    moments = label_moments(coded, centers, scales, told("label correlation"))
    found = label_correlations(coded, moments, config)
    strength = {one.column: abs(one.spearman or 0.0) for one in found}
    stability = feature_stability(coded, moments, found, volatility)
    distributions = feature_distributions(coded, told("distribution"))
    importance = permutation_importance(coded, centers, scales, config, told("importance"))
    correlations = feature_correlation(coded, centers[:-1], scales[:-1], config, strength)
    label = label_distribution(coded, config)
    specs = {name: (spec.feature, {key: float(value) for key, value in spec.params}) for name, spec in features.items()}
    report = FeatureReport(
        instrument=source.instrument,
        simulated=source.simulated,
        data_fingerprint=source.data_fingerprint,
        recipe=source.recipe,
        first_ns=int(rows.ts_ns[0]),
        last_ns=int(rows.ts_ns[-1]),
        horizon_ns=config.horizon_ns,
        latency_ns=config.latency_ns,
        grid_ns=rows.step_ns,
        thinning=rows.thinning,
        seed=config.seed,
        rows=len(rows.ts_ns),
        scores=alpha_scores(specs, importance.features, found, stability.features, centers, scales),
        split=_time_split(rows.ts_ns, layout.split, config),
        label=label,
        correlations=correlations,
        label_correlations=found,
        importance=importance,
        quantile_levels=QUANTILES,
        distributions=distributions,
        stability=stability,
        findings=(),
    )
    return _with_findings(report)


def _scales(coded: Coded) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pairs = np.array([center_and_scale(sample) for sample in coded.samples])
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _time_split(ts_ns: NDArray[np.int64], split: Split, config: AnalysisConfig) -> TimeSplit:
    train, held_out = ts_ns[split.train], ts_ns[split.held_out]
    return TimeSplit(
        split_ns=split.split_ns,
        reach_ns=config.reach_ns,
        embargo_ns=split.embargo_ns,
        train_rows=len(train),
        train_last_ns=int(train[-1]) if len(train) else None,
        held_out_rows=len(held_out),
        held_out_first_ns=int(held_out[0]) if len(held_out) else None,
    )


def _with_findings(report: FeatureReport) -> FeatureReport:
    return msgspec.structs.replace(report, findings=tuple(findings_of(report)))


def findings_of(report: FeatureReport) -> list[str]:
    """Say in sentences what a reader should take from the report."""
    count, correlations = len(report.scores), report.label_correlations
    told = [one.column for one in correlations if one.verdict == TOLD]
    found = [_told(report, told), *_needed(report)]
    flipped = [one.column for one in correlations if one.held_out is not None and (one.spearman or 0.0) * one.held_out < 0]
    if set(flipped) & set(told):
        found.append(f"on held-out rows the sign turns for {', '.join(sorted(set(flipped) & set(told)))}")
    found.append(report.importance.sentence)
    for verdict, words in ((NEEDED, "the model needs"), (HARMS, "the model does better without")):
        names = [one.column for one in report.importance.features if one.verdict == verdict]
        if names:
            found.append(f"{words} {', '.join(names)}")
    for cluster in report.correlations.clusters:
        found.append(f"{', '.join(cluster.columns)} say nearly the same; {cluster.kept} is the one to keep")
    drifting = [one.column for one in report.stability.features if one.word == "drifts"]
    if drifting:
        found.append(f"{len(drifting)} of {count} features drift from their train rows: {', '.join(drifting)}")
    return found


def _told(report: FeatureReport, told: list[str]) -> str:
    count, correlations = len(report.scores), report.label_correlations
    if all(one.verdict == TOO_FEW_BLOCKS for one in correlations):
        blocks = max((one.blocks for one in correlations), default=0)
        return (
            f"too little data to tell any correlation from 0: {blocks} blocks of time to train on, expected at least "
            f"{BLOCKS_MIN}; use a longer range or a shorter horizon"
        )
    alone = sum(one.verdict == TOLD_ALONE for one in correlations)
    names = f": {', '.join(told)}" if told else ""
    also = f"; {alone} more would, had they been the only one looked at" if alone else ""
    return f"{len(told)} of {count} features correlate with the label beyond chance{names}{also}"


def _needed(report: FeatureReport) -> list[str]:
    needed, cost_bps = report.label.needed_ic, report.label.cost_bps
    if needed is None or cost_bps <= 0.0:
        return []
    horizon = format_duration_ns(report.horizon_ns)
    if needed > 1.0:
        return [f"no forecast over {horizon} can pay a round trip of {cost_bps:.2f} bps: the price does not move that far"]
    best = max((abs(one.spearman or 0.0) for one in report.label_correlations), default=0.0)
    return [
        f"a forecast over {horizon} needs a rank correlation of about {needed:.2f} for its best tenth to pay a round trip of "
        f"{cost_bps:.2f} bps; the best single feature has {best:.3f} and {'reaches' if best >= needed else 'does not reach'} that"
    ]
