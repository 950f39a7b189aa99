"""How long an order and its report travel; compiled, deterministic by (seed, order, leg)."""

from __future__ import annotations

import numpy as np

from edgesmith.compiled import kernel


@kernel
def _mix(word):  # type: ignore[no-untyped-def]
    # splitmix64 finalizer (Steele, Lea, Flood 2014).
    word = np.uint64(word)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@kernel
def travel_ns(base_ns, jitter_ratio, seed, order_id, leg):  # type: ignore[no-untyped-def]
    """Return the latency of one leg (0 out, 1 back, 2 cancel): `base_ns` times 1 + an exponential of mean `jitter_ratio`."""
    if jitter_ratio == 0.0 or base_ns == 0:
        return base_ns
    word = _mix(np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(order_id) * np.uint64(4) + np.uint64(leg))
    uniform = (np.float64(word >> np.uint64(11)) + 0.5) / 9007199254740992.0
    return base_ns + np.int64(-np.log(uniform) * jitter_ratio * base_ns)
