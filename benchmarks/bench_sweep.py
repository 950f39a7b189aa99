"""200 EMA pairs over the same events on two cores: whole engines in threads, beside vectorbt's columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.bench_backtest import ema_cross
from benchmarks.harness import Contestant, Options, Row, faster_check, race, same_check
from benchmarks.market import INSTRUMENT, QTY, engine_config, tape_events
from edgesmith.trading.sweep import sweep

TITLE = "sweep of 200 EMA pairs, two cores"
PAIRS = [[fast, slow] for fast in range(10, 110, 5) for slow in range(120, 620, 50)]
WORKERS = 2
VECTORBT_RATIO = 10.0
VECTORBT_TIMED = 20
# For a quick look: every twentieth pair.
QUICK_STEP = 20


def rows(options: Options) -> list[Row]:
    """Race both sides."""
    pairs = PAIRS[::QUICK_STEP] if options.quick else PAIRS
    sides = [
        Contestant(
            who=f"edgesmith, instant fills, {WORKERS} threads",
            prepare="benchmarks.bench_sweep:prepare",
            options={"events": options.events, "pairs": pairs},
            count=len(pairs),
            unit="backtests",
        )
    ]
    if options.peers:
        timed = min(VECTORBT_TIMED, len(pairs))
        sides.append(
            Contestant(
                who="vectorbt 1.2.0, Rust engine",
                prepare="benchmarks.peers.vectorbt_ema:prepare_sweep",
                options={"events": options.events, "pairs": pairs, "timed": timed},
                count=len(pairs),
                unit="backtests",
                environment="vectorbt",
                note=f"scaled to {len(pairs)} from {timed} timed pairs; averages computed once; without equity curve",
            )
        )
    found = race(sides, options.repeats)
    for row in found[1:]:
        faster_check(row, VECTORBT_RATIO)
        if row.seconds:
            theirs = row.fact("fills")
            ours = {pair: found[0].fact("fills")[pair] for pair in theirs}
            same_check(row, "fills of the timed pairs", sum(theirs.values()), sum(ours.values()))
    return found


def prepare(events: int, pairs: list[list[int]]) -> Callable[[], dict[str, Any]]:
    """Return the sweep; one run before it has compiled everything."""
    market = tape_events(events)
    strategy = type(ema_cross(10, 120))
    configs = [strategy.Config(fast_events=fast, slow_events=slow, order_qty=QTY) for fast, slow in pairs]  # type: ignore[call-arg]
    config = engine_config("instant")
    sweep(market[:1_000], [INSTRUMENT], strategy, configs[:1], config)

    def run() -> dict[str, Any]:
        found = sweep(market, [INSTRUMENT], strategy, configs, config, workers=WORKERS)
        fills = [metrics["fills"] for metrics in found]
        return {"fills": {f"{fast}/{slow}": count for (fast, slow), count in zip(pairs, fills, strict=True)}}

    return run
