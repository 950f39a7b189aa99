"""Strategies that act at random, in both forms, and a command that prints the hashes of a run of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from builders_tape import Scripted, engine_of, instrument, random_tape
from edgesmith.domain.events import Bbo, Stream, Trade
from edgesmith.domain.orders import OrderIntent, OrderType, Side
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine
from edgesmith.trading.execution import ExecutionConfig, QueueModel
from edgesmith.trading.risk import RiskConfig
from edgesmith.trading.strategy import CompiledStrategy

TIGHT_RISK = RiskConfig(max_positions=3, cooldown_events=3, stop_loss_ratio=0.0006, take_profit_ratio=0.0008)
HONEST = ExecutionConfig(jitter_ratio=0.5, queue_model=QueueModel.PROPORTIONAL)


class Noise(CompiledStrategy):
    """Draws from a Lehmer generator kept in its memory: targets, limit orders of every flavor, cancels."""

    name = "noise"

    @staticmethod
    def decide(view: Any) -> float:
        """Return a random position now and then."""
        draw = (view.memory[0] + 1.0) * 16807.0 % 2147483647.0
        view.memory[0] = draw
        if draw % 100.0 < 6.0:
            return (draw // 100.0 % 11.0 - 5.0) * 0.002
        if draw % 100.0 < 20.0 and view.bid_price > 0.0:
            view.intents = 1
            view.intent_side[0] = 1 if draw // 100.0 % 2.0 == 0.0 else -1
            view.intent_qty[0] = (draw // 1000.0 % 9.0 + 1.0) * 0.001
            view.intent_price[0] = view.bid_price + (draw // 10000.0 % 7.0 - 3.0) * 0.1
            view.intent_tif[0] = 1 if draw // 100.0 % 5.0 == 0.0 else 0
            view.intent_post_only[0] = 1 if draw // 100.0 % 7.0 == 0.0 else 0
            view.intent_reduce_only[0] = 1 if draw // 100.0 % 6.0 == 0.0 else 0
        elif draw % 100.0 < 24.0:
            view.cancel_all = 1
        return np.nan


class Flip(CompiledStrategy):
    """Turns its position at every quote."""

    name = "flip"
    streams = (Stream.BBO,)

    @staticmethod
    def decide(view: Any) -> float:
        """Return the other side."""
        return -0.001 if view.position_qty > 0.0 else 0.001


class Curious(Scripted):
    """Looks at everything a context shows, acts at random wherever it is woken, and writes down what it saw."""

    name = "curious"
    bar_ns = 200_000_000

    def __init__(self, seed: int, streams: tuple[Stream, ...] = tuple(Stream)) -> None:
        super().__init__({})
        self.random, self.seen, self.streams = np.random.default_rng(seed), [], streams  # type: ignore[misc]
        self.prices: dict[int, float] = {}

    def on_event(self, event: Any, ctx: Any) -> None:
        if isinstance(event, Bbo | Trade):
            self.prices[event.instrument] = event.bid_price if isinstance(event, Bbo) else event.price
        self.look(ctx, 0.06)

    def on_bar(self, bar: Any, ctx: Any) -> None:
        self.prices[bar.instrument] = round(bar.close, 1)
        self.seen.append(
            ("bar", bar.ts_close, bar.instrument, bar.open, bar.high, bar.low, bar.close, bar.volume_qty, bar.trades_count)
        )
        self.look(ctx, 0.3)

    def on_fill(self, fill: Any, ctx: Any) -> None:
        self.seen.append(("fill", fill.fill_id, fill.ts_known, fill.position_qty))
        self.look(ctx, 0.2)

    def on_order_end(self, order_id: int, reason: Any, ctx: Any) -> None:
        self.seen.append(("end", order_id, int(reason)))
        self.look(ctx, 0.2)

    def look(self, ctx: Any, rate: float) -> None:
        self.seen.append((ctx.now_ns, ctx.position_qty(0), ctx.position_qty(1), *ctx.features.tolist()))
        if self.random.random() < 0.02:
            place = int(self.random.integers(2))
            position = ctx.position(place)
            entry = position.entry_price if position.qty else 0.0
            self.seen.append((ctx.equity, position.qty, position.pending_qty, entry, position.unrealized_pnl))
        if self.random.random() < rate and self.prices:
            self.act(ctx)

    def act(self, ctx: Any) -> None:
        place, side = int(self.random.choice(sorted(self.prices))), Side(int(self.random.choice([-1, 1])))
        what, draw = ctx.instruments[place], self.random.random()
        qty, reduce_only = what.qty(int(self.random.integers(1, 10))), self.random.random() < 0.2
        if draw < 0.4:
            answer = ctx.submit(OrderIntent(instrument=place, side=side, qty=qty, reduce_only=reduce_only))
        elif draw < 0.8:
            price = round(self.prices[place] + int(self.random.integers(-3, 4)) * 0.1, 1)
            kind = OrderType.LIMIT
            answer = ctx.submit(
                OrderIntent(instrument=place, side=side, qty=qty, order_type=kind, price=price, reduce_only=reduce_only)
            )
        else:
            answer = ctx.cancel(int(self.random.integers(1, 41)))
        self.seen.append(repr(answer))


def noise_run(count: int = 3_000, *, seed: int = 7, execution: ExecutionConfig = HONEST) -> Engine:
    """Return an engine that ran `Noise` over two instruments."""
    instruments = [instrument(symbol="A"), instrument(symbol="B")]
    engine = engine_of(CompiledDriver(Noise()), instruments, execution=execution, risk=TIGHT_RISK, seed=seed)
    engine.feed(random_tape(seed, count, 2))
    return engine


def noise_hashes(count: int = 3_000) -> dict[str, Any]:
    """Return every hash of that run, and how much happened in it."""
    engine = noise_run(count)
    state = engine.state_hash
    engine.finish()
    run, recorder = engine.run[0], engine.recorder
    counts = {name: int(run[name]) for name in ("fills", "maker_fills", "orders_sent", "forced_exits", "funding_e8")}
    return {"state": state, "fills": recorder.fills_hash, "decisions": recorder.decision_hash, **counts}


if __name__ == "__main__":
    print(json.dumps(noise_hashes()))
