"""Tick tapes with everything that makes features wrong: flat stretches, jumps, empty books, ties on the clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import (
    EVENT,
    KIND_BBO,
    KIND_FUNDING,
    KIND_MARK_PRICE,
    KIND_OPEN_INTEREST,
    KIND_TRADE,
)
from edgesmith.domain.records import joined, taken

# Powers of two, so that scaling and reflecting prices is exact.
TICK = 2.0**-4
LEVEL_TICKS = 2**20
NS_PER_MS = 1_000_000
SPAN_NS = 600_000 * NS_PER_MS


def bbo_tape(count: int, seed: int = 0, tick: float = TICK, level_ticks: int = LEVEL_TICKS) -> NDArray[Any]:
    """Return clean bbo events: a quarter of them in flat stretches, a few jumps a thousand times the usual step."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([-1, 0, 0, 0, 1], count)
    steps[np.repeat(rng.random(-(-count // 150)) < 0.25, 150)[:count]] = 0
    jumps = rng.random(count) < 4 / max(count, 1)
    steps[jumps] = rng.choice([-1_000, 1_000], jumps.sum())
    bid_ticks = level_ticks + np.cumsum(steps)
    spread_ticks = np.where(rng.random(count) < 0.1, rng.integers(1, 6, count), 1)
    events = np.zeros(count, EVENT)
    events["kind"] = KIND_BBO
    events["ts_event"] = events["ts_recv"] = np.cumsum(rng.integers(0, 30 * NS_PER_MS, count))
    events["seq"] = np.arange(count)
    events["bid_price"], events["ask_price"] = bid_ticks * tick, (bid_ticks + spread_ticks) * tick
    events["bid_qty"], events["ask_qty"] = rng.integers(1, 500, count) * 2.0**-6, rng.integers(1, 500, count) * 2.0**-6
    return events


def trade_tape(count: int, seed: int = 0) -> NDArray[Any]:
    """Return clean trades in bursts, buyers and sellers in runs."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["kind"] = KIND_TRADE
    pauses = np.where(rng.random(count) < 0.1, rng.integers(0, 20_000 * NS_PER_MS, count), rng.integers(0, 50 * NS_PER_MS, count))
    events["ts_event"] = events["ts_recv"] = np.cumsum(pauses)
    events["seq"] = np.arange(count)
    events["price"] = (LEVEL_TICKS + np.cumsum(rng.integers(-1, 2, count))) * TICK
    events["qty"] = rng.lognormal(0.0, 2.0, count)
    events["side"] = np.where(np.sin(np.arange(count) / 20.0) + rng.normal(0.0, 1.0, count) > 0, 1, -1)
    return events


def slow_tape(kind: int, count: int, seed: int = 0) -> NDArray[Any]:
    """Return clean events of a stream that comes now and then: marks, funding announcements or open interest."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["kind"] = kind
    events["seq"] = np.arange(count)
    events["ts_event"] = events["ts_recv"] = np.cumsum(rng.integers(1, 2_000 * NS_PER_MS, count))
    if kind == KIND_MARK_PRICE:
        events["mark_price"] = (LEVEL_TICKS + np.cumsum(rng.integers(-2, 3, count))) * TICK
        events["index_price"] = events["mark_price"] + rng.integers(-8, 9, count) * TICK
    elif kind == KIND_FUNDING:
        events["funding_rate"] = rng.normal(1e-4, 1e-4, count)
        events["next_funding_ts"] = SPAN_NS + rng.integers(0, SPAN_NS, count)
    else:
        events["open_interest"] = 5_000.0 + np.cumsum(rng.normal(0.0, 2.0, count))
    return events


def mixed_tape(count: int, seed: int = 0, instruments: int = 1) -> NDArray[Any]:
    """Return events of every stream of several instruments, mostly bbo events and trades, in order of `ts_recv`."""
    parts = []
    for instrument in range(instruments):
        third = count // 2 // instruments
        slow = [
            slow_tape(kind, number, seed + 100 * instrument + kind)
            for kind, number in ((KIND_FUNDING, 3), (KIND_MARK_PRICE, 150), (KIND_OPEN_INTEREST, 40))
        ]
        for part in (bbo_tape(third, seed + instrument), trade_tape(third, seed + 7 + instrument), *slow):
            part["instrument"] = instrument
            part["ts_recv"] = part["ts_recv"] / part["ts_recv"][-1] * SPAN_NS
            parts.append(part)
    return in_order(parts)


def in_order(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the events of several tapes in decision order."""
    merged = joined(parts)
    return taken(merged, np.lexsort((merged["seq"], merged["kind"], merged["instrument"], merged["ts_event"], merged["ts_recv"])))


def mirrored(events: NDArray[Any], twice_center: float) -> NDArray[Any]:
    """Return the market upside down: p -> twice_center - p, so sides, sizes and takers change places."""
    result, bbo, trade = events.copy(), events["kind"] == KIND_BBO, events["kind"] == KIND_TRADE
    result["bid_price"][bbo], result["ask_price"][bbo] = (
        twice_center - events["ask_price"][bbo],
        twice_center - events["bid_price"][bbo],
    )
    result["bid_qty"][bbo], result["ask_qty"][bbo] = events["ask_qty"][bbo], events["bid_qty"][bbo]
    result["price"][trade] = twice_center - events["price"][trade]
    result["side"][trade] = -events["side"][trade]
    mark, funding = events["kind"] == KIND_MARK_PRICE, events["kind"] == KIND_FUNDING
    for name in ("mark_price", "index_price"):
        result[name][mark] = twice_center - events[name][mark]
    result["funding_rate"][funding] = -events["funding_rate"][funding]
    return result


def scaled(events: NDArray[Any], factor: float) -> NDArray[Any]:
    """Return the market with all prices multiplied."""
    result, bbo, trade = events.copy(), events["kind"] == KIND_BBO, events["kind"] == KIND_TRADE
    result["bid_price"][bbo] *= factor
    result["ask_price"][bbo] *= factor
    result["price"][trade] *= factor
    mark = events["kind"] == KIND_MARK_PRICE
    result["mark_price"][mark] *= factor
    result["index_price"][mark] *= factor
    return result
