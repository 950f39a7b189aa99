"""The market events: one 64-byte record for every stream, two clocks on each.

A record is a union: the 32 payload bytes hold the fields of its stream, so one array carries a mixed sequence and one
cache line carries an event.

==============  =====================================================  ==========================================
stream (kind)   payload fields                                         meaning
==============  =====================================================  ==========================================
bbo (0)         bid_price, bid_qty, ask_price, ask_qty                 best bid and offer with sizes, base units
trade (1)       price, qty; side is the taker's                        a print in the market
mark_price (2)  mark_price, index_price (NaN where unknown)            the venue's fair price and its basket
funding (3)     funding_rate (per interval, ratio), next_funding_ts    a rate announcement; paid when it falls due
open_interest   open_interest                                          base units
(4)
==============  =====================================================  ==========================================

`ts_event` is the venue's clock, `ts_recv` ours; both int64 nanoseconds UTC. Storage order is (`ts_event`, `seq`), unique
per venue, stream and symbol. Decisions are made in receive order: (`ts_recv`, `ts_event`, `instrument`, `kind`, `seq`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec
import numpy as np

from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import InputError

STREAM_VERSION = 1


class Stream(IntEnum):
    """Kind of event; the value is the record's `kind`."""

    BBO = 0
    TRADE = 1
    MARK_PRICE = 2
    FUNDING = 3
    OPEN_INTEREST = 4

    @property
    def label(self) -> str:
        """Return the name used in paths, files and on the command line."""
        return self.name.lower()


STREAM_NAMES = tuple(stream.label for stream in Stream)

# Plain integers for compiled code, which does not take enums as globals cheaply.
KIND_BBO = int(Stream.BBO)
KIND_TRADE = int(Stream.TRADE)
KIND_MARK_PRICE = int(Stream.MARK_PRICE)
KIND_FUNDING = int(Stream.FUNDING)
KIND_OPEN_INTEREST = int(Stream.OPEN_INTEREST)

# A gap (lost data, reconnect) lies between this event and the one before it in its stream.
FLAG_AFTER_GAP = 1
# Quotes of one instrument further apart than this have such a gap between them, whatever else is known.
SILENCE_NS = 30 * NS_PER_S

_FIELDS: tuple[tuple[str, str, int], ...] = (
    ("ts_event", "<i8", 0),
    ("ts_recv", "<i8", 8),
    ("seq", "<i8", 16),
    ("kind", "u1", 24),
    ("side", "i1", 25),
    ("flags", "<u2", 26),
    ("instrument", "<u4", 28),
    ("bid_price", "<f8", 32),
    ("bid_qty", "<f8", 40),
    ("ask_price", "<f8", 48),
    ("ask_qty", "<f8", 56),
    ("price", "<f8", 32),
    ("qty", "<f8", 40),
    ("mark_price", "<f8", 32),
    ("index_price", "<f8", 40),
    ("funding_rate", "<f8", 32),
    ("next_funding_ts", "<i8", 40),
    ("open_interest", "<f8", 32),
)

EVENT: np.dtype[Any] = np.dtype(
    {
        "names": [name for name, _, _ in _FIELDS],
        "formats": [kind for _, kind, _ in _FIELDS],
        "offsets": [offset for _, _, offset in _FIELDS],
        "itemsize": 64,
    }
)

PAYLOAD_FIELDS: dict[Stream, tuple[str, ...]] = {
    Stream.BBO: ("bid_price", "bid_qty", "ask_price", "ask_qty"),
    Stream.TRADE: ("price", "qty", "side"),
    Stream.MARK_PRICE: ("mark_price", "index_price"),
    Stream.FUNDING: ("funding_rate", "next_funding_ts"),
    Stream.OPEN_INTEREST: ("open_interest",),
}


class Bbo(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer, as a Python strategy sees it."""

    ts_event: int
    ts_recv: int
    instrument: int
    bid_price: float
    bid_qty: float
    ask_price: float
    ask_qty: float

    @property
    def mid_price(self) -> float:
        """Return (bid + ask) / 2."""
        return (self.bid_price + self.ask_price) / 2.0


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A print in the market; `side` is the taker's (+1 buy, -1 sell)."""

    ts_event: int
    ts_recv: int
    instrument: int
    price: float
    qty: float
    side: int


class MarkPrice(msgspec.Struct, frozen=True, gc=False):
    """The venue's fair price; `index_price` is NaN where the venue gives none."""

    ts_event: int
    ts_recv: int
    instrument: int
    mark_price: float
    index_price: float


class Funding(msgspec.Struct, frozen=True, gc=False):
    """A funding rate announcement: ratio per interval, due at `next_funding_ts`."""

    ts_event: int
    ts_recv: int
    instrument: int
    funding_rate: float
    next_funding_ts: int


class OpenInterest(msgspec.Struct, frozen=True, gc=False):
    """Open interest in base units."""

    ts_event: int
    ts_recv: int
    instrument: int
    open_interest: float


Event = Bbo | Trade | MarkPrice | Funding | OpenInterest

EVENT_CLASSES: dict[Stream, type[Event]] = {
    Stream.BBO: Bbo,
    Stream.TRADE: Trade,
    Stream.MARK_PRICE: MarkPrice,
    Stream.FUNDING: Funding,
    Stream.OPEN_INTEREST: OpenInterest,
}


class Cursor(msgspec.Struct, frozen=True):
    """Position of the last processed event in decision order; resuming starts strictly after it."""

    ts_recv: int
    ts_event: int
    instrument: int
    kind: int
    seq: int

    def encode(self) -> str:
        """Return the cursor as one word, `ts_recv.ts_event.instrument.kind.seq`."""
        return f"{self.ts_recv}.{self.ts_event}.{self.instrument}.{self.kind}.{self.seq}"

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Parse what `encode` wrote."""
        parts = text.split(".")
        if len(parts) != 5 or not all(part.lstrip("-").isdigit() for part in parts):
            raise InputError(f"cursor was '{text}', expected ts_recv.ts_event.instrument.kind.seq as integers")
        return cls(*(int(part) for part in parts))
