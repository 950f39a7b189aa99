"""The rows a simulated hour writes, compiled: prices in ticks, sizes in lots, stamps of both clocks."""

from __future__ import annotations

import math
from typing import Any

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, KIND_FUNDING, KIND_MARK_PRICE, KIND_OPEN_INTEREST, KIND_TRADE
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.worlds.draws import lognormal
from edgesmith.worlds.latency import receive_ns
from edgesmith.worlds.random import noise_at

_FUNDING_INTERVAL_NS = 8 * NS_PER_HOUR
_OPEN_INTEREST_EVERY_S = 3
_FILLS_MAX = 60
# Rows one action can write: fills at the touch and behind it, and the update.
ROWS_PER_ACTION_MAX = 2 * _FILLS_MAX + 8


@kernel
def _stamp(s: Any, lane: Any, p: Any, row: Any) -> None:
    step_ns = int(p.stamp_ms * NS_PER_MS + 0.5)
    row.ts_event = s.epoch_ns + s.now_ns // step_ns * step_ns
    row.ts_recv = s.epoch_ns + receive_ns(lane, s.now_ns, p.latency_floor_ms, p.latency_median_ms, p.latency_log_sd)
    row.instrument = s.instrument
    s.rows += 1


@kernel
def write_bbo(s: Any, lane: Any, p: Any, out: Any) -> None:
    """Write the touch as it stands."""
    if s.recording == 0:
        return
    row = out[s.rows]
    _stamp(s, lane, p, row)
    row.kind = KIND_BBO
    row.side = 0
    row.seq = s.seq_bbo
    row.bid_price = s.bid_ticks
    row.bid_qty = s.bid_lots
    row.ask_price = s.ask_ticks
    row.ask_qty = s.ask_lots
    s.seq_bbo += 1


@kernel
def write_fills(s: Any, lane: Any, p: Any, out: Any, sign: int, touch_ticks: int, jump: int, lots: int) -> None:
    """Write the fills of one order; with a jump, they climb from the old touch to the new one."""
    written = 0
    while lots > 0:
        fill = max(1, int(lognormal(s, p.fill_median_lots, p.fill_log_sd)))
        if fill > lots or written == _FILLS_MAX - 1:
            fill = lots
        lots -= fill
        written += 1
        if s.recording == 1:
            row = out[s.rows]
            _stamp(s, lane, p, row)
            row.kind = KIND_TRADE
            row.side = sign
            row.seq = s.seq_trade
            row.price = touch_ticks + sign * min(jump, written)
            row.qty = fill
            s.seq_trade += 1


@kernel
def write_slow_streams(s: Any, lane: Any, p: Any, out: Any, mid_ticks: float) -> None:
    """Write mark price and funding rate, and the open interest at its slower pace."""
    row = out[s.rows]
    _stamp(s, lane, p, row)
    row.kind = KIND_MARK_PRICE
    row.seq = s.seq_mark_price
    row.mark_price = 0.5 * (mid_ticks + s.index_ticks)
    row.index_price = s.index_ticks
    row = out[s.rows]
    _stamp(s, lane, p, row)
    row.kind = KIND_FUNDING
    row.seq = s.seq_mark_price
    intervals = s.now_ns / _FUNDING_INTERVAL_NS
    rate = p.funding_mean + p.funding_sd * noise_at(s.funding_key, intervals)
    row.funding_rate = math.floor(rate * 1e8) * 1e-8
    row.next_funding_ts = ((s.epoch_ns + s.now_ns) // _FUNDING_INTERVAL_NS + 1) * _FUNDING_INTERVAL_NS
    s.seq_mark_price += 1
    if (s.now_ns // NS_PER_S) % _OPEN_INTEREST_EVERY_S == 0:
        row = out[s.rows]
        _stamp(s, lane, p, row)
        row.kind = KIND_OPEN_INTEREST
        row.seq = s.seq_open_interest
        row.open_interest = math.floor(s.open_interest)
        s.seq_open_interest += 1
