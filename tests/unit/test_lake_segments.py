from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from builders import DAY, LOCAL_CLOCK, a_source, pick, put, random_columns
from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_DAY, ns_of_date
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.lake import datafile
from edgesmith.lake.atomic import locked_folder, write_atomically
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.quality import verify
from edgesmith.lake.schema import ClockRecord, arrow_schema

START_NS = ns_of_date(DAY) + 1_000


def quotes(*rows: tuple[int, int, float]) -> dict[str, Any]:
    """Return quotes from (ts_event, ts_recv, bid_qty), the clocks relative to START_NS."""
    event, recv, qty = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows))
    return {
        "ts_event": START_NS + event,
        "ts_recv": START_NS + recv,
        "bid_price": ones * 10.0,
        "bid_qty": qty.astype(float),
        "ask_price": ones * 10.1,
        "ask_qty": ones,
    }


def stored(root: Path, stream: Stream = Stream.BBO) -> Any:
    (partition,) = Catalog(root).partitions(stream=stream)
    assert verify(partition).problems == ()
    return pq.read_table(partition.data_path)


def stored_qty(root: Path) -> list[float]:
    return stored(root)["bid_qty"].to_pylist()


@pytest.mark.parametrize("stream", list(Stream))
def test_rows_come_back_as_given(tmp_path: Path, stream: Stream) -> None:
    columns = random_columns(stream, 300)
    result = put(tmp_path, stream, columns)
    table = stored(tmp_path, stream)
    assert table.schema.equals(arrow_schema(stream))
    assert table["seq"].to_pylist() == list(range(300))
    assert set(table["exchange"].to_pylist()) == {"binance_usdm"}
    assert set(table["symbol"].to_pylist()) == {"BTCUSDT"}
    for name, column in columns.items():
        expected = [str(value) for value in column] if name == "trade_id" else column.tolist()
        assert table[name].to_pylist() == [None if value != value else value for value in expected]
    assert (result.rows_added, result.duplicates, result.changed) == (300, 0, True)


def test_absent_index_price_is_null_in_the_file(tmp_path: Path) -> None:
    columns = random_columns(Stream.MARK_PRICE, 100)
    put(tmp_path, Stream.MARK_PRICE, columns)
    assert stored(tmp_path, Stream.MARK_PRICE)["index_price"].null_count == np.isnan(columns["index_price"]).sum() > 0


def test_meta_says_what_the_rows_are(tmp_path: Path) -> None:
    meta = put(tmp_path, Stream.BBO, quotes((5, 3, 1), (1, 9, 2), (7, 12, 3))).meta
    assert (meta.rows, meta.ts_event_min - START_NS, meta.ts_event_max - START_NS) == (3, 1, 7)
    assert (meta.ts_recv_min - START_NS, meta.ts_recv_max - START_NS) == (3, 12)
    assert (meta.clock.skew_ns_min, meta.clock.skew_ns_p50) == (-2, 5)
    assert meta.sources == (a_source(),)
    assert (meta.price_increment, meta.qty_increment, meta.simulated) == ("0.1", "0.001", False)


def test_rows_are_sorted_by_both_clocks_then_arrival(tmp_path: Path) -> None:
    put(tmp_path, Stream.BBO, quotes((5, 6, 1), (5, 5, 2), (1, 1, 3), (5, 5, 4), (5, 6, 0)))
    assert stored_qty(tmp_path) == [3, 2, 4, 1, 0]


def test_same_import_twice_leaves_the_same_bytes(tmp_path: Path) -> None:
    columns = random_columns(Stream.TRADE, 500, step_ns_max=2, latency_ns_max=2)
    folder = put(tmp_path, Stream.TRADE, columns).meta.key.folder(tmp_path)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    again = put(tmp_path, Stream.TRADE, columns)
    assert (again.rows_added, again.duplicates, again.changed) == (0, 500, False)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_two_lakes_of_one_input_are_byte_equal(tmp_path: Path) -> None:
    columns = random_columns(Stream.BBO, 500)
    folders = [put(tmp_path / name, Stream.BBO, columns).meta.key.folder(tmp_path / name) for name in "ab"]
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1] and len(contents[0]) == 2


def test_a_known_row_from_a_new_source_adds_the_source_only(tmp_path: Path) -> None:
    columns = random_columns(Stream.BBO, 50)
    first = put(tmp_path, Stream.BBO, columns).meta
    second = put(tmp_path, Stream.BBO, columns, source=a_source("another.gz"))
    assert (second.rows_added, second.changed) == (0, True)
    assert second.meta.data_file == first.data_file
    assert [source.name for source in second.meta.sources] == ["another.gz", "capture.gz"]


