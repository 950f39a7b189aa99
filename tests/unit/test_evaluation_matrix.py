"""Feature rows on disk: what the program gives, by event or on a grid, once, day by day, with the state carried over."""

from __future__ import annotations

import functools
import json
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import DAY, put, random_columns, small_lake
from builders_features import bbo_tape
from edgesmith.cli.app import run
from edgesmith.domain.events import FLAG_AFTER_GAP, Stream
from edgesmith.domain.records import joined
from edgesmith.domain.units import NS_PER_DAY, NS_PER_S, ns_of_date
from edgesmith.errors import InputError
from edgesmith.evaluation import matrix_file
from edgesmith.evaluation.decisions import DecisionSampler
from edgesmith.evaluation.labels import GAP_NS
from edgesmith.evaluation.matrix import compute_matrix
from edgesmith.evaluation.matrix_file import MatrixFile
from edgesmith.features.catalog import FEATURE_SETS, feature
from edgesmith.features.cross import led_by
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


@functools.cache
def led(place: int) -> Program:
    return Program(led_by([feature("spread"), feature("leader_return_500ms"), feature("leader_basis")], place))


@pytest.mark.parametrize("grid_ns", [0, 100_000_000])
@pytest.mark.parametrize("symbol", ["AUSDT", "BUSDT"])
def test_rows_know_what_the_leader_did_by_then(tmp_path: Path, grid_ns: int, symbol: str) -> None:
    # The leader's quotes are few and far, and last a day longer: no rows of its own, no day of its own.
    for name, days in ((symbol, 2), ("AUSDT" if symbol == "BUSDT" else "BUSDT", 3)):
        for k in range(days):
            columns = random_columns(
                Stream.BBO, 400, seed=7 * k + len(name) + ord(name[0]), start_ns=ns_of_date(DAY + timedelta(days=k)),
                step_ns_max=40_000_000 if name == symbol else 90_000_000,
            )  # fmt: skip
            put(tmp_path, Stream.BBO, columns, symbol=name, day=DAY + timedelta(days=k))
    partitions = Catalog(tmp_path).partitions()
    own = 0 if symbol == "AUSDT" else 1
    options: dict[str, Any] = {"instrument": (partitions[0].key.venue, symbol), "grid_ns": grid_ns, "values": "float64"}
    compute_matrix(tmp_path, [one for one in partitions if one.key.day == DAY], led(1 - own), **options)
    files = compute_matrix(tmp_path, partitions, led(1 - own), **options)
    assert [(file.day, file.computed) for file in files] == [(DAY, False), (DAY + timedelta(days=1), True)]
    events = joined(list(Replay([one for one in partitions if one.key.day < DAY + timedelta(days=2)]).batches()))
    rows = led(1 - own).compute(events, instruments=2)
    mine = events["instrument"] == own
    table = read(files)
    found = np.column_stack([table[name].to_numpy() for name in led(0).names])
    if grid_ns:
        instants = table["ts_recv"].to_numpy()
        at = np.searchsorted(events["ts_recv"][mine], instants, side="right") - 1
        np.testing.assert_array_equal(found, rows[mine][at])
    else:
        np.testing.assert_array_equal(found, rows[mine])
    assert np.isfinite(found).all(axis=1).mean() > 0.8
    with pytest.raises(InputError, match="2 instruments at once"):
        compute_matrix(tmp_path, partitions, led(1 - own))


def test_the_leader_is_named_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_lake(tmp_path, symbols=("AUSDT", "BUSDT"))
    words = ["features", "compute", "--market", "usdm", "--lake", str(tmp_path), "--symbol", "BUSDT", "--json"]
    for more, said in ((["--set", "cross"], "name it with --leader"), (["--leader", "BUSDT"], "expected another market")):
        assert run([*words, *more]) == 2
        assert said in capsys.readouterr().err
    assert run([*words, "--set", "spread", "--leader", "binance_usdm:AUSDT"]) == 0
    (file,) = json.loads(capsys.readouterr().out)
    table = pq.read_table(file["path"])
    assert table.column_names[3:] == ["spread", *FEATURE_SETS["cross"]]
    assert np.isfinite(table["leader_basis"].to_numpy()).any()


def test_a_grid_nobody_can_mean_is_refused(lake: Path) -> None:
    with pytest.raises(InputError, match="grid was 1 us, expected 1 ms to 1 h 00 m"):
        computed(lake, grid_ns=1_000)
