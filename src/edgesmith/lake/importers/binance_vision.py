"""Import Binance's public dumps (data.binance.vision): trades, aggTrades and bookTicker of spot, usdm and coinm.

File names say symbol, kind and day (or month): `BTCUSDT-aggTrades-2024-08-08.zip`. Lines may begin with a header or not. Nobody
recorded a receive time, so `ts_recv` is `ts_event`; the order of lines means nothing (the bookTicker dumps of 2024 are
interleaved) and rows are sorted by time and id. Spot has sent microseconds since 2025-01-01: the unit is found by size.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.domain.units import ns_of_date
from edgesmith.errors import CorruptDataError, InputError
from edgesmith.lake.importers.checks import INVALID_SIDE, Columns
from edgesmith.lake.importers.csv_rows import CsvBlock, Layout
from edgesmith.lake.importers.intake import Intake
from edgesmith.lake.importers.series import Series
from edgesmith.lake.importers.sources import LineSource
from edgesmith.lake.schema import ClockRecord
from edgesmith.venues.registry import venue_name

_NAME = re.compile(
    r"(?P<symbol>[A-Za-z0-9_]+)-(?P<form>trades|aggTrades|bookTicker)-(?P<year>\d{4})-(?P<month>\d\d)(-(?P<day>\d\d))?\."
)

_TRADES: Layout = {
    "id": pl.Int64,
    "price": pl.Float64,
    "qty": pl.Float64,
    "other_qty": pl.Float64,
    "ts_event": pl.Int64,
    "buyer_is_maker": pl.String,
}
_AGG_TRADES: Layout = {
    "id": pl.Int64,
    "price": pl.Float64,
    "qty": pl.Float64,
    "first_id": pl.Int64,
    "last_id": pl.Int64,
    "ts_event": pl.Int64,
    "buyer_is_maker": pl.String,
}
_BEST_MATCH: Layout = {"is_best_match": pl.String}
_BOOK_TICKER: Layout = {
    "id": pl.Int64,
    "bid_price": pl.Float64,
    "bid_qty": pl.Float64,
    "ask_price": pl.Float64,
    "ask_qty": pl.Float64,
    "ts_event": pl.Int64,
    "event_time": pl.Int64,
}
_FUTURES: dict[str, Layout] = {"trades": _TRADES, "aggTrades": _AGG_TRADES, "bookTicker": _BOOK_TICKER}
_LAYOUTS: dict[str, dict[str, Layout]] = {
    "spot": {"trades": _TRADES | _BEST_MATCH, "aggTrades": _AGG_TRADES | _BEST_MATCH},
    "usdm": _FUTURES,
    "coinm": _FUTURES,
}
# How the folders of the public site call the markets.
_FOLDERS = {"spot": "spot", "um": "usdm", "cm": "coinm"}

_FORMS = {"trades": "trade", "aggTrades": "aggTrade", "bookTicker": "bookTicker"}
_CLOCK = ClockRecord("venue", "venue")


class VisionImporter:
    """Reads public dumps; the market is given, in the file's path, or clear from the symbol."""

    def __init__(self, market: str | None, symbol: str | None) -> None:
        if market is not None:
            venue_name("binance", market)
        self._market = market
        self._symbol = None if symbol is None else symbol.upper()

    def period_ns(self, path: Path) -> tuple[int, int]:
        """Return the day (or month) in the file's name; raises InputError where name and options do not fit."""
        name = _name(path)
        self._check(path, name)
        year, month = int(name["year"]), int(name["month"])
        try:
            first = date(year, month, int(name["day"] or 1))
        except ValueError:
            raise InputError(f"the name of {path} has no date that exists, expected SYMBOL-KIND-YYYY-MM-DD.zip") from None
        if name["day"]:
            return ns_of_date(first), ns_of_date(date.fromordinal(first.toordinal() + 1))
        return ns_of_date(first), ns_of_date(date(year + month // 12, month % 12 + 1, 1))

    def read(self, source: LineSource, intake: Intake) -> None:
        """Give every line of `source` to `intake`."""
        name = _name(source.path)
        market, form = self._market_of(source.path, name["symbol"]), name["form"]
        layout = _LAYOUTS[market][form]
        stream = Stream.BBO if form == "bookTicker" else Stream.TRADE
        series = Series(
            venue_name("binance", market), name["symbol"].upper(), _FORMS[form], (stream,), _CLOCK, in_receive_order=False
        )
        first = True
        for lines in source:
            block = lines
            intake.lines += block.count(b"\n")
            if first:
                block = _without_header(block, intake)
                _check_width(source.path, block, layout, market)
                first = False
            _take(block, layout, series, intake)
        if source.truncated:
            intake.tear(source.torn_line)

    def _check(self, path: Path, name: re.Match[str]) -> None:
        symbol, form = name["symbol"].upper(), name["form"]
        if self._symbol is not None and symbol != self._symbol:
            raise InputError(
                f"{path} is of {symbol} by its name, and --symbol was {self._symbol}; leave the option out or fix it"
            )
        market = self._market_of(path, symbol)
        if form not in _LAYOUTS[market]:
            raise InputError(f"{path} is a {form} dump and the market {market} has none; was --market right?")

    def _market_of(self, path: Path, symbol: str) -> str:
        if self._market is not None:
            return self._market
        for folder in reversed(path.parts[:-1]):
            if folder in _FOLDERS:
                return _FOLDERS[folder]
        if re.search(r"USD_(PERP|\d{6})$", symbol.upper()):
            return "coinm"
        raise InputError(f"the market of {path} is in neither its name nor its folders; give --market spot, usdm or coinm")


def _name(path: Path) -> re.Match[str]:
    name = _NAME.match(path.name)
    if name is None:
        raise InputError(
            f"{path.name} is not the name of a public dump, expected SYMBOL-trades|aggTrades|bookTicker-YYYY-MM-DD.zip; "
            "keep the name the file was published under"
        )
    return name


def _without_header(block: bytes, intake: Intake) -> bytes:
    if not block[:1].isalpha():
        return block
    intake.set_aside("header")
    return block.partition(b"\n")[2]


def _check_width(path: Path, block: bytes, layout: Layout, market: str) -> None:
    width = block.partition(b"\n")[0].count(b",") + 1
    other = {len(layouts[form]) for layouts in _LAYOUTS.values() for form in layouts} - {len(layout)}
    if block and width != len(layout) and width in other:
        raise CorruptDataError(
            f"{path} has {width} columns, expected {len(layout)} for this kind on {market}; was --market right?"
        )


def _take(block: bytes, layout: Layout, series: Series, intake: Intake) -> None:
    if not block:
        return
    rows = CsvBlock(block, layout)
    for line in rows.wrong:
        intake.reject("corrupt_row", line)
    intake.set_aside("blank_line", rows.blank)
    frame = rows.frame
    columns: Columns = {name: frame[name].to_numpy() for name in ("id", "ts_event")}
    columns["ts_recv"] = columns["ts_event"]
    if series.streams == (Stream.BBO,):
        columns |= {name: frame[name].to_numpy() for name in ("bid_price", "bid_qty", "ask_price", "ask_qty")}
    else:
        columns |= {name: frame[name].to_numpy() for name in ("price", "qty")}
        columns["side"] = _sides(frame["buyer_is_maker"])
        columns["trade_id"] = columns["id"]
    intake.add(series, columns, rows.raw)


def _sides(buyer_is_maker: pl.Series) -> NDArray[np.int8]:
    words = buyer_is_maker.str.to_lowercase()
    return words.replace_strict({"true": -1, "false": 1}, default=INVALID_SIDE, return_dtype=pl.Int8).to_numpy()
