"""Tick tapes with everything that makes features wrong: flat stretches, jumps, empty books, ties on the clock.

And the two programs tests share: compiling one of every feature takes half a minute, so `tests/warm.py` does it once for all.
"""

from __future__ import annotations

import functools
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
from edgesmith.features.catalog import features
from edgesmith.features.operator import Feature, FeatureSpec
from edgesmith.features.program import Program

# Powers of two, so that scaling and reflecting prices is exact.
TICK = 2.0**-4
LEVEL_TICKS = 2**20
NS_PER_MS = 1_000_000
SPAN_NS = 600_000 * NS_PER_MS

# The instrument the cross features look at.
LEADER = 0
FAST = {"half_life_ns": 20 * NS_PER_MS}
GRID = {"grid_ns": 10 * NS_PER_MS, "half_life_ns": 100 * NS_PER_MS}
SMALL: dict[str, dict[str, Any]] = {
    "volatility": {"window": 3},
    "ema": {"period": 2},
    "rsi": {"period": 3},
    "atr": {"period": 1},
    "roc": {"period": 4},
    "regime_volatility": {"short": 2, "long": 3, "low_ratio": 0.8, "high_ratio": 1.2},
    # Weights of 2/3 and 2/5: where one is 1 the averages tie, and rounding decides the label.
    "regime_trend": {"fast": 2, "slow": 4, "threshold_ratio": 1e-9},
    "regime_spread": {"window": 2},
    "imbalance_ema": {"period": 1},
    "ema_slope": {"period": 3, "lookback": 2},
    "bollinger_pos": {"period": 5, "width": 1.0},
    "trade_flow_imbalance": {"half_life_ns": 1_000_000, "warmup_events": 2},
    "trade_activity": {"half_life_ns": 1_000_000, "warmup_events": 2},
    "liquidity_pressure": {"period": 1},
    "return_momentum": {"window": 3, "by_size": 0},
    "regime_stability": {"window": 3},
    "spread_compression": {"fast": 1, "slow": 3},
    "imbalance_acceleration": {"period": 2, "smoothing": 2, "gain": 1.0},
    "micro_reversion": {"window": 2},
    "quote_intensity": {"window": 3, "ranks": 4},
    "behavior_divergence": {"window": 2, "period": 2},
    "volatility_compression_score": {"ranks": 3},
    "volatility_ratio": {"short": 2, "long": 4},
    "trend_strength": {"fast": 1, "slow": 3, "steps": 1, "noise": 2, "gain": 0.1},
    "spread_ratio": {"window": 2},
    "trend_efficiency": {"window": 3},
    "mean_spread": {"half_life_ns": 1_000_000},
    "quote_rate": {"half_life_ns": 1_000_000},
    "path_efficiency": {"half_life_ns": 1_000_000},
    "kyle_lambda": GRID,
    "order_flow_impact": GRID,
    "realized_volatility": GRID,
    "jump_ratio": GRID,
    "realized_compression": {"half_life_ns": 50 * NS_PER_MS},
    "absorbed_flow": {"half_life_ns": 500 * NS_PER_MS, "slope_half_life_ns": 1_000 * NS_PER_MS},
    "vpin": {"bucket_ns": 20 * NS_PER_MS, "half_life_ns": 400 * NS_PER_MS, "buckets": 5},
    "bid_refills": {"within_ns": 30 * NS_PER_MS, "share": 0.3},
    "ask_refills": {"within_ns": 30 * NS_PER_MS, "share": 0.3},
    "refill_balance": {"within_ns": 30 * NS_PER_MS, "share": 0.3},
    "leader_return": {"leader": LEADER, "window_ns": 15 * NS_PER_MS},
    "leader_basis": {"leader": LEADER},
    "leader_basis_score": {"leader": LEADER, "half_life_ns": 50 * NS_PER_MS},
}


@functools.cache
def default_program() -> Program:
    """Return every feature at its defaults, each column under the feature's name."""
    return Program([one.spec() for one in features()])


@functools.cache
def small_program() -> Program:
    """Return every feature at windows so short that a short tape fills them."""
    return Program([_small(one) for one in features()])


def _small(one: Feature) -> FeatureSpec:
    known = {param.name for param in one.params}
    given = SMALL.get(one.name, FAST if "half_life_ns" in known else {})
    return one.spec(**({"warmup_events": 3} if "warmup_events" in known else {}) | given)


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
