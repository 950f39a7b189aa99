"""vectorbt: the EMA cross as signals over whole columns, alone and as a sweep of parameter pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import vectorbt

from benchmarks.tape import read_tape
from edgesmith.clock import monotonic_s

QTY, FEE_RATIO, CASH = 0.01, 0.0004, 1_000_000.0


def prepare(events: int, fast_events: int, slow_events: int) -> Callable[[], dict[str, Any]]:
    """Return one backtest: averages, signals, orders, equity curve and drawdown."""
    tape = read_tape(events)
    bid, ask = tape["bid"], tape["ask"]
    mid = pd.Series(0.5 * (bid + ask))

    def run() -> dict[str, Any]:
        portfolio = _portfolio(mid, bid, ask, _average(mid, fast_events), _average(mid, slow_events), slow_events)
        pnl = float(portfolio.value().iloc[-1]) - CASH
        return {"fills": int(portfolio.orders.count()), "pnl": pnl, "drawdown_ratio": float(portfolio.max_drawdown())}

    run()
    return run


def prepare_sweep(events: int, pairs: list[list[int]], timed: int) -> Callable[[], dict[str, Any]]:
    """Return a sweep of `pairs`, of which `timed` evenly chosen ones are run and their mean time scaled to all.

    Its fastest way here: the distinct averages computed once, then one pair at a time; all columns at once do not fit in memory.
    """
    tape = read_tape(events)
    bid, ask = tape["bid"], tape["ask"]
    mid = pd.Series(0.5 * (bid + ask))
    chosen = pairs[:: len(pairs) // timed][:timed]

    def run() -> dict[str, Any]:
        start_s = monotonic_s()
        averages = {span: _average(mid, span) for span in sorted({span for pair in pairs for span in pair})}
        averages_s = monotonic_s() - start_s
        fills = {}
        start_s = monotonic_s()
        for fast, slow in chosen:
            portfolio = _portfolio(mid, bid, ask, averages[fast], averages[slow], slow)
            fills[f"{fast}/{slow}"] = int(portfolio.orders.count())
            portfolio.final_value()
        per_pair_s = (monotonic_s() - start_s) / len(chosen)
        return {"seconds": averages_s + per_pair_s * len(pairs), "timed_pairs": len(chosen), "fills": fills}

    _portfolio(mid, bid, ask, _average(mid, 10), _average(mid, 120), 120).orders.count()
    return run


def _average(mid: pd.Series, span: int) -> np.ndarray:
    return mid.ewm(span=span, adjust=False).mean().to_numpy()


def _portfolio(mid: pd.Series, bid: Any, ask: Any, fast: Any, slow: Any, warm: int) -> Any:
    warmed = np.arange(len(mid)) >= warm
    up, down = (fast > slow) & warmed, (fast < slow) & warmed
    return vectorbt.Portfolio.from_signals(
        mid,
        entries=up,
        short_entries=down,
        price=np.where(up, ask, bid),
        size=QTY,
        size_type="amount",
        fees=FEE_RATIO,
        init_cash=CASH,
        upon_opposite_entry="reverse",
        freq="1s",
    )