def test_repeated_state_within_an_instant_is_dropped_but_its_return_is_kept(tmp_path: Path) -> None:
    result = put(tmp_path, Stream.BBO, quotes((1, 1, 5), (1, 1, 5), (1, 1, 6), (1, 1, 5), (2, 2, 5)))
    assert stored_qty(tmp_path) == [5, 6, 5, 5]
    assert result.duplicates == 1


def test_union_keeps_each_row_as_often_as_the_import_that_has_it_most(tmp_path: Path) -> None:
    put(tmp_path, Stream.BBO, quotes((1, 1, 5), (1, 1, 6), (1, 1, 5)))
    result = put(tmp_path, Stream.BBO, quotes((1, 1, 6), (1, 1, 5), (1, 1, 7), (1, 1, 6)))
    assert sorted(stored_qty(tmp_path)) == [5, 5, 6, 6, 7]
    assert (result.rows_added, result.duplicates) == (2, 2)


def test_what_two_recorders_heard_is_there_once_at_the_earlier_time(tmp_path: Path) -> None:
    trades = random_columns(Stream.TRADE, 40)
    late = trades | {"ts_recv": trades["ts_recv"] + np.where(np.arange(40) % 2, 5, -5)}
    for name, first, second in (("a", trades, late), ("b", late, trades)):
        put(tmp_path / name, Stream.TRADE, pick(first, np.arange(30)))
        result = put(tmp_path / name, Stream.TRADE, pick(second, np.arange(10, 40)))
        assert (result.rows_added, result.duplicates) == (10, 20)
        rows = stored(tmp_path / name, Stream.TRADE)
        ids, received = rows["trade_id"].to_pylist(), rows["ts_recv"].to_numpy()
        assert len(ids) == len(set(ids)) == 40
        earlier = np.minimum(trades["ts_recv"], late["ts_recv"])
        assert all(received[ids.index(str(trades["trade_id"][at]))] == earlier[at] for at in range(10, 30))
    put(tmp_path, Stream.BBO, quotes((1, 1, 5), (1, 2, 6), (1, 3, 5)))
    assert put(tmp_path, Stream.BBO, quotes((1, 2, 5), (1, 3, 6), (1, 4, 5))).rows_added == 0
    assert stored_qty(tmp_path) == [5, 6, 5]


def test_equal_prints_are_one_trade_wherever_they_stand(tmp_path: Path) -> None:
    columns = pick(random_columns(Stream.TRADE, 3, step_ns_max=1, latency_ns_max=1), np.array([0, 1, 0, 2, 1]))
    result = put(tmp_path, Stream.TRADE, columns)
    assert stored(tmp_path, Stream.TRADE)["trade_id"].to_pylist() == ["1000", "1001", "1002"]
    assert result.duplicates == 2


@pytest.mark.parametrize("ids", [np.array(["7", "8"]), np.array(["7", "8"], object), np.array([7, 8]), ["7", "8"]])
def test_trade_ids_may_be_strings_or_integers(tmp_path: Path, ids: Any) -> None:
    put(tmp_path, Stream.TRADE, random_columns(Stream.TRADE, 2) | {"trade_id": ids})
    assert stored(tmp_path, Stream.TRADE)["trade_id"].to_pylist() == ["7", "8"]


def test_checksum_does_not_depend_on_how_parquet_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = random_columns(Stream.TRADE, 1000)
    first = put(tmp_path / "a", Stream.TRADE, columns).meta
    monkeypatch.setattr(datafile, "ROW_GROUP_ROWS", 64)
    second = put(tmp_path / "b", Stream.TRADE, columns).meta
    assert first.content_sha256 == second.content_sha256
    paths = [meta.key.folder(tmp_path / name) / meta.data_file for name, meta in (("a", first), ("b", second))]
    assert [pq.ParquetFile(path).num_row_groups for path in paths] == [1, 16]


@pytest.mark.parametrize("name", ["ts_event", "ts_recv", "price", "qty", "side", "trade_id"])
def test_checksum_covers_every_column(tmp_path: Path, name: str) -> None:
    columns = random_columns(Stream.TRADE, 10)
    changed = columns | {name: columns[name].copy()}
    changed[name][-1] = -changed[name][-1] if name == "side" else changed[name][-1] + 1
    first = put(tmp_path / "a", Stream.TRADE, columns).meta.content_sha256
    assert put(tmp_path / "b", Stream.TRADE, changed).meta.content_sha256 != first


