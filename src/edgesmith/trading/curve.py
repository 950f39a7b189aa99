"""The equity and price curves of a run in fixed memory: when the buckets are all used, neighbors merge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.domain.records import records
from edgesmith.domain.units import MONEY_SCALE
from edgesmith.trading.state import CURVE, MAX_CURVE, PRICE_CURVE


class Curves:
    """At most `MAX_CURVE` buckets of equity and, per instrument, of mid price."""

    def __init__(self, instruments: int) -> None:
        self._instruments = instruments
        self.equity: NDArray[Any] = records(CURVE, MAX_CURVE)
        self.prices: NDArray[Any] = records(PRICE_CURVE, MAX_CURVE * instruments)

    def make_room(self, run: Any, books: Any) -> None:
        """Double the bucket length until there is room for another bucket."""
        while int(run["curve_used"]) >= MAX_CURVE:
            self._merge(run)
            self._reopen(run, books)

    def _merge(self, run: Any) -> None:
        used = int(run["curve_used"])
        width = int(run["curve_bucket_ns"]) * 2
        run["curve_bucket_ns"] = width
        rows = self.equity[:used]
        starts = rows["bucket_start"] // width * width
        first = np.flatnonzero(np.concatenate(([True], starts[1:] != starts[:-1])))
        last = np.concatenate((first[1:], [used])) - 1
        merged = rows[last].copy()
        merged["bucket_start"] = starts[first]
        merged["equity_open"] = rows["equity_open"][first]
        merged["equity_min"] = np.minimum.reduceat(rows["equity_min"], first)
        merged["equity_max"] = np.maximum.reduceat(rows["equity_max"], first)
        merged["drawdown_ratio"] = np.maximum.reduceat(rows["drawdown_ratio"], first)
        points = self.prices.reshape(MAX_CURVE, self._instruments)
        joined = points[last].copy()
        # At most two buckets share a new one, and only the earlier can lack a quote.
        joined["mid_open"] = np.where(np.isnan(points["mid_open"][first]), points["mid_open"][last], points["mid_open"][first])
        joined["mid_min"] = np.fmin.reduceat(points["mid_min"][:used], first, axis=0)
        joined["mid_max"] = np.fmax.reduceat(points["mid_max"][:used], first, axis=0)
        self.equity[: len(first)] = merged
        points[: len(first)] = joined
        run["curve_used"] = len(first)
        run["curve_end"] = (int(run["curve_end"]) - 1) // width * width + width

    def _reopen(self, run: Any, books: Any) -> None:
        # The bucket being filled may now share its place with the last one closed: go on filling that one.
        place = int(run["curve_used"]) - 1
        row = self.equity[place]
        if int(row["bucket_start"]) != int(run["curve_end"]) - int(run["curve_bucket_ns"]):
            return
        run["curve_used"] = place
        run["curve_open"] = row["equity_open"]
        run["curve_min"] = min(run["curve_min"], row["equity_min"])
        run["curve_max"] = max(run["curve_max"], row["equity_max"])
        run["curve_drawdown_ratio"] = max(run["curve_drawdown_ratio"], row["drawdown_ratio"])
        points = self.prices.reshape(MAX_CURVE, self._instruments)[place]
        opened = np.isnan(points["mid_open"])
        books["mid_open"] = np.where(opened, books["mid_open"], points["mid_open"])
        books["mid_min"] = np.fmin(books["mid_min"], points["mid_min"])
        books["mid_max"] = np.fmax(books["mid_max"], points["mid_max"])

    def write(self, run: Any, folder: Path, instruments: Sequence[Any]) -> None:
        """Write `curve.parquet` and `prices.parquet`."""
        used = int(run["curve_used"])
        rows = self.equity[:used]
        equity = {name: rows[name] / MONEY_SCALE for name in ("equity_open", "equity_min", "equity_max", "equity_close")}
        table = {"bucket_start_ns": rows["bucket_start"], **equity, "drawdown_ratio_max": rows["drawdown_ratio"]}
        table["position_notional_close"] = rows["notional_close"] / MONEY_SCALE
        pq.write_table(pa.table(table), folder / "curve.parquet", compression="zstd")
        count = len(instruments)
        points = self.prices.reshape(MAX_CURVE, count)[:used]
        place = np.tile(np.arange(count, dtype=np.int32), used)
        mids = {name: points[name].reshape(-1) for name in ("mid_open", "mid_min", "mid_max", "mid_close")}
        known = ~np.isnan(mids["mid_close"])
        prices = {"instrument": place, "bucket_start_ns": np.repeat(rows["bucket_start"], count), **mids}
        pq.write_table(
            pa.table({name: values[known] for name, values in prices.items()}), folder / "prices.parquet", compression="zstd"
        )
