"""Import tardis.dev CSV files: quotes, trades and derivative_ticker; both clocks are in them, in microseconds.

A derivative_ticker line repeats everything whenever anything changed: mark prices are all kept, funding and open interest when
they change (and at the first line of a UTC day). Quantities of coin-margined instruments and of OKX are contracts.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.errors import CorruptDataError
from edgesmith.lake.importers.checks import INVALID_SIDE, Columns
from edgesmith.lake.importers.csv_rows import CsvBlock, Layout
from edgesmith.lake.importers.intake import Intake
from edgesmith.lake.importers.series import Series
from edgesmith.lake.importers.sources import LineSource
from edgesmith.lake.schema import ClockRecord
from edgesmith.venues.registry import canonical_symbol, venue_name

# Tardis' name of an exchange -> ours of the venue.
EXCHANGES: dict[str, str] = {
    "binance-futures": "binance_usdm",
    "binance": "binance_spot",
    "binance-delivery": "binance_coinm",
    "bybit": "bybit_linear",
    "okex-swap": "okx_swap",
}

_COMMON: Layout = {"exchange": pl.String, "symbol": pl.String, "timestamp": pl.Int64, "local_timestamp": pl.Int64}
_FORMS: dict[str, tuple[tuple[Stream, ...], Layout]] = {
    "quotes": (
        (Stream.BBO,),
        _COMMON | {"ask_amount": pl.Float64, "ask_price": pl.Float64, "bid_price": pl.Float64, "bid_amount": pl.Float64},
    ),
    "trades": ((Stream.TRADE,), _COMMON | {"id": pl.String, "side": pl.String, "price": pl.Float64, "amount": pl.Float64}),
    "derivative_ticker": (
        (Stream.MARK_PRICE, Stream.FUNDING, Stream.OPEN_INTEREST),
        _COMMON
        | {
            "funding_timestamp": pl.Float64,
            "funding_rate": pl.Float64,
            "predicted_funding_rate": pl.Float64,
            "open_interest": pl.Float64,
            "last_price": pl.Float64,
            "index_price": pl.Float64,
            "mark_price": pl.Float64,
        },
    ),
}
_CLOCK = ClockRecord("venue", "local")
_INVERSE_BYBIT = re.compile(r".*USD(\w\d\d)?")


class TardisImporter:
    """Reads tardis files; what they are is told by their header, whose they are by every line."""

    def __init__(self, market: str | None, symbol: str | None) -> None:
        self._venue = None if market is None else venue_name("binance", market)
        self._symbol = None if symbol is None else symbol.upper()

    def period_ns(self, path: Path) -> None:
        """Return None: these files are cut by receive time, so an event may rightly lie in the day before."""

    def read(self, source: LineSource, intake: Intake) -> None:
        """Give every line of `source` to `intake`."""
        form = ""
        for lines in source:
            block = lines
            intake.lines += block.count(b"\n")
            if not form:
                header, _, block = block.partition(b"\n")
                form = _form_of(source.path, header)
                intake.set_aside("header")
            if block:
                self._take(block, form, intake)
        if source.truncated:
            intake.tear(source.torn_line)

    def _take(self, block: bytes, form: str, intake: Intake) -> None:
        rows = CsvBlock(block, _FORMS[form][1])
        for line in rows.wrong:
            intake.reject("corrupt_row", line)
        intake.set_aside("blank_line", rows.blank)
        frame = rows.frame.with_row_index("row")
        for (exchange, name), part in frame.group_by(["exchange", "symbol"], maintain_order=True):
            self._take_symbol(str(exchange), str(name), form, part, rows, intake)

    def _take_symbol(self, exchange: str, name: str, form: str, part: pl.DataFrame, rows: CsvBlock, intake: Intake) -> None:
        positions = part["row"].to_numpy()
        venue = EXCHANGES.get(exchange)
        if venue is None or (venue == "bybit_linear" and _INVERSE_BYBIT.fullmatch(name.upper())):
            for position in positions:
                intake.reject("unsupported_instrument", rows.raw(int(position)))
            what = f"{exchange} is not supported" if venue is None else f"{name} of {exchange} is coin-margined"
            intake.say(f"{what}; supported: {', '.join(sorted(EXCHANGES))}, of bybit the linear contracts")
            return
        symbol = canonical_symbol(venue, name)
        if self._symbol not in (None, symbol, name.upper()) or self._venue not in (None, venue):
            intake.set_aside("other_symbol", len(positions))
            intake.say(f"rows of {venue} {symbol} were left: not what --market and --symbol ask for")
            return
        series = Series(venue, symbol, form, _FORMS[form][0], _CLOCK, on_change=form == "derivative_ticker")
        intake.add(series, _columns(series, part), lambda row: rows.raw(int(positions[row])))


def _form_of(path: Path, header: bytes) -> str:
    names = header.rstrip(b"\r").decode("utf-8", "replace").split(",")
    for form, (_, layout) in _FORMS.items():
        if names == list(layout):
            return form
    raise CorruptDataError(f"{path} begins with '{','.join(names)[:120]}', expected the header of {', '.join(_FORMS)} of tardis")


def _columns(series: Series, part: pl.DataFrame) -> Columns:
    form = series.form
    columns: Columns = {"ts_event": part["timestamp"].to_numpy(), "ts_recv": part["local_timestamp"].to_numpy()}
    if form == "quotes":
        names = {"bid_price": "bid_price", "bid_qty": "bid_amount", "ask_price": "ask_price", "ask_qty": "ask_amount"}
        return columns | {ours: _floats(part[theirs]) for ours, theirs in names.items()}
    if form == "trades":
        columns |= {"price": _floats(part["price"]), "qty": _floats(part["amount"]), "side": _sides(part["side"])}
        columns["trade_id"] = pa.array(part["id"].to_list(), pa.string())
        if series.venue.startswith("binance_"):
            # Binance counts its trades; other venues' ids say nothing about order.
            columns["id"] = part["id"].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
        return columns
    columns |= {name: _floats(part[name]) for name in ("mark_price", "index_price", "funding_rate", "open_interest")}
    due = _floats(part["funding_timestamp"])
    return columns | {"next_funding_ts": np.where(np.isfinite(due), due, 0.0).astype(np.int64)}


def _floats(values: pl.Series) -> NDArray[np.float64]:
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _sides(words: pl.Series) -> NDArray[np.int8]:
    sides = words.replace_strict({"buy": 1, "sell": -1, "unknown": 0}, default=INVALID_SIDE, return_dtype=pl.Int8)
    return sides.to_numpy()
