"""Short event tapes in decision order, instruments of every kind, and strategies that play a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import EVENT, Bbo, Event, Stream
from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.orders import OrderIntent, OrderType, Side, TimeInForce
from edgesmith.domain.records import as_records
from edgesmith.trading.engine import Engine, EngineConfig
from edgesmith.trading.execution import ExecutionConfig
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.risk import Approved, RiskConfig
from edgesmith.trading.strategy import PythonStrategy

T0 = 1_723_161_256_000_000_000
MS = 1_000_000
NO_RISK = RiskConfig(enabled=False)
INSTANT = ExecutionConfig(
    entry_latency_ns=0, response_latency_ns=0, feed_latency_ns=0, jitter_ratio=0.0, maker_fee_ratio=0.0002, taker_fee_ratio=0.0004
)


def instrument(kind: ContractKind = ContractKind.LINEAR, symbol: str = "BTCUSDT", settle: str = "USDT") -> Instrument:
    contract = {"contract_value": "100", "lot_size": "1"} if kind is ContractKind.INVERSE else {"lot_size": "0.001"}
    return Instrument(venue="simulated", symbol=symbol, kind=kind, tick_size="0.1", settle=settle, simulated=True, **contract)


def bbo(ts: int, bid: float, ask: float, bid_qty: float = 1.0, ask_qty: float = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "kind": Stream.BBO,
        "ts_event": ts,
        "bid_price": bid,
        "ask_price": ask,
        "bid_qty": bid_qty,
        "ask_qty": ask_qty,
        **more,
    }


def trade(ts: int, price: float, qty: float, side: int, **more: Any) -> dict[str, Any]:
    return {"kind": Stream.TRADE, "ts_event": ts, "price": price, "qty": qty, "side": side, **more}


def funding(ts: int, rate: float, due: int, **more: Any) -> dict[str, Any]:
    return {"kind": Stream.FUNDING, "ts_event": ts, "funding_rate": rate, "next_funding_ts": due, **more}


def mark(ts: int, price: float, **more: Any) -> dict[str, Any]:
    return {"kind": Stream.MARK_PRICE, "ts_event": ts, "mark_price": price, "index_price": price, **more}


def tape(rows: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    """Return rows as events, numbered, received when they happened unless a row says otherwise."""
    events = np.zeros(len(rows), EVENT)
    for place, row in enumerate(rows):
        for name, value in row.items():
            events[name][place] = value
        events["seq"][place] = place
        events["ts_recv"][place] = row.get("ts_recv", row["ts_event"])
    return as_records(events)


def random_tape(seed: int, count: int, instruments: int = 1, *, latency_ns_max: int = 30 * MS, step: int = 3) -> NDArray[Any]:
    """Return a mixed tape: walking quotes, prints at, inside and through the touch, marks, and fundings that fall due."""
    rng = np.random.default_rng([seed, 77])
    mid = 20_000 + 100 * np.arange(instruments)
    spread = np.full(instruments, 2)
    due = np.full(instruments, T0 + 2_000 * MS)
    ts, rows = T0, []
    for _ in range(count):
        ts += int(rng.choice([0, 1, 1_000, MS, 10 * MS, 40 * MS, 300 * MS], p=[0.05, 0.05, 0.1, 0.4, 0.3, 0.09, 0.01]))
        place, draw = int(rng.integers(instruments)), rng.random()
        head = {"instrument": place, "ts_recv": ts + int(rng.integers(0, latency_ns_max + 1))}
        bid = (mid[place] - spread[place] // 2) / 10
        ask = (mid[place] - spread[place] // 2 + spread[place]) / 10
        if draw < 0.6:
            mid[place] += rng.integers(-step, step + 1) if rng.random() < 0.6 else 0
            spread[place] = rng.integers(1, 5)
            sizes = rng.integers(0, 12, 2) * 0.001
            low = mid[place] - spread[place] // 2
            rows.append(bbo(ts, low / 10, (low + spread[place]) / 10, *sizes, **head))
        elif draw < 0.93:
            side = int(rng.choice([-1, 1]))
            price = round((ask if side > 0 else bid) + 0.1 * side * int(rng.integers(0, 3)), 1)
            rows.append(trade(ts, price, int(rng.integers(1, 9)) * 0.001, side, **head))
        elif draw < 0.97:
            rows.append(mark(ts, mid[place] / 10 + 0.03, **head))
        else:
            rows.append(funding(ts, float(rng.normal(0, 3e-4)), int(due[place]), **head))
            due[place] += 0 if rng.random() < 0.7 else 2_000 * MS
    rows.sort(key=lambda row: (row["ts_recv"], row["ts_event"], row["instrument"], row["kind"]))
    return tape(rows)


def random_script(seed: int, count: int, instruments: int, *, rate: float = 0.15) -> dict[int, list[tuple[Any, ...]]]:
    """Return what to do after which event: market and limit orders of every flavor, prices relative to the touch, cancels."""
    rng = np.random.default_rng([seed, 99])
    script: dict[int, list[tuple[Any, ...]]] = {}
    for index in np.flatnonzero(rng.random(count) < rate):
        actions: list[tuple[Any, ...]] = []
        for _ in range(int(rng.integers(1, 4))):
            draw, place = rng.random(), int(rng.integers(instruments))
            side, lots = int(rng.choice([-1, 1])), int(rng.integers(1, 25))
            reduce_only = bool(rng.random() < 0.2)
            if draw < 0.3:
                actions.append(("market", place, side, lots, reduce_only))
            elif draw < 0.8:
                tif = TimeInForce.IOC if rng.random() < 0.25 else TimeInForce.GTC
                actions.append(
                    ("limit", place, side, lots, reduce_only, int(rng.integers(-5, 6)), tif, bool(rng.random() < 0.25))
                )
            else:
                actions.append(("cancel", float(rng.random())))
        script[int(index)] = actions
    return script


class Scripted(PythonStrategy):
    """Does at event i what the script says for i; notes what it was told."""

    name = "scripted"
    streams = tuple(Stream)

    def __init__(self, script: Mapping[int, Sequence[tuple[Any, ...]]]) -> None:
        super().__init__()
        self.script, self.index, self.sent = script, -1, 0
        self.quotes: dict[int, tuple[float, float]] = {}
        self.told: list[Any] = []
        # order id -> (action, approved lots, limit price, when it was decided)
        self.orders: dict[int, tuple[tuple[Any, ...], int, float | None, int]] = {}

    def on_event(self, event: Event, ctx: Any) -> None:
        self.index += 1
        if isinstance(event, Bbo):
            self.quotes[event.instrument] = (event.bid_price, event.ask_price)
        for action in self.script.get(self.index, ()):
            self.play(action, ctx)

    def play(self, action: tuple[Any, ...], ctx: Any) -> None:
        if action[0] == "cancel":
            ctx.cancel(1 + int(action[1] * self.sent))
            return
        name, place, side, lots, reduce_only, *rest = action
        what, price, more = ctx.instruments[place], None, {}
        if name == "limit":
            if place not in self.quotes:
                return
            price = round(self.quotes[place][0] + rest[0] * what.tick, 1)
            more = {"order_type": OrderType.LIMIT, "price": price, "time_in_force": rest[1], "post_only": rest[2]}
        answer = ctx.submit(OrderIntent(instrument=place, side=Side(side), qty=what.qty(lots), reduce_only=reduce_only, **more))
        if isinstance(answer, Approved):
            self.orders[answer.order_id] = (action, what.lots(answer.qty), price, ctx.now_ns)
            self.sent = max(self.sent, answer.order_id)

    def on_fill(self, fill: Any, ctx: Any) -> None:
        self.told.append(fill)

    def on_order_end(self, order_id: int, reason: Any, ctx: Any) -> None:
        self.told.append((order_id, reason, ctx.now_ns))


def engine_of(
    driver: Any,
    instruments: Sequence[Instrument] = (),
    *,
    execution: ExecutionConfig = INSTANT,
    risk: RiskConfig = NO_RISK,
    equity_start: float = 10_000.0,
    seed: int = 0,
    **more: Any,
) -> Engine:
    """Return an engine on one linear instrument, without risk and latency unless told otherwise."""
    extras = {name: more.pop(name) for name in ("guards",) if name in more}
    config = EngineConfig(execution=execution, risk=risk, equity_start=equity_start, seed=seed, **extras)
    return Engine(list(instruments) or [instrument()], config, driver, **more)


def play(events: NDArray[Any], script: Mapping[int, Sequence[tuple[Any, ...]]], **options: Any) -> Engine:
    """Run a script over a tape to its end."""
    engine = engine_of(PythonDriver(Scripted(script)), **options)
    engine.feed(events)
    return engine


def fills_of(engine: Engine) -> NDArray[Any]:
    """Return the fills still in the buffer of an engine that was not finished."""
    return np.asarray(engine.recorder.fills[: int(engine.run[0]["fills_used"])]).copy()


def decisions_of(engine: Engine) -> NDArray[Any]:
    """Return the decisions still in the buffer of an engine that was not finished."""
    return np.asarray(engine.recorder.decisions[: int(engine.run[0]["decisions_used"])]).copy()
