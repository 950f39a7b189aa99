"""Decode Binance's raw frames, of all three markets, into columns of lake streams.

A frame may come inside the combined-stream wrapper `{"stream": .., "data": ..}` or bare. What becomes of each kind:

=================  ================================================  =======================================
frame              lake                                              venue time
=================  ================================================  =======================================
bookTicker         bbo                                               T, else E; none on spot
trade, aggTrade    trade (side is the taker's)                       T, else E
markPriceUpdate    mark_price, and funding where a rate is given     E (its T is the next funding time)
openInterest       open_interest (a REST answer)                     time
depthUpdate,       none                                              -
REST snapshot
=================  ================================================  =======================================

Coin-margined quantities stay in contracts.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec
import numpy as np

from edgesmith.domain.events import Stream
from edgesmith.venues.decoding import DatedDecoders

Columns = dict[str, Any]


class FrameKind(Enum):
    """What a frame is; the value is Binance's word for it where it has one."""

    BOOK_TICKER = "bookTicker"
    TRADE = "trade"
    AGG_TRADE = "aggTrade"
    MARK_PRICE = "markPriceUpdate"
    OPEN_INTEREST = "openInterest"
    DEPTH = "depthUpdate"
    CONTROL = "control"
    UNKNOWN = "unknown"


class BookTicker(msgspec.Struct, gc=False):
    """Best bid and offer of a futures market."""

    update_id: int = msgspec.field(name="u")
    symbol: str = msgspec.field(name="s")
    bid_price: float = msgspec.field(name="b")
    bid_qty: float = msgspec.field(name="B")
    ask_price: float = msgspec.field(name="a")
    ask_qty: float = msgspec.field(name="A")
    event_time: int = msgspec.field(name="E")
    transaction_time: int = msgspec.field(name="T", default=0)


class SpotBookTicker(msgspec.Struct, gc=False):
    """Best bid and offer of the spot market, which sends no time; a frame with `e` or `T` is of a futures market."""

    update_id: int = msgspec.field(name="u")
    symbol: str = msgspec.field(name="s")
    bid_price: float = msgspec.field(name="b")
    bid_qty: float = msgspec.field(name="B")
    ask_price: float = msgspec.field(name="a")
    ask_qty: float = msgspec.field(name="A")
    event: None = msgspec.field(name="e", default=None)
    transaction_time: None = msgspec.field(name="T", default=None)


class Trade(msgspec.Struct, gc=False):
    """One print of a futures market; a frame with `M` is of the spot market."""

    symbol: str = msgspec.field(name="s")
    trade_id: int = msgspec.field(name="t")
    price: float = msgspec.field(name="p")
    qty: float = msgspec.field(name="q")
    buyer_is_maker: bool = msgspec.field(name="m")
    transaction_time: int = msgspec.field(name="T", default=0)
    event_time: int = msgspec.field(name="E", default=0)
    spot_only: None = msgspec.field(name="M", default=None)


class SpotTrade(msgspec.Struct, gc=False):
    """One print of the spot market, known by its field `M`."""

    symbol: str = msgspec.field(name="s")
    trade_id: int = msgspec.field(name="t")
    price: float = msgspec.field(name="p")
    qty: float = msgspec.field(name="q")
    buyer_is_maker: bool = msgspec.field(name="m")
    spot_only: bool = msgspec.field(name="M")
    transaction_time: int = msgspec.field(name="T", default=0)
    event_time: int = msgspec.field(name="E", default=0)


class AggTrade(msgspec.Struct, gc=False):
    """The prints of one taker order at one price on a futures market, added up."""

    symbol: str = msgspec.field(name="s")
    trade_id: int = msgspec.field(name="a")
    price: float = msgspec.field(name="p")
    qty: float = msgspec.field(name="q")
    buyer_is_maker: bool = msgspec.field(name="m")
    transaction_time: int = msgspec.field(name="T", default=0)
    event_time: int = msgspec.field(name="E", default=0)
    spot_only: None = msgspec.field(name="M", default=None)


class SpotAggTrade(msgspec.Struct, gc=False):
    """The prints of one taker order at one price on the spot market, added up."""

    symbol: str = msgspec.field(name="s")
    trade_id: int = msgspec.field(name="a")
    price: float = msgspec.field(name="p")
    qty: float = msgspec.field(name="q")
    buyer_is_maker: bool = msgspec.field(name="m")
    spot_only: bool = msgspec.field(name="M")
    transaction_time: int = msgspec.field(name="T", default=0)
    event_time: int = msgspec.field(name="E", default=0)


