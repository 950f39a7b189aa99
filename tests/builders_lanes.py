"""Strategies with parameters that act at random, run side by side and alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders_strategies import HONEST, TIGHT_RISK
from builders_tape import engine_of, instrument, random_tape
from edgesmith.domain.events import Stream
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine
from edgesmith.trading.side_by_side import SideBySide
from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig


class DiceConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which numbers are drawn, and on how many of a thousand events something is done."""

    seed: int = 1
    acts: float = 240.0


class Dice(CompiledStrategy):
    """Like `Noise`, but by its configuration, and its targets last; reads a feature where there is one."""

    name = "dice"
    Config = DiceConfig

    def params(self) -> tuple[float, ...]:
        """Return seed and rate."""
        return float(self.config.seed), self.config.acts

    @staticmethod
    def decide(view: Any) -> float:
        """Return the last position drawn, or one that is refused, or none."""
        draw = (view.memory[0] + view.params[0] + view.features[0] % 7.0) * 16807.0 % 2147483647.0
        view.memory[0] = draw
        chance = draw % 1000.0
        if chance < view.params[1] * 0.3:
            view.memory[1] = (draw // 1000.0 % 11.0 - 5.0) * 0.002
        elif chance < view.params[1] * 0.8 and view.bid_price > 0.0:
            view.intents = 1
            view.intent_side[0] = 1 if draw // 1000.0 % 2.0 == 0.0 else -1
            view.intent_qty[0] = (draw // 1000.0 % 9.0 + 1.0) * 0.001
            view.intent_price[0] = view.bid_price + (draw // 10000.0 % 7.0 - 3.0) * 0.1
            view.intent_tif[0] = 1 if draw // 1000.0 % 5.0 == 0.0 else 0
            view.intent_post_only[0] = 0
            view.intent_reduce_only[0] = 1 if draw // 1000.0 % 6.0 == 0.0 else 0
        elif chance < view.params[1]:
            view.cancel_all = 1
        elif chance > 998.0:
            return 1e30
        return view.memory[1] if draw % 3.0 > 0.0 else np.nan


class QuoteDice(Dice):
    """Hears quotes only."""

    streams = (Stream.BBO,)


class Turner(Dice):
    """Turns its position on every quote."""

    streams = (Stream.BBO,)

    @staticmethod
    def decide(view: Any) -> float:
        """Return the other side."""
        return -0.001 * view.params[0] if view.position_qty > 0.0 else 0.001 * view.params[0]


CONFIGS = [DiceConfig(seed=seed, acts=acts) for seed, acts in ((1, 240.0), (2, 20.0), (3, 4.0), (4, 0.0), (5, 900.0))]


def engines(strategy: type[Dice] = Dice, instruments: int = 2, **options: Any) -> list[Engine]:
    """Return one engine per configuration."""
    listed = [instrument(symbol=name) for name in "AB"[:instruments]]
    options = {"execution": HONEST, "risk": TIGHT_RISK, "seed": 3, **options}
    return [engine_of(CompiledDriver(strategy(config)), listed, **options) for config in CONFIGS]


def outcome(engine: Engine) -> tuple[Any, ...]:
    """Return everything a run comes to."""
    state, cursor, run = engine.state_hash, engine.cursor, engine.run[0]
    engine.finish()
    counts = tuple(
        int(run[name]) for name in ("fills", "maker_fills", "orders_sent", "forced_exits", "funding_e8", "out_of_order")
    )
    used = int(run["curve_used"])
    curves = engine.curves.equity[:used].tobytes(), engine.curves.prices[: used * len(engine.instruments)].tobytes()
    return state, cursor, counts, engine.recorder.fills_hash, engine.recorder.decision_hash, curves


def alone(events: Any, cuts: list[int], made: list[Engine]) -> list[tuple[Any, ...]]:
    """Return the outcomes of engines fed one after the other."""
    for engine in made:
        for begin, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
            engine.feed(events[begin:end])
    return [outcome(engine) for engine in made]


def side_by_side(events: Any, cuts: list[int], made: list[Engine]) -> list[tuple[Any, ...]]:
    """Return the outcomes of engines fed together; the last one leads and is left out."""
    *running, pilot = made
    together = SideBySide(running, pilot)
    for begin, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        together.feed(events[begin:end])
    return [outcome(engine) for engine in running]


def both_ways(count: int = 400) -> list[str]:
    """Return the state hashes of short runs, together and alone."""
    events = random_tape(5, count, 2)
    return [found[0] for found in (*side_by_side(events, [count // 3], engines()), *alone(events, [], engines()[:-1]))]
