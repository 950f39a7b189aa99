"""Laws of an analysis: order does not matter, labels do not leak over the split, chance is not told from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders_analysis import CONFIG, bytes_of, coded_of, null_rows, planted_rows, report_of
from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.records import taken
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.errors import DataError
from edgesmith.evaluation.analysis import AnalysisConfig, AnalysisRows, read_rows
from edgesmith.evaluation.analysis import rows as rows_module
from edgesmith.evaluation.analysis.describe import center_and_scale
from edgesmith.evaluation.analysis.label_correlation import label_correlations, label_moments
from edgesmith.evaluation.analysis.layout import HELD_OUT, TRAIN, lay_out, split_rows
from edgesmith.evaluation.feature_report import TOLD
from edgesmith.evaluation.labels import LabelSpec
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

WORLD_COLUMNS = ("atr", "bollinger_pos", "imbalance_ema", "roc", "rsi", "spread")
LABEL = LabelSpec(horizons_ns=(NS_PER_S,), latencies_ns=(50 * NS_PER_MS,), fee_in_bps=0.75, fee_out_bps=0.75)


class Batches:
    """Events of one instrument as a replay hands them out."""

    instruments = (("simulated", "TEST1USDT"),)

    def __init__(self, events: np.ndarray, size: int) -> None:
        self._events, self._size, self.events_total = events, size, len(events)

    def batches(self) -> Iterator[np.ndarray]:
        for begin in range(0, len(self._events), self._size):
            yield self._events[begin : begin + self._size]


@pytest.fixture(scope="module")
def hour() -> np.ndarray:
    events = World(find_scenario("imbalance_large"), 1, date(2026, 1, 5), 1).hour(0).events
    return taken(events, np.lexsort((events["seq"], events["kind"], events["ts_event"], events["ts_recv"])))


def world_rows(events: np.ndarray, order: tuple[str, ...] = WORLD_COLUMNS, size: int = 65_536) -> AnalysisRows:
    program = Program([*(feature(name) for name in WORLD_COLUMNS), feature("volatility", window=500)])
    quotes = events["ts_recv"][events["kind"] == KIND_BBO]
    span_ns = (int(quotes[0]), int(quotes[-1]))
    return read_rows(Batches(events, size), 0, program, LABEL, columns=order, volatility="volatility", span_ns=span_ns)


def test_a_planted_feature_ranks_first(hour: np.ndarray) -> None:
    report = report_of(world_rows(hour), AnalysisConfig(horizon_ns=NS_PER_S))
    first = report.scores[0]
    assert (first.column, first.direction, first.verdict) == ("imbalance_ema", 1, TOLD)
    assert first.alpha > 0.9 and first.importance_term == first.correlation_term == 1.0
    assert first.scale > 0 and first.correlation_low > 0.1
    by_name = {score.column: score for score in report.scores}
    assert by_name["spread"].verdict != TOLD


def test_batches_and_column_order_do_not_matter(hour: np.ndarray) -> None:
    whole, parts = world_rows(hour), world_rows(hour, WORLD_COLUMNS[::-1], 7_001)
    assert whole.columns == parts.columns
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other, equal_nan=True) if isinstance(one, np.ndarray) else one == other


def test_permuting_columns_permutes_nothing_but_them() -> None:
    rows = planted_rows(1, 12_000)
    report = report_of(rows)
    assert bytes_of(report_of(rows)) == bytes_of(report)
    names = [f"{chr(ord('z') - k)}_{name}" for k, name in enumerate(rows.columns)]
    order = np.argsort(names)
    renamed = rows._replace(columns=tuple(names[k] for k in order), values=rows.values[order])
    mirrored = report_of(renamed)
    figures = {score.column[2:]: msgspec.structs.replace(score, column="", feature="") for score in mirrored.scores}
    for score in report.scores:
        other = figures[score.column]
        # The solver adds in another order.
        assert other.importance == pytest.approx(score.importance, abs=1e-6)
        assert other.alpha == pytest.approx(score.alpha, abs=1e-4)
        assert (other.label_correlation, other.stability) == (score.label_correlation, score.stability)


def test_of_features_that_say_the_same_one_is_kept() -> None:
    report = report_of(planted_rows(2))
    assert [set(cluster.columns) for cluster in report.correlations.clusters] == [{"quick", "twin"}]
    assert {score.column for score in report.scores[:2]} == {"quick", "twin"}


def _apart(seed: int) -> tuple[int, bool]:
    coded = coded_of(null_rows(seed, 18_000))
    centers, scales = np.array([center_and_scale(sample) for sample in coded.samples]).T
    found = label_correlations(coded, label_moments(coded, centers, scales), CONFIG)
    return sum(one.low > 0 or one.high < 0 for one in found), any(one.verdict == TOLD for one in found)


def test_chance_is_told_from_nothing_no_more_often_than_promised() -> None:
    # 5 % promised; 250 features of 50 worlds, not independent: three standard errors above it would be about 10 %.
    apart, told = zip(*(_apart(seed) for seed in range(50)), strict=True)
    assert sum(apart) / 250 <= 0.10
    assert sum(apart) > 0, "an interval that never misses is too wide"
    assert sum(told) / 50 <= 0.16


instants = st.lists(st.integers(1, 40), min_size=400, max_size=600)


@settings(max_examples=60, deadline=None)
@given(
    steps=instants,
    horizon_s=st.integers(1, 60),
    latency_ms=st.integers(0, 5_000),
    embargo_s=st.none() | st.integers(0, 90),
    ratio=st.floats(0.1, 0.5),
)
def test_no_label_of_a_train_row_reaches_a_held_out_row(
    steps: list[int], horizon_s: int, latency_ms: int, embargo_s: int | None, ratio: float
) -> None:
    ts_ns = np.cumsum(np.array(steps, np.int64)) * NS_PER_S
    config = AnalysisConfig(
        horizon_ns=horizon_s * NS_PER_S,
        latency_ns=latency_ms * NS_PER_MS,
        embargo_ns=None if embargo_s is None else embargo_s * NS_PER_S,
        held_out_ratio=ratio,
    )
    try:
        split = split_rows(ts_ns, config)
    except DataError:
        return
    train, held_out = ts_ns[split.train], ts_ns[split.held_out]
    ends = train + config.latency_ns + config.horizon_ns
    assert ends.max() < held_out.min() and ends.max() < split.split_ns
    assert held_out.min() >= split.split_ns + (config.reach_ns if embargo_s is None else config.embargo_ns or 0)
    assert len(np.intersect1d(train, held_out)) == 0


def test_segments_never_cross_a_block_a_period_or_the_split() -> None:
    rows = null_rows(3, 6_000)
    layout = lay_out(rows, CONFIG)
    segments = layout.segments
    assert segments.starts[0] == 0 and segments.starts[-1] == len(rows.ts_ns) and (np.diff(segments.starts) > 0).all()
    for begin, end, part in zip(segments.starts[:-1], segments.starts[1:], segments.parts, strict=True):
        inside = rows.ts_ns[begin:end]
        assert len(set(inside // layout.block_ns)) == len(set(inside // layout.period_ns)) == 1
        assert (part == TRAIN) == (end <= layout.split.train.stop) and (part == HELD_OUT) == (
            begin >= layout.split.held_out.start
        )


def test_a_long_range_is_thinned_evenly(hour: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Any = world_rows(hour)
    monkeypatch.setattr(rows_module, "VALUES_BYTES_MAX", 4 * len(WORLD_COLUMNS) * 10_000)
    thinned = world_rows(hour)
    assert thinned.thinning == 4 and thinned.step_ns == 400 * NS_PER_MS and len(thinned.ts_ns) <= 10_000
    kept = np.isin(whole.ts_ns, thinned.ts_ns)
    assert np.array_equal(whole.values[:, kept], thinned.values, equal_nan=True)
    assert np.array_equal(whole.label[kept], thinned.label, equal_nan=True)
