from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import DAY, put, random_columns
from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_S, ns_of_date
from edgesmith.errors import CorruptDataError
from edgesmith.lake import datafile
from edgesmith.lake.catalog import Catalog, Partition
from edgesmith.lake.quality import partition_facts, verify
from edgesmith.lake.replay import Replay
from edgesmith.lake.schema import encode_meta

ROWS = 1_000


@pytest.fixture
def partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Partition:
    """Return a partition of four row groups."""
    monkeypatch.setattr(datafile, "ROW_GROUP_ROWS", 250)
    put(tmp_path, Stream.BBO, random_columns(Stream.BBO, ROWS))
    (found,) = Catalog(tmp_path).partitions()
    return found


def rewritten(partition: Partition, change: Callable[[dict[str, Any]], None]) -> None:
    """Write the data file anew with changed columns, as a faulty tool would."""
    table = pq.read_table(partition.data_path)
    columns = {name: table[name].to_numpy().copy() for name in table.column_names}
    change(columns)
    arrays = [pa.array(columns[field.name], field.type) for field in table.schema]
    pq.write_table(pa.table(arrays, schema=table.schema), partition.data_path, row_group_size=250, store_schema=False)


def damaged(partition: Partition, *groups: int) -> None:
    """Flip bytes inside a price column of some row groups."""
    content = bytearray(partition.data_path.read_bytes())
    metadata = pq.read_metadata(partition.data_path)
    for group in groups:
        column = metadata.row_group(group).column(7)
        middle = column.data_page_offset + 40
        content[middle : middle + 8] = bytes(byte ^ 0xFF for byte in content[middle : middle + 8])
    partition.data_path.write_bytes(content)


def test_a_sound_partition_verifies(partition: Partition) -> None:
    assert verify(partition) == verify(partition)
    result = verify(partition)
    assert (result.ok, result.problems, result.rows) == (True, (), ROWS)


def test_every_unreadable_row_group_is_named(partition: Partition) -> None:
    damaged(partition, 1, 3)
    result = verify(partition)
    assert not result.ok
    assert [problem.split(" cannot")[0] for problem in result.problems] == ["row group 1 (250 rows)", "row group 3 (250 rows)"]
    assert result.rows == 500


def test_replay_over_a_damaged_row_group_raises(partition: Partition) -> None:
    damaged(partition, 2)
    with pytest.raises(CorruptDataError, match=r"row group 2 cannot be read.*import that day again"):
        list(Replay([partition]).batches())


def test_a_changed_value_breaks_the_checksum(partition: Partition) -> None:
    def change(columns: dict[str, Any]) -> None:
        columns["bid_qty"][17] += 1.0

    rewritten(partition, change)
    (problem,) = verify(partition).problems
    assert problem.startswith("content_sha256 was")


def test_several_problems_are_all_reported(partition: Partition) -> None:
    def change(columns: dict[str, Any]) -> None:
        columns["seq"][300] = 7
        columns["ts_event"][[600, 601]] = columns["ts_event"][[601, 600]] + np.array([5, 0])
        columns["symbol"][900] = "ETHUSDT"

    rewritten(partition, change)
    problems = "\n".join(verify(partition).problems)
    assert "row group 1: 1 seq numbers are wrong, the first was 7, expected 300" in problems
    assert "row group 2: ts_event falls back" in problems
    assert "row group 3: symbol was" in problems
    assert "content_sha256 was" in problems


def test_rows_of_another_day_are_reported(partition: Partition) -> None:
    def change(columns: dict[str, Any]) -> None:
        columns["ts_event"][0] = ns_of_date(DAY) - 1

    rewritten(partition, change)
    assert any("1 rows lie outside 2024-08-08" in problem for problem in verify(partition).problems)


def test_a_meta_that_disagrees_is_reported(partition: Partition) -> None:
    meta = msgspec.structs.replace(partition.meta, rows=ROWS + 1, ts_recv_max=partition.meta.ts_recv_max + 1)
    (partition.folder / "meta.json").write_bytes(encode_meta(meta))
    problems = verify(Partition(partition.key, partition.folder, meta)).problems
    assert [problem.split(" ")[0] for problem in problems] == ["rows", "ts_recv_max"]


@pytest.mark.parametrize("content", [b"", b"not parquet at all", b"PAR1 cut short"])
def test_a_file_that_is_no_parquet_is_a_problem_not_a_crash(partition: Partition, content: bytes) -> None:
    partition.data_path.write_bytes(content)
    result = verify(partition)
    assert (result.ok, result.rows, len(result.problems)) == (False, 0, 1)
    assert "cannot be read as Parquet" in result.problems[0]


def test_a_missing_file_is_a_problem(partition: Partition) -> None:
    partition.data_path.unlink()
    assert "is gone" in verify(partition).problems[0]


def test_foreign_columns_are_a_problem(partition: Partition) -> None:
    pq.write_table(pa.table({"price": [1.0]}), partition.data_path)
    assert "columns were price double" in verify(partition).problems[0]


def quotes(ts_event: list[int], skew: list[int], spread_ticks: list[int]) -> dict[str, Any]:
    start_ns = ns_of_date(DAY)
    count = len(ts_event)
    event = start_ns + np.array(ts_event) * NS_PER_S
    return {
        "ts_event": event,
        "ts_recv": event + np.array(skew),
        "bid_price": np.full(count, 60_000.0),
        "bid_qty": np.ones(count),
        "ask_price": 60_000.0 + np.array(spread_ticks) * 0.1,
        "ask_qty": np.ones(count),
    }


@pytest.mark.parametrize("group_rows", [2, 131_072])
def test_facts_of_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_rows: int) -> None:
    monkeypatch.setattr(datafile, "ROW_GROUP_ROWS", group_rows)
    skew = [5, 3, 4 * NS_PER_S, 2, -1]
    put(tmp_path, Stream.BBO, quotes([0, 1, 20, 21, 60], skew, [1, 1, 2, 0, -1]))
    facts = partition_facts(Catalog(tmp_path).partitions()[0])
    assert (facts.rows, facts.gaps, facts.gap_ns_max) == (5, 2, 39 * NS_PER_S)
    assert (facts.skew_ns_min, facts.skew_ns_p50, facts.received_late_rows) == (-1, 3, 1)
    assert (facts.crossed_rows, facts.locked_rows, facts.one_tick_spread_ratio) == (1, 1, 0.4)
    assert facts.rows_per_s == pytest.approx(5 / 60)
    assert facts.buy_ratio is None


def test_facts_of_trades(tmp_path: Path) -> None:
    columns = random_columns(Stream.TRADE, 400)
    put(tmp_path, Stream.TRADE, columns)
    facts = partition_facts(Catalog(tmp_path).partitions()[0])
    assert facts.buy_ratio == np.mean(columns["side"] == 1)
    assert facts.volume_qty == pytest.approx(columns["qty"].sum())
    assert facts.crossed_rows is None


@pytest.mark.parametrize("stream", [Stream.MARK_PRICE, Stream.FUNDING, Stream.OPEN_INTEREST])
def test_facts_of_one_row(tmp_path: Path, stream: Stream) -> None:
    put(tmp_path, stream, random_columns(stream, 1))
    facts = partition_facts(Catalog(tmp_path).partitions()[0])
    assert (facts.rows, facts.gaps, facts.rows_per_s) == (1, 0, 1.0)
