"""Feature rows on disk: what the program gives, by event or on a grid, once, day by day, with the state carried over."""

from __future__ import annotations

import functools
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import DAY, put, random_columns
from builders_features import bbo_tape
from edgesmith.domain.events import FLAG_AFTER_GAP, Stream
from edgesmith.domain.records import joined
from edgesmith.domain.units import NS_PER_DAY, NS_PER_S, ns_of_date
from edgesmith.errors import InputError
from edgesmith.evaluation import matrix_file
from edgesmith.evaluation.decisions import DecisionSampler
from edgesmith.evaluation.labels import GAP_NS
from edgesmith.evaluation.matrix import compute_matrix
from edgesmith.evaluation.matrix_file import MatrixFile
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.replay import Replay
from naive.panel import features_at, segments

NAMES = ("microprice", "return_1", "imbalance_ema", "trade_flow_imbalance")


@functools.cache
def program() -> Program:
    return Program([feature(name) for name in NAMES])


def add_day(lake: Path, day: date, count: int = 700, *, start_s: int = 86_395) -> None:
    # Ends after midnight on the receive clock: the last rows of a partition belong to the next receive day.
    for stream in (Stream.BBO, Stream.TRADE):
        columns = random_columns(
            stream, count, seed=day.day, start_ns=ns_of_date(day) + start_s * NS_PER_S, step_ns_max=14_000_000
        )
        before_midnight = columns["ts_event"] < ns_of_date(day) + NS_PER_DAY
        columns = {name: column[before_midnight] for name, column in columns.items()}
        columns["ts_recv"] = columns["ts_event"] + 400_000_000
        put(lake, stream, columns, day=day)


def computed(lake: Path, last: date | None = None, **options: Any) -> list[MatrixFile]:
    return compute_matrix(lake, Catalog(lake).partitions(end=last), program(), **options)


def read(files: list[MatrixFile]) -> pa.Table:
    return pa.concat_tables([pq.read_table(file.path) for file in files])


def everything(lake: Path) -> tuple[Any, Any]:
    events = joined(list(Replay(Catalog(lake).partitions()).batches()))
    return events, program().compute(events)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    for k in range(2):
        add_day(tmp_path, DAY + timedelta(days=k))
    return tmp_path


def test_rows_are_what_the_program_gives_day_by_day(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_file, "BLOCK_ROWS", 100)
    files = computed(lake)
    events, rows = everything(lake)
    assert [file.day for file in files] == [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    table = read(files)
    for name in ("ts_event", "ts_recv", "seq"):
        np.testing.assert_array_equal(table[name], events[name])
    for place, name in enumerate(NAMES):
        # A price needs its digits; what is free of scale is kept in 4 bytes.
        written = np.float64 if name == "microprice" else np.float32
        assert table.schema.field(name).type == pa.from_numpy_dtype(written)
        np.testing.assert_array_equal(table[name].to_numpy(), rows[:, place].astype(written))
    whole = read(computed(lake, values="float64"))
    np.testing.assert_array_equal(np.column_stack([whole[name].to_numpy() for name in NAMES]), rows)


def test_computing_again_changes_nothing_and_a_new_day_goes_on_from_the_last(lake: Path) -> None:
    first = computed(lake)
    bytes_before = [file.path.read_bytes() for file in first]
    assert [file.computed for file in computed(lake)] == [False] * 3
    add_day(lake, DAY + timedelta(days=2))
    longer = computed(lake)
    # The third receive day held the tail of the second partition; now it holds more, so it is computed again.
    assert [(file.day, file.computed) for file in longer] == [
        (DAY, False),
        (DAY + timedelta(days=1), False),
        (DAY + timedelta(days=2), True),
        (DAY + timedelta(days=3), True),
    ]
    assert [file.path.read_bytes() for file in longer[:2]] == bytes_before[:2]
    _, rows = everything(lake)
    np.testing.assert_array_equal(read(longer)["return_1"].to_numpy(), rows[:, 1].astype(np.float32))
    # A range of its own has a state of its own, and does not disturb the other.
    (alone,) = {
        file.path.parents[2] for file in compute_matrix(lake, Catalog(lake).partitions(start=DAY + timedelta(days=1)), program())
    }
    assert alone != longer[0].path.parents[2]
    assert [file.computed for file in computed(lake)] == [False] * 4


def test_a_failure_leaves_nothing_of_the_day(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(matrix_file.pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="no space"):
        computed(lake)
    assert not [path for path in (lake / "features").rglob("*") if path.is_file()]
    monkeypatch.undo()
    assert all(file.computed for file in computed(lake))


@pytest.mark.parametrize("grid_ns", [100_000_000, 1_000_000_000])
def test_grid_rows_are_the_last_rows_before_each_instant(lake: Path, grid_ns: int) -> None:
    events, rows = everything(lake)
    expected = []
    days = events["ts_recv"] // NS_PER_DAY
    for day in np.unique(days):
        for first, last in segments(events[days == day], 0, GAP_NS):
            instants = range(-(-first // grid_ns) * grid_ns, last + 1, grid_ns)
            expected += [(t, *features_at(events, rows, 0, t)) for t in instants]
    table = read(computed(lake, grid_ns=grid_ns, values="float64"))
    assert len(expected) >= 8
    np.testing.assert_array_equal(np.column_stack([table[name].to_numpy() for name in ("ts_recv", *NAMES)]), np.array(expected))


def test_grid_of_gaps_whatever_the_batches() -> None:
    lasting = np.cumsum(np.random.default_rng(3).integers(0, 40_000_000, 3_000))
    events = bbo_tape(3_000, seed=5)
    events["ts_recv"] = lasting
    events["ts_recv"][1_000:] += 31 * NS_PER_S
    events["flags"][2_000] = FLAG_AFTER_GAP
    events["ts_recv"][1_999] = events["ts_recv"][2_000] = events["ts_recv"][2_000] // 1_000_000 * 1_000_000
    rows = program().compute(events)
    expected = []
    for first, last in segments(events, 0, 30 * NS_PER_S):
        expected += [
            (t, *features_at(events, rows, 0, t)) for t in range(-(-first // 1_000_000) * 1_000_000, last + 1, 1_000_000)
        ]
    for cuts in ([0, 3_000], [0, 1, 999, 1_000, 1_001, 1_999, 2_000, 2_001, 3_000]):
        sampler, found = DecisionSampler(program().width, grid_ns=1_000_000, gap_ns=30 * NS_PER_S), []
        for begin, end in pairwise(cuts):
            found += [np.column_stack([each.ts_ns, each.features]) for each in sampler.feed(events[begin:end], rows[begin:end])]
        found += [np.column_stack([each.ts_ns, each.features]) for each in sampler.finish()]
        np.testing.assert_array_equal(np.concatenate(found), np.array(expected))


def test_a_grid_nobody_can_mean_is_refused(lake: Path) -> None:
    with pytest.raises(InputError, match="grid was 1 us, expected 1 ms to 1 h 00 m"):
        computed(lake, grid_ns=1_000)
