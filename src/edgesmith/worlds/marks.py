"""What an action does to the book, compiled: queue-reactive orders at the touch, sweeps, and the refill after them.

References
----------
Huang, Lehalle, Rosenbaum (2015), Simulating and analyzing order book data: the queue-reactive model.
"""

from __future__ import annotations

import math
from typing import Any

from edgesmith.compiled import kernel
from edgesmith.domain.units import NS_PER_MS
from edgesmith.worlds.draws import lognormal, uniform
from edgesmith.worlds.hawkes import ACTION_GAP_NS
from edgesmith.worlds.rows import write_bbo, write_fills

NEVER_NS = 2**62
_METAORDER_MAX = 10_000.0


@kernel
def imbalance(s: Any) -> float:
    """Return (bid - ask) / (bid + ask) of the queues at the touch."""
    return (s.bid_lots - s.ask_lots) / (s.bid_lots + s.ask_lots)


@kernel
def passive_order(s: Any, p: Any) -> None:
    """Add to, or cancel from, the queue at one touch."""
    side = 1 if uniform(s) < 0.5 else -1
    queue = s.bid_lots if side > 0 else s.ask_lots
    pull_back = p.queue_restoring * (queue - p.queue_typical_lots) / (queue + p.queue_typical_lots)
    cancel_ratio = 0.5 + pull_back - p.thin_side_pressure * side * imbalance(s)
    lots = max(1, int(lognormal(s, p.passive_median_lots, p.passive_log_sd)))
    if uniform(s) >= cancel_ratio:
        queue += lots
    elif lots < queue:
        queue -= lots
    elif uniform(s) < p.pull_ratio:
        _deplete(s, p, -side, 0.0)
        return
    else:
        queue -= queue // 2
    if side > 0:
        s.bid_lots = queue
    else:
        s.ask_lots = queue


@kernel
def market_order(s: Any, lanes: Any, p: Any, out: Any) -> None:
    """Take from one touch, and behind it where the queue is too short."""
    sign = _order_sign(s, p)
    lots = _order_lots(s, p)
    touch_ticks = s.ask_ticks if sign > 0 else s.bid_ticks
    queue = s.ask_lots if sign > 0 else s.bid_lots
    write_fills(s, lanes[1], p, out, sign, touch_ticks, 0, min(lots, queue))
    s.open_interest += sign * lots * 0.02
    if lots < queue:
        if sign > 0:
            s.ask_lots = queue - lots
        else:
            s.bid_lots = queue - lots
    else:
        jump = _deplete(s, p, sign, (lots - queue) / p.queue_typical_lots)
        write_fills(s, lanes[1], p, out, sign, touch_ticks, jump, lots - queue)
    s.sign_mean += 0.1 * (sign - s.sign_mean)


@kernel
def _order_sign(s: Any, p: Any) -> int:
    if s.metaorder_left <= 0:
        s.metaorder_sign = 1 if uniform(s) < 0.5 else -1
        s.metaorder_left = int(min(uniform(s) ** (-1.0 / p.metaorder_tail), _METAORDER_MAX))
    if uniform(s) < p.metaorder_ratio:
        s.metaorder_left -= 1
        return s.metaorder_sign
    return 1 if uniform(s) < 0.5 + 0.5 * p.sign_tilt * imbalance(s) else -1


@kernel
def _order_lots(s: Any, p: Any) -> int:
    if uniform(s) < p.order_tail_ratio:
        lots = p.order_tail_floor_lots * uniform(s) ** (-1.0 / p.order_tail)
    else:
        lots = lognormal(s, p.order_median_lots, p.order_log_sd)
    return max(1, int(min(lots, p.order_max_lots)))


@kernel
def _deplete(s: Any, p: Any, side: int, excess: float) -> int:
    # The touch an order of sign `side` consumes is gone: it jumps, and the gap will be closed.
    ticks = lognormal(s, p.jump_median_ticks, p.jump_log_sd) * (1.0 + p.jump_excess_gain * math.sqrt(excess))
    jump = 1 + int(min(ticks, p.jump_max_ticks))
    follow_ratio = p.follow_ratio + p.follow_excess_gain * excess / (1.0 + excess)
    follow_ratio += side * (p.follow_imbalance_gain * imbalance(s) - p.follow_predicted_loss * s.sign_mean)
    lots = max(1, int(lognormal(s, p.new_queue_median_lots, p.new_queue_log_sd)))
    if side > 0:
        s.ask_ticks += jump
        s.ask_lots = lots
    else:
        s.bid_ticks -= jump
        s.bid_lots = lots
    s.refill_side = side if uniform(s) < follow_ratio else -side
    s.refill_due_ns = s.now_ns + _refill_wait_ns(s, p)
    return jump


@kernel
def _refill_wait_ns(s: Any, p: Any) -> int:
    return ACTION_GAP_NS + int(lognormal(s, p.refill_median_ms, p.refill_log_sd) * NS_PER_MS)


@kernel
def refill(s: Any, lanes: Any, p: Any, out: Any) -> None:
    """Close some or all of the gap a depletion left."""
    gap = s.ask_ticks - s.bid_ticks - 1
    step = gap if uniform(s) < p.refill_complete_ratio else 1 + int(uniform(s) * gap)
    step = min(step, gap)
    lots = max(1, int(lognormal(s, p.new_queue_median_lots, p.new_queue_log_sd)))
    if s.refill_side > 0:
        s.bid_ticks += step
        s.bid_lots = lots
    else:
        s.ask_ticks -= step
        s.ask_lots = lots
    s.refill_due_ns = s.now_ns + _refill_wait_ns(s, p) if step < gap else NEVER_NS
    write_bbo(s, lanes[0], p, out)
