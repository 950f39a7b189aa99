"""The coded panel equals its definition row by row; sums of any shards are the same bits (traps T3, T8, T18, T22)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders_decisions import gappy_tape
from edgesmith.canonical import content_hash
from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.records import as_records
from edgesmith.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation import coded as coded_module
from edgesmith.evaluation import decisions
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.coded import CodedPanel, code_panel
from edgesmith.evaluation.labels import MOMENTS, ColumnGroup, LabelSpec, N
from edgesmith.evaluation.sums import SingleCells
from naive.panel import NaiveRow
from naive.panel import panel as naive_panel

SPEC = LabelSpec(
    horizons_ns=(500 * NS_PER_MS, NS_PER_S, 11 * NS_PER_S),
    latencies_ns=(0, 50 * NS_PER_MS, 130 * NS_PER_MS),
    fee_in_bps=4.5,
    fee_out_bps=2.0,
    gap_ns=3 * NS_PER_S,
)
# Ten seconds before midnight, so that every tape reaches into the next day.
START_NS = 19_943 * NS_PER_DAY + NS_PER_DAY - 10 * NS_PER_S
BINS = tuple(FeatureBins(name, (-0.5, 0.5)) for name in ("a", "b", "c"))


class Bound(NamedTuple):
    feature: str
    low: float | None = None
    high: float | None = None
    missing: bool = False


class Trigger(NamedTuple):
    bounds: tuple[Bound, ...]
    regimes: tuple[int, ...] | None = None


class Tape:
    """Events in memory, and a program that reads the feature row of each event off a table by its place."""

    instruments = (("simulated", "AUSDT"), ("simulated", "BUSDT"))
    names = ("a", "b", "c")
    program_id = "table"

    def __init__(self, events: np.ndarray, features: np.ndarray, batch_events: int = 1 << 20) -> None:
        self.events = events.copy()
        self.events["seq"] = np.arange(len(events))
        self._features = features
        self._batch_events = batch_events
        self.fingerprint = content_hash([self.events.tobytes().hex(), features.tobytes().hex()])

    def span(self, instrument: int) -> tuple[int, int]:
        own = self.events[(self.events["instrument"] == instrument) & (self.events["kind"] == KIND_BBO)]
        return int(own["ts_recv"][0]), int(own["ts_recv"][-1])

    def window_fingerprint(self, start_ns: int, end_ns: int) -> str:
        return self.fingerprint

    def window(self, start_ns: int, end_ns: int) -> Iterator[np.ndarray]:
        chosen = self.events[(self.events["ts_recv"] >= start_ns) & (self.events["ts_recv"] < end_ns)]
        for begin in range(0, len(chosen), self._batch_events):
            yield as_records(chosen[begin : begin + self._batch_events].copy())

    def new_state(self, instruments: int = 1) -> None:
        return None

    def run(self, events: np.ndarray, out: np.ndarray, state: None) -> None:
        out[:] = self._features[events["seq"]]


def a_tape(seed: int, count: int = 160) -> tuple[np.ndarray, np.ndarray]:
    return gappy_tape(seed, count, START_NS, missing_ratio=0.1)


def a_panel(tape: Tape, spec: LabelSpec = SPEC, lake: Path | None = None, workers: int = 1) -> CodedPanel:
    first_ns, last_ns = tape.span(1)
    return code_panel(tape, 1, tape, spec, BINS, first_ns, last_ns, lake=lake, workers=workers)


def wanted_rows(tape: Tape, features: np.ndarray, spec: LabelSpec = SPEC) -> list[NaiveRow]:
    return naive_panel(tape.events, features, spec, 1)


def code_of(value: float) -> int:
    return MISSING if np.isnan(value) else int(value >= -0.5) + int(value >= 0.5)


def sums_by_hand(rows: list[NaiveRow], columns: list[tuple[int, int]], holds: Any, block_ns: int) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    for row in rows:
        if not holds([code_of(value) for value in row.features]):
            continue
        for at, column in enumerate(columns):
            label = row.labels[column]
            if label is not None:
                _, g, c = label
                moments = (1, g, c, round(g * g / 10_000), round(g * c / 10_000), round(c * c / 10_000))
                found.setdefault(row.ts_ns // block_ns, np.zeros((len(columns), MOMENTS), np.int64))[at] += moments
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 170))
def test_t03_t18_panel_equals_its_definition(seed: int, batch: int) -> None:
    events, features = a_tape(seed)
    tape = Tape(events, features, batch)
    rows = wanted_rows(tape, features)
    panel = a_panel(tape)
    columns = [(latency, horizon) for latency in SPEC.latencies_ns for horizon in SPEC.horizons_ns]
    triggers = [
        Trigger((Bound("a", low=0.5),)),
        Trigger((Bound("a", high=0.5), Bound("b", low=-0.5, high=0.5))),
        Trigger((Bound("c", missing=True),)),
    ]
    tests = [lambda k: k[0] == 2, lambda k: k[0] in (0, 1) and k[1] == 1, lambda k: k[2] == MISSING, lambda k: True]
    found = panel.trigger_sums(triggers, block_ns=NS_PER_MINUTE)
    everything = sums_by_hand(rows, columns, tests[-1], NS_PER_MINUTE)
    for sums, holds in zip(found, tests, strict=False):
        wanted = sums_by_hand(rows, columns, holds, NS_PER_MINUTE)
        assert list(sums.keys) == sorted(everything) and list(sums.columns) == columns
        for at, key in enumerate(sums.keys):
            np.testing.assert_array_equal(sums.sums[at], wanted.get(key, 0), err_msg=str((seed, key)))
            np.testing.assert_array_equal(sums.totals[at], everything[key])


def test_t08_a_row_knows_what_was_received_by_its_instant_and_no_more() -> None:
    events, features = a_tape(5, 400)
    tape = Tape(events, features)
    panel = a_panel(tape)
    rows = {row.ts_ns: [code_of(value) for value in row.features] for row in wanted_rows(tape, features)}
    seen = {}
    for day in panel.days:
        kept = panel.open_day(day)
        for i in range(kept.grid.rows):
            if kept.grid.segment_last[i] >= 0:
                seen[(kept.grid.first_index + i) * SPEC.grid_ns] = kept.codes[:, i].tolist()
    assert len(panel.days) == 2 and seen == rows


def test_t22_any_workers_pieces_chunks_and_batches_give_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, features = a_tape(3, 900)
    groups = [ColumnGroup(NS_PER_MINUTE, 100 * NS_PER_MS, ((0, NS_PER_S), (50 * NS_PER_MS, 500 * NS_PER_MS)))]

    def outcome(batch: int, workers: int) -> bytes:
        panel = a_panel(Tape(events, features, batch), lake=tmp_path / f"{batch}-{workers}", workers=workers)
        singles = panel.block_sums(SingleCells(panel.bins), groups, moments=3)[0]
        triggers = panel.trigger_sums([Trigger((Bound("b", low=0.5),))], block_ns=NS_PER_MINUTE)
        return b"".join(array.tobytes() for array in (singles.sums, singles.squares, triggers[0].sums, triggers[0].totals))

    whole = outcome(1 << 20, 1)
    for shards in (2, 7, 64):
        monkeypatch.setattr(coded_module, "PIECE_ROWS", -(-2_000 // shards))
        assert outcome(37 * shards, min(shards, 7)) == whole
    monkeypatch.setattr(decisions, "CHUNK_ROWS", 5)
    monkeypatch.setattr(decisions, "LABEL_ROWS", 3)
    assert outcome(11, 2) == whole


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 800), max_size=5), order=st.randoms(use_true_random=False))
def test_t22_sums_of_spans_merge_to_the_whole(cuts: list[int], order: Any) -> None:
    events, features = a_tape(4, 500)
    panel = a_panel(Tape(events, features))
    # Each span is purged, so labels that cross its end are lost: only labels within spans are compared.
    whole = panel.trigger_sums([Trigger((Bound("a", low=0.5),))], block_ns=NS_PER_MINUTE, columns=[(0, 500 * NS_PER_MS)])[0]
    edges = sorted({panel.first_ns, *(panel.first_ns + cut * 100 * NS_PER_MS for cut in cuts if cut < 400), panel.last_ns})
    parts = []
    for begin, end in itertools.pairwise(edges):
        labels_end = min(end - 1 + 500 * NS_PER_MS, panel.last_ns) if end < panel.last_ns else end
        parts.append(
            panel.between(begin, labels_end).trigger_sums(
                [Trigger((Bound("a", low=0.5),))], block_ns=NS_PER_MINUTE, columns=[(0, 500 * NS_PER_MS)]
            )[0]
        )
    order.shuffle(parts)
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    kept = merged.keys.argsort()
    np.testing.assert_array_equal(merged.keys[kept], whole.keys)
    assert merged.sums.tobytes() == whole.sums.tobytes() and merged.totals.tobytes() == whole.totals.tobytes()
    np.testing.assert_array_equal(
        whole.coarsened(NS_PER_DAY).totals.sum(axis=0), whole.totals.sum(axis=0), err_msg="coarser blocks hold the same rows"
    )


def test_purged_labels_end_inside_the_span() -> None:
    events, features = a_tape(6, 400)
    tape = Tape(events, features)
    rows, panel = wanted_rows(tape, features), a_panel(tape)
    first_ns, last_ns = panel.first_ns + 3 * NS_PER_S + 1, panel.first_ns + 30 * NS_PER_S + 7
    cut = panel.between(first_ns, last_ns).trigger_sums([Trigger((Bound("a", low=0.5),))], block_ns=NS_PER_DAY)[0]
    wanted = []
    for latency_ns, horizon_ns in cut.columns:
        inside = [r for r in rows if r.ts_ns >= first_ns and r.ts_ns + latency_ns + horizon_ns <= last_ns]
        wanted.append(sum(row.labels[latency_ns, horizon_ns] is not None for row in inside))
    assert cut.totals[..., N].sum(axis=0).tolist() == wanted and any(wanted)


def test_sums_of_bins_are_those_of_the_triggers_they_are() -> None:
    events, features = a_tape(7, 600)
    panel = a_panel(Tape(events, features))
    group = ColumnGroup(NS_PER_MINUTE, 100 * NS_PER_MS, ((0, NS_PER_S), (50 * NS_PER_MS, 500 * NS_PER_MS)))
    cells = SingleCells(panel.bins)
    (singles,) = panel.block_sums(cells, [group], moments=6)
    assert singles.sums.any(axis=(0, 2, 3)).sum() >= 8
    for place, bins in enumerate(panel.bins):
        edges = [None, *bins.cuts, None]
        bounds = [Bound(bins.name, low=low, high=high) for low, high in itertools.pairwise(edges)]
        codes = [*range(bins.count), cells.slots - 1]
        for code, bound in zip(codes, [*bounds, Bound(bins.name, missing=True)], strict=True):
            (one,) = panel.trigger_sums([Trigger((bound,))], block_ns=NS_PER_MINUTE, columns=group.columns)
            own = singles.sums[one.keys - singles.first_key, place * cells.slots + code]
            np.testing.assert_array_equal(one.sums, own.transpose(0, 2, 1))


def test_a_killed_computation_goes_on_from_the_days_that_are_done(tmp_path: Path) -> None:
    events, features = a_tape(8, 600)
    tape = Tape(events, features)
    whole = a_panel(tape, lake=tmp_path)
    files = sorted(tmp_path.rglob("*.npy"))
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    assert len(files) == 8 and all(path.parent.name.startswith("date=") for path in files)
    # A day without its meta was being written when the process died.
    metas = sorted(tmp_path.rglob("meta.json"))
    metas[1].unlink()
    again = a_panel(tape, lake=tmp_path, workers=2)
    after = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    assert [content for content, _ in after] == [content for content, _ in before]
    assert after[:4] == before[:4] and all(new != old for (_, new), (_, old) in zip(after[4:], before[4:], strict=True))
    assert again.days == whole.days


def test_changed_data_is_computed_again_and_a_panel_in_use_says_so(tmp_path: Path) -> None:
    events, features = a_tape(9)
    panel = a_panel(Tape(events, features), lake=tmp_path)
    moved = events.copy()
    moved["bid_price"] -= 0.1
    changed = a_panel(Tape(moved, features), lake=tmp_path)
    with pytest.raises(DataError, match="run the command again"):
        list(panel.pieces())
    assert list(changed.pieces())


def test_wrong_questions_say_what_was_expected() -> None:
    events, features = a_tape(10)
    panel = a_panel(Tape(events, features))
    for trigger, words in (
        (Trigger((Bound("a", low=0.4),)), "not a cut point"),
        (Trigger((Bound("z", low=0.5),)), "expected a feature of this panel: a, b, c"),
        (Trigger((Bound("a", low=0.5),), regimes=(1,)), "no regime feature"),
    ):
        with pytest.raises(InputError, match=words):
            panel.trigger_sums([trigger])
    with pytest.raises(InputError, match="divide a day"):
        panel.trigger_sums([], block_ns=7 * NS_PER_MINUTE)
    with pytest.raises(InputError, match="of this panel"):
        panel.trigger_sums([], columns=[(1, 2)])


def test_broken_prices_are_refused() -> None:
    events, features = a_tape(11)
    events["bid_price"][80:], events["ask_price"][80:] = 5_000.0, 5_000.1
    with pytest.raises(DataError, match="lake verify"):
        a_panel(Tape(events, features)).trigger_sums([Trigger((Bound("a", low=0.5),))])
