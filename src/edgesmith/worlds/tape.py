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
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_S
from edgesmith.worlds.draws import uniform
from edgesmith.worlds.hawkes import ACTION_GAP_NS, excite, let_pass, next_action_ns
from edgesmith.worlds.latency import start_lane
from edgesmith.worlds.marks import NEVER_NS, market_order, passive_order, push, refill
from edgesmith.worlds.random import derived_key, noise_at
from edgesmith.worlds.rows import ROWS_PER_ACTION_MAX, write_bbo, write_slow_streams

# Long enough for the slowest kernel and the queues to forget how they were started.
BURN_IN_NS = 40 * NS_PER_S
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
        ("refill_follows", "<i8"),  # 1 where the refill goes the way of the depletion
        ("run_due_ns", "<i8"),  # when the running run pushes next; NEVER_NS where there is none
        ("run_sign", "<i8"),
        ("run_left", "<i8"),
        ("settles", "<i8"),  # 1 from the end of a run until the spread is closed
        ("bid_ticks", "<i8"),
        ("ask_ticks", "<i8"),
        ("bid_lots", "<i8"),
        ("ask_lots", "<i8"),
        ("metaorder_sign", "<i8"),
        ("metaorder_left", "<i8"),
        ("rows", "<i8"),
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
        ("undo_side", "<i8"),  # touch of the passive action before
        ("undo_lots", "<i8"),  # what it added; 0 where there is nothing to take back
        ("flow", "<f8"),  # signed size of recent trades in typical queues
        ("flow_ns", "<i8"),  # when `flow` was brought up to date
        ("index_ticks", "<f8"),
        ("open_interest", "<f8"),
    ]
)


@kernel
def simulate_hour(
    hour: int,
    duration_ns: int,
    root: np.uint64,
    epoch_ns: int,
    state: NDArray[Any],
    lanes: NDArray[Any],
    parameters: NDArray[Any],
    out: NDArray[Any],
) -> int:
    """Write the first `duration_ns` of hour `hour` into `out`, in ticks and lots; return the events written, -1 if `out` is full.

    `epoch_ns` is the instant one hour before hour 0; `state`, `lanes` and `parameters` are the records of this module.
    """
    p = parameters[0]
    s = state[0]
    _start(s, lanes, p, root, hour, epoch_ns)
    start_ns = (hour + 1) * NS_PER_HOUR
    end_ns = start_ns + duration_ns
    while True:
        wait_ns = next_action_ns(s, p)
        due_ns = min(s.refill_due_ns, s.run_due_ns, s.next_second_ns)
        is_action = s.now_ns + wait_ns < due_ns
        is_second = not is_action and s.next_second_ns == due_ns and s.refill_due_ns > due_ns and s.run_due_ns > due_ns
        next_ns = s.now_ns + wait_ns if is_action else max(due_ns, s.now_ns + (0 if is_second else ACTION_GAP_NS))
        if next_ns >= end_ns:
            break
        let_pass(s, p, next_ns)
        if s.recording == 0 and next_ns >= start_ns:
            s.recording = 1
        if is_action:
            _act(s, lanes, p, out)
        elif is_second:
            _each_second(s, lanes, p, out)
        elif s.refill_due_ns <= s.run_due_ns:
            refill(s, lanes, p, out)
        else:
            _push(s, lanes, p, out)
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
    s.refill_due_ns = s.run_due_ns = NEVER_NS
    s.run_left = s.settles = 0
    s.bid_ticks = 0
    s.ask_ticks = 1
    s.bid_lots = s.ask_lots = int(p.queue_typical_lots)
    s.metaorder_left = 0
    s.sign_mean = 0.0
    s.undo_lots = 0
    s.flow = 0.0
    s.flow_ns = s.now_ns
    s.index_ticks = 0.5
    s.open_interest = p.open_interest_lots
    s.fast_rate = 0.0
    s.medium_rate = 0.0
    s.slow_rate = p.actions_per_s * p.slow_branching_ratio
    s.base_rate = 1e-9


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
        write_slow_streams(s, lanes[2], p, out, mid_ticks)


@kernel
def _act(s: Any, lanes: Any, p: Any, out: Any) -> None:
    if uniform(s) < p.market_ratio:
        excite(s, p, p.market_excitation)
        market_order(s, lanes, p, out)
    else:
        excite(s, p, (1.0 - p.market_ratio * p.market_excitation) / (1.0 - p.market_ratio))
        passive_order(s, p)
    write_bbo(s, lanes[0], p, out)


@kernel
def _push(s: Any, lanes: Any, p: Any, out: Any) -> None:
    excite(s, p, p.run_excitation)
    push(s, lanes, p, out)
    write_bbo(s, lanes[0], p, out)
