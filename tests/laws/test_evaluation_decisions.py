"""Decisions and their labels equal their definition, whatever the batches; the future never leaks into a row (T3, T18)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders_decisions import gappy_tape
from edgesmith.domain.events import EVENT, FLAG_AFTER_GAP
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.errors import DataError, InputError, OrderingError
from edgesmith.evaluation import decisions
from edgesmith.evaluation.analysis import read_rows
from edgesmith.evaluation.analysis import rows as rows_module
from edgesmith.evaluation.decisions import DecisionSampler, GridDay, GridRows, labeled_rows, sampled
from edgesmith.evaluation.labels import MOMENTS, SUM_UNITS, LabelSpec, column_groups
from naive.panel import panel as naive_panel

SPEC = LabelSpec(
    horizons_ns=(500 * NS_PER_MS, NS_PER_S, 11 * NS_PER_S),
    latencies_ns=(0, 50 * NS_PER_MS, 130 * NS_PER_MS),
    fee_in_bps=4.5,
    fee_out_bps=2.0,
    gap_ns=3 * NS_PER_S,
)
START_NS = 1_723_075_200_000_000_000


def a_tape(seed: int, count: int = 160) -> tuple[np.ndarray, np.ndarray]:
    return gappy_tape(seed, count, START_NS)


class Tape:
    """Events in memory, cut into batches, and a program that reads the feature row of each event off a table."""

    instruments = (("simulated", "AUSDT"), ("simulated", "BUSDT"))
    names = ("a", "b", "c")
    program_id = "table"

    def __init__(self, events: np.ndarray, features: np.ndarray, cuts: list[int]) -> None:
        self._events, self._features = events.copy(), features
        self._events["seq"] = np.arange(len(events))
        self._edges = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
        self.events_total, self.width = len(events), features.shape[1]
        self.names = self.names[: self.width]

    def batches(self) -> Iterator[np.ndarray]:
        for begin, end in itertools.pairwise(self._edges):
            yield self._events[begin:end]

    def new_state(self, instruments: int = 1) -> None:
        return None

    def run(self, events: np.ndarray, out: np.ndarray, state: None) -> None:
        out[:] = self._features[events["seq"]]


def streamed(events: np.ndarray, features: np.ndarray, cuts: list[int], spec: LabelSpec = SPEC) -> list[tuple[Any, ...]]:
    tape = Tape(events, features, cuts)
    sampler = DecisionSampler(tape.width, grid_ns=spec.grid_ns, latencies_ns=spec.latencies_ns, gap_ns=spec.gap_ns, instrument=1)
    rows: list[tuple[Any, ...]] = []
    segment: list[GridRows] = []
    for found in sampled(tape.batches(), tape, sampler, instruments=2):
        segment.append(found)
        if found.closes:
            rows += of_segment(segment, spec)
            segment.clear()
    assert not segment
    return rows


def of_segment(segment: list[GridRows], spec: LabelSpec) -> Iterator[tuple[Any, ...]]:
    mids, spreads = (np.concatenate([getattr(one, name) for one in segment], axis=1) for name in ("mids", "spreads"))
    count = mids.shape[1]
    grid = GridDay(segment[0].first_index, count, mids, spreads, np.full(count, count - 1, np.int32))
    labels: list[dict[tuple[int, int], Any]] = [{} for _ in range(count)]
    for group in column_groups(spec, 0):
        for rows, values in labeled_rows(grid, spec, group, 0, count, 2 * START_NS):
            for row, of_row in zip(range(rows.start, rows.stop, rows.step), values, strict=True):
                moments = of_row.reshape(MOMENTS, len(group.columns)).T
                labels[row] |= {column: tuple(map(int, value)) for column, value in zip(group.columns, moments, strict=True)}
    ts_ns, features = (np.concatenate([getattr(one, name) for one in segment]) for name in ("ts_ns", "features"))
    return zip(ts_ns.tolist(), features, labels, strict=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 159), max_size=6))
def test_rows_and_labels_equal_their_definition(seed: int, cuts: list[int]) -> None:
    events, features = a_tape(seed)
    fast = streamed(events, features, cuts)
    slow = naive_panel(events, features, SPEC, 1)
    assert [row[0] for row in fast] == [row.ts_ns for row in slow]
    for (ts_ns, values, labels), wanted in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(values, wanted.features, err_msg=str(ts_ns))
        for column, expected in wanted.labels.items():
            found = labels.get(column, (0,) * MOMENTS)
            assert found[:3] == (expected or (0, 0, 0)), (seed, ts_ns, column)
            if expected:
                _, g, c = expected
                assert found[3:] == (round(g * g / 10_000), round(g * c / 10_000), round(c * c / 10_000))


def test_small_chunks_give_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    events, features = a_tape(3, 900)
    whole = streamed(events, features, [])
    monkeypatch.setattr(decisions, "CHUNK_ROWS", 5)
    monkeypatch.setattr(decisions, "LABEL_ROWS", 3)
    chunked = streamed(events, features, list(range(1, 900, 7)))
    assert len(whole) > 200
    assert [row[0] for row in whole] == [row[0] for row in chunked]
    assert [row[2] for row in whole] == [row[2] for row in chunked]
    np.testing.assert_array_equal(np.array([row[1] for row in whole]), np.array([row[1] for row in chunked]))


@pytest.mark.parametrize("horizon_ns", [500 * NS_PER_MS, 11 * NS_PER_S])
@pytest.mark.parametrize("thinned", [False, True])
def test_rows_of_an_analysis_equal_their_definition(monkeypatch: pytest.MonkeyPatch, horizon_ns: int, thinned: bool) -> None:
    monkeypatch.setattr(decisions, "CHUNK_ROWS", 5)
    events, features = a_tape(3, 900)
    events["flags"][::2] = 0
    spec = LabelSpec(
        horizons_ns=(horizon_ns,), latencies_ns=(50 * NS_PER_MS,), fee_in_bps=4.5, fee_out_bps=2.0, gap_ns=10 * NS_PER_S
    )
    if thinned:
        monkeypatch.setattr(rows_module, "VALUES_BYTES_MAX", 4 * 2 * 100)
    tape = Tape(events, features, list(range(1, 900, 7)))
    span_ns = (int(events["ts_recv"][0]), int(events["ts_recv"][-1]))
    found = read_rows(tape, 1, tape, spec, columns=("c", "a"), volatility="b", span_ns=span_ns)
    assert (found.thinning > 1) == thinned
    wanted = [row for row in naive_panel(events, features, spec, 1) if row.ts_ns % found.step_ns == 0]
    labels = [row.labels[50 * NS_PER_MS, horizon_ns] for row in wanted]
    assert sum(one is not None for one in labels) > 3
    np.testing.assert_array_equal(found.ts_ns, [row.ts_ns for row in wanted])
    np.testing.assert_array_equal(found.values.T, np.float32([row.features[[0, 2]] for row in wanted]))
    np.testing.assert_array_equal(found.volatility, np.float32([row.features[1] for row in wanted]))
    np.testing.assert_array_equal(found.label, np.float32([np.nan if one is None else one[1] / SUM_UNITS for one in labels]))
    assert found.cost_bps == pytest.approx(np.mean([one[2] for one in labels if one is not None]) / SUM_UNITS, rel=1e-12)


def quotes(*received: tuple[int, float]) -> np.ndarray:
    events = np.zeros(len(received), EVENT)
    events["ts_recv"] = [START_NS + at for at, _ in received]
    events["instrument"] = 1
    events["bid_price"] = [mid - 0.5 for _, mid in received]
    events["ask_price"] = [mid + 0.5 for _, mid in received]
    return events


def first_label(events: np.ndarray, latency_ns: int) -> tuple[int, ...]:
    spec = LabelSpec(horizons_ns=(NS_PER_S,), latencies_ns=(latency_ns,), fee_in_bps=0.0, fee_out_bps=0.0)
    return streamed(events, np.zeros((len(events), 1)), [], spec)[0][2][latency_ns, NS_PER_S]


def test_t03_quote_one_ns_after_entry_does_not_matter_and_at_entry_does() -> None:
    latency_ns = 50 * NS_PER_MS
    base = [(0, 100.0), (latency_ns + 1, 150.0), (900 * NS_PER_MS, 101.0), (2 * NS_PER_S, 101.0)]
    assert first_label(quotes(*base), latency_ns)[1] == 100 * 10_000
    late_is_far_away = [base[0], (latency_ns + 1, 130.0), *base[2:]]
    assert first_label(quotes(*late_is_far_away), latency_ns) == first_label(quotes(*base), latency_ns)
    at_entry = [base[0], (latency_ns, 101.0), *base[2:]]
    assert first_label(quotes(*at_entry), latency_ns)[1] == 0


def test_t03_same_instant_takes_the_last_quote() -> None:
    events = quotes((0, 100.0), (NS_PER_S, 105.0), (NS_PER_S, 102.0), (2 * NS_PER_S, 90.0))
    assert first_label(events, 0)[1] == 200 * 10_000


def test_t18_no_label_crosses_a_gap_or_a_flag() -> None:
    spec = LabelSpec(horizons_ns=(NS_PER_S,), latencies_ns=(0,), fee_in_bps=0.0, fee_out_bps=0.0, gap_ns=3 * NS_PER_S)
    at = [i * 100 * NS_PER_MS for i in range(21)]
    calm = quotes(*((t, 100.0) for t in at))
    labeled = [row[0] - START_NS for row in streamed(calm, np.zeros((21, 1)), [], spec) if row[2][0, NS_PER_S][0]]
    assert labeled == at[:11]
    flagged = calm.copy()
    flagged["flags"][12] = FLAG_AFTER_GAP
    # The quote at 1.2 s came after lost data: windows ending before it and windows starting at it are left.
    labeled = [row[0] - START_NS for row in streamed(flagged, np.zeros((21, 1)), [], spec) if row[2][0, NS_PER_S][0]]
    assert labeled == at[:2]


def test_disorder_and_broken_prices_are_refused() -> None:
    with pytest.raises(OrderingError, match="expected receive order"):
        streamed(quotes((0, 100.0), (NS_PER_S, 100.0), (5, 100.0)), np.zeros((3, 1)), [])
    with pytest.raises(DataError, match="lake verify"):
        first_label(quotes((0, 100.0), (NS_PER_S, 500.0), (2 * NS_PER_S, 500.0)), 0)


@pytest.mark.parametrize(
    "change",
    [
        {"horizons_ns": (150 * NS_PER_MS,)},
        {"horizons_ns": (0,)},
        {"horizons_ns": ()},
        {"latencies_ns": (-1,)},
        {"gap_ns": 5},
        {"grid_ns": NS_PER_MS},
    ],
)
def test_spec_refuses_what_it_cannot_label(change: dict[str, Any]) -> None:
    fields = {name: getattr(SPEC, name) for name in SPEC.__struct_fields__}
    with pytest.raises(InputError):
        LabelSpec(**(fields | change))


def test_t18_instant_on_both_sides_of_a_flag_is_one_row() -> None:
    events = quotes((0, 100.0), (NS_PER_S, 100.0), (NS_PER_S, 105.0), (3 * NS_PER_S, 105.0))
    events["flags"][2] = FLAG_AFTER_GAP
    spec = LabelSpec(horizons_ns=(NS_PER_S,), latencies_ns=(0,), fee_in_bps=0.0, fee_out_bps=0.0, gap_ns=3 * NS_PER_S)
    rows = streamed(events, np.arange(4.0)[:, None], [], spec)
    assert [row[0] - START_NS for row in rows] == [i * 100 * NS_PER_MS for i in range(31)]
    # The instant of the flag belongs to what came after it.
    assert rows[10][1][0] == 2.0 and rows[10][2][0, NS_PER_S][:2] == (1, 0)
    assert not any(row[2][0, NS_PER_S][0] for row in rows[:10])
