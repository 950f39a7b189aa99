"""What must hold for every run: of the books, of the simulated venue, and of what may be known when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders_strategies import HONEST, TIGHT_RISK, Curious, Noise
from builders_tape import (
    INSTANT,
    MS,
    NO_RISK,
    T0,
    Scripted,
    bbo,
    decisions_of,
    engine_of,
    fills_of,
    instrument,
    random_script,
    random_tape,
    tape,
)
from edgesmith.domain.events import Stream
from edgesmith.domain.instruments import ContractKind
from edgesmith.domain.orders import Reason, TimeInForce
from edgesmith.domain.records import joined
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.execution import ExecutionConfig
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.strategy import CompiledStrategy
from naive.ledger import drawdown_max, fee_e8, mark_e8, value_e8

KINDS = [ContractKind.LINEAR, ContractKind.INVERSE, ContractKind.SPOT]
SEEDS = range(3)
EVENTS = 1_500
SLOW = ExecutionConfig(entry_latency_ns=15 * MS, response_latency_ns=5 * MS, jitter_ratio=0.0)


def scripted_run(seed: int, execution: ExecutionConfig, *, latency_ns_max: int = 0, kind: ContractKind = ContractKind.LINEAR):
    strategy = Scripted(random_script(seed, EVENTS, 1, rate=0.2))
    events = random_tape(seed, EVENTS, 1, latency_ns_max=latency_ns_max)
    engine = engine_of(PythonDriver(strategy), [instrument(kind)], execution=execution, seed=seed)
    engine.feed(events)
    return engine, strategy, events, fills_of(engine)


# Books.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("execution", [HONEST, INSTANT], ids=["honest", "instant"])
def test_replaying_the_fills_gives_the_live_books(kind: ContractKind, execution: ExecutionConfig) -> None:
    engine, _, _, fills = scripted_run(11, execution, kind=kind)
    run, book, what = engine.run[0], engine.books[0], engine.instruments[0]
    assert len(fills) > 50
    signed = fills["side"].astype(np.int64) * fills["lots"]
    values = [value_e8(what, int(lots), int(price)) for lots, price in zip(signed, fills["price_ticks"], strict=True)]
    assert [fee_e8(what, value, bool(maker)) for value, maker in zip(values, fills["is_maker"], strict=True)] == fills[
        "fee_e8"
    ].tolist()
    assert int(run["cash_e8"]) - int(run["equity_start_e8"]) == -sum(values) - int(fills["fee_e8"].sum()) + int(run["funding_e8"])
    assert int(book["position_lots"]) == int(signed.sum()) == int(fills["position_lots"][-1])
    assert fills["position_lots"].tolist() == np.cumsum(signed).tolist()
    assert int(run["realized_e8"]) == int(fills["realized_e8"].sum())
    assert int(run["fees_e8"]) == int(fills["fee_e8"].sum())
    mark = mark_e8(what, int(book["position_lots"]), int(book["bid_ticks"]), int(book["ask_ticks"]))
    assert int(run["equity_e8"]) == int(run["cash_e8"]) + mark
    # What was realized and what is open is all there is.
    unrealized = mark - int(book["cost_e8"])
    change = int(run["equity_e8"]) - int(run["equity_start_e8"])
    assert change == int(run["realized_e8"]) + unrealized - int(run["fees_e8"]) + int(run["funding_e8"])


@pytest.mark.parametrize("seed", SEEDS)
def test_streamed_drawdown_is_that_of_the_equity_series(seed: int) -> None:
    class Meter(Scripted):
        def on_event(self, event: Any, ctx: Any) -> None:
            super().on_event(event, ctx)
            self.told.append(round(ctx.equity * 1e8))

        def on_fill(self, fill: Any, ctx: Any) -> None:
            self.told.append(round(ctx.equity * 1e8))

    strategy = Meter(random_script(seed, 600, 1))
    engine = engine_of(PythonDriver(strategy), execution=INSTANT)
    engine.feed(random_tape(seed, 600))
    amount, ratio = drawdown_max([line for line in strategy.told if isinstance(line, int)], 10**12)
    assert int(engine.run[0]["drawdown_max_e8"]) == amount > 0
    assert float(engine.run[0]["drawdown_ratio_max"]) == ratio > 0.0


@pytest.mark.parametrize("risk", [NO_RISK, TIGHT_RISK])
def test_no_orders_no_profit(risk: Any) -> None:
    engine = engine_of(PythonDriver(Scripted({})), risk=risk, execution=HONEST)
    engine.feed(random_tape(1, 800))
    engine.finish()
    run = engine.run[0]
    assert int(run["equity_e8"]) == int(run["cash_e8"]) == int(run["equity_start_e8"])
    for name in ("realized_e8", "fees_e8", "funding_e8", "drawdown_max_e8", "turnover_e8", "orders_sent", "exposure_ns"):
        assert int(run[name]) == 0, name
    rows = engine.curves.equity[: int(run["curve_used"])]
    assert set(rows["equity_min"]) == set(rows["equity_max"]) == {int(run["equity_start_e8"])}


def test_mirrored_market_mirrors_the_run() -> None:
    """Selling in a market turned around 2000 earns exactly what buying earned: no sign is favored."""
    events = random_tape(21, EVENTS, latency_ns_max=0)
    turned = events.copy()
    quote, printed = events["kind"] == Stream.BBO, events["kind"] == Stream.TRADE
    for ours, theirs in (("bid", "ask"), ("ask", "bid")):
        turned[f"{ours}_price"][quote] = np.round(4000.0 - events[f"{theirs}_price"][quote], 1)
        turned[f"{ours}_qty"][quote] = events[f"{theirs}_qty"][quote]
    turned["price"][printed] = np.round(4000.0 - events["price"][printed], 1)
    turned["side"][printed] = -events["side"][printed]
    keep = quote | printed
    script = {
        index: [a for a in actions if a[0] == "market"]
        for index, actions in random_script(21, int(keep.sum()), 1, rate=0.2).items()
    }
    flipped = {index: [(a[0], a[1], -a[2], *a[3:]) for a in actions] for index, actions in script.items()}
    runs = []
    for tape_, plan in ((events, script), (turned, flipped)):
        engine = engine_of(PythonDriver(Scripted(plan)), execution=ExecutionConfig(maker_fee_ratio=0.0, taker_fee_ratio=0.0))
        engine.feed(joined([np.asarray(tape_)[keep]]))
        runs.append(engine)
    assert int(runs[0].run[0]["fills"]) > 50
    for name in ("equity_e8", "realized_e8", "drawdown_max_e8", "wins", "round_trips", "round_trip_pnl_e8", "holding_ns"):
        assert int(runs[0].run[0][name]) == int(runs[1].run[0][name]), name


# The venue.


@pytest.mark.parametrize("seed", SEEDS)
def test_takers_never_beat_the_touch_and_nobody_beats_a_limit(seed: int) -> None:
    _, strategy, events, fills = scripted_run(seed, SLOW)
    quotes = events[events["kind"] == Stream.BBO]
    matched: dict[int, int] = {}
    assert 0 < np.count_nonzero(fills["is_maker"]) < len(fills)
    for fill in fills:
        action, lots, limit, decided = strategy.orders[int(fill["order_id"])]
        side, price = int(fill["side"]), int(fill["price_ticks"])
        matched[int(fill["order_id"])] = matched.get(int(fill["order_id"]), 0) + int(fill["lots"])
        assert int(fill["ts_match"]) >= decided + SLOW.entry_latency_ns
        assert int(fill["ts_known"]) >= int(fill["ts_match"]) + SLOW.response_latency_ns
        assert matched[int(fill["order_id"])] <= lots
        if limit is not None:
            assert (round(limit / 0.1) - price) * side >= 0
        if fill["is_maker"]:
            assert price == round(limit / 0.1)
            continue
        book = quotes[quotes["ts_event"] < fill["ts_match"]][-1]
        touch = round((book["ask_price"] if side > 0 else book["bid_price"]) / 0.1)
        assert (price - touch) * side >= 0
        if action[0] == "limit":
            assert not action[7], "a post-only order took"


@pytest.mark.parametrize("seed", SEEDS)
def test_takers_eat_displayed_size_tick_by_tick(seed: int) -> None:
    _, _, events, fills = scripted_run(seed, SLOW)
    quotes = events[events["kind"] == Stream.BBO]
    taken: dict[tuple[int, int], int] = {}
    for fill in fills[fills["is_maker"] == 0]:
        key = (int(fill["order_id"]), int(fill["price_ticks"]))
        assert key not in taken, "a level filled one order twice"
        book = quotes[quotes["ts_event"] < fill["ts_match"]][-1]
        shown = round((book["ask_qty"] if fill["side"] > 0 else book["bid_qty"]) / 0.001)
        taken[key] = int(fill["lots"])
        assert taken[key] <= max(shown, 1)


@pytest.mark.parametrize("execution", [SLOW, HONEST, INSTANT], ids=["slow", "honest", "instant"])
@pytest.mark.parametrize("seed", SEEDS)
def test_reduce_only_reduces_and_ioc_never_rests(seed: int, execution: ExecutionConfig) -> None:
    engine, strategy, _, fills = scripted_run(seed, execution, latency_ns_max=20 * MS)
    position, reduced = 0, 0
    first_match: dict[int, int] = {}
    for fill in fills:
        action, _, _, _ = strategy.orders[int(fill["order_id"])]
        side, lots = int(fill["side"]), int(fill["lots"])
        if action[4]:
            assert position * side < 0 and lots <= abs(position), "a reduce-only order opened or turned a position"
            reduced += 1
        if action[0] == "market" or action[6] == TimeInForce.IOC:
            assert not fill["is_maker"]
            assert first_match.setdefault(int(fill["order_id"]), int(fill["ts_match"])) == int(fill["ts_match"])
        position += side * lots
    assert reduced > 3
    assert position == int(engine.books[0]["venue_lots"]) or int(engine.run[0]["report_count"]) > 0


def test_instant_preset_fills_at_the_touch_of_the_event_itself() -> None:
    from edgesmith.trading.execution import execution_preset

    script = {index: [("market", 0, 1 if index % 2 else -1, 50, False)] for index in range(100, 600, 7)}
    strategy, events = Scripted(script), random_tape(6, 600)
    engine = engine_of(PythonDriver(strategy), execution=execution_preset("instant"))
    engine.feed(events)
    fills = fills_of(engine)
    assert len(fills) == len(script)
    for fill, index in zip(fills, script, strict=True):
        book = events[: index + 1][events["kind"][: index + 1] == Stream.BBO][-1]
        touch = book["ask_price"] if fill["side"] > 0 else book["bid_price"]
        assert int(fill["price_ticks"]) == round(touch / 0.1)
        assert int(fill["ts_match"]) == int(fill["ts_known"]) == int(events["ts_recv"][: index + 1].max())
        assert int(fill["fee_e8"]) == round(int(fill["price_ticks"]) * 50 * 10_000 * 0.0004)


# What may be known when.

FORMS = {"compiled": lambda: CompiledDriver(Noise()), "python": lambda: PythonDriver(Curious(4))}


@pytest.mark.parametrize("form", FORMS)
def test_the_future_never_changes_the_past(form: str) -> None:
    """Tapes that agree up to an event give the same decisions and fills up to it, whatever follows, or when nothing does."""
    cut, instruments = 900, [instrument(symbol="A"), instrument(symbol="B")]
    events = np.asarray(random_tape(4, EVENTS, 2)).copy()
    other = np.asarray(random_tape(5, EVENTS, 2)).copy()
    other = other[other["ts_recv"] > events["ts_recv"][cut]]
    known = []
    for later in (events[:0], events[cut + 1 :], other):
        engine = engine_of(FORMS[form](), instruments, execution=HONEST, risk=TIGHT_RISK)
        engine.feed(joined([events[: cut + 1], later]))
        known.append((decisions_of(engine), fills_of(engine)))
    prefix_decisions, prefix_fills = known[0]
    assert min(len(prefix_decisions), len(prefix_fills)) > 20
    for decisions, fills in known[1:]:
        assert len(decisions) > len(prefix_decisions)
        assert decisions[: len(prefix_decisions)].tobytes() == prefix_decisions.tobytes()
        assert fills[: len(prefix_fills)].tobytes() == prefix_fills.tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_market_after_arrival_does_not_change_a_taker_fill(seed: int) -> None:
    """Prices from the arrival of an order on can be anything: the order was matched before them."""
    events = random_tape(seed, 400, latency_ns_max=0)
    decided = 200
    strategy = Scripted({decided: [("market", 0, 1, 5, False)]})
    engine = engine_of(PythonDriver(strategy), execution=SLOW)
    engine.feed(events)
    (match_ts,) = set(fills_of(engine)["ts_match"].tolist())
    assert match_ts == int(events["ts_recv"][decided]) + SLOW.entry_latency_ns
    changed = events.copy()
    late = (events["ts_event"] >= match_ts) & (events["kind"] == Stream.BBO)
    changed["bid_price"][late] += 50.0
    changed["ask_price"][late] += 50.0
    again = engine_of(PythonDriver(Scripted({decided: [("market", 0, 1, 5, False)]})), execution=SLOW)
    again.feed(joined([changed]))
    columns = ["ts_match", "price_ticks", "lots", "is_maker"]
    assert fills_of(again)[columns].tolist() == fills_of(engine)[columns].tolist()


class Foresight(CompiledStrategy):
    """Wants what the next quote will reward; the sizes of the quote carry the answer."""

    name = "foresight"
    streams = (Stream.BBO,)

    @staticmethod
    def decide(view: Any) -> float:
        """Return a long position before a rise, a short one before a fall."""
        if view.bid_qty > view.ask_qty:
            return 0.001
        if view.bid_qty < view.ask_qty:
            return -0.001
        return 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_knowing_the_next_quote_is_worth_nothing_once_orders_travel_longer(seed: int) -> None:
    """Quotes come every 10 ms and move at random: knowing one ahead pays when orders arrive before it, and only then."""
    rng = np.random.default_rng(seed)
    moves = rng.choice([-2, 2], 3_000)
    mid = 20_000 + np.concatenate(([0], np.cumsum(moves)))[:-1]
    rows = [
        bbo(T0 + index * 10 * MS, (mid[index] - 1) / 10, (mid[index] + 1) / 10, 2.0 if moves[index] > 0 else 1.0, 1.5)
        for index in range(len(moves))
    ]
    profit = {}
    for latency_ms in (0, 5, 12, 25):
        execution = ExecutionConfig(
            entry_latency_ns=latency_ms * MS, response_latency_ns=0, feed_latency_ns=0, jitter_ratio=0.0, taker_fee_ratio=0.0
        )
        engine = engine_of(CompiledDriver(Foresight()), execution=execution)
        engine.feed(tape(rows))
        run = engine.run[0]
        profit[latency_ms] = int(run["equity_e8"]) - int(run["equity_start_e8"])
        assert int(run["fills"]) > 1_000
    assert min(profit[0], profit[5]) > 0
    assert max(profit[12], profit[25]) < 0


def test_orders_that_ended_are_told_once_and_explained() -> None:
    _, strategy, _, fills = scripted_run(1, SLOW)
    ended = [line for line in strategy.told if isinstance(line, tuple)]
    assert len({order_id for order_id, _, _ in ended}) == len(ended)
    reasons = {reason for _, reason, _ in ended}
    assert {Reason.WOULD_TAKE, Reason.REDUCE_ONLY, Reason.UNFILLED, Reason.CANCEL_REQUESTED} <= reasons
    assert Reason.NONE not in reasons
    assert [fill.fill_id for fill in strategy.told if not isinstance(fill, tuple)] == fills["fill_id"].tolist()
