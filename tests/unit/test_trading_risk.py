"""Risk rules by example: what each refuses and lets pass, that exits always pass, and when forced exits fire."""

from __future__ import annotations

from typing import Any

import pytest

from builders_tape import INSTANT, MS, NO_RISK, T0, Scripted, bbo, decisions_of, engine_of, fills_of, instrument, tape
from edgesmith.domain.instruments import ContractKind
from edgesmith.domain.orders import OrderOrigin, Reason, Side
from edgesmith.domain.units import NS_PER_DAY
from edgesmith.trading.execution import ExecutionConfig
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.risk import Approved, Refused, RiskConfig

QUIET = {"cooldown_events": 0, "max_daily_loss_ratio": 0.0, "stop_loss_ratio": 0.0, "take_profit_ratio": 0.0}
LATE = ExecutionConfig(entry_latency_ns=20 * MS, response_latency_ns=20 * MS, jitter_ratio=0.0)


def rules(**changes: Any) -> RiskConfig:
    return RiskConfig(**{**QUIET, **changes})


def still(count: int, *, start: int = T0, step: int = 10 * MS, price: float = 2000.0, places: int = 1) -> list[dict[str, Any]]:
    """Quotes that never move, round-robin over instruments."""
    return [bbo(start + index * step, price, price + 0.1, 100.0, 100.0, instrument=index % places) for index in range(count)]


class Asking(Scripted):
    """Calls `ask(ctx)` at given events and keeps what it was answered."""

    def __init__(self, plan: dict[int, Any]) -> None:
        super().__init__({})
        self.plan, self.answers = plan, []

    def on_event(self, event: Any, ctx: Any) -> None:
        super().on_event(event, ctx)
        if self.index in self.plan:
            self.answers.append(self.plan[self.index](ctx))


def ask(plan: dict[int, Any], rows: list[dict[str, Any]], risk: RiskConfig, **more: Any) -> tuple[list[Any], Any]:
    strategy = Asking(plan)
    engine = engine_of(PythonDriver(strategy), risk=risk, **more)
    engine.feed(tape(rows))
    return strategy.answers, engine


def verdicts(answers: list[Any]) -> list[Any]:
    return [answer.qty if isinstance(answer, Approved) else answer.reason for answer in answers]


def buy(qty: float, place: int = 0) -> Any:
    return lambda ctx: ctx.buy(qty, place)


def sell(qty: float, place: int = 0) -> Any:
    return lambda ctx: ctx.sell(qty, place)


def test_max_position_refuses_adding_and_clips_a_flip_to_its_exit() -> None:
    answers, engine = ask({1: buy(0.01), 2: buy(0.01), 3: sell(0.03), 4: sell(0.01)}, still(8), rules())
    # The flip at 3 closes 0.01 and may open 0.02 the other way: flat after its exit, it is the one position.
    assert verdicts(answers) == [0.01, Reason.MAX_POSITION, 0.03, Reason.MAX_POSITION]
    assert int(engine.run[0]["refused"][Reason.MAX_POSITION]) == 2


def test_max_position_counts_other_instruments_and_their_orders() -> None:
    pair = [instrument(symbol="A"), instrument(symbol="B")]
    plan = {2: buy(0.01, 0), 3: buy(0.01, 1), 30: sell(0.01, 0), 31: buy(0.01, 1)}
    answers, _ = ask(plan, still(60, places=2), rules(), instruments=pair, execution=LATE)
    assert verdicts(answers) == [0.01, Reason.MAX_POSITION, 0.01, Reason.MAX_POSITION]
    answers, _ = ask(plan, still(60, places=2), rules(max_positions=2), instruments=pair, execution=LATE)
    assert verdicts(answers) == [0.01, 0.01, 0.01, Reason.MAX_POSITION], "the last would add to the second"


def test_cooldown_counts_events_since_the_last_fill_and_lets_exits_pass() -> None:
    plan = {1: buy(0.01), 3: sell(0.03), 6: buy(0.02), 7: buy(0.02), 8: buy(0.02)}
    answers, _ = ask(plan, still(12), rules(cooldown_events=5))
    # The fill at event 3 is number 4 of the run: 6 to 8 are 3, 4 and 5 events later.
    assert verdicts(answers) == [0.01, 0.01, Reason.COOLDOWN, Reason.COOLDOWN, 0.02]


