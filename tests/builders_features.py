"""Tick tapes with everything that makes features wrong: flat stretches, jumps, empty books, ties on the clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import EVENT, KIND_BBO, KIND_FUNDING, KIND_TRADE

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


def mixed_tape(count: int, seed: int = 0, instruments: int = 1) -> NDArray[Any]:
    """Return bbo events, trades and a few funding announcements of several instruments, in order of `ts_recv`."""
    parts = []
    for instrument in range(instruments):
        funding = bbo_tape(3, seed + 100 * instrument)
        funding["kind"], funding["next_funding_ts"] = KIND_FUNDING, 1
        third = count // 2 // instruments
        for part in (bbo_tape(third, seed + instrument), trade_tape(third, seed + 7 + instrument), funding):
            part["instrument"] = instrument
            part["ts_recv"] = part["ts_recv"] / part["ts_recv"][-1] * SPAN_NS
            parts.append(part)
    # numpy joins records field by field and would unpack the union, so join raw bytes.
    merged = np.concatenate([part.view("V64") for part in parts]).view(EVENT)
    return merged[np.lexsort((merged["kind"], merged["instrument"], merged["ts_recv"]))]


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
    return result


def scaled(events: NDArray[Any], factor: float) -> NDArray[Any]:
    """Return the market with all prices multiplied."""
    result, bbo, trade = events.copy(), events["kind"] == KIND_BBO, events["kind"] == KIND_TRADE
    result["bid_price"][bbo] *= factor
    result["ask_price"][bbo] *= factor
    result["price"][trade] *= factor
    return result
