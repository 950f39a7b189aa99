"""The market simulator, compiled: one hour of one symbol as integer ticks and lots, from its key alone.

Clock: a Hawkes process with three exponential kernels on a slowly varying base rate, drawn exactly (the next action is the
earliest of four independent waits). Marks: market orders, additions and cancellations at each touch, their odds set by the
queues, the imbalance and the recent signs. A depleted touch jumps and a small queue stands behind it; the gap is closed
by a refill on its own fast clock, either where the touch was or by the other side following.

References
----------
Dassios, Zhao (2013), Exact simulation of Hawkes process with exponentially decaying intensity. Huang, Lehalle, Rosenbaum
(2015), Simulating and analyzing order book data: the queue-reactive model. Morariu-Patrichi, Pakkanen (2018),
State-dependent Hawkes processes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, KIND_FUNDING, KIND_MARK_PRICE, KIND_OPEN_INTEREST, KIND_TRADE
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.worlds.latency import receive_ns, start_lane
from edgesmith.worlds.random import bell_of, derived_key, noise_at, uniform_of, word_at

# Long enough for the slowest kernel and the queues to forget how they were started.
BURN_IN_NS = 40 * NS_PER_S
_FUNDING_INTERVAL_NS = 8 * NS_PER_HOUR
_OPEN_INTEREST_EVERY_S = 3
_FILLS_MAX = 60
_METAORDER_MAX = 10_000.0
_NEVER_NS = 2**62
# Actions of one symbol are at least this far apart, so that no two updates share a receive stamp.
_ACTION_GAP_NS = 1_000
# Rows one action can write: fills at the touch and behind it, and the update.
ROWS_PER_ACTION_MAX = 2 * _FILLS_MAX + 8

# Labels of the parts of a symbol's key.
_LABEL_HOUR, _LABEL_ACTIVITY, _LABEL_FUNDING, _LABEL_LANE = 1, 2, 3, 10
LABEL_SKELETON = 4

TAPE_STATE: np.dtype[Any] = np.dtype(
    [
        ("key", "<u8"),
        ("counter", "<u8"),
        ("activity_key", "<u8"),
        ("funding_key", "<u8"),
        ("now_ns", "<i8"),  # since one hour before the world's start, so never negative
        ("epoch_ns", "<i8"),  # the instant `now_ns` counts from
        ("recording", "<i8"),
        ("next_second_ns", "<i8"),
        ("refill_due_ns", "<i8"),
        ("refill_side", "<i8"),  # +1 the bid moves up, -1 the ask moves down
        ("bid_ticks", "<i8"),
        ("ask_ticks", "<i8"),
        ("bid_lots", "<i8"),
        ("ask_lots", "<i8"),
        ("metaorder_sign", "<i8"),
        ("metaorder_left", "<i8"),
        ("rows", "<i8"),
        ("overflow", "<i8"),
        ("instrument", "<i8"),
        ("seq_bbo", "<i8"),
        ("seq_trade", "<i8"),
        ("seq_mark_price", "<i8"),
        ("seq_open_interest", "<i8"),
        ("base_rate", "<f8"),
        ("fast_rate", "<f8"),
        ("medium_rate", "<f8"),
        ("slow_rate", "<f8"),
        ("sign_mean", "<f8"),
        ("index_ticks", "<f8"),
        ("open_interest", "<f8"),
    ]
)


@kernel
def simulate_hour(
    hour: int,
    root: np.uint64,
    epoch_ns: int,
    state: NDArray[Any],
    lanes: NDArray[Any],
    parameters: NDArray[Any],
    out: NDArray[Any],
) -> int:
    """Write the events of hour `hour` into `out`, prices in ticks and sizes in lots; return their count, -1 if `out` is full.

    `epoch_ns` is the instant one hour before hour 0; `state`, `lanes` and `parameters` are the records of this module.
    """
    p = parameters[0]
    s = state[0]
    _start(s, lanes, p, root, hour, epoch_ns)
    start_ns = (hour + 1) * NS_PER_HOUR
    end_ns = start_ns + NS_PER_HOUR
    while True:
        wait_ns = _next_action_ns(s, p)
        due_ns = min(s.refill_due_ns, s.next_second_ns)
        is_action = s.now_ns + wait_ns < due_ns
        is_refill = not is_action and s.refill_due_ns <= s.next_second_ns
        next_ns = s.now_ns + wait_ns if is_action else max(due_ns, s.now_ns + (_ACTION_GAP_NS if is_refill else 0))
        if next_ns >= end_ns:
            break
        _let_pass(s, p, next_ns)
        if s.recording == 0 and next_ns >= start_ns:
            s.recording = 1
        if is_action:
            _act(s, lanes, p, out)
        elif is_refill:
            _refill(s, lanes, p, out)
        else:
            _each_second(s, lanes, p, out)
        if s.rows + ROWS_PER_ACTION_MAX > len(out):
            return -1
    return s.rows


@kernel
def _start(s: Any, lanes: Any, p: Any, root: np.uint64, hour: int, epoch_ns: int) -> None:
    s.key = derived_key(derived_key(root, _LABEL_HOUR), hour)
    s.counter = np.uint64(0)
    s.activity_key = derived_key(root, _LABEL_ACTIVITY)
    s.funding_key = derived_key(root, _LABEL_FUNDING)
    s.now_ns = (hour + 1) * NS_PER_HOUR - BURN_IN_NS
    s.next_second_ns = s.now_ns
    s.epoch_ns = epoch_ns
    for lane in range(len(lanes)):
        key = derived_key(root, _LABEL_LANE + lane)
        start_lane(lanes[lane], key, s.now_ns, p.latency_floor_ms, p.latency_median_ms, p.latency_log_sd)
    s.recording = 0
    s.rows = s.seq_bbo = s.seq_trade = s.seq_mark_price = s.seq_open_interest = 0
    s.refill_due_ns = _NEVER_NS
    s.bid_ticks = 0
    s.ask_ticks = 1
    s.bid_lots = s.ask_lots = int(p.queue_typical_lots)
    s.metaorder_left = 0
    s.sign_mean = 0.0
    s.index_ticks = 0.5
    s.open_interest = p.open_interest_lots
    s.fast_rate = 0.0
    s.medium_rate = 0.0
    s.slow_rate = p.actions_per_s * p.slow_branching_ratio
    s.base_rate = 1e-9


@kernel
def _word(s: Any) -> np.uint64:
    s.counter += np.uint64(1)
    return word_at(s.key, s.counter)


@kernel
def _uniform(s: Any) -> float:
    return uniform_of(_word(s))


@kernel
def _lognormal(s: Any, median: float, log_sd: float) -> float:
    return median * math.exp(log_sd * bell_of(_word(s)))


@kernel
def _next_action_ns(s: Any, p: Any) -> int:
    wait_s = -math.log(_uniform(s)) / s.base_rate
    wait_s = min(wait_s, _decaying_wait_s(s, s.fast_rate, 1000.0 / p.fast_ms))
    wait_s = min(wait_s, _decaying_wait_s(s, s.medium_rate, 1000.0 / p.medium_ms))
    wait_s = min(wait_s, _decaying_wait_s(s, s.slow_rate, 1000.0 / p.slow_ms))
    return _ACTION_GAP_NS + int(min(wait_s, 3600.0) * NS_PER_S)


@kernel
def _decaying_wait_s(s: Any, rate: float, decay: float) -> float:
    # First point of a Poisson process of intensity rate * exp(-decay * t); there may be none.
    reach = rate / decay
    if reach < 1e-9:
        return 1e9
    drawn = -math.log(_uniform(s)) / reach
    return 1e9 if drawn >= 1.0 else -math.log(1.0 - drawn) / decay


@kernel
def _let_pass(s: Any, p: Any, next_ns: int) -> None:
    elapsed_ms = (next_ns - s.now_ns) * 1e-6
    s.fast_rate *= math.exp(-elapsed_ms / p.fast_ms) if elapsed_ms < 40.0 * p.fast_ms else 0.0
    s.medium_rate *= math.exp(-elapsed_ms / p.medium_ms)
    s.slow_rate *= math.exp(-elapsed_ms / p.slow_ms)
    s.now_ns = next_ns


@kernel
def _excite(s: Any, p: Any, weight: float) -> None:
    s.fast_rate += weight * p.fast_branching_ratio * 1000.0 / p.fast_ms
    s.medium_rate += weight * p.medium_branching_ratio * 1000.0 / p.medium_ms
    s.slow_rate += weight * p.slow_branching_ratio * 1000.0 / p.slow_ms


@kernel
def _imbalance(s: Any) -> float:
    return (s.bid_lots - s.ask_lots) / (s.bid_lots + s.ask_lots)


@kernel
def _act(s: Any, lanes: Any, p: Any, out: Any) -> None:
    if _uniform(s) < p.market_ratio:
        _excite(s, p, p.market_excitation)
        _market_order(s, lanes, p, out)
    else:
        _excite(s, p, (1.0 - p.market_ratio * p.market_excitation) / (1.0 - p.market_ratio))
        _passive_order(s, p)
    _write_bbo(s, lanes[0], p, out)


@kernel
def _passive_order(s: Any, p: Any) -> None:
    side = 1 if _uniform(s) < 0.5 else -1
    queue = s.bid_lots if side > 0 else s.ask_lots
    pull_back = p.queue_restoring * (queue - p.queue_typical_lots) / (queue + p.queue_typical_lots)
    cancel_ratio = 0.5 + pull_back - p.thin_side_pressure * side * _imbalance(s)
    lots = max(1, int(_lognormal(s, p.passive_median_lots, p.passive_log_sd)))
    if _uniform(s) >= cancel_ratio:
        queue += lots
    elif lots < queue:
        queue -= lots
    elif _uniform(s) < p.pull_ratio:
        _deplete(s, p, -side, 0.0)
        return
    else:
        queue -= queue // 2
    if side > 0:
        s.bid_lots = queue
    else:
        s.ask_lots = queue


@kernel
def _market_order(s: Any, lanes: Any, p: Any, out: Any) -> None:
    sign = _order_sign(s, p)
    lots = _order_lots(s, p)
    touch_ticks = s.ask_ticks if sign > 0 else s.bid_ticks
    queue = s.ask_lots if sign > 0 else s.bid_lots
    _write_fills(s, lanes[1], p, out, sign, touch_ticks, 0, min(lots, queue))
    s.open_interest += sign * lots * 0.02
    if lots < queue:
        if sign > 0:
            s.ask_lots = queue - lots
        else:
            s.bid_lots = queue - lots
    else:
        jump = _deplete(s, p, sign, (lots - queue) / p.queue_typical_lots)
        _write_fills(s, lanes[1], p, out, sign, touch_ticks, jump, lots - queue)
    s.sign_mean += 0.1 * (sign - s.sign_mean)


@kernel
def _order_sign(s: Any, p: Any) -> int:
    if s.metaorder_left <= 0:
        s.metaorder_sign = 1 if _uniform(s) < 0.5 else -1
        s.metaorder_left = int(min(_uniform(s) ** (-1.0 / p.metaorder_tail), _METAORDER_MAX))
    if _uniform(s) < p.metaorder_ratio:
        s.metaorder_left -= 1
        return s.metaorder_sign
    return 1 if _uniform(s) < 0.5 + 0.5 * p.sign_tilt * _imbalance(s) else -1


@kernel
def _order_lots(s: Any, p: Any) -> int:
    if _uniform(s) < p.order_tail_ratio:
        lots = p.order_tail_floor_lots * _uniform(s) ** (-1.0 / p.order_tail)
    else:
        lots = _lognormal(s, p.order_median_lots, p.order_log_sd)
    return max(1, int(min(lots, p.order_max_lots)))


@kernel
def _deplete(s: Any, p: Any, side: int, excess: float) -> int:
    # The touch an order of sign `side` consumes is gone: it jumps, and the gap will be closed.
    ticks = _lognormal(s, p.jump_median_ticks, p.jump_log_sd) * (1.0 + p.jump_excess_gain * math.sqrt(excess))
    jump = 1 + int(min(ticks, p.jump_max_ticks))
    follow_ratio = p.follow_ratio + p.follow_excess_gain * excess / (1.0 + excess)
    follow_ratio += side * (p.follow_imbalance_gain * _imbalance(s) - p.follow_predicted_loss * s.sign_mean)
    lots = max(1, int(_lognormal(s, p.new_queue_median_lots, p.new_queue_log_sd)))
    if side > 0:
        s.ask_ticks += jump
        s.ask_lots = lots
    else:
        s.bid_ticks -= jump
        s.bid_lots = lots
    s.refill_side = side if _uniform(s) < follow_ratio else -side
    s.refill_due_ns = s.now_ns + _refill_wait_ns(s, p)
    return jump


@kernel
def _refill_wait_ns(s: Any, p: Any) -> int:
    return _ACTION_GAP_NS + int(_lognormal(s, p.refill_median_ms, p.refill_log_sd) * NS_PER_MS)


@kernel
def _refill(s: Any, lanes: Any, p: Any, out: Any) -> None:
    gap = s.ask_ticks - s.bid_ticks - 1
    step = gap if _uniform(s) < p.refill_complete_ratio else 1 + int(_uniform(s) * gap)
    step = min(step, gap)
    lots = max(1, int(_lognormal(s, p.new_queue_median_lots, p.new_queue_log_sd)))
    if s.refill_side > 0:
        s.bid_ticks += step
        s.bid_lots = lots
    else:
        s.ask_ticks -= step
        s.ask_lots = lots
    s.refill_due_ns = s.now_ns + _refill_wait_ns(s, p) if step < gap else _NEVER_NS
    _write_bbo(s, lanes[0], p, out)


@kernel
def _each_second(s: Any, lanes: Any, p: Any, out: Any) -> None:
    minutes = s.now_ns / (60.0 * NS_PER_S)
    log_rate = p.activity_sd_15_min * noise_at(s.activity_key, minutes / 15.0)
    log_rate += p.activity_sd_2_min * noise_at(derived_key(s.activity_key, 1), minutes / 2.0)
    log_rate -= 0.5 * (p.activity_sd_15_min**2 + p.activity_sd_2_min**2)
    branching_ratio = p.fast_branching_ratio + p.medium_branching_ratio + p.slow_branching_ratio
    s.base_rate = p.actions_per_s * (1.0 - branching_ratio) * math.exp(log_rate)
    s.next_second_ns += NS_PER_S
    mid_ticks = 0.5 * (s.bid_ticks + s.ask_ticks)
    s.index_ticks += 0.2 * (mid_ticks - s.index_ticks)
    if s.recording == 1:
        _write_slow_streams(s, lanes[2], p, out, mid_ticks)


@kernel
def _stamp(s: Any, lane: Any, p: Any, row: Any) -> None:
    # The venue stamps whole milliseconds.
    row.ts_event = s.epoch_ns + s.now_ns // NS_PER_MS * NS_PER_MS
    row.ts_recv = s.epoch_ns + receive_ns(lane, s.now_ns, p.latency_floor_ms, p.latency_median_ms, p.latency_log_sd)
    row.instrument = s.instrument
    s.rows += 1


@kernel
def _write_bbo(s: Any, lane: Any, p: Any, out: Any) -> None:
    if s.recording == 0:
        return
    row = out[s.rows]
    _stamp(s, lane, p, row)
    row.kind = KIND_BBO
    row.side = 0
    row.seq = s.seq_bbo
    row.bid_price = s.bid_ticks
    row.bid_qty = s.bid_lots
    row.ask_price = s.ask_ticks
    row.ask_qty = s.ask_lots
    s.seq_bbo += 1


@kernel
def _write_fills(s: Any, lane: Any, p: Any, out: Any, sign: int, touch_ticks: int, jump: int, lots: int) -> None:
    # With a jump, the fills climb from the old touch to the new one.
    written = 0
    while lots > 0:
        fill = max(1, int(_lognormal(s, p.fill_median_lots, p.fill_log_sd)))
        if fill > lots or written == _FILLS_MAX - 1:
            fill = lots
        lots -= fill
        written += 1
        if s.recording == 1:
            row = out[s.rows]
            _stamp(s, lane, p, row)
            row.kind = KIND_TRADE
            row.side = sign
            row.seq = s.seq_trade
            row.price = touch_ticks + sign * min(jump, written)
            row.qty = fill
            s.seq_trade += 1


@kernel
def _write_slow_streams(s: Any, lane: Any, p: Any, out: Any, mid_ticks: float) -> None:
    row = out[s.rows]
    _stamp(s, lane, p, row)
    row.kind = KIND_MARK_PRICE
    row.seq = s.seq_mark_price
    row.mark_price = 0.5 * (mid_ticks + s.index_ticks)
    row.index_price = s.index_ticks
    row = out[s.rows]
    _stamp(s, lane, p, row)
    row.kind = KIND_FUNDING
    row.seq = s.seq_mark_price
    intervals = s.now_ns / _FUNDING_INTERVAL_NS
    rate = p.funding_mean + p.funding_sd * noise_at(s.funding_key, intervals)
    row.funding_rate = math.floor(rate * 1e8) * 1e-8
    row.next_funding_ts = ((s.epoch_ns + s.now_ns) // _FUNDING_INTERVAL_NS + 1) * _FUNDING_INTERVAL_NS
    s.seq_mark_price += 1
    if (s.now_ns // NS_PER_S) % _OPEN_INTEREST_EVERY_S == 0:
        row = out[s.rows]
        _stamp(s, lane, p, row)
        row.kind = KIND_OPEN_INTEREST
        row.seq = s.seq_open_interest
        row.open_interest = math.floor(s.open_interest)
        s.seq_open_interest += 1