def test_short_is_refused_on_spot_even_without_risk() -> None:
    spot = [instrument(ContractKind.SPOT)]
    answers, engine = ask({1: sell(0.01), 2: buy(0.02), 3: sell(0.05), 4: sell(0.01)}, still(8), NO_RISK, instruments=spot)
    assert verdicts(answers) == [Reason.SHORT_NOT_ALLOWED, 0.02, 0.02, Reason.SHORT_NOT_ALLOWED]
    assert int(engine.books[0]["position_lots"]) == 0


def test_notional_limit_judges_the_position_after_the_order() -> None:
    plan = {1: buy(0.02), 2: buy(0.011), 3: buy(0.01), 4: sell(0.03)}
    answers, _ = ask(plan, still(8), rules(max_positions=5, max_position_notional=60.1))
    assert verdicts(answers) == [0.02, Reason.MAX_NOTIONAL, 0.01, 0.03]


def test_resting_bids_add_up_against_the_notional_limit() -> None:
    def bid(ctx: Any) -> Any:
        return ctx.limit(Side.BUY, 0.02, 1999.0)

    answers, _ = ask({1: bid, 2: bid}, still(8), rules(max_positions=5, max_position_notional=60.1))
    assert verdicts(answers) == [0.02, Reason.MAX_NOTIONAL]


def test_a_resting_order_is_nothing_to_exit_from() -> None:
    """An ask far away must not smuggle a purchase past risk as if it closed a short position."""
    plan = {1: lambda ctx: ctx.limit(Side.SELL, 0.05, 2500.0), 2: buy(0.05), 3: buy(0.05)}
    answers, engine = ask(plan, still(8), rules(max_position_notional=150.0))
    assert verdicts(answers) == [0.05, 0.05, Reason.MAX_POSITION]
    answers, engine = ask(plan, still(8), rules(max_position_notional=150.0, cooldown_events=100, max_positions=1))
    assert verdicts(answers)[2] == Reason.MAX_POSITION
    assert int(engine.books[0]["position_lots"]) == 50


def test_a_reduce_only_order_is_no_expected_position() -> None:
    plan = {
        1: lambda ctx: ctx.limit(Side.SELL, 0.5, 2000.0, reduce_only=True),
        2: lambda ctx: (ctx.position().pending_qty, ctx.buy(0.5)),
    }
    answers, _ = ask(plan, still(8), rules(max_position_notional=100.0), execution=LATE)
    assert answers[1] == (0.0, Refused(Reason.MAX_NOTIONAL))


def test_exits_pass_whatever_is_locked() -> None:
    rows = still(3) + still(20, start=T0 + 100 * MS, price=1900.0)
    risk = rules(max_daily_loss_ratio=0.0001, cooldown_events=1_000, max_position_notional=30.0)
    answers, engine = ask({1: buy(0.01), 6: sell(0.005), 7: buy(0.001), 8: sell(0.005), 9: sell(0.001)}, rows, risk)
    assert verdicts(answers) == [0.01, 0.005, Reason.MAX_POSITION, 0.005, Reason.COOLDOWN]
    assert int(engine.run[0]["daily_locked"]) == 1


