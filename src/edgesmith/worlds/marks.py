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
_RUN_MAX = 300.0


@kernel
def imbalance(s: Any) -> float:
    """Return (bid - ask) / (bid + ask) of the queues at the touch."""
    return (s.bid_lots - s.ask_lots) / (s.bid_lots + s.ask_lots)


@kernel
def passive_order(s: Any, p: Any) -> None:
    """Add to, or cancel from, the queue at one touch."""
    if p.withdraw_ratio > 0.0 and uniform(s) < p.withdraw_ratio:
        _withdraw(s, p)
        return
    if p.undo_ratio > 0.0 and s.undo_lots != 0 and uniform(s) < p.undo_ratio:
        _undo(s)
        return
    side = 1 if uniform(s) < 0.5 else -1
    queue = s.bid_lots if side > 0 else s.ask_lots
    pull_back = p.queue_restoring * (queue - p.queue_typical_lots) / (queue + p.queue_typical_lots)
    cancel_ratio = 0.5 + pull_back - p.thin_side_pressure * side * imbalance(s)
    lots = max(1, int(lognormal(s, p.passive_median_lots, p.passive_log_sd)))
    before = queue
    if uniform(s) >= cancel_ratio:
        queue += lots
    elif lots < queue:
        queue -= lots
    elif uniform(s) < p.pull_ratio:
        _deplete(s, p, -side, 0.0)
        return
    else:
        queue -= queue // 2
    s.undo_side = side
    s.undo_lots = queue - before
    _set_queue(s, side, queue)


@kernel
def _set_queue(s: Any, side: int, lots: int) -> None:
    if side > 0:
        s.bid_lots = lots
    else:
        s.ask_lots = lots


@kernel
def _undo(s: Any) -> None:
    queue = s.bid_lots if s.undo_side > 0 else s.ask_lots
    _set_queue(s, s.undo_side, max(1, queue - s.undo_lots))
    s.undo_lots = 0


@kernel
def _withdraw(s: Any, p: Any) -> None:
    # Makers leave the touch that is thin, or that trades are hitting; what they leave behind goes soon after.
    tilt = p.withdraw_imbalance_gain * imbalance(s) + p.withdraw_flow_gain * math.tanh(_recent_flow(s, p))
    side = -1 if 2.0 * uniform(s) - 1.0 < tilt else 1
    queue = s.bid_lots if side > 0 else s.ask_lots
    left_ratio = -math.log(uniform(s)) * p.withdraw_left_ratio
    _set_queue(s, side, max(1, int(queue * min(1.0, left_ratio))))
    s.undo_lots = 0


@kernel
def _recent_flow(s: Any, p: Any) -> float:
    elapsed_ms = (s.now_ns - s.flow_ns) * 1e-6
    s.flow *= math.exp(-elapsed_ms / p.flow_memory_ms)
    s.flow_ns = s.now_ns
    return s.flow


@kernel
def market_order(s: Any, lanes: Any, p: Any, out: Any) -> None:
    """Take from one touch, and behind it where the queue is too short."""
    _take(s, lanes, p, out, _order_sign(s, p), _order_lots(s, p))


@kernel
def _take(s: Any, lanes: Any, p: Any, out: Any, sign: int, lots: int) -> None:
    touch_ticks = s.ask_ticks if sign > 0 else s.bid_ticks
    queue = s.ask_lots if sign > 0 else s.bid_lots
    write_fills(s, lanes[1], p, out, sign, touch_ticks, 0, min(lots, queue))
    s.open_interest += sign * lots * 0.02
    s.flow = _recent_flow(s, p) + sign * lots / p.queue_typical_lots
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
    if s.run_left > 0 and uniform(s) < p.run_sign_ratio:
        return s.run_sign
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
    s.undo_lots = 0
    ticks = lognormal(s, p.jump_median_ticks, p.jump_log_sd) * (1.0 + p.jump_excess_gain * math.sqrt(excess))
    jump = 1 + int(min(ticks, p.jump_max_ticks))
    follow_ratio = p.follow_ratio + p.follow_excess_gain * excess / (1.0 + excess)
    follow_ratio += side * (p.follow_imbalance_gain * imbalance(s) - p.follow_predicted_loss * s.sign_mean)
    if p.follow_flow_gain != 0.0:
        follow_ratio += side * p.follow_flow_gain * math.tanh(_recent_flow(s, p))
    if p.run_start_ratio > 0.0:
        follow_ratio = _run_on(s, p, side, follow_ratio)
    lots = _settled(s, p, max(1, int(lognormal(s, p.new_queue_median_lots, p.new_queue_log_sd))))
    if side > 0:
        s.ask_ticks += jump
        s.ask_lots = lots
    else:
        s.bid_ticks -= jump
        s.bid_lots = lots
    s.refill_follows = 1 if uniform(s) < follow_ratio else 0
    s.refill_side = side if s.refill_follows == 1 else -side
    due_ns = s.now_ns + _refill_wait_ns(s, p)
    s.refill_due_ns = min(due_ns, s.refill_due_ns) if s.run_left > 0 else due_ns
    return jump


