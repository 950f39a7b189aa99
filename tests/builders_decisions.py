"""Tapes of two instruments with everything that makes decisions and labels wrong."""

from __future__ import annotations

import numpy as np

from edgesmith.domain.events import EVENT, FLAG_AFTER_GAP, KIND_BBO, KIND_TRADE
from edgesmith.domain.units import NS_PER_MS, NS_PER_S


def gappy_tape(seed: int, count: int, start_ns: int, missing_ratio: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Quotes and trades of two instruments: ties, instants on the grid, gaps, flags, unusable quotes, missing features.

    Returns events and three features after each.
    """
    rng = np.random.default_rng(seed)
    steps = rng.choice(
        [0, 1, 7 * NS_PER_MS, 50 * NS_PER_MS, 100 * NS_PER_MS, 400 * NS_PER_MS, 3 * NS_PER_S, 5 * NS_PER_S],
        count,
        p=[0.1, 0.05, 0.2, 0.15, 0.25, 0.2, 0.03, 0.02],
    )
    events = np.zeros(count, EVENT)
    events["ts_recv"] = start_ns + np.cumsum(steps)
    events["ts_event"] = events["ts_recv"] - 3
    events["kind"] = rng.choice([KIND_BBO, KIND_TRADE], count, p=[0.8, 0.2])
    events["instrument"] = rng.choice([0, 1], count, p=[0.2, 0.8])
    events["flags"] = np.where(rng.random(count) < 0.03, FLAG_AFTER_GAP, 0)
    bid = 1_000.0 + np.cumsum(rng.integers(-1, 2, count)) * 0.1
    events["bid_price"] = np.where(rng.random(count) < 0.02, np.nan, bid)
    events["ask_price"] = bid + rng.integers(-1, 5, count) * 0.1
    events["price"][events["kind"] == KIND_TRADE] = 1_000.0
    features = rng.normal(size=(count, 3))
    if missing_ratio:
        features[rng.random((count, 3)) < missing_ratio] = np.nan
    return events, features
