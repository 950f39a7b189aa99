"""Import Parquet files of the prior system, whose clocks are milliseconds under names that promise nanoseconds.

What a row is, its own columns `exchange`, `symbol` and `stream` say; folders and file names are not asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from edgesmith.canonical import canonical_json
from edgesmith.domain.events import STREAM_NAMES, Stream
from edgesmith.errors import CorruptDataError
from edgesmith.lake.importers.checks import INVALID_SIDE, Columns
from edgesmith.lake.importers.intake import Intake
from edgesmith.lake.importers.series import Series
from edgesmith.lake.importers.sources import LineSource
from edgesmith.lake.schema import ClockRecord, parse_stream, payload_columns
from edgesmith.venues.registry import VENUES, canonical_symbol, venue_name

# The prior system recorded one market of each exchange.
EXCHANGES: dict[str, str] = {"binance": "binance_usdm", "bybit": "bybit_linear", "okx": "okx_swap"}

_BATCH_ROWS = 262_144
_CLOCKS = ("ts_event", "ts_recv")
_NAMES = ("exchange", "symbol", "stream")


class PriorLakeImporter:
    """Reads Parquet files of the prior system."""

    def __init__(self, market: str | None, symbol: str | None) -> None:
        self._venue = None if market is None else venue_name("binance", market)
        self._symbol = None if symbol is None else symbol.upper()

    def period_ns(self, path: Path) -> None:
        """Return None: the prior system cut its files by the time they were written."""

    def read(self, source: LineSource, intake: Intake) -> None:
        """Give every row of the file to `intake`."""
        path = source.path
        try:
            file = pq.ParquetFile(path)
            missing = [name for name in (*_CLOCKS, *_NAMES) if name not in file.schema_arrow.names]
            if missing:
                raise CorruptDataError(f"{path} has no column {', '.join(missing)}, expected a file of the prior system")
            clock = _clock(file)
            if clock.event_clock == "receive":
                intake.say(
                    "ts_event equals ts_recv in every row (a known defect of the recorder): the venue's time is not in this "
                    "file, latency cannot be measured and events are ordered by receive time"
                )
            for batch in file.iter_batches(_BATCH_ROWS):
                intake.lines += batch.num_rows
                self._take(pl.DataFrame(pa.Table.from_batches([batch])), clock, intake)
        except (pa.ArrowException, OSError) as error:
            raise CorruptDataError(
                f"{path} cannot be read as Parquet ({error}); nothing of it was stored: copy it again"
            ) from None

    def _take(self, frame: pl.DataFrame, clock: ClockRecord, intake: Intake) -> None:
        for names, part in frame.group_by(_NAMES, maintain_order=True):
            exchange, symbol, stream = (str(name) for name in names)
            venue = _venue(exchange)
            if venue is None or stream not in STREAM_NAMES:
                reason = "unsupported_instrument" if venue is None else "unknown_stream"
                for row in part.iter_rows(named=True):
                    intake.reject(reason, canonical_json(row))
                continue
            canonical = canonical_symbol(venue, symbol)
            if self._symbol not in (None, canonical) or self._venue not in (None, venue):
                intake.set_aside("other_symbol", part.height)
                continue
            self._take_series(venue, canonical, parse_stream(stream), part, clock, intake)

    def _take_series(
        self, venue: str, symbol: str, stream: Stream, part: pl.DataFrame, clock: ClockRecord, intake: Intake
    ) -> None:
        absent = [name for name in payload_columns(stream) if name not in part.columns]
        if absent:
            raise CorruptDataError(
                f"the rows of {symbol} {stream.label} have no column {', '.join(absent)}, expected all of the stream"
            )
        columns: Columns = {name: _integers(part[name]) for name in _CLOCKS}
        columns |= {name: _column(name, part[name]) for name in payload_columns(stream)}
        required = tuple(name for name in payload_columns(stream) if name != "index_price")
        # Of Binance the prior system subscribed to aggregated trades.
        form = "aggTrade" if stream == Stream.TRADE and venue.startswith("binance_") else stream.label
        series = Series(venue, symbol, form, (stream,), clock, required=required)
        intake.add(series, columns, lambda row: canonical_json(part.row(row, named=True)))


def _venue(exchange: str) -> str | None:
    return EXCHANGES.get(exchange, exchange if exchange in VENUES else None)


def _clock(file: pq.ParquetFile) -> ClockRecord:
    for batch in file.iter_batches(_BATCH_ROWS, columns=list(_CLOCKS)):
        if not batch.column(0).equals(batch.column(1)):
            return ClockRecord("venue", "local")
    return ClockRecord("receive", "local")


def _column(name: str, values: pl.Series) -> Any:
    if name == "trade_id":
        return pa.array(values.cast(pl.String).fill_null("").to_list(), pa.string())
    if name == "side":
        sides = values.cast(pl.Int64, strict=False).fill_null(INVALID_SIDE)
        return np.where(np.abs(sides.to_numpy()) <= 1, sides.to_numpy(), INVALID_SIDE).astype(np.int8)
    if name == "next_funding_ts":
        return _integers(values)
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _integers(values: pl.Series) -> np.ndarray[Any, Any]:
    # A missing clock becomes 0, which is no instant.
    return values.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
