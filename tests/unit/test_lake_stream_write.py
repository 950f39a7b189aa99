"""Chunks in order make the files a merge makes of all rows, appear together, and nothing else comes through."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import DAY, LOCAL_CLOCK, a_source, random_columns
from edgesmith.domain.events import Stream
from edgesmith.errors import DataError, InputError, OrderingError
from edgesmith.lake import datafile
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.figures import StreamedMedian
from edgesmith.lake.quality import verify
from edgesmith.lake.schema import PartitionKey, PartitionMeta, Source
from edgesmith.lake.segments import merge_partition
from edgesmith.lake.stream_write import Description, PartitionsWriter, chunk_of

VENUE = "binance_usdm"
TRUTH = {"planted": 1}


def key_of(stream: Stream, day: date = DAY) -> PartitionKey:
    return PartitionKey(VENUE, stream, "BTCUSDT", day)


def rows_of(stream: Stream, count: int, *, seed: int = 0) -> dict[str, Any]:
    """Return columns in order, so that any cut between different stamps gives chunks in order."""
    columns = {name: np.asarray(column) for name, column in random_columns(stream, count, seed=seed).items()}
    order = np.lexsort((columns["ts_recv"], columns["ts_event"]))
    return {name: column[order] for name, column in columns.items()}


def chunks_of(columns: dict[str, Any], cuts: list[int]) -> list[dict[str, Any]]:
    """Cut columns at the positions given, moved on to where both clocks differ from the row before."""
    stamps = list(zip(columns["ts_event"].tolist(), columns["ts_recv"].tolist(), strict=True))
    places = {0, len(stamps)}
    for cut in cuts:
        while 0 < cut < len(stamps) and stamps[cut] == stamps[cut - 1]:
            cut += 1
        places.add(cut)
    ends = sorted(places)
    return [{name: column[a:b] for name, column in columns.items()} for a, b in pairwise(ends)]


def stream_in(root: Path, chunks: dict[PartitionKey, list[dict[str, Any]]], **options: Any) -> tuple[PartitionMeta, ...]:
    with PartitionsWriter(root, chunks) as writer:
        for key, parts in chunks.items():
            for part in parts:
                writer.write(chunk_of(key, part))
        return writer.commit(dict.fromkeys(chunks, described(**options)))


def described(**options: Any) -> Description:
    return Description(source=options.pop("source", a_source()), clock=LOCAL_CLOCK, **options)


def merged(root: Path, key: PartitionKey, columns: dict[str, Any], **options: Any) -> PartitionMeta:
    return merge_partition(root, key, columns, source=a_source(), clock=LOCAL_CLOCK, **options).meta


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("group_rows", [7, 64, 10_000])
def test_files_are_those_of_one_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: Stream, group_rows: int) -> None:
    monkeypatch.setattr(datafile, "ROW_GROUP_ROWS", group_rows)
    key, columns = key_of(stream), rows_of(stream, 500, seed=int(stream))
    options = {"price_increment": "0.1", "qty_increment": "0.001", "truth": TRUTH}
    meta = merged(tmp_path / "whole", key, columns, **options)
    for number, cuts in enumerate(([], [250], [1, 2, 3, 64, 128, 499], list(range(1, 500, 3)))):
        root = tmp_path / f"cut{number}"
        assert stream_in(root, {key: chunks_of(columns, cuts)}, **options) == (meta,)
        assert files(root) == files(tmp_path / "whole")
    assert verify(Catalog(tmp_path / "whole").partitions()[0]).ok


def test_rows_of_a_chunk_are_sorted_and_repeats_dropped_as_by_a_merge(tmp_path: Path) -> None:
    key, columns = key_of(Stream.TRADE), rows_of(Stream.TRADE, 300)
    rng = np.random.default_rng(1)
    chunks = []
    for part in chunks_of(columns, [100, 200]):
        mixed = rng.permutation(np.repeat(np.arange(len(part["ts_event"])), 2))
        chunks.append({name: column[mixed] for name, column in part.items()})
    merged(tmp_path / "whole", key, {name: np.concatenate([part[name] for part in chunks]) for name in columns})
    stream_in(tmp_path / "cut", {key: chunks})
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_several_partitions_appear_together_and_an_empty_one_not_at_all(tmp_path: Path) -> None:
    chunks = {key_of(stream): chunks_of(rows_of(stream, 90), [30, 60]) for stream in (Stream.TRADE, Stream.BBO)}
    empty = {name: column[:0] for name, column in rows_of(Stream.FUNDING, 1).items()}
    with PartitionsWriter(tmp_path, [*chunks, key_of(Stream.FUNDING)]) as writer:
        for key, parts in chunks.items():
            for part in parts:
                writer.write(chunk_of(key, part))
        writer.write(chunk_of(key_of(Stream.FUNDING), empty))
        assert Catalog(tmp_path).partitions() == []
        metas = writer.commit(dict.fromkeys(chunks, described()))
    assert [meta.key for meta in metas] == sorted(chunks)
    assert [partition.meta for partition in Catalog(tmp_path).partitions()] == list(metas)
    assert not list(tmp_path.rglob(".writing-*"))


def test_leaving_without_a_commit_leaves_no_file(tmp_path: Path) -> None:
    with PartitionsWriter(tmp_path, [key_of(Stream.BBO)]) as writer:
        writer.write(chunk_of(key_of(Stream.BBO), rows_of(Stream.BBO, 50)))
        assert files(tmp_path)
    assert files(tmp_path) == {}
    with pytest.raises(KeyboardInterrupt), PartitionsWriter(tmp_path, [key_of(Stream.BBO)]) as writer:
        writer.write(chunk_of(key_of(Stream.BBO), rows_of(Stream.BBO, 50)))
        raise KeyboardInterrupt
    assert files(tmp_path) == {}


def test_what_a_killed_writer_left_is_removed_at_the_start(tmp_path: Path) -> None:
    key = key_of(Stream.BBO)
    folder = key.folder(tmp_path)
    folder.mkdir(parents=True)
    for name in (".writing-part.parquet", ".writing-meta.json", "data-0123456789ab.parquet"):
        (folder / name).write_bytes(b"half")
    with PartitionsWriter(tmp_path, [key]):
        assert files(tmp_path) == {}


def test_the_same_again_changes_nothing_and_mends_a_damaged_file(tmp_path: Path) -> None:
    key, columns = key_of(Stream.BBO), rows_of(Stream.BBO, 200)
    (meta,) = stream_in(tmp_path, {key: [columns]})
    before = files(tmp_path)
    assert stream_in(tmp_path, {key: chunks_of(columns, [50])}) == (meta,)
    assert files(tmp_path) == before
    data = Catalog(tmp_path).partitions()[0].data_path
    data.write_bytes(before[str(data.relative_to(tmp_path))][:-9])
    assert not verify(Catalog(tmp_path).partitions()[0]).ok
    stream_in(tmp_path, {key: [columns]})
    assert files(tmp_path) == before
    (both,) = stream_in(tmp_path, {key: [columns]}, source=Source("other", "cd" * 32, "test"))
    assert [source.name for source in both.sources] == ["capture.gz", "other"]
    assert both == merge_partition(tmp_path, key, columns, source=a_source(), clock=LOCAL_CLOCK).meta


def test_other_rows_and_another_truth_are_refused_and_change_nothing(tmp_path: Path) -> None:
    key, columns = key_of(Stream.BBO), rows_of(Stream.BBO, 200)
    stream_in(tmp_path, {key: [columns]}, truth=TRUTH)
    before = files(tmp_path)
    with pytest.raises(DataError, match=r"holds other rows \(200; the new ones are 100\), expected none or the same; delete"):
        stream_in(tmp_path, {key: chunks_of(columns, [100])[:1]}, truth=TRUTH)
    with pytest.raises(DataError, match="another truth"):
        stream_in(tmp_path, {key: [columns]}, truth={"planted": 2})
    # One partition that is refused keeps the others out as well.
    with pytest.raises(DataError, match="another truth"):
        stream_in(tmp_path, {key_of(Stream.TRADE): [rows_of(Stream.TRADE, 9)], key: [columns]}, truth={"planted": 2})
    assert files(tmp_path) == before


def test_chunks_out_of_order_are_refused(tmp_path: Path) -> None:
    key, columns = key_of(Stream.BBO), rows_of(Stream.BBO, 200)
    first, second = chunks_of(columns, [100])
    for wrong in ([second, first], [first, first], [first, {name: column[-1:] for name, column in first.items()}]):
        with pytest.raises(OrderingError, match="expected after the end of the one before"):
            stream_in(tmp_path, {key: wrong})
    assert files(tmp_path) == {}


def test_simulated_rows_stay_with_the_simulated_venue(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="simulated was True"):
        PartitionsWriter(tmp_path, [key_of(Stream.BBO)], simulated=True)
    with pytest.raises(InputError, match="simulated was False"):
        PartitionsWriter(tmp_path, [PartitionKey("simulated", Stream.BBO, "A1", DAY)])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(-(2**40), 2**40) | st.integers(-3, 70_000) | st.just(5), min_size=1, max_size=20),
        min_size=1,
        max_size=5,
    )
)
def test_the_median_of_pieces_is_the_lower_median_of_all(pieces: list[list[int]]) -> None:
    arrays = [np.array(piece, np.int64) for piece in pieces]
    median = StreamedMedian()
    for array in arrays:
        median.add(array)
    everything = sorted(value for piece in pieces for value in piece)
    assert median.low == everything[0]
    assert median.finish(arrays) == everything[(len(everything) - 1) // 2]


def test_trade_ids_may_be_an_arrow_slice(tmp_path: Path) -> None:
    key, columns = key_of(Stream.TRADE), rows_of(Stream.TRADE, 60)
    merged(tmp_path / "whole", key, columns)
    ids = pa.array([str(one) for one in columns["trade_id"]])
    chunks = [dict(part) for part in chunks_of(columns, [20, 40])]
    begin = 0
    for part in chunks:
        part["trade_id"] = ids[begin : begin + len(part["ts_event"])]
        begin += len(part["ts_event"])
    stream_in(tmp_path / "cut", {key: chunks})
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
