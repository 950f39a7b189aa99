"""How the clocks of archived data become the engine's: what is recorded, what is assumed, what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from edgesmith.domain.events import Stream
from edgesmith.errors import InputError
from edgesmith.lake.catalog import Catalog, Partition
from edgesmith.lake.schema import ClockRecord, PartitionKey, Source
from edgesmith.lake.segments import merge_partition
from edgesmith.trading.backtest import clock_skew_ns, receive_time_known

NAMES = [("binance_usdm", "BTCUSDT")]


def _partition(root: Path, skew_ns: int, clock: ClockRecord, stream: Stream = Stream.MARK_PRICE) -> Partition:
    ts_event = np.arange(1_700_000_000_000_000_000, 1_700_000_000_000_000_000 + 5_000, 1_000, dtype=np.int64)
    columns = {
        "ts_event": ts_event,
        "ts_recv": ts_event + skew_ns,
        "mark_price": np.full(5, 100.0),
        "index_price": np.full(5, 100.0),
    }
    key = PartitionKey("binance_usdm", stream, "BTCUSDT", date(2023, 11, 14))
    merge_partition(root, key, columns, source=Source("test", "0" * 64, "test"), clock=clock)
    return Catalog(root).partitions()[0]


def test_the_assumed_feed_latency_is_told_from_the_skew(tmp_path: Path) -> None:
    recorded = _partition(tmp_path / "a", 4_000_000, ClockRecord("venue", "local"))
    assert clock_skew_ns([recorded], NAMES)[0, Stream.MARK_PRICE] == 4_000_000
    assert clock_skew_ns([recorded], NAMES, 10_000_000)[0, Stream.MARK_PRICE] == -6_000_000
    assert clock_skew_ns([recorded], NAMES, 10_000_000)[0, Stream.BBO] == 0
    assert receive_time_known([recorded])


def test_data_with_one_clock_have_no_skew(tmp_path: Path) -> None:
    silent = _partition(tmp_path / "a", 0, ClockRecord("receive", "local"))
    dump = _partition(tmp_path / "b", 0, ClockRecord("venue", "venue"))
    assert not clock_skew_ns([silent], NAMES, 10_000_000).any()
    assert not clock_skew_ns([dump], NAMES, 10_000_000).any()
    assert not receive_time_known([dump])
    with pytest.raises(InputError, match="run them apart"):
        receive_time_known([silent, dump])
