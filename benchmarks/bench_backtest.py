"""An EMA cross over every event: the whole engine (venue, risk, ledger, metrics) beside other backtesters.

Every side flips +-0.01 with a market order when EMA(30) and EMA(100) of the mid price cross, pays 4 bps and marks its equity;
where the execution model can be made the same (a fill of any size at the touch, in the same instant) fills and result must be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Contestant, Options, Row, compact, faster_check, race, rate_check, same_check
from benchmarks.market import EXAMPLES, FAST_EVENTS, FEE_RATIO, QTY, SLOW_EVENTS, run_engine, tape_events
from benchmarks.tape import read_tape
from edgesmith.compiled import kernel
from edgesmith.strategies.registry import find_strategy
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.strategy import CompiledStrategy, configure

TITLE = "EMA cross, compiled, full engine with risk and ledger"
EVENTS_PER_S = 20e6
HFTBACKTEST_RATIO, NAUTILUS_RATIO = 4.0, 100.0
# NautilusTrader slows down with every flip so far, so it gets longer spans (few flips) and the first part of the tape.
NAUTILUS_EVENTS = 400_000
NAUTILUS_SPANS = (300, 3_000)
# Sums of float64 flows beside ours in integers.
PNL_TOLERANCE = 0.01


def rows(options: Options) -> list[Row]:
    """Race every side."""
    return [*_same_work(options), *_nautilus(options)]


def _same_work(options: Options) -> list[Row]:
    spans = {"fast_events": FAST_EVENTS, "slow_events": SLOW_EVENTS}
    work = {"events": options.events, **spans}
    sides = [
        _ours("edgesmith, instant fills", work, "instant", options.events),
        _ours("edgesmith, honest (latency, queue)", work, "honest", options.events),
        Contestant(
            who="loop fused by hand, numba",
            prepare="benchmarks.bench_backtest:prepare_fused",
            options=work,
            count=options.events,
            note="the practical limit: no venue, queue, risk or order",
        ),
    ]
    if options.peers:
        sides += [
            Contestant(
                who="hftbacktest 2.4.4",
                prepare="benchmarks.peers.hftbacktest_ema:prepare",
                options=work,
                count=options.events,
                environment="peers",
                note="array book, woken on every event, no latency",
            ),
            Contestant(
                who="vectorbt 1.2.0, Rust engine",
                prepare="benchmarks.peers.vectorbt_ema:prepare",
                options=work,
                count=options.events,
                environment="vectorbt",
                note="signals, orders, equity and drawdown over one price per row: no latency, queue or code between rows",
            ),
        ]
    found = race(sides, options.repeats)
    ours, honest, *others = found
    rate_check(ours, EVENTS_PER_S)
    rate_check(honest, EVENTS_PER_S)
    for row in others:
        if row.seconds:
            same_check(row, "fills", row.fact("fills"), ours.fact("fills"))
            same_check(row, "pnl", row.fact("pnl"), ours.fact("pnl"), PNL_TOLERANCE)
        if row.who.startswith("hftbacktest"):
            faster_check(row, HFTBACKTEST_RATIO)
    return found


def _nautilus(options: Options) -> list[Row]:
    if not options.peers:
        return []
    count = min(NAUTILUS_EVENTS, options.events)
    fast, slow = NAUTILUS_SPANS
    work = {"events": options.events, "first": count, "fast_events": fast, "slow_events": slow}
    where = f"first {compact(count)} events, EMA {fast}/{slow}"
    found = race(
        [
            _ours("edgesmith, instant fills", work, "instant", count, where),
            Contestant(
                who="NautilusTrader 1.221.0",
                prepare="benchmarks.peers.nautilus_ema:prepare",
                options={**work, "mode": "ema"},
                count=count,
                environment="peers",
                once=True,
                note=f"{where} (its cost per flip grows with the flips so far); logging and its risk engine bypassed",
            ),
        ],
        options.repeats,
    )
    ours, nautilus = found
    if nautilus.seconds:
        same_check(nautilus, "fills", nautilus.fact("fills"), ours.fact("fills"))
    faster_check(nautilus, NAUTILUS_RATIO)
    return found


def _ours(who: str, work: dict[str, Any], preset: str, count: int, note: str = "") -> Contestant:
    prepare = "benchmarks.bench_backtest:prepare_edgesmith"
    return Contestant(who=who, prepare=prepare, options={**work, "preset": preset}, count=count, ours=True, note=note)


def ema_cross(fast_events: int, slow_events: int) -> CompiledStrategy:
    """Return the example strategy with these spans."""
    cls = find_strategy(f"{EXAMPLES / 'ema_cross_compiled.py'}:EmaCross")
    strategy = configure(cls, {"fast_events": fast_events, "slow_events": slow_events, "order_qty": QTY})
    assert isinstance(strategy, CompiledStrategy)
    return strategy


def prepare_edgesmith(
    events: int, preset: str, fast_events: int, slow_events: int, first: int | None = None
) -> Callable[[], dict[str, Any]]:
    """Return a run of the engine over the tape; the first has compiled everything."""
    market = tape_events(events, first)
    strategy = ema_cross(fast_events, slow_events)

    def run() -> dict[str, Any]:
        return run_engine(market, CompiledDriver(strategy), preset)

    run()
    return run


@kernel
def fused_by_hand(bid: Any, ask: Any, fast_weight: float, slow_weight: float, warm: int, qty: float, fee_ratio: float) -> Any:
    """Do the strategy, its fills and its equity in one loop; returns (fills, pnl, largest drawdown)."""
    fast = slow = 0.5 * (bid[0] + ask[0])
    cash = position = peak = drawdown = mid = 0.0
    fills = 0
    for index in range(1, bid.shape[0]):
        mid = 0.5 * (bid[index] + ask[index])
        fast += fast_weight * (mid - fast)
        slow += slow_weight * (mid - slow)
        if index >= warm and ((fast > slow and position <= 0.0) or (fast < slow and position >= 0.0)):
            target = qty if fast > slow else -qty
            price = ask[index] if fast > slow else bid[index]
            cash -= (target - position) * price + abs(target - position) * price * fee_ratio
            position = target
            fills += 1
        equity = cash + position * mid
        peak = max(peak, equity)
        drawdown = max(drawdown, peak - equity)
    return fills, cash + position * mid, drawdown


def prepare_fused(events: int, fast_events: int, slow_events: int) -> Callable[[], dict[str, Any]]:
    """Return the loop over plain columns."""
    columns = read_tape(events)
    bid, ask = np.ascontiguousarray(columns["bid"]), np.ascontiguousarray(columns["ask"])

    def run() -> dict[str, Any]:
        weights = 2.0 / (fast_events + 1.0), 2.0 / (slow_events + 1.0)
        fills, pnl, drawdown = fused_by_hand(bid, ask, *weights, slow_events, QTY, FEE_RATIO)
        return {"fills": fills, "pnl": pnl, "drawdown": drawdown}

    run()
    return run
