from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import DAY, put, random_columns, small_lake
from edgesmith.clock import ManualClock
from edgesmith.domain.events import EVENT, Stream
from edgesmith.domain.records import records
from edgesmith.domain.units import NS_PER_DAY, ns_of_date
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.lake import datafile, sequence
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.replay import Replay, paced


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Catalog(small_lake(tmp_path_factory.mktemp("lake"), symbols=("ETHUSDT", "BTCUSDT"), days=2, count=200))


def events(replay: Replay) -> Any:
    batches = list(replay.batches())
    return np.concatenate([batch.view("V64") for batch in batches]).view(EVENT) if batches else records(EVENT, 0)


def test_batches_have_the_size_asked_for_and_may_be_walked_again(lake: Catalog) -> None:
    replay = Replay(lake.partitions(), batch_events=300)
    sizes = [len(batch) for batch in replay.batches()]
    assert sizes == [300] * 13 + [100]
    assert sum(sizes) == replay.events_total == 4000
    assert [len(batch) for batch in replay.batches()] == sizes
    assert all(batch.dtype == EVENT for batch in replay.batches())


def test_batches_are_not_overwritten_by_the_next(lake: Catalog) -> None:
    replay = Replay(lake.partitions(), batch_events=64)
    held = list(replay.batches())
    assert [batch.tobytes() for batch in held] == [batch.tobytes() for batch in replay.batches()]


def test_instruments_are_sorted_and_index_the_events(lake: Catalog) -> None:
    replay = Replay(lake.partitions()[::-1])
    assert replay.instruments == (("binance_usdm", "BTCUSDT"), ("binance_usdm", "ETHUSDT"))
    assert np.bincount(events(replay)["instrument"]).tolist() == [2000, 2000]


def test_payload_of_every_stream_arrives_in_its_fields(tmp_path: Path) -> None:
    for stream in Stream:
        columns = random_columns(stream, 50)
        put(tmp_path / stream.label, stream, columns)
        found = events(Replay(Catalog(tmp_path / stream.label).partitions(), order="venue"))
        order = np.lexsort((columns["ts_recv"], columns["ts_event"]))
        for name, column in columns.items():
            if name != "trade_id":
                np.testing.assert_array_equal(found[name], column[order])
        assert found["kind"].tolist() == [int(stream)] * 50
        assert found["seq"].tolist() == list(range(50))
        assert not found["flags"].any()


def test_unused_payload_bytes_are_zero(tmp_path: Path) -> None:
    put(tmp_path, Stream.OPEN_INTEREST, random_columns(Stream.OPEN_INTEREST, 5))
    found = events(Replay(Catalog(tmp_path).partitions()))
    assert not found.view(np.int64).reshape(-1, 8)[:, 5:].any()


def test_fingerprint_follows_the_content_only(tmp_path: Path) -> None:
    columns = random_columns(Stream.BBO, 20)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        put(tmp_path / name, Stream.BBO, columns if seed == 0 else random_columns(Stream.BBO, 20, seed=seed))
    a, b, c = (Replay(Catalog(tmp_path / name).partitions()).fingerprint for name in "abc")
    assert a == b != c
    assert Replay(Catalog(tmp_path / "a").partitions(), order="venue", end_ns=5).fingerprint == a


def test_range_is_half_open_on_the_clock_of_the_order(lake: Catalog) -> None:
    partitions = lake.partitions(stream="bbo", symbol="BTCUSDT")
    for order, field in (("receive", "ts_recv"), ("venue", "ts_event")):
        everything = events(Replay(partitions, order=order))
        start_ns, end_ns = int(everything[field][57]), int(everything[field][300])
        wanted = (everything[field] >= start_ns) & (everything[field] < end_ns)
        found = events(Replay(partitions, order=order, start_ns=start_ns, end_ns=end_ns))
        assert found.tobytes() == everything.view("V64")[wanted].tobytes()


def test_a_range_outside_the_data_is_empty_and_opens_nothing(tmp_path: Path) -> None:
    meta = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 20)).meta
    (meta.key.folder(tmp_path) / meta.data_file).unlink()
    assert len(events(Replay(Catalog(tmp_path).partitions(), start_ns=ns_of_date(DAY) + NS_PER_DAY))) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "random"}, "order was 'random'"),
        ({"batch_events": 0}, "batch_events was 0"),
        ({"start_ns": 5, "end_ns": 5}, "range was empty"),
    ],
)
def test_unusable_options_are_refused(lake: Catalog, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Replay(lake.partitions(), **options)


def test_no_partitions_and_doubled_partitions_are_refused(lake: Catalog) -> None:
    with pytest.raises(InputError, match="no partitions"):
        Replay([])
    with pytest.raises(InputError, match="same partition twice"):
        Replay(lake.partitions() + lake.partitions()[:1])


def test_late_rows_far_beyond_a_row_group_are_put_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafile, "ROW_GROUP_ROWS", 10)
    columns = random_columns(Stream.BBO, 100, latency_ns_max=1)
    columns["ts_recv"][5] = columns["ts_recv"][95] + 1
    put(tmp_path, Stream.BBO, columns)
    found = events(Replay(Catalog(tmp_path).partitions()))
    assert bool(np.all(np.diff(found["ts_recv"]) >= 0))
    assert int(found["seq"][95]) == 5


