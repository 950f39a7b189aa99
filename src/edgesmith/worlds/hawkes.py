"""The clock of the market, compiled: a Hawkes process with three exponential kernels, drawn exactly.

The rate is a base plus three parts that jump with each action and decay; the next action is the earliest first point of
four independent Poisson processes, of which the decaying ones may have none.

References
----------
Dassios, Zhao (2013), Exact simulation of Hawkes process with exponentially decaying intensity.
"""

from __future__ import annotations

import math
from typing import Any

from edgesmith.compiled import kernel
from edgesmith.domain.units import NS_PER_S
from edgesmith.worlds.draws import uniform

# Actions of one symbol are at least this far apart, so that no two updates share a receive stamp.
ACTION_GAP_NS = 1_000


@kernel
def next_action_ns(s: Any, p: Any) -> int:
    """Draw the wait until the next action, the earliest of the waits of the four parts of the rate."""
    wait_s = -math.log(uniform(s)) / s.base_rate
    wait_s = min(wait_s, _decaying_wait_s(s, s.fast_rate, 1000.0 / p.fast_ms))
    wait_s = min(wait_s, _decaying_wait_s(s, s.medium_rate, 1000.0 / p.medium_ms))
    wait_s = min(wait_s, _decaying_wait_s(s, s.slow_rate, 1000.0 / p.slow_ms))
    return ACTION_GAP_NS + int(min(wait_s, 3600.0) * NS_PER_S)


@kernel
def _decaying_wait_s(s: Any, rate: float, decay: float) -> float:
    # First point of a Poisson process of intensity rate * exp(-decay * t); there may be none.
    reach = rate / decay
    if reach < 1e-9:
        return 1e9
    drawn = -math.log(uniform(s)) / reach
    return 1e9 if drawn >= 1.0 else -math.log(1.0 - drawn) / decay


@kernel
def let_pass(s: Any, p: Any, next_ns: int) -> None:
    """Let excitement fade until `next_ns`."""
    elapsed_ms = (next_ns - s.now_ns) * 1e-6
    s.fast_rate *= math.exp(-elapsed_ms / p.fast_ms) if elapsed_ms < 40.0 * p.fast_ms else 0.0
    s.medium_rate *= math.exp(-elapsed_ms / p.medium_ms)
    s.slow_rate *= math.exp(-elapsed_ms / p.slow_ms)
    s.now_ns = next_ns


@kernel
def excite(s: Any, p: Any, weight: float) -> None:
    """Add the children of an action that has `weight` times as many as the average one."""
    s.fast_rate += weight * p.fast_branching_ratio * 1000.0 / p.fast_ms
    s.medium_rate += weight * p.medium_branching_ratio * 1000.0 / p.medium_ms
    s.slow_rate += weight * p.slow_branching_ratio * 1000.0 / p.slow_ms
