"""BaselineStrategy against the plain loop it is described by, differences to the prior system included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders_tape import MS, NO_RISK, T0, bbo, engine_of, fills_of, tape
from edgesmith.domain.events import Stream
from edgesmith.strategies.baseline import Baseline
from edgesmith.trading.backtest import program_of
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.execution import execution_preset
from edgesmith.trading.strategy import configure

THRESHOLD, SPREAD_BPS, QTY = 0.0004, 6.0, 0.02


def market(seed: int, count: int = 2_000) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    mid = 20_000 + np.cumsum(rng.integers(-12, 13, count))
    wide = rng.integers(1, 11, count)
    return [((int(m) - int(w)) / 10, (int(m) + int(w)) / 10) for m, w in zip(mid, wide, strict=True)]


def plain_loop(quotes: list[tuple[float, float]], cooldown: int) -> list[tuple[int, int]]:
    """Enter with a large one-quote return; leave on an opposite one; spread and cooldown block entries only."""
    orders: list[tuple[int, int]] = []
    position, last_order, before = 0, -(10**9), None
    for index, (bid, ask) in enumerate(quotes):
        mid = 0.5 * (bid + ask)
        change = mid / before - 1.0 if before else 0.0
        before = mid
        if abs(change) <= THRESHOLD:
            continue
        direction = 1 if change > 0 else -1
        if position:
            if direction != position:
                orders.append((index, direction))
                position, last_order = 0, index
        elif ask - bid <= SPREAD_BPS * 1e-4 * mid and index - last_order >= cooldown:
            orders.append((index, direction))
            position, last_order = direction, index
    return orders


@pytest.mark.parametrize("cooldown", [0, 1, 25])
@pytest.mark.parametrize("seed", range(2))
def test_baseline_trades_as_described(seed: int, cooldown: int) -> None:
    quotes = market(seed)
    strategy: Any = configure(
        Baseline,
        {"order_qty": QTY, "cooldown_events": cooldown, "momentum_threshold_ratio": THRESHOLD, "spread_bps_max": SPREAD_BPS},
    )
    engine = engine_of(
        CompiledDriver(strategy), risk=NO_RISK, execution=execution_preset("instant"), program=program_of(strategy)
    )
    engine.feed(tape([bbo(T0 + place * MS, bid, ask, 5.0, 5.0) for place, (bid, ask) in enumerate(quotes)]))
    fills = fills_of(engine)
    wanted = plain_loop(quotes, cooldown)
    assert [((int(line["ts_match"]) - T0) // MS, int(line["side"])) for line in fills] == wanted
    assert len(wanted) > 40
    assert {side for _, side in wanted} == {1, -1}
    assert set(fills["lots"].tolist()) == {20}


def test_baseline_only_looks_at_quotes() -> None:
    assert Baseline.streams == (Stream.BBO,)
