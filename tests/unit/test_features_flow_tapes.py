"""Order flow, absorption and refills on tapes written by hand, with the numbers worked out beside them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from edgesmith.domain.events import EVENT, FLAG_AFTER_GAP, KIND_BBO, KIND_TRADE
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program

MS = 1_000_000
FOREVER = 86_400 * 10**9
BUY, SELL = 1, -1


def quote(at_ms: float, bid: float, bid_qty: float, ask: float, ask_qty: float, flags: int = 0) -> dict[str, Any]:
    sizes = {"bid_qty": bid_qty, "ask_qty": ask_qty}
    return {"kind": KIND_BBO, "ts_recv": int(at_ms * MS), "bid_price": bid, "ask_price": ask, "flags": flags, **sizes}


def trade(at_ms: float, side: int, price: float, qty: float) -> dict[str, Any]:
    return {"kind": KIND_TRADE, "ts_recv": int(at_ms * MS), "side": side, "price": price, "qty": qty}


# All that the tapes below ask for, in one program: compiled once instead of a dozen times.
ASKED: list[tuple[str, dict[str, object]]] = [
    ("order_flow_imbalance", {"half_life_ns": FOREVER, "warmup_events": 1}),
    ("order_flow_imbalance", {"half_life_ns": MS, "warmup_events": 1}),
    ("bid_absorption", {}),
    ("ask_absorption", {}),
    ("absorption_balance", {}),
    ("bid_refills", {}),
    ("ask_refills", {}),
    ("spread_ticks", {}),
    ("wide_age", {}),
    ("spread_peak", {"half_life_ns": 500 * MS}),
    ("buy_intensity", {"warmup_events": 1}),
    ("burst_ratio", {"warmup_events": 1}),
]


@functools.cache
def program() -> Program:
    return Program([feature(name, **params).named(f"asked_{place}") for place, (name, params) in enumerate(ASKED)])


def values(tape: list[dict[str, Any]], name: str, **params: object) -> list[float | None]:
    events = np.zeros(len(tape), EVENT)
    for place, fields in enumerate(tape):
        for field, value in fields.items():
            events[field][place] = value
    column = program().compute(events)[:, ASKED.index((name, params))]
    return [None if np.isnan(value) else round(float(value), 6) for value in column]


def test_order_flow_imbalance() -> None:
    tape = [
        quote(0, 100.0, 5, 101.0, 4),
        quote(1, 100.0, 7, 101.0, 4),  # bid grows by 2: e = 7 - 5 - 4 + 4 = 2
        quote(2, 100.0, 7, 101.0, 1),  # ask shrinks by 3: e = 3
        quote(3, 101.0, 2, 102.0, 6),  # both rise: bid brings 2, the ask that is gone took 1 away: e = 2 + 1 = 3
        quote(4, 100.0, 9, 102.0, 6),  # bid falls: what stood there is gone: e = -2
        quote(5, 90.0, 90, 91.0, 90, FLAG_AFTER_GAP),  # after a gap: nothing
        quote(6, 90.0, 90, 91.0, 80),  # e = 10
    ]
    # With no fading to speak of: sums of e over the mean of (B + A) / 2, which are 4.5, 5.5, 4, 4, 7.5, 90 and 85.
    flow, halves = np.cumsum([2, 3, 3, -2, 0, 10]), [4.5, 5.5, 4.0, 4.0, 7.5, 90.0, 85.0]
    expected = [round(float(flow[k - 1]) / float(np.mean(halves[: k + 1])), 6) for k in range(1, 7)]
    assert expected == [0.4, 1.071429, 1.777778, 1.176471, 0.311688, 0.558603]
    assert values(tape, "order_flow_imbalance", half_life_ns=FOREVER, warmup_events=1) == [None, *expected]


def test_order_flow_fades() -> None:
    # e = 2 at 1 ms, 0 a half-life later; mean depth (4.5/4 + 5.5/2 + 5.5) / (1/4 + 1/2 + 1) = 9.375 / 1.75.
    tape = [quote(0, 100.0, 5, 101.0, 4), quote(1, 100.0, 7, 101.0, 4), quote(2, 100.0, 7, 101.0, 4)]
    assert values(tape, "order_flow_imbalance", half_life_ns=MS, warmup_events=1)[2] == round(1.0 / (9.375 / 1.75), 6) == 0.186667


def test_absorption() -> None:
    tape = [
        quote(0, 100.0, 10, 101.0, 8),
        trade(1, SELL, 100.0, 4),  # 4 of 10
        trade(2, SELL, 100.0, 6),  # 10 of 10
        quote(3, 100.0, 10, 101.0, 8),  # and it still stands
        trade(4, SELL, 100.0, 5),  # 15 of 10: absorbed
        trade(5, BUY, 101.0, 2),  # the other side
        trade(6, SELL, 99.5, 7),  # not at the best price
        quote(7, 100.0, 30, 101.0, 8),  # largest size is now 30
        quote(8, 99.0, 6, 101.0, 8),  # the bid gave way: begin anew
        trade(9, SELL, 99.0, 3),
    ]
    assert values(tape, "bid_absorption") == [None, 0.4, 1.0, 1.0, 1.5, 1.5, 1.5, 0.5, 0.0, 0.5]
    assert values(tape, "ask_absorption") == [None, 0.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25, 0.25]
    assert values(tape, "absorption_balance")[-1] == 0.25


def test_refills() -> None:
    tape = [
        quote(0, 100.0, 10, 101.0, 8),
        trade(10, SELL, 100.0, 5),
        quote(11, 100.0, 5, 101.0, 8),  # the fill shows
        quote(20, 100.0, 8, 101.0, 8),  # back by 3 of 5: not 0.8
        quote(40, 100.0, 9, 101.0, 8),  # back by 4 of 5 after 30 ms: refill 1
        trade(50, SELL, 100.0, 4),
        trade(55, SELL, 100.0, 1),  # together 5
        quote(56, 100.0, 4, 101.0, 8),
        quote(105, 100.0, 9, 101.0, 8),  # back by 5, exactly 50 ms after the last fill: refill 2
        trade(200, SELL, 100.0, 5),
        quote(201, 100.0, 4, 101.0, 8),
        quote(251, 100.0, 9, 101.0, 8),  # 51 ms: too late, the run is over
        trade(260, SELL, 100.0, 5),
        quote(261, 100.0, 4, 101.0, 8),
        quote(270, 100.0, 9, 101.0, 8),  # refill 1 again
        quote(280, 100.5, 1, 101.0, 8),  # another price
    ]
    expected = [None, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 0, 0, 0, 1, 0]
    assert values(tape, "bid_refills") == expected
    assert values(tape, "ask_refills") == [None] + [0] * 15


def test_spread_in_ticks() -> None:
    tape = [quote(0, 100.0, 1, 100.6, 1), quote(1000, 100.0, 1, 100.2, 1), quote(2500, 100.1, 1, 100.2, 1)]
    # The tick is not known better than 0.6, then 0.2, then 0.1 (the bid moved by it).
    assert values(tape, "spread_ticks") == [1.0, 1.0, 1.0]
    tape += [quote(3000, 100.1, 1, 100.4, 1), quote(3500, 100.1, 1, 100.2, 1)]
    assert values(tape, "spread_ticks") == [1.0, 1.0, 1.0, 3.0, 1.0]
    assert values(tape, "wide_age") == [0.0, 1.0, 2.5, 0.0, 0.5]
    assert values(tape, "spread_peak", half_life_ns=500 * MS) == [1.0, 1.0, 1.0, 3.0, 1.5]


def test_intensity() -> None:
    tape = [quote(0, 100.0, 1, 101.0, 1), trade(0, BUY, 101.0, 3), trade(0, BUY, 101.0, 1), trade(500, SELL, 100.0, 2)]
    tape += [quote(1000, 100.0, 1, 101.0, 1)]
    # ln 2 / h / 3 times the faded counts at h, 8 h and 64 h, h = 0.5 s; two half-lives after the buys.
    counts = 2 * (2**-2 + 2 ** (-2 / 8) / 8 + 2 ** (-2 / 64) / 64)
    assert values(tape, "buy_intensity", warmup_events=1)[-1] == round(np.log(2) / 0.5 / 3 * counts, 6)
    fast, slow = 2 * 2**-2 + 2**-1, (2 * 2 ** (-2 / 64) + 2 ** (-1 / 64)) / 64
    assert values(tape, "burst_ratio", warmup_events=1)[-1] == round(fast / slow, 6)
