"""The page on an analysis: what it shows, hostile names included, and the geometry of its plots."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from builders_analysis import planted_rows, report_of
from edgesmith.evaluation.feature_report import FeatureReport
from edgesmith.trading.report import write_feature_report
from edgesmith.trading.report.features_plots import correlation_heatmap, drift_heatmap, interval_plot

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def report() -> FeatureReport:
    return report_of(planted_rows(4, 8_000))


def test_the_page_shows_every_feature_and_draws_its_lines(report: FeatureReport, tmp_path: Path) -> None:
    page = write_feature_report(report, tmp_path).read_text()
    assert all(page.count(score.column) > 5 for score in report.scores)
    assert all(sentence in page for sentence in report.findings if "|" not in sentence)
    payload = json.loads(re.findall(r'id="report-data">(.*?)</script>', page, re.DOTALL)[0])
    (lines,) = payload["lines"]
    assert lines["names"] == [score.column for score in report.scores[:6]] and len(lines["values"]) == len(lines["names"])
    assert 'id="chart-signs"' in page


def test_a_hostile_name_is_text(report: FeatureReport, tmp_path: Path) -> None:
    first = msgspec.structs.replace(report.scores[0], params={HOSTILE: 1.0})
    hostile = msgspec.structs.replace(report, instrument=HOSTILE, findings=(HOSTILE,), scores=(first, *report.scores[1:]))
    assert HOSTILE not in write_feature_report(hostile, tmp_path).read_text()


def test_intervals_share_a_zero_and_stay_inside() -> None:
    plot = interval_plot([("a", 0.2, 0.1, 0.3, "told"), ("b", -0.1, -0.3, 0.1, "not"), ("c", 0.0, None, None, "few")], decimals=2)
    a, b, c = plot["rows"]
    assert a["apart"] and not b["apart"] and c["span"] is None and c["x"] == plot["zero"]
    assert plot["left"] < b["span"][0] < b["x"] < plot["zero"] < a["x"] < a["span"][1] < plot["right"]
    assert {text for _, text in plot["ticks"]} >= {"0.00", "0.20"}


def test_heatmaps_have_a_square_for_every_pair_and_period(report: FeatureReport) -> None:
    count = len(report.scores)
    assert len(correlation_heatmap(report.correlations)["squares"]) == count * (count - 1)
    drift = drift_heatmap(report.stability, [score.column for score in report.scores])
    assert len(drift["squares"]) == count * (len(report.stability.period_starts_ns) + 3)
    assert all(0.0 <= square["shade"] <= 1.0 for square in drift["squares"])
