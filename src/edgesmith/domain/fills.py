"""An execution of ours, and a position, as Python code sees them."""

from __future__ import annotations

import msgspec

from edgesmith.domain.orders import OrderOrigin, Side


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One execution of ours. Money in the settlement currency; `realized_pnl` is before fees."""

    ts_match: int
    ts_known: int
    fill_id: int
    order_id: int
    instrument: int
    side: Side
    price: float
    qty: float
    is_maker: bool
    fee: float
    realized_pnl: float
    position_qty: float
    origin: OrderOrigin


class Position(msgspec.Struct, frozen=True, gc=False):
    """What we hold of an instrument. `qty` is signed; `pending_qty` is what open orders would add."""

    qty: float
    pending_qty: float
    entry_price: float
    unrealized_pnl: float


class Bar(msgspec.Struct, frozen=True, gc=False):
    """Mid prices and traded volume of one instrument over [`ts_open`, `ts_close`); NaN prices when no quote came."""

    ts_open: int
    ts_close: int
    instrument: int
    open: float
    high: float
    low: float
    close: float
    volume_qty: float
    trades_count: int
