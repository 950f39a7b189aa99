"""Small random markets for tests: columns of any stream, and a lake made of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_DAY, ns_of_date
from edgesmith.lake.schema import ClockRecord, PartitionKey, Source
from edgesmith.lake.segments import MergeResult, merge_partition

DAY = date(2024, 8, 8)
LOCAL_CLOCK = ClockRecord("venue", "local")


def a_source(name: str = "capture.gz") -> Source:
    return Source(name, sha256="ab" * 32, format="test")


def random_columns(
    stream: Stream,
    count: int,
    *,
    seed: int = 0,
    start_ns: int | None = None,
    step_ns_max: int = 40_000_000,
    latency_ns_max: int = 30_000_000,
    tick: float = 0.1,
) -> dict[str, Any]:
    """Return `count` rows in order of `ts_event`; a `step_ns_max` of 1 or 2 gives many ties on the clock."""
    rng = np.random.default_rng([seed, int(stream)])
    first_ns = ns_of_date(DAY) + 1_000_000_000 if start_ns is None else start_ns
    ts_event = first_ns + np.cumsum(rng.integers(0, step_ns_max, count))
    mid_ticks = 600_000 + np.cumsum(rng.integers(-1, 2, count))
    sizes = np.round(rng.lognormal(0.0, 1.0, (2, count)), 3) + 0.001
    payload: dict[Stream, dict[str, Any]] = {
        Stream.BBO: {
            "bid_price": mid_ticks * tick,
            "bid_qty": sizes[0],
            "ask_price": (mid_ticks + 1) * tick,
            "ask_qty": sizes[1],
        },
        Stream.TRADE: {
            "price": mid_ticks * tick,
            "qty": sizes[0],
            "side": rng.choice(np.array([-1, 1], np.int8), count),
            "trade_id": 1_000 + np.arange(count),
        },
        Stream.MARK_PRICE: {
            "mark_price": mid_ticks * tick,
            "index_price": np.where(rng.random(count) < 0.3, np.nan, mid_ticks * tick + 1.0),
        },
        Stream.FUNDING: {
            "funding_rate": rng.normal(0.0, 1e-4, count),
            "next_funding_ts": np.full(count, ns_of_date(DAY) + NS_PER_DAY),
        },
        Stream.OPEN_INTEREST: {"open_interest": 1_000.0 + sizes[0]},
    }
    return {"ts_event": ts_event, "ts_recv": ts_event + rng.integers(0, latency_ns_max, count), **payload[stream]}


def pick(columns: dict[str, Any], where: Any) -> dict[str, Any]:
    """Return the rows at a slice, positions or mask."""
    return {name: column[where] for name, column in columns.items()}


def put(
    root: Path,
    stream: Stream,
    columns: dict[str, Any],
    *,
    venue: str = "binance_usdm",
    symbol: str = "BTCUSDT",
    day: date = DAY,
    **options: Any,
) -> MergeResult:
    """Merge `columns` into one partition of the lake at `root`."""
    options = {"source": a_source(), "clock": LOCAL_CLOCK, "price_increment": "0.1", "qty_increment": "0.001"} | options
    return merge_partition(root, PartitionKey(venue, stream, symbol, day), columns, **options)


def small_lake(root: Path, *, symbols: Iterable[str] = ("BTCUSDT",), days: int = 1, count: int = 500, seed: int = 0) -> Path:
    """Fill a lake with every stream of `symbols` for `days` days."""
    for index, symbol in enumerate(symbols):
        for offset in range(days):
            day = DAY + timedelta(days=offset)
            for stream in Stream:
                start_ns = ns_of_date(day) + 3_600_000_000_000
                columns = random_columns(stream, count, seed=seed * 1000 + index * 100 + offset, start_ns=start_ns)
                put(root, stream, columns, symbol=symbol, day=day)
    return root
