"""Three queue models, one order: what the pessimistic one fills the others fill too, and no later."""

from __future__ import annotations

import numpy as np

from builders_tape import MS, T0, Scripted, bbo, engine_of, fills_of, random_tape, tape, trade
from edgesmith.domain.events import Stream
from edgesmith.domain.orders import TimeInForce
from edgesmith.trading.execution import ExecutionConfig, QueueModel
from edgesmith.trading.python_driver import PythonDriver

SLOW = {"entry_latency_ns": 15 * MS, "response_latency_ns": 0, "jitter_ratio": 0.0}


def filled_ns(events: np.ndarray, at: int, side: int, ticks: int, queue: QueueModel) -> int | None:
    """Return when one post-only order of one lot, `ticks` from the best bid, is filled; None where it never is."""
    script = {at: [("limit", 0, side, 1, False, ticks, TimeInForce.GTC, True)]}
    engine = engine_of(PythonDriver(Scripted(script)), execution=ExecutionConfig(**SLOW, queue_model=queue))
    engine.feed(events)
    fills = fills_of(engine)
    assert len(fills) <= 1 and all(fills["is_maker"])
    return int(fills["ts_match"][0]) if len(fills) else None


def test_no_queue_fills_before_a_queue_and_a_queue_that_shrinks_before_one_that_does_not() -> None:
    order = (QueueModel.TOUCH, QueueModel.PROPORTIONAL, QueueModel.RISK_AVERSE)
    different, filled = 0, 0
    for seed in range(8):
        events = random_tape(seed, 260, step=1, latency_ns_max=0)
        quotes = np.flatnonzero(events["kind"] == Stream.BBO)
        for at in quotes[[3, 17, 41, 60]].tolist():
            for side in (1, -1):
                spread = round(float(events["ask_price"][at] - events["bid_price"][at]) / 0.1)
                times = [filled_ns(events, at, side, 0 if side > 0 else spread, queue) for queue in order]
                known = [np.inf if one is None else one for one in times]
                assert known == sorted(known)
                different += known[0] < known[-1]
                filled += times[-1] is not None
    assert different > 5 and filled > 5


def test_at_the_touch_the_first_print_fills_whole_and_behind_the_queue_only_what_is_left() -> None:
    rows = [bbo(T0, 2000.0, 2000.1, 0.005, 0.005), bbo(T0 + 20 * MS, 2000.0, 2000.1, 0.005, 0.005)]
    rows += [trade(T0 + place * 30 * MS, 2000.0, 0.002, -1) for place in range(1, 5)]
    events = tape(rows)
    assert filled_ns(events, 0, 1, 0, QueueModel.TOUCH) == T0 + 30 * MS
    # 0.005 stand before it: the third print of 0.002 reaches it.
    assert filled_ns(events, 0, 1, 0, QueueModel.RISK_AVERSE) == T0 + 90 * MS
