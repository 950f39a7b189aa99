"""Markets with nothing in them, made from others: chimeras, whose flow belongs to another market, and reflections.

They work on any tape, simulated or real, and keep its clock: what a method finds in them was never there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO, KIND_MARK_PRICE, KIND_TRADE
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import as_records
from edgesmith.errors import InputError
from edgesmith.worlds.bridge import Grid
from edgesmith.worlds.random import child_key, uniforms_at


def chimera(prices: NDArray[Any], flow: NDArray[Any]) -> NDArray[Any]:
    """Return the tape `prices` with the sizes and sides of `flow`, the k-th quote or trade of one taking those of the other.

    Trades print at the touch their new side takes from. A shorter `flow` starts again. With another day of the same market as
    `flow`, this is the placebo of mismatched days.
    """
    out = as_records(prices.copy())
    for kind, names in ((KIND_BBO, ("bid_qty", "ask_qty")), (KIND_TRADE, ("qty", "side"))):
        mine, other = np.flatnonzero(prices["kind"] == kind), np.flatnonzero(flow["kind"] == kind)
        if len(mine) and not len(other):
            raise InputError(f"flow holds no events of kind {kind}, expected some: the prices hold {len(mine)}")
        for name in names:
            out[name][mine] = flow[name][other[np.arange(len(mine)) % len(other)]] if len(mine) else 0
    _print_at_touch(out)
    return out


def _print_at_touch(tape: NDArray[Any]) -> None:
    trades, quotes = np.flatnonzero(tape["kind"] == KIND_TRADE), np.flatnonzero(tape["kind"] == KIND_BBO)
    before = np.searchsorted(quotes, trades) - 1
    trades, quotes = trades[before >= 0], quotes[before[before >= 0]]
    tape["price"][trades] = np.where(tape["side"][trades] > 0, tape["ask_price"][quotes], tape["bid_price"][quotes])


def reflected(events: NDArray[Any], *, block_ns: int, instrument: Instrument, key: np.uint64) -> NDArray[Any]:
    """Return the tape with its price path turned upside down in a random half of blocks of `block_ns` on the venue clock.

    Sizes and sides stay as they are, so that in such a block a feature of them comes before the opposite move; the average
    return after anything they show is 0. The path is continuous: each block starts where the one before ended.
    """
    if block_ns < 1:
        raise InputError(f"block_ns was {block_ns}, expected >= 1")
    out = as_records(events.copy())
    quotes = np.flatnonzero(events["kind"] == KIND_BBO)
    if not len(quotes):
        return out
    grid = Grid.of(instrument.tick_size)
    scale = grid.denominator / grid.numerator
    bid, ask = (np.rint(events[name][quotes] * scale) for name in ("bid_price", "ask_price"))
    signs = _signs(events["ts_event"][quotes] // block_ns, key)
    doubled = bid + ask
    steps = np.diff(doubled, prepend=doubled[0]) * signs
    # Steps keep their parity when they change their sign, so the new mid prices stay on the grid.
    moved = doubled[0] + np.cumsum(steps)
    shift = np.rint((moved - doubled) / 2.0)
    out["bid_price"][quotes] = (bid + shift) * grid.numerator / grid.denominator
    out["ask_price"][quotes] = (ask + shift) * grid.numerator / grid.denominator
    _shift_others(out, quotes, shift, grid)
    return out


def _signs(blocks: NDArray[np.int64], key: np.uint64) -> NDArray[np.float64]:
    named, at = np.unique(blocks, return_inverse=True)
    return np.where(uniforms_at(child_key(key, 1), named) < 0.5, 1.0, -1.0)[at]


def _shift_others(tape: NDArray[Any], quotes: NDArray[np.int64], shift: NDArray[np.float64], grid: Grid) -> None:
    # A trade or a mark price moves as far as the quote before it.
    for kind, names in ((KIND_TRADE, ("price",)), (KIND_MARK_PRICE, ("mark_price", "index_price"))):
        rows = np.flatnonzero(tape["kind"] == kind)
        moved = shift[np.maximum(np.searchsorted(quotes, rows) - 1, 0)]
        for name in names:
            tape[name][rows] += moved * grid.numerator / grid.denominator
    trades = np.flatnonzero(tape["kind"] == KIND_TRADE)
    tape["price"][trades] = np.rint(tape["price"][trades] * grid.denominator / grid.numerator) * grid.numerator / grid.denominator