def test_increments_of_two_imports_become_the_grid_of_both(tmp_path: Path) -> None:
    columns = random_columns(Stream.BBO, 10)
    put(tmp_path, Stream.BBO, columns, price_increment="0.50", qty_increment=None)
    meta = put(tmp_path, Stream.BBO, columns, price_increment="0.2", qty_increment="10").meta
    assert (meta.price_increment, meta.qty_increment) == ("0.1", "10")


def test_truth_of_a_world_is_kept_and_cannot_be_swapped(tmp_path: Path) -> None:
    columns = random_columns(Stream.BBO, 10)
    options = {"venue": "simulated", "simulated": True}
    put(tmp_path, Stream.BBO, columns, **options, truth={"edge_bps": 1.5})
    assert put(tmp_path, Stream.BBO, columns, **options).meta.truth == {"edge_bps": 1.5}
    with pytest.raises(DataError, match="another truth"):
        put(tmp_path, Stream.BBO, columns, **options, truth={"edge_bps": 2.0})


@pytest.mark.parametrize(("venue", "simulated"), [("binance_usdm", True), ("simulated", False)])
def test_simulated_data_goes_to_its_own_venue_only(tmp_path: Path, venue: str, simulated: bool) -> None:
    with pytest.raises(InputError, match="simulated"):
        put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10), venue=venue, simulated=simulated)


def test_clocks_of_two_kinds_are_not_mixed(tmp_path: Path) -> None:
    put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10), clock=ClockRecord("venue", "venue"))
    with pytest.raises(DataError, match="another lake root"):
        put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10), clock=LOCAL_CLOCK)


def _without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: column for key, column in columns.items() if key != name}


def _changed(name: str, value: Any) -> dict[str, Any]:
    columns = random_columns(Stream.TRADE, 4)
    return columns | {name: np.r_[columns[name][:-1], np.array([value], columns[name].dtype)]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (_without(random_columns(Stream.TRADE, 4), "side"), "columns were"),
        (random_columns(Stream.TRADE, 4) | {"seq": np.arange(4)}, "columns were"),
        (random_columns(Stream.TRADE, 4) | {"qty": np.ones(3)}, "lengths were"),
        (random_columns(Stream.TRADE, 0), "above 0"),
        (random_columns(Stream.TRADE, 4) | {"ts_recv": np.ones(4)}, "ts_recv was float64, expected integers"),
        (_changed("ts_event", ns_of_date(DAY) + NS_PER_DAY), "expected inside that day"),
        (_changed("ts_event", ns_of_date(DAY) // 1_000_000), "check the clock's unit"),
        (_changed("price", np.nan), "price was nan in row 3, expected a finite number"),
        (_changed("qty", np.inf), "qty was inf"),
        (_changed("side", 2), "buy 1, sell -1"),
        (_changed("side", -128), "buy 1, sell -1"),
        (random_columns(Stream.TRADE, 2) | {"side": np.array([1, 257])}, "buy 1, sell -1"),
    ],
)
def test_unusable_columns_are_refused_and_nothing_is_written(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, DataError), match=message):
        put(tmp_path, Stream.TRADE, columns)
    assert list(tmp_path.rglob("*")) == []


def test_leftovers_of_a_killed_write_are_ignored_and_then_removed(tmp_path: Path) -> None:
    folder = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10)).meta.key.folder(tmp_path)
    for name in (".writing-data-00.parquet", ".writing-meta.json", "data-000000000000.parquet"):
        (folder / name).write_bytes(b"half")
    assert len(Catalog(tmp_path).partitions()) == 1
    meta = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10, seed=1)).meta
    assert sorted(path.name for path in folder.iterdir()) == sorted(["meta.json", meta.data_file])


def test_a_damaged_partition_is_not_built_upon(tmp_path: Path) -> None:
    meta = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10)).meta
    other = put(tmp_path / "other", Stream.BBO, random_columns(Stream.BBO, 10, seed=1)).meta
    data = other.key.folder(tmp_path / "other") / other.data_file
    (meta.key.folder(tmp_path) / meta.data_file).write_bytes(data.read_bytes())
    with pytest.raises(CorruptDataError, match=r"checksum.*import that day again"):
        put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10, seed=2))


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "file", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_waits_a_bounded_time_and_says_so(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(DataError, match="held by another writer"), locked_folder(tmp_path, wait_s=0.05):
        pass
    os.close(descriptor)
    with locked_folder(tmp_path, wait_s=0.05):
        assert tmp_path.is_dir()