class MarkPriceUpdate(msgspec.Struct, gc=False):
    """Mark price with the coming funding; `r` is empty on contracts that pay none."""

    event_time: int = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    mark_price: float = msgspec.field(name="p")
    next_funding_time: int = msgspec.field(name="T", default=0)
    index_price: str = msgspec.field(name="i", default="")
    funding_rate: str = msgspec.field(name="r", default="")


class OpenInterestAnswer(msgspec.Struct, gc=False):
    """The REST answer on open interest, in contracts on the coin-margined market."""

    symbol: str
    open_interest: float = msgspec.field(name="openInterest")
    time: int = 0


class FrameFormat(msgspec.Struct, frozen=True):
    """How one kind of frame is read: by a typed decoder, then into columns (with a rising `id` where the venue sends one)."""

    decoder: Any
    columns: Callable[[list[Any]], Columns]
    streams: tuple[Stream, ...]
    required: tuple[str, ...]
    has_venue_time: bool = True


class MarketDecoder(msgspec.Struct, frozen=True):
    """All frames of one market as they were sent over some span of dates."""

    formats: dict[FrameKind, FrameFormat]

    def decode(self, payload: bytes) -> tuple[FrameKind, Any]:
        """Decode one frame, wrapped or bare; the second is None for kinds that are not stored.

        Raises
        ------
        msgspec.ValidationError
            JSON that is not a frame of this market.
        msgspec.DecodeError, UnicodeDecodeError
            Not JSON.
        """
        kind, body = classify(payload)
        form = self.formats.get(kind)
        if form is None:
            return (kind if kind in (FrameKind.DEPTH, FrameKind.CONTROL) else FrameKind.UNKNOWN), None
        return kind, form.decoder.decode(body)


_ABSENT = msgspec.Raw()


class _Probe(msgspec.Struct, gc=False):
    stream: msgspec.Raw = _ABSENT
    data: msgspec.Raw = _ABSENT
    event: Any = msgspec.field(name="e", default=None)
    snapshot_id: msgspec.Raw = msgspec.field(name="lastUpdateId", default=_ABSENT)
    open_interest: msgspec.Raw = msgspec.field(name="openInterest", default=_ABSENT)
    bid_qty: msgspec.Raw = msgspec.field(name="B", default=_ABSENT)
    result: msgspec.Raw = _ABSENT
    request_id: msgspec.Raw = msgspec.field(name="id", default=_ABSENT)


_PROBE = msgspec.json.Decoder(_Probe)
_ANY = msgspec.json.Decoder(msgspec.Raw)
_KIND_OF_EVENT = {kind.value: kind for kind in FrameKind if kind not in (FrameKind.CONTROL, FrameKind.UNKNOWN)}


def classify(payload: bytes | msgspec.Raw) -> tuple[FrameKind, bytes | msgspec.Raw]:
    """Return what a frame is, and the frame without its wrapper."""
    try:
        probe = _PROBE.decode(payload)
        if probe.stream is not _ABSENT and probe.data is not _ABSENT:
            payload = probe.data
            probe = _PROBE.decode(payload)
    except msgspec.ValidationError:
        _ANY.decode(payload)
        return FrameKind.UNKNOWN, payload
    if probe.event is not None:
        return _KIND_OF_EVENT.get(str(probe.event), FrameKind.UNKNOWN), payload
    if probe.snapshot_id is not _ABSENT:
        return FrameKind.DEPTH, payload
    if probe.open_interest is not _ABSENT:
        return FrameKind.OPEN_INTEREST, payload
    if probe.bid_qty is not _ABSENT:
        return FrameKind.BOOK_TICKER, payload
    answers = probe.request_id is not _ABSENT or probe.result is not _ABSENT
    return (FrameKind.CONTROL if answers else FrameKind.UNKNOWN), payload


def wrapper_head(kind: FrameKind, symbol: str) -> bytes:
    """Return how Binance's combined streams begin a frame of `kind`; depth streams continue with levels and speed."""
    if kind == FrameKind.DEPTH:
        return b'{"stream":"%s@depth' % symbol.lower().encode()
    return b'{"stream":"%s@%s","data":' % (symbol.lower().encode(), kind.value.encode())


def _floats(values: list[float]) -> np.ndarray[Any, Any]:
    return np.fromiter(values, np.float64, len(values))