def test_daily_loss_lock_opens_at_utc_midnight_to_the_nanosecond() -> None:
    midnight = (T0 // NS_PER_DAY + 1) * NS_PER_DAY
    rows = [
        bbo(midnight - 5 * MS, 2000.0, 2000.1),
        bbo(midnight - 4 * MS, 1900.0, 1900.1),
        bbo(midnight - 3 * MS, 1900.0, 1900.1),
        bbo(midnight - 1, 1900.0, 1900.1),
        bbo(midnight, 1900.0, 1900.1),
        bbo(midnight + 1, 1900.0, 1900.1),
    ]
    plan = {0: buy(0.1), 1: sell(0.1), 2: buy(0.1), 3: buy(0.1), 4: buy(0.1)}
    answers, engine = ask(plan, rows, rules(max_daily_loss_ratio=0.0009))
    assert verdicts(answers) == [0.1, 0.1, Reason.DAILY_LOSS, Reason.DAILY_LOSS, 0.1]
    assert int(engine.run[0]["daily_locks"]) == 1


def test_daily_loss_starts_from_zero_each_day() -> None:
    midnight = (T0 // NS_PER_DAY + 1) * NS_PER_DAY
    fall = [2000.0, 1995.0, 1990.0, 1990.0]
    rows = [bbo(midnight + offset * MS, price, price + 0.1) for offset, price in zip((-5, -4, 1, 2), fall, strict=True)]
    plan = {0: buy(0.1), 1: sell(0.05), 2: sell(0.05), 3: buy(0.1)}
    # 0.25 lost before midnight and 0.5 after it, with a limit of 0.6 a day: no day has lost that much.
    answers, _ = ask(plan, rows, rules(max_daily_loss_ratio=0.00006), execution=ExecutionConfig(
        entry_latency_ns=0, response_latency_ns=0, jitter_ratio=0.0, taker_fee_ratio=0.0
    ))  # fmt: skip
    assert verdicts(answers) == [0.1, 0.05, 0.05, 0.1]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("move", "origin"), [(-1, OrderOrigin.STOP_LOSS), (1, OrderOrigin.TAKE_PROFIT)])
@pytest.mark.parametrize("kind", [ContractKind.LINEAR, ContractKind.INVERSE])
def test_stop_and_take_fire_on_the_mark_against_the_average_entry(
    side: int, move: int, origin: OrderOrigin, kind: ContractKind
) -> None:
    qty = 10 if kind is ContractKind.INVERSE else 0.01
    what = instrument(kind)
    # Bought at 2000.1, sold at 2000.0: the mark must be 1 % away from that, in the direction that hurts or helps.
    entry = 2000.1 if side > 0 else 2000.0
    levels = {shift: entry * (1 + side * move * shift) for shift in (0.0097, 0.0105)}
    rows = still(3) + [
        bbo(T0 + (100 + place) * MS, round(price, 1) - 0.1, round(price, 1) + 0.1, 100.0, 100.0)
        for place, price in enumerate([*levels.values(), levels[0.0105]])
    ]
    risk = RiskConfig(stop_loss_ratio=0.01, take_profit_ratio=0.01, cooldown_events=0)
    strategy = Scripted({1: [("market", 0, side, what.lots(qty), False)]})
    engine = engine_of(PythonDriver(strategy), [what], risk=risk, equity_start=1_000_000.0)
    engine.feed(tape(rows))
    fills = fills_of(engine)
    assert fills["origin"].tolist() == [OrderOrigin.STRATEGY, origin]
    assert int(fills["ts_match"][1]) == T0 + 101 * MS
    assert int(fills["side"][1]) == -side
    assert int(engine.run[0]["forced_exits"]) == 1
    assert int(engine.books[0]["position_lots"]) == 0
    assert (int(engine.run[0]["realized_e8"]) > 0) == (move > 0)


def test_stops_watch_every_instrument_on_its_own() -> None:
    fallen = [bbo(T0 + (100 + at) * MS, 1960.0, 1960.1, 9.0, 9.0, instrument=place) for at, place in enumerate((2, 0))]
    rows = still(6, places=3) + fallen
    instruments = [instrument(symbol=name) for name in "ABC"]
    script = {3: [("market", 0, 1, 5, False)], 4: [("market", 1, 1, 5, False)], 5: [("market", 2, -1, 5, False)]}
    risk = RiskConfig(max_positions=3, cooldown_events=0, stop_loss_ratio=0.01, take_profit_ratio=0.01)
    engine = engine_of(PythonDriver(Scripted(script)), instruments, risk=risk)
    engine.feed(tape(rows))
    forced = [(int(line["instrument"]), int(line["origin"])) for line in fills_of(engine) if line["origin"]]
    assert forced == [(2, OrderOrigin.TAKE_PROFIT), (0, OrderOrigin.STOP_LOSS)]
    assert engine.books["position_lots"].tolist() == [0, 5, 0]


def test_a_stop_racing_the_strategys_own_exit_never_turns_the_position() -> None:
    """Both are on their way at once; whichever arrives second finds nothing left to close, and no entry slips in between."""
    rows = still(10) + [bbo(T0 + (100 + place) * MS, 1960.0, 1960.1, 9.0, 9.0) for place in range(200)]
    risk = RiskConfig(stop_loss_ratio=0.01, take_profit_ratio=0.0, cooldown_events=0)
    for exit_at in (10, 11):
        plan = {2: buy(0.01), exit_at: sell(0.01), exit_at + 1: buy(0.01), exit_at + 2: sell(0.01)}
        answers, engine = ask(plan, rows, risk, execution=LATE)
        assert set(fills_of(engine)["position_lots"].tolist()) == {10, 0}, verdicts(answers)
        assert int(engine.run[0]["open_orders"]) == 0
        assert engine.books[["pending_lots", "reduce_buy_lots", "reduce_sell_lots", "venue_lots"]].tolist() == [(0, 0, 0, 0)]


def test_no_entry_while_a_stop_is_on_its_way() -> None:
    """A strategy that wants its position back in the very event its stop fired would make the stop cost twice and end nothing."""
    rows = still(10) + [bbo(T0 + (100 + place) * MS, 1960.0, 1960.1, 9.0, 9.0) for place in range(100)]
    answers, engine = ask({2: buy(0.01), 10: buy(0.01)}, rows, RiskConfig(max_positions=5, cooldown_events=0), execution=LATE)
    assert verdicts(answers) == [0.01, Reason.COOLDOWN]
    assert fills_of(engine)["origin"].tolist() == [OrderOrigin.STRATEGY, OrderOrigin.STOP_LOSS]


def test_open_orders_are_capped_and_exits_keep_their_places() -> None:
    def flood(ctx: Any) -> Any:
        return [ctx.limit(Side.BUY, 0.001, 1500.0) for _ in range(60)]

    rows = [*still(10), bbo(T0 + 200 * MS, 1960.0, 1960.1, 9.0, 9.0), bbo(T0 + 201 * MS, 1960.0, 1960.1, 9.0, 9.0)]
    answers, engine = ask({1: buy(0.01), 3: flood}, rows, RiskConfig(max_positions=9, cooldown_events=0))
    refused = [answer for answer in answers[1] if isinstance(answer, Refused)]
    assert refused == [Refused(Reason.MAX_OPEN_ORDERS)] * 4
    assert int(engine.books[0]["position_lots"]) == 0, "the stop found no place"


def test_repeated_refusals_are_counted_each_time_and_recorded_once() -> None:
    answers, engine = ask({index: buy(0.01) for index in range(1, 7)}, still(8), rules())
    assert verdicts(answers) == [0.01] + [Reason.MAX_POSITION] * 5
    assert int(engine.run[0]["refused"][Reason.MAX_POSITION]) == 5
    assert decisions_of(engine)["reason"].tolist() == [0, Reason.MAX_POSITION]


def test_the_border_refuses_what_makes_no_sense() -> None:
    plan = {
        1: buy(0.0004),
        2: buy(-1.0),
        3: lambda ctx: ctx.limit(Side.BUY, 0.01, 2000.03),
        4: buy(float("nan")),
        5: buy(1e13),
        6: buy(1e9),
    }
    answers, engine = ask(plan, still(9), NO_RISK)
    zero, invalid = Reason.QTY_ZERO, Reason.INVALID_INTENT
    assert verdicts(answers) == [zero, zero, Reason.OFF_GRID, zero, invalid, invalid]
    assert int(engine.run[0]["orders_sent"]) == 0


def test_an_order_before_the_first_quote_is_refused() -> None:
    rows = [{"kind": 2, "ts_event": T0, "mark_price": 2000.0}, *still(2, start=T0 + MS)]
    answers, _ = ask({0: buy(0.01), 1: buy(0.01)}, rows, NO_RISK, execution=INSTANT)
    assert verdicts(answers) == [Reason.NO_QUOTE, 0.01]
