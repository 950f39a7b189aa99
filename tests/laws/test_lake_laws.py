"""Laws of the lake: what is put in comes out once, in one order, wherever it is split."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import pick, put
from edgesmith.domain.events import PAYLOAD_FIELDS, Cursor, Stream
from edgesmith.domain.units import NS_PER_DAY, date_of_ns, ns_of_date
from edgesmith.lake import datafile
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.quality import verify
from edgesmith.lake.replay import Replay
from naive.naive_replay import naive_replay

MIDNIGHT_NS = ns_of_date(date_of_ns(1_723_075_200_000_000_000)) + NS_PER_DAY
LAW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def a_lake(group_rows: int) -> Iterator[Path]:
    # Hundreds of small lakes: whether bytes reach the disk is the kill test's matter.
    unsynced, grouped = patch.object(os, "fsync"), patch.object(datafile, "ROW_GROUP_ROWS", group_rows)
    with tempfile.TemporaryDirectory() as folder, unsynced, grouped:
        yield Path(folder)


@st.composite
def series(draw: st.DrawFn, stream: Stream, count_max: int = 40) -> dict[str, Any]:
    """Draw rows on both sides of midnight whose clocks tie often and disagree much."""
    count = draw(st.integers(1, count_max))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    span = draw(st.sampled_from([2, 8, 60]))
    delay = draw(st.sampled_from([1, 4, 30]))
    ts_event = MIDNIGHT_NS + rng.integers(-span, span, count)
    columns: dict[str, Any] = {"ts_event": ts_event, "ts_recv": ts_event + rng.integers(-delay, delay + 1, count)}
    for name in PAYLOAD_FIELDS[stream]:
        columns[name] = rng.integers(1, 3, count).astype(np.int64 if name == "next_funding_ts" else np.float64)
    if stream == Stream.TRADE:
        columns["side"] = rng.choice(np.array([-1, 1], np.int8), count)
        columns["trade_id"] = rng.integers(0, 5, count)
    return columns


def put_days(root: Path, stream: Stream, columns: dict[str, Any], symbol: str = "BTCUSDT") -> None:
    days = np.array([date_of_ns(int(instant)) for instant in columns["ts_event"]])
    for day in sorted(set(days)):
        put(root, stream, pick(columns, days == day), symbol=symbol, day=day)


@st.composite
def markets(draw: st.DrawFn) -> list[tuple[Stream, str, dict[str, Any]]]:
    which = draw(st.lists(st.tuples(st.sampled_from(Stream), st.sampled_from(["A", "B"])), min_size=1, max_size=5, unique=True))
    return [(stream, symbol, draw(series(stream))) for stream, symbol in which]


def as_tuples(batches: Iterator[Any]) -> list[tuple[Any, ...]]:
    found = []
    for batch in batches:
        for event in batch:
            stream = Stream(int(event["kind"]))
            payload = tuple(event[name] for name in PAYLOAD_FIELDS[stream])
            key = ("ts_recv", "ts_event", "instrument", "kind", "seq")
            found.append((*(int(event[name]) for name in key), payload))
    return found


def content(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each partition without seq, as a sorted list."""
    found = {}
    for partition in Catalog(root).partitions():
        assert verify(partition).problems == ()
        rows = pq.read_table(partition.data_path).drop_columns(["seq"]).to_pylist()
        found[str(partition.key)] = sorted(tuple(row.values()) for row in rows)
    return found


@LAW
@given(markets(), st.sampled_from([1, 3, 7, 1000]), st.sampled_from([1, 2, 5, 1000]), st.sampled_from(["receive", "venue"]))
def test_replay_equals_sorting_everything(market: Any, group_rows: int, batch_events: int, order: Any) -> None:
    with a_lake(group_rows) as root:
        for stream, symbol, columns in market:
            put_days(root, stream, columns, symbol)
        partitions = Catalog(root).partitions()
        replay = Replay(partitions, order=order, batch_events=batch_events)
        assert as_tuples(replay.batches()) == naive_replay(partitions, order)


@LAW
@given(markets(), st.sampled_from([1, 4, 1000]), st.sampled_from(["receive", "venue"]))
def test_resuming_from_a_cursor_gives_the_rest(market: Any, group_rows: int, order: Any) -> None:
    with a_lake(group_rows) as root:
        for stream, symbol, columns in market:
            put_days(root, stream, columns, symbol)
        partitions = Catalog(root).partitions()
        everything = naive_replay(partitions, order)
        for position in range(0, len(everything), max(1, len(everything) // 5)):
            cursor = Cursor(*everything[position][:5])
            found = as_tuples(Replay(partitions, order=order, cursor=cursor, batch_events=8).batches())
            assert found == everything[position + 1 :]


def test_resuming_at_every_point_of_one_market() -> None:
    columns = {
        "ts_event": MIDNIGHT_NS + np.repeat(np.arange(-10, 10), 3),
        "ts_recv": MIDNIGHT_NS + np.random.default_rng(1).integers(-12, 12, 60),
        "price": np.arange(60.0) + 1.0,
        "qty": np.ones(60),
        "side": np.ones(60, np.int8),
        "trade_id": np.arange(60),
    }
    with a_lake(4) as root:
        put_days(root, Stream.TRADE, columns)
        put_days(root, Stream.TRADE, columns, "OTHER")
        partitions = Catalog(root).partitions()
        everything = naive_replay(partitions)
        assert len(everything) == 120
        for position, row in enumerate(everything):
            assert as_tuples(Replay(partitions, cursor=Cursor(*row[:5])).batches()) == everything[position + 1 :]


@LAW
@given(st.sampled_from(Stream), st.data())
def test_importing_again_changes_nothing(stream: Stream, data: st.DataObject) -> None:
    columns = data.draw(series(stream))
    with a_lake(5) as root:
        put_days(root, stream, columns)
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        put_days(root, stream, columns)
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@LAW
@given(st.sampled_from(Stream), st.data())
def test_overlapping_imports_hold_the_same_in_either_order(stream: Stream, data: st.DataObject) -> None:
    columns = data.draw(series(stream))
    count = len(columns["ts_event"])
    first_end, second_start = data.draw(st.integers(1, count)), data.draw(st.integers(0, count - 1))
    first, second = pick(columns, slice(0, first_end)), pick(columns, slice(second_start, count))
    with a_lake(5) as one, a_lake(5) as other:
        for root, parts in ((one, (first, second)), (other, (second, first))):
            for part in parts:
                put_days(root, stream, part)
        assert content(one) == content(other)


@LAW
@given(st.data())
def test_overlapping_captures_of_distinct_instants_make_the_same_bytes(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count = 30
    ts_event = MIDNIGHT_NS + np.cumsum(rng.integers(1, 5, count))
    prices = rng.integers(10, 20, count).astype(float)
    ones = np.ones(count)
    columns = {"ts_event": ts_event, "ts_recv": ts_event + rng.integers(0, 9, count)}
    columns |= {"bid_price": prices, "bid_qty": ones, "ask_price": prices + 1.0, "ask_qty": ones}
    cut = sorted(data.draw(st.lists(st.integers(1, count - 1), min_size=2, max_size=2)))
    parts = [pick(columns, slice(0, cut[1])), pick(columns, slice(cut[0], count))]
    contents = []
    for order in ([columns], parts, parts[::-1]):
        with a_lake(7) as root:
            for part in order:
                put_days(root, Stream.BBO, part)
            contents.append({path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()})
    assert contents[0] == contents[1] == contents[2]