def _integers(values: list[int]) -> np.ndarray[Any, Any]:
    try:
        return np.fromiter(values, np.int64, len(values))
    except OverflowError:
        # No clock or id needs more than 63 bits; -1 is refused by every check that follows.
        return np.fromiter([value if abs(value) < 2**63 else -1 for value in values], np.int64, len(values))


def _venue_time(frames: list[Any]) -> np.ndarray[Any, Any]:
    transaction = _integers([frame.transaction_time for frame in frames])
    if bool(np.all(transaction)):
        return transaction
    return np.where(transaction == 0, _integers([frame.event_time for frame in frames]), transaction)


def _quote_columns(frames: list[Any]) -> Columns:
    return {
        "id": _integers([frame.update_id for frame in frames]),
        "bid_price": _floats([frame.bid_price for frame in frames]),
        "bid_qty": _floats([frame.bid_qty for frame in frames]),
        "ask_price": _floats([frame.ask_price for frame in frames]),
        "ask_qty": _floats([frame.ask_qty for frame in frames]),
    }


def _book_ticker_columns(frames: list[Any]) -> Columns:
    return _quote_columns(frames) | {"ts_event": _venue_time(frames)}


def _trade_columns(frames: list[Any]) -> Columns:
    trade_id = _integers([frame.trade_id for frame in frames])
    buyer_is_maker = np.fromiter([frame.buyer_is_maker for frame in frames], np.bool_, len(frames))
    return {
        "id": trade_id,
        "ts_event": _venue_time(frames),
        "price": _floats([frame.price for frame in frames]),
        "qty": _floats([frame.qty for frame in frames]),
        "side": np.where(buyer_is_maker, np.int8(-1), np.int8(1)),
        "trade_id": trade_id,
    }


def _mark_price_columns(frames: list[Any]) -> Columns:
    return {
        "ts_event": _integers([frame.event_time for frame in frames]),
        "mark_price": _floats([frame.mark_price for frame in frames]),
        "index_price": _floats([_optional_float(frame.index_price) for frame in frames]),
        "funding_rate": _floats([_optional_float(frame.funding_rate) for frame in frames]),
        "next_funding_ts": _integers([frame.next_funding_time for frame in frames]),
    }


def _optional_float(text: str) -> float:
    # Empty is absent; what is not a number becomes infinite, which no check lets pass.
    if not text:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return float("inf")


def _open_interest_columns(frames: list[Any]) -> Columns:
    return {
        "ts_event": _integers([frame.time for frame in frames]),
        "open_interest": _floats([frame.open_interest for frame in frames]),
    }


def _format(
    struct: type, columns: Callable[[list[Any]], Columns], streams: tuple[Stream, ...], *required: str, venue_time: bool = True
) -> FrameFormat:
    # Binance sends prices as strings; lax decoding turns them into numbers without a Python object in between.
    return FrameFormat(msgspec.json.Decoder(struct, strict=False), columns, streams, required, venue_time)


_SPOT = MarketDecoder(
    {
        FrameKind.BOOK_TICKER: _format(SpotBookTicker, _quote_columns, (Stream.BBO,), venue_time=False),
        FrameKind.TRADE: _format(SpotTrade, _trade_columns, (Stream.TRADE,)),
        FrameKind.AGG_TRADE: _format(SpotAggTrade, _trade_columns, (Stream.TRADE,)),
    }
)

_FUTURES = MarketDecoder(
    {
        FrameKind.BOOK_TICKER: _format(BookTicker, _book_ticker_columns, (Stream.BBO,)),
        FrameKind.TRADE: _format(Trade, _trade_columns, (Stream.TRADE,)),
        FrameKind.AGG_TRADE: _format(AggTrade, _trade_columns, (Stream.TRADE,)),
        FrameKind.MARK_PRICE: _format(MarkPriceUpdate, _mark_price_columns, (Stream.MARK_PRICE, Stream.FUNDING), "mark_price"),
        FrameKind.OPEN_INTEREST: _format(OpenInterestAnswer, _open_interest_columns, (Stream.OPEN_INTEREST,), "open_interest"),
    }
)

# Market -> its decoders by date. A change of the wire format is a new decoder and a dated entry here.
DECODERS: dict[str, DatedDecoders[MarketDecoder]] = {
    "usdm": DatedDecoders("binance usdm", _FUTURES),
    "spot": DatedDecoders("binance spot", _SPOT),
    "coinm": DatedDecoders("binance coinm", _FUTURES),
}
