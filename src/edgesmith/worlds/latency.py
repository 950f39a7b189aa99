"""Receive stamps, compiled: the latency of each stream is a pure function of time, so hours join without a seam.

Time is cut into cells; a cell has one latency (floor + lognormal). Events after a slow cell queue behind it: nothing is
received before what was sent earlier on the same stream, and different instants have different receive stamps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgesmith.compiled import kernel
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.worlds.random import normal_at

CELL_NS = 200 * NS_PER_MS
# While a queue drains, messages come this much closer together than they were sent.
_DRAIN_SPEED = 1_000
LATENCY_NS_MAX = NS_PER_S

LANE: np.dtype[Any] = np.dtype([("key", "<u8"), ("cell", "<i8"), ("latency_ns", "<i8"), ("queued_until_ns", "<i8")])


@kernel
def start_lane(lane: Any, key: np.uint64, instant_ns: int, floor_ms: float, median_ms: float, log_sd: float) -> None:
    """Put `lane` at `instant_ns`; stamps are independent of the start once `LATENCY_NS_MAX` has passed."""
    lane.key = key
    lane.cell = instant_ns // CELL_NS
    lane.latency_ns = _cell_latency_ns(key, lane.cell, floor_ms, median_ms, log_sd)
    lane.queued_until_ns = 0


@kernel
def receive_ns(lane: Any, instant_ns: int, floor_ms: float, median_ms: float, log_sd: float) -> int:
    """Return when something sent at `instant_ns` arrives; instants must not decrease."""
    cell = instant_ns // CELL_NS
    while lane.cell < cell:
        end_ns = (lane.cell + 1) * CELL_NS
        lane.queued_until_ns = max(end_ns + lane.latency_ns, lane.queued_until_ns + CELL_NS // _DRAIN_SPEED)
        lane.cell += 1
        lane.latency_ns = _cell_latency_ns(lane.key, lane.cell, floor_ms, median_ms, log_sd)
    drained_ns = lane.queued_until_ns + (instant_ns - cell * CELL_NS) // _DRAIN_SPEED
    return max(instant_ns + lane.latency_ns, drained_ns)


@kernel
def _cell_latency_ns(key: np.uint64, cell: int, floor_ms: float, median_ms: float, log_sd: float) -> int:
    extra_ms = median_ms * math.exp(log_sd * normal_at(key, np.uint64(cell)))
    return min(int((floor_ms + extra_ms) * NS_PER_MS), LATENCY_NS_MAX)
