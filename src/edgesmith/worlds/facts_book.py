"""Facts of the touch: spread, moves of the mid price, queues, and how well the imbalance foretells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.worlds.observation import Observation

STRONG_IMBALANCE = 0.6
IMBALANCE_EDGES = (-0.9, -0.6, -0.2, 0.2, 0.6, 0.9)
_GRID_S = 0.1
# Autocorrelation is summed up to its first value below this, or this many steps.
_MEMORY_FLOOR, _MEMORY_STEPS_MAX = 0.05, 300


def spread_facts(seen: Observation) -> dict[str, float]:
    """Measure how wide the spread is and how its blow-outs come and go."""
    ticks = seen.ask_ticks - seen.bid_ticks
    held_s = seen.held_s
    mean_ticks = float((ticks * held_s).sum() / held_s.sum())
    half_ticks = float((seen.mid_half_ticks * held_s).sum() / held_s.sum())
    durations_ms = wide_episodes_ms(ticks, seen.quote_ns)
    p50, p90, p99 = percentiles(durations_ms, 50, 90, 99)
    return {
        "spread_one_tick_time_ratio": float(held_s[ticks == 1].sum() / held_s.sum()),
        "spread_one_tick_event_ratio": float((ticks == 1).mean()),
        "spread_ticks_mean": mean_ticks,
        "spread_bps_mean": 2e4 * mean_ticks / half_ticks,
        "wide_episodes_per_s": len(durations_ms) / seen.span_s,
        "wide_episode_ms_p50": p50,
        "wide_episode_ms_p90": p90,
        "wide_episode_ms_p99": p99,
    }


def wide_episodes_ms(spread_ticks: NDArray[np.int64], quote_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how long each maximal run of quotes wider than one tick lasted, up to the quote that ended it."""
    wide = np.r_[0, (spread_ticks > 1).astype(np.int8), 0]
    starts, ends = np.flatnonzero(np.diff(wide) == 1), np.flatnonzero(np.diff(wide) == -1)
    closed = ends < len(quote_ns)
    return (quote_ns[ends[closed]] - quote_ns[starts[closed]]) / NS_PER_MS


def counts(instants_ns: NDArray[np.int64], seen: Observation, step_s: float) -> NDArray[np.int64]:
    """Return how many of `instants_ns` fall into each whole step of the tape."""
    whole = int(seen.span_s / step_s)
    steps = (instants_ns - seen.quote_ns[0]) // round(step_s * NS_PER_S)
    return np.bincount(steps[(steps >= 0) & (steps < whole)], minlength=whole)


def overdispersion(numbers: NDArray[np.int64]) -> float:
    """Return variance / mean; 1 for a Poisson clock, NaN where nothing happened."""
    return float(numbers.var() / numbers.mean()) if numbers.any() else float("nan")


def move_facts(seen: Observation) -> dict[str, float]:
    """Measure how often the mid price changes and by how much."""
    moves = np.abs(np.diff(seen.mid_half_ticks))
    moved_ns = seen.quote_ns[1:][moves > 0]
    moves = moves[moves > 0]
    per_second = counts(moved_ns, seen, 1.0)
    p50, p90, p99 = percentiles(moves, 50, 90, 99)
    return {
        "mid_changes_per_s": len(moves) / seen.span_s,
        "mid_change_update_ratio": len(moves) / (len(seen.quote_ns) - 1),
        "jump_half_ticks_p50": p50,
        "jump_half_ticks_p90": p90,
        "jump_half_ticks_p99": p99,
        "move_fano_100_ms": overdispersion(counts(moved_ns, seen, 0.1)),
        "move_fano_1_s": overdispersion(per_second),
        "quiet_second_ratio": float((per_second == 0).mean()),
    }


def queue_facts(seen: Observation) -> dict[str, float]:
    """Measure the size at the best bid, over updates, in the market's own unit, and how long the imbalance lasts."""
    p10, p50, p90, p99 = percentiles(seen.bid_qty, 10, 50, 90, 99)
    return {
        "queue_qty_p10": p10,
        "queue_qty_p50": p50,
        "queue_qty_p90": p90,
        "queue_qty_p99": p99,
        "imbalance_size_p50": float(np.median(np.abs(seen.imbalance[seen.quote_at(seen.grid_ns(_GRID_S))]))),
        "queue_fill_ratio": p50 / float(np.median(seen.trade_qty)),
        "imbalance_memory_s": _memory_s(seen.imbalance[seen.quote_at(seen.grid_ns(_GRID_S))]),
    }


def _memory_s(values: NDArray[np.float64]) -> float:
    # The integrated autocorrelation time, both sides of lag 0.
    centered = values - values.mean()
    power = float(centered @ centered)
    total = 1.0
    for lag in range(1, min(_MEMORY_STEPS_MAX, len(values) - 1)):
        correlation = float(centered[:-lag] @ centered[lag:]) / power
        if correlation < _MEMORY_FLOOR:
            break
        total += 2.0 * correlation
    return total * _GRID_S


def foretelling_facts(seen: Observation) -> dict[str, float]:
    """Measure how the sign of the imbalance agrees with the direction of the next change of the mid price."""
    changes = np.diff(seen.mid_half_ticks)
    moved = np.flatnonzero(changes)
    quotes = np.arange(len(seen.quote_ns))
    following = np.searchsorted(moved, quotes)
    known = (following < len(moved)) & (seen.imbalance != 0.0)
    up = np.sign(changes[moved[np.minimum(following, len(moved) - 1)]]) > 0
    right = (seen.imbalance > 0) == up
    held_s = np.where(known, seen.held_s, 0.0)
    strong = known & (np.abs(seen.imbalance) > STRONG_IMBALANCE)
    facts = {
        "hit_ratio_events": _mean(right[known]),
        "hit_ratio_time": float((held_s * right).sum() / held_s.sum()) if held_s.sum() else float("nan"),
        "hit_ratio_strong": _mean(right[strong]),
    }
    bins = np.digitize(seen.imbalance, IMBALANCE_EDGES)
    facts |= {f"up_ratio_bin_{number + 1}": _mean(up[known & (bins == number)]) for number in range(len(IMBALANCE_EDGES) + 1)}
    return facts


def percentiles(values: NDArray[Any], *ranks: float) -> list[float]:
    """Return percentiles; NaN of nothing."""
    return [float(value) for value in np.percentile(values, ranks)] if len(values) else [float("nan")] * len(ranks)


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def latency_facts(seen: Observation) -> dict[str, float]:
    """Measure the feed's delay above its smallest; NaN where quotes have no venue stamp."""
    above_ms = (seen.latency_ns - seen.latency_ns.min()) / NS_PER_MS if len(seen.latency_ns) else np.zeros(0)
    p50, p90, p99, p999 = percentiles(above_ms, 50, 90, 99, 99.9)
    return {"latency_ms_p50": p50, "latency_ms_p90": p90, "latency_ms_p99": p99, "latency_ms_p999": p999}