@kernel
def _run_on(s: Any, p: Any, side: int, follow_ratio: float) -> float:
    # A depletion starts a run, keeps it going, or goes against it.
    if s.run_left <= 0:
        if uniform(s) >= p.run_start_ratio:
            return follow_ratio
        s.run_sign = side
        s.run_left = int(min(p.run_length_min * uniform(s) ** (-1.0 / p.run_length_tail), _RUN_MAX))
        s.run_due_ns = s.now_ns + _run_gap_ns(s, p)
    return p.run_follow_ratio if side == s.run_sign else 1.0 - p.run_follow_ratio


@kernel
def _settled(s: Any, p: Any, lots: int) -> int:
    # Where a run ends, makers who waited come back.
    return lots + int(lognormal(s, p.run_settle_lots, p.run_settle_log_sd)) if s.settles == 1 else lots


@kernel
def _run_gap_ns(s: Any, p: Any) -> int:
    return ACTION_GAP_NS + int(lognormal(s, p.run_gap_ms, p.run_gap_log_sd) * NS_PER_MS)


@kernel
def push(s: Any, lanes: Any, p: Any, out: Any) -> None:
    """Move the touch a run runs into: an order takes it, or its makers leave."""
    s.run_left -= 1
    s.settles = 1 if s.run_left == 0 and p.run_settle_lots > 0.0 else 0
    s.run_due_ns = s.now_ns + _run_gap_ns(s, p) if s.run_left > 0 else NEVER_NS
    if uniform(s) < p.run_market_ratio:
        queue = s.ask_lots if s.run_sign > 0 else s.bid_lots
        _take(s, lanes, p, out, s.run_sign, queue + int(_order_lots(s, p) * p.run_order_gain))
    else:
        _deplete(s, p, s.run_sign, 0.0)
    if uniform(s) < p.run_shift_ratio:
        s.refill_follows = 1
        s.refill_side = s.run_sign
        _close(s, p, s.ask_ticks - s.bid_ticks - 1)
    if uniform(s) < p.run_turn_ratio:
        s.run_sign = -s.run_sign


@kernel
def _refill_wait_ns(s: Any, p: Any) -> int:
    return ACTION_GAP_NS + int(lognormal(s, p.refill_median_ms, p.refill_log_sd) * NS_PER_MS)


@kernel
def _refill_step(s: Any, p: Any, gap: int) -> int:
    if uniform(s) < p.refill_complete_ratio:
        return gap
    if p.refill_step_ticks > 0.0:
        return 1 + int(min(lognormal(s, p.refill_step_ticks, p.refill_step_log_sd), p.jump_max_ticks))
    return 1 + int(uniform(s) * gap)


@kernel
def refill(s: Any, lanes: Any, p: Any, out: Any) -> None:
    """Close some or all of the gap a depletion left."""
    _close(s, p, _refill_step(s, p, s.ask_ticks - s.bid_ticks - 1))
    write_bbo(s, lanes[0], p, out)


@kernel
def _close(s: Any, p: Any, wanted: int) -> None:
    s.undo_lots = 0
    gap = s.ask_ticks - s.bid_ticks - 1
    step = min(gap, wanted)
    lots_median = p.refill_median_lots if p.refill_median_lots > 0.0 else p.new_queue_median_lots
    lots = max(1, int(lognormal(s, lots_median, p.new_queue_log_sd)))
    if s.refill_follows == 1:
        lots += int(step * p.follow_lots_per_tick)
    lots = _settled(s, p, lots)
    if s.refill_side > 0:
        s.bid_ticks += step
        s.bid_lots = lots
    else:
        s.ask_ticks -= step
        s.ask_lots = lots
    if step < gap:
        s.refill_due_ns = s.now_ns + _refill_wait_ns(s, p)
    else:
        s.refill_due_ns = NEVER_NS
        s.settles = 0
