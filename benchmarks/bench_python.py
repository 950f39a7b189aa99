"""Strategies in plain Python: woken on every event, and on bars of one second; NautilusTrader's no-op strategy beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.bench_backtest import NAUTILUS_EVENTS, NAUTILUS_SPANS
from benchmarks.harness import Contestant, Options, Row, compact, race, rate_check
from benchmarks.market import EXAMPLES, FAST_EVENTS, QTY, SLOW_EVENTS, run_engine, tape_events
from edgesmith.domain.fills import Bar
from edgesmith.domain.units import NS_PER_S
from edgesmith.strategies.registry import find_strategy
from edgesmith.trading.context import Context
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.strategy import PythonStrategy, configure

TITLE = "Python strategy, full engine with risk and ledger"
EVENT_CALLS_PER_S = 1.2e6
BAR_EVENTS_PER_S = 8e6
PRESET = "honest"


def rows(options: Options) -> list[Row]:
    """Race every side; the call on every event is ours."""
    fast, slow = NAUTILUS_SPANS
    nautilus_events = min(NAUTILUS_EVENTS, options.events)
    sides = [
        _ours("edgesmith, every event", options, fast, slow, note=f"EMA {fast}/{slow}, the example's own spans"),
        _ours("edgesmith, every event", options, FAST_EVENTS, SLOW_EVENTS, note="EMA 30/100: an order every 90 events"),
        Contestant(
            who="edgesmith, 1 s bars",
            prepare="benchmarks.bench_python:prepare_bars",
            options={"events": options.events},
            count=options.events,
            ours=True,
        ),
    ]
    if options.peers:
        sides.append(
            Contestant(
                who="NautilusTrader 1.221.0, no-op",
                prepare="benchmarks.peers.nautilus_ema:prepare",
                options={
                    "events": options.events,
                    "first": nautilus_events,
                    "fast_events": fast,
                    "slow_events": slow,
                    "mode": "idle",
                },
                count=nautilus_events,
                environment="peers",
                once=True,
                note=f"first {compact(nautilus_events)} events; its handlers only count",
            )
        )
    found = race(sides, options.repeats)
    rate_check(found[0], EVENT_CALLS_PER_S)
    rate_check(found[2], BAR_EVENTS_PER_S)
    return found


def _ours(who: str, options: Options, fast: int, slow: int, note: str) -> Contestant:
    return Contestant(
        who=who,
        prepare="benchmarks.bench_python:prepare_events",
        options={"events": options.events, "fast_events": fast, "slow_events": slow},
        count=options.events,
        ours=True,
        note=note,
    )


def prepare_events(events: int, fast_events: int, slow_events: int) -> Callable[[], dict[str, Any]]:
    """Return a run of the example that sees every event."""
    cls = find_strategy(f"{EXAMPLES / 'ema_cross_python.py'}:EmaCross")
    settings = {"fast_events": fast_events, "slow_events": slow_events, "order_qty": QTY}
    return _prepared(events, lambda: configure(cls, settings))


class BarCross(PythonStrategy):
    """The EMA cross on the closes of one-second bars."""

    name = "bar_cross"
    bar_ns = NS_PER_S

    def on_start(self, ctx: Context) -> None:
        self.fast = self.slow = self.wanted = 0.0

    def on_bar(self, bar: Bar, ctx: Context) -> None:
        if self.fast == 0.0:
            self.fast = self.slow = bar.close
            return
        self.fast += 2.0 / (FAST_EVENTS + 1.0) * (bar.close - self.fast)
        self.slow += 2.0 / (SLOW_EVENTS + 1.0) * (bar.close - self.slow)
        target = QTY if self.fast > self.slow else -QTY
        if target != self.wanted:
            change, self.wanted = target - self.wanted, target
            if change > 0.0:
                ctx.buy(change)
            else:
                ctx.sell(-change)


def prepare_bars(events: int) -> Callable[[], dict[str, Any]]:
    """Return a run of a strategy woken once a second."""
    return _prepared(events, BarCross)


def _prepared(events: int, strategy: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    market = tape_events(events)

    def run() -> dict[str, Any]:
        return run_engine(market, PythonDriver(strategy()), PRESET)

    run()
    return run
