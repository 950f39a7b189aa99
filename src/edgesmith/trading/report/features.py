"""The page on an analysis of features: ranking, intervals, heatmaps, drift; numbers and geometry, the template draws them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.domain.units import NS_PER_S
from edgesmith.evaluation.feature_report import (
    NOT_TOLD,
    SHORT_WORDS,
    TOLD,
    TOLD_ALONE,
    TOO_FEW_BLOCKS,
    FeatureReport,
    FeatureScore,
)
from edgesmith.trading.report import formats
from edgesmith.trading.report.features_plots import correlation_heatmap, drift_heatmap, interval_plot, memory_plot
from edgesmith.trading.report.page import render_page, write_page
from edgesmith.trading.report.series import packed
from edgesmith.trading.report.tearsheet import REPORT_NAME

STYLES = {TOLD: "strong", TOLD_ALONE: "half", NOT_TOLD: ""}
# Lines that still can be told apart.
LINES_MAX = 6


def write_feature_report(report: FeatureReport, folder: Path) -> Path:
    """Write `report.html` on an analysis into `folder` and return its path; the same report gives the same bytes."""
    from edgesmith import __version__

    page = render_page("features.html.j2", _payload(report), edgesmith_version=__version__, **features_view(report))
    return write_page(folder / REPORT_NAME, page)


def features_view(report: FeatureReport) -> dict[str, Any]:
    """Return what the template shows."""
    label, split = report.label, report.split
    return {
        "title": f"Features of {report.instrument}",
        "simulated": report.simulated,
        "subtitle": [
            f"{formats.count(report.rows)} decision times, one each {formats.duration(report.grid_ns)}",
            f"{formats.instant(report.first_ns)} to {formats.instant(report.last_ns)} UTC",
            f"label: move over {formats.duration(report.horizon_ns)}, {formats.duration(report.latency_ns)} after the decision",
        ],
        "findings": report.findings,
        "ranking": [_ranked(report, score) for score in report.scores],
        "correlations": interval_plot(_correlation_rows(report), decimals=3),
        "importances": interval_plot(_importance_rows(report), decimals=2),
        "heatmap": correlation_heatmap(report.correlations),
        "clusters": report.correlations.clusters,
        "drift": drift_heatmap(report.stability, [score.column for score in report.scores]),
        "regimes": report.stability.regimes,
        "lines": [(score.column, f"--tone-{place + 1}") for place, score in enumerate(report.scores[:LINES_MAX])],
        "distributions": _distributions(report),
        "levels": [formats.percent(level, 0) for level in report.quantile_levels],
        "label_facts": _label_facts(report),
        "memory": memory_plot(label.autocorrelation_lags_ns, label.autocorrelation, report.horizon_ns),
        "model": report.importance,
        "model_facts": _model_facts(report),
        "identity": [
            ("Trained on", f"{formats.count(split.train_rows)} rows before {formats.instant(split.split_ns)} UTC"),
            ("Held out", f"{formats.count(split.held_out_rows)} rows from {formats.instant(split.held_out_first_ns)} UTC"),
            ("Left out between", f"labels that reach {formats.duration(split.reach_ns)} and cross the split"),
            ("Embargo behind it", formats.duration(split.embargo_ns)),
            ("Rows", "every decision time" if report.thinning == 1 else f"one decision time in {report.thinning}"),
            ("Data fingerprint", report.data_fingerprint),
            ("Recipe of the features", report.recipe),
            ("Seed", str(report.seed)),
        ],
    }


def _payload(report: FeatureReport) -> dict[str, Any]:
    by_column = {one.column: one.correlation_by_period for one in report.stability.features}
    shown = [score.column for score in report.scores[:LINES_MAX]]
    starts = report.stability.period_starts_ns
    lines = {
        "id": "chart-signs",
        "t": packed(np.array(starts, np.float64) / NS_PER_S),
        "names": shown,
        "values": [packed(np.array(by_column[name], np.float64)) for name in shown],
        "decimals": 3,
    }
    return {"currency": "", "equity_start": None, "curve": None, "panes": [], "lines": [lines] if len(starts) > 1 else []}


def _ranked(report: FeatureReport, score: FeatureScore) -> dict[str, Any]:
    correlation = next(one for one in report.label_correlations if one.column == score.column)
    stability = next(one for one in report.stability.features if one.column == score.column)
    unknown = score.verdict == TOO_FEW_BLOCKS
    parts = ((0.4, score.importance_term), (0.3, score.correlation_term), (0.3, score.stability_term))
    return {
        "column": score.column,
        "params": ", ".join(f"{name}={value:g}" for name, value in score.params.items()),
        "alpha": formats.number(score.alpha),
        "parts": [(f"--tone-{place + 1}", round(100 * weight * term, 2)) for place, (weight, term) in enumerate(parts)],
        "terms": [formats.number(term) for _, term in parts],
        "ic": formats.number(score.label_correlation, 3, signed=True),
        "held_out": formats.number(correlation.held_out, 3, signed=True),
        "verdict": SHORT_WORDS.get(score.verdict, score.verdict),
        "style": STYLES.get(score.verdict, "faint"),
        "p_family": formats.UNKNOWN if unknown else formats.number(correlation.p_family, 4),
        "rows_effective": formats.UNKNOWN if unknown else formats.count(correlation.rows_effective),
        "psi": formats.number(stability.psi_worst, 2),
        "agreement": formats.percent(stability.sign_agreement_ratio, 0),
    }


def _correlation_rows(report: FeatureReport) -> list[tuple[str, float | None, float | None, float | None, str]]:
    by_column = {one.column: one for one in report.label_correlations}
    ordered = [by_column[score.column] for score in report.scores]
    # The whole range [-1, 1] stands for "not known" and would only widen the axis.
    return [
        (one.column, one.spearman, *((None, None) if one.low <= -1.0 and one.high >= 1.0 else (one.low, one.high)), one.verdict)
        for one in ordered
    ]


def _importance_rows(report: FeatureReport) -> list[tuple[str, float | None, float | None, float | None, str]]:
    by_column = {one.column: one for one in report.importance.features}
    ordered = [by_column[score.column] for score in report.scores]
    return [(one.column, one.mean * 1e4, _times(one.low, 1e4), _times(one.high, 1e4), one.verdict) for one in ordered]


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _distributions(report: FeatureReport) -> list[dict[str, Any]]:
    return [
        {
            "column": one.column,
            "missing": formats.percent(one.missing_ratio, 1),
            "levels": "many" if one.levels is None else formats.count(one.levels),
            "quantiles": [_short(value) for value in one.quantiles] or [formats.UNKNOWN] * len(report.quantile_levels),
            "sd": _short(one.sd),
            "kurtosis": formats.number(one.excess_kurtosis, 1),
            "outliers": formats.percent(one.outlier_ratio, 1),
            "psi": formats.number(one.psi, 2),
            "notes": ", ".join(one.notes),
        }
        for one in sorted(report.distributions, key=lambda one: one.column)
    ]


def _label_facts(report: FeatureReport) -> list[tuple[str, str]]:
    label = report.label
    cost = formats.bps(label.cost_bps, signed=False)
    return [
        ("Labels", f"{formats.count(label.rows)}, {formats.count(label.missing_rows)} missing"),
        ("Up, flat, down", f"{formats.count(label.up)}, {formats.count(label.flat)}, {formats.count(label.down)}"),
        ("Balance", f"{label.balance} (largest over smallest {formats.number(label.imbalance_ratio)})"),
        ("Entropy", f"{formats.percent(label.entropy_ratio, 1)} of even classes"),
        ("Mean and deviation", f"{formats.number(label.mean_bps, 4)} and {formats.bps(label.sd_bps, signed=False)}"),
        ("Excess kurtosis", formats.number(label.excess_kurtosis, 1)),
        ("Drift of its classes", label.drift),
        ("Round trip costs", f"{cost}, fees and spread"),
        ("Needed IC", f"{formats.number(label.needed_ic)} for the best tenth of a forecast to pay that"),
    ]


def _model_facts(report: FeatureReport) -> list[tuple[str, str]]:
    model = report.importance
    settings = ", ".join(f"{name} {value:g}" for name, value in model.settings.items())
    return [
        ("Model", f"{model.model}, {settings}"),
        ("Trained on", f"{formats.count(model.train_rows)} rows, R\u00b2 {formats.number(model.r2_train, 4)}"),
        ("Judged on", f"{formats.count(model.held_out_rows)} held-out rows, R\u00b2 {formats.number(model.r2, 4)}"),
        ("Permuted", f"{model.blocks} blocks of {formats.duration(model.block_ns)}, {model.repeats} times"),
    ]


def _short(value: float | None) -> str:
    if value is not None and 1e3 <= abs(value) < 1e9:
        return formats.number(value, 1)
    return formats.UNKNOWN if value is None else f"{value:.4g}".replace("-", formats.MINUS)