def test_disorder_beyond_the_limit_teaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafile, "ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(sequence, "DISORDER_EVENTS_MAX", 50)
    columns = random_columns(Stream.BBO, 100)
    put(tmp_path, Stream.BBO, columns | {"ts_recv": columns["ts_recv"][::-1].copy()})
    with pytest.raises(DataError, match=r"at most 50 can be put right.*order='venue'"):
        list(Replay(Catalog(tmp_path).partitions()).batches())
    assert len(events(Replay(Catalog(tmp_path).partitions(), order="venue"))) == 100


def test_a_file_with_fewer_rows_than_its_meta_is_refused(tmp_path: Path) -> None:
    first = put(tmp_path / "a", Stream.BBO, random_columns(Stream.BBO, 20)).meta
    other = put(tmp_path / "b", Stream.BBO, random_columns(Stream.BBO, 10)).meta
    (first.key.folder(tmp_path / "a") / first.data_file).write_bytes(
        (other.key.folder(tmp_path / "b") / other.data_file).read_bytes()
    )
    with pytest.raises(CorruptDataError, match="lacks statistics or rows"):
        list(Replay(Catalog(tmp_path / "a").partitions()).batches())


def at(*ts_recv: int) -> Any:
    batch = records(EVENT, len(ts_recv))
    batch["ts_recv"] = ts_recv
    return batch


class LateClock(ManualClock):
    """Wakes `late_ns` after it was asked to."""

    def __init__(self, start_ns: int, late_ns: int) -> None:
        super().__init__(start_ns)
        self._late_ns = late_ns

    def sleep_until_ns(self, instant_ns: int) -> None:
        if instant_ns > self.now_ns():
            super().sleep_until_ns(instant_ns + self._late_ns)


def walked(batches: list[Any], clock: ManualClock, speed: float | None) -> list[tuple[int, list[int]]]:
    return [(clock.now_ns(), batch["ts_recv"].tolist()) for batch in paced(batches, clock, speed)]


def test_real_time_yields_each_event_when_it_is_due() -> None:
    found = walked([at(1000, 1010, 1010, 1050), at(1060)], ManualClock(5), 1.0)
    assert found == [(5, [1000]), (15, [1010, 1010]), (55, [1050]), (65, [1060])]


def test_ten_times_as_fast_waits_a_tenth() -> None:
    assert walked([at(1000, 1100), at(1205)], ManualClock(0), 10.0) == [(0, [1000]), (10, [1100]), (21, [1205])]


def test_no_speed_does_not_wait_or_split() -> None:
    clock = ManualClock(3)
    assert walked([at(1000, 9000)], clock, None) == [(3, [1000, 9000])]


def test_a_late_clock_catches_up_in_one_batch_and_does_not_drift() -> None:
    found = walked([at(0, 10, 20, 100)], LateClock(0, late_ns=12), 1.0)
    assert found == [(0, [0]), (22, [10, 20]), (112, [100])]


def test_an_event_behind_the_latest_is_due_at_once() -> None:
    assert walked([at(0, 50), at(30, 60)], ManualClock(0), 1.0) == [(0, [0]), (50, [50]), (50, [30]), (60, [60])]


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_unusable_speed_is_refused(speed: float) -> None:
    with pytest.raises(InputError, match="speed was"):
        list(paced([at(0)], ManualClock(), speed))


def test_memory_does_not_grow_with_the_number_of_partitions(tmp_path: Path) -> None:
    for offset in range(24):
        day = DAY + timedelta(days=offset)
        start_ns = ns_of_date(day) + 1_000_000_000
        put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 40_000, seed=offset, start_ns=start_ns), day=day)
    program = """
        import resource, sys
        from edgesmith.lake.catalog import Catalog
        from edgesmith.lake.replay import Replay

        def peak_kib(days):
            count = sum(len(batch) for batch in Replay(partitions[:days], batch_events=8192).batches())
            assert count == 40_000 * days
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        partitions = Catalog(sys.argv[1]).partitions()
        print(peak_kib(2), peak_kib(24))
    """
    arguments = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    few, many = map(int, subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split())
    # All 24 days as events are 61 MB; one day is 2.6 MB.
    assert many - few < 15_000, f"peak grew from {few} KiB to {many} KiB"
