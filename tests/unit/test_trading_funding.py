"""Funding by example: who pays, how much, when, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from builders_tape import INSTANT, MS, T0, Scripted, bbo, engine_of, funding, instrument, mark, tape
from edgesmith.domain.instruments import ContractKind
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_S
from edgesmith.trading.engine import Engine
from edgesmith.trading.execution import ExecutionConfig
from edgesmith.trading.python_driver import PythonDriver

RATE = 0.0001
DUE = T0 + 10 * NS_PER_S


def run_of(rows: list[dict[str, Any]], script: dict[int, Any], kind: ContractKind = ContractKind.LINEAR, **more: Any) -> Engine:
    engine = engine_of(PythonDriver(Scripted(script)), [instrument(kind)], **{"execution": INSTANT, **more})
    engine.feed(tape(rows))
    return engine


def paid(engine: Engine) -> int:
    return int(engine.run[0]["funding_e8"])


def held(*after: dict[str, Any], before: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
    return [bbo(T0, 2000.0, 2000.1, 50.0, 50.0), mark(T0 + 1, 2100.0), *before, *after]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("rate", [RATE, -RATE])
def test_a_linear_long_pays_a_positive_rate_on_the_mark_value(side: int, rate: float) -> None:
    rows = held(funding(T0 + 2, rate, DUE), bbo(DUE - 1, 2000.0, 2000.1), bbo(DUE, 2000.0, 2000.1), bbo(DUE + 1, 2000.0, 2000.1))
    engine = run_of(rows, {0: [("market", 0, side, 500, False)]})
    # 0.5 at the mark of 2100 is 1050, not the 1000 of the quotes.
    assert paid(engine) == round(-side * rate * 1_050 * 1e8)
    run = engine.run[0]
    assert int(run["cash_e8"]) == int(run["equity_start_e8"]) - side * (20001 if side > 0 else 20000) * 500 * 10_000 - int(
        run["fees_e8"]
    ) + paid(engine)


@pytest.mark.parametrize("side", [1, -1])
def test_an_inverse_long_pays_in_coin(side: int) -> None:
    rows = held(funding(T0 + 2, RATE, DUE), bbo(DUE, 2000.0, 2000.1))
    engine = run_of(rows, {0: [("market", 0, side, 30, False)]}, ContractKind.INVERSE)
    assert paid(engine) == round(-side * RATE * 30 * 100 / 2_100 * 1e8)


def test_without_a_mark_the_middle_of_the_quotes_counts() -> None:
    rows = [bbo(T0, 2000.0, 2000.2, 50.0, 50.0), funding(T0 + 1, RATE, DUE), bbo(DUE, 3000.0, 3000.2)]
    assert paid(run_of(rows, {0: [("market", 0, 1, 500, False)]})) == -round(RATE * 2_000.1 * 0.5 * 1e8)


def test_rows_repeated_every_second_pay_once_an_interval() -> None:
    rows = held()
    for second in range(1, 40):
        due = T0 + (second // 10 + 1) * 10 * NS_PER_S
        # The venue goes on announcing the interval just paid for two seconds.
        due -= 10 * NS_PER_S if second % 10 < 2 and second > 10 else 0
        rows += [funding(T0 + second * NS_PER_S, RATE * (second // 10 + 1), due), bbo(T0 + second * NS_PER_S + 1, 2000.0, 2000.1)]
    assert paid(run_of(rows, {0: [("market", 0, 1, 500, False)]})) == -round(RATE * 1_050 * 1e8) - round(
        2 * RATE * 1_050 * 1e8
    ) - round(3 * RATE * 1_050 * 1e8)


def test_an_interval_is_not_lost_when_the_next_announcement_is_the_first_event_after_it() -> None:
    rows = held(
        funding(T0 + 2, RATE, DUE), funding(DUE + NS_PER_S, 5 * RATE, DUE + NS_PER_HOUR), bbo(DUE + 2 * NS_PER_S, 2000.0, 2000.1)
    )
    assert paid(run_of(rows, {0: [("market", 0, 1, 500, False)]})) == -round(RATE * 1_050 * 1e8)


def test_an_interval_due_before_the_data_began_is_not_paid() -> None:
    stale = [funding(T0 + second * NS_PER_S, RATE, T0 - NS_PER_HOUR) for second in range(1, 5)]
    rows = held(*stale, bbo(T0 + 9 * NS_PER_S, 2000.0, 2000.1))
    assert paid(run_of(rows, {0: [("market", 0, 1, 500, False)]})) == 0


def test_a_rate_that_is_no_number_is_not_taken() -> None:
    rows = held(funding(T0 + 2, RATE, DUE), funding(T0 + 3, float("nan"), DUE), bbo(DUE, 2000.0, 2000.1))
    assert paid(run_of(rows, {0: [("market", 0, 1, 500, False)]})) == -round(RATE * 1_050 * 1e8)


def test_what_the_venue_holds_at_the_moment_counts_not_what_we_know() -> None:
    """The exit was matched before the interval ended, though its report came after: nothing is held, nothing is paid."""
    execution = ExecutionConfig(entry_latency_ns=10 * MS, response_latency_ns=100 * MS, jitter_ratio=0.0)
    rows = held(
        funding(T0 + 2, RATE, DUE),
        bbo(DUE - 500 * MS, 2000.0, 2000.1),
        bbo(DUE - 40 * MS, 2000.0, 2000.1),
        bbo(DUE - 20 * MS, 2000.0, 2000.1),
        bbo(DUE + 1, 2000.0, 2000.1),
        bbo(DUE + NS_PER_S, 2000.0, 2000.1),
    )
    script = {0: [("market", 0, 1, 500, False)], 4: [("market", 0, -1, 500, False)]}
    engine = run_of(rows, script, execution=execution)
    assert (paid(engine), int(engine.run[0]["fills"])) == (0, 2)
    assert paid(run_of(rows, {0: script[0]}, execution=execution)) == -round(RATE * 1_050 * 1e8)
