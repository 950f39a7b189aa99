"""The compiled run equals the plain-Python one to the last unit: fills, cash, position, fees, funding, drawdown, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from builders_tape import INSTANT, Scripted, engine_of, fills_of, instrument, random_script, random_tape
from edgesmith.domain.instruments import ContractKind
from edgesmith.domain.orders import OrderType, TimeInForce
from edgesmith.domain.records import joined
from edgesmith.trading.execution import DepthModel, ExecutionConfig, QueueModel
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.risk import RiskConfig
from naive.ledger import drawdown_max
from naive.venue import NaiveRun

EVENTS = 700
HONEST = ExecutionConfig(jitter_ratio=0.5)
LINEAR, INVERSE, SPOT = ContractKind.LINEAR, ContractKind.INVERSE, ContractKind.SPOT
RISK = RiskConfig(
    max_positions=2, cooldown_events=2, max_daily_loss_ratio=0.00001, stop_loss_ratio=0.0008, take_profit_ratio=0.001
)
NOTIONAL = RiskConfig(max_positions=3, cooldown_events=0, stop_loss_ratio=0.0005, max_position_notional=60.0)
OFF = RiskConfig(enabled=False)
SLOW = ExecutionConfig(entry_latency_ns=1_500_000_000, response_latency_ns=200_000_000)

CASES = [
    (HONEST, OFF, (LINEAR,)),
    (HONEST, RISK, (LINEAR, LINEAR, LINEAR)),
    (HONEST, NOTIONAL, (LINEAR, SPOT)),
    (HONEST, RISK, (INVERSE,)),
    (HONEST, RISK, (SPOT, LINEAR)),
    (INSTANT, RISK, (LINEAR, LINEAR)),
    (INSTANT, OFF, (INVERSE, INVERSE)),
    (SLOW, RISK, (LINEAR, LINEAR)),
]


def variant(execution: ExecutionConfig, queue: QueueModel, depth: DepthModel) -> ExecutionConfig:
    fields = {name: getattr(execution, name) for name in execution.__struct_fields__}
    return ExecutionConfig(**{**fields, "queue_model": queue, "depth_model": depth})


def naive_run(events, script, instruments, execution, risk, seed, equity_start=10_000.0):
    run = NaiveRun(instruments, execution, risk, equity_start=equity_start, seed=seed)
    names = events.dtype.names
    for index in range(len(events)):
        run.on_event({name: events[name][index].item() for name in names})
        for action in script.get(index, ()):
            if action[0] == "cancel":
                run.cancel(1 + int(action[1] * sent_by_strategy(run)))
                continue
            name, place, side, lots, reduce_only, *rest = action
            if name == "market":
                order_id = run.submit(place, side, lots, OrderType.MARKET, reduce_only=reduce_only)
            elif run.books[place].known:
                price = run.books[place].bid + rest[0]
                order_id = run.submit(
                    place, side, lots, OrderType.LIMIT, price, TimeInForce(rest[1]), post_only=rest[2], reduce_only=reduce_only
                )
            else:
                continue
            run.last_sent = max(sent_by_strategy(run), order_id)
        run.settle()
    return run


def sent_by_strategy(run) -> int:
    return getattr(run, "last_sent", 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", range(len(CASES)))
def test_run_equals_its_naive_twin(case: int, seed: int) -> None:
    execution, risk, kinds = CASES[case]
    queue = list(QueueModel)[(seed + seed // 3) % 3]
    depth = list(DepthModel)[seed // 2 % 2]
    execution = variant(execution, queue, depth)
    settle = "BTC" if INVERSE in kinds else "USDT"
    instruments = [instrument(kind, f"S{place}", settle) for place, kind in enumerate(kinds)]
    seed += 100 * case
    events, script = random_tape(seed, EVENTS, len(kinds)), random_script(seed, EVENTS, len(kinds))
    strategy = Scripted(script)
    engine = engine_of(PythonDriver(strategy), instruments, execution=execution, risk=risk, seed=seed)
    engine.feed(events)
    naive = naive_run(events, script, instruments, execution, risk, seed)

    fills, ledger, run = fills_of(engine), naive.ledger, engine.run[0]
    columns = (
        "order_id",
        "instrument",
        "side",
        "lots",
        "price_ticks",
        "is_maker",
        "ts_match",
        "ts_known",
        "position_lots",
        "origin",
    )
    assert [tuple(int(line[name]) for name in columns) for line in fills] == [tuple(int(v) for v in line) for line in naive.fills]
    assert len(fills) > 5, "a case that hardly trades proves nothing"
    assert int(run["cash_e8"]) == ledger.cash_e8
    assert int(run["equity_e8"]) == ledger.equity_series[-1]
    assert int(run["fees_e8"]) == ledger.fees_e8
    assert int(run["funding_e8"]) == ledger.funding_e8
    assert int(run["turnover_e8"]) == ledger.turnover_e8
    # Average cost is rounded to 1e-8 at each partial close; the twin keeps fractions.
    assert abs(int(run["realized_e8"]) - ledger.realized_e8) <= len(fills)
    amount, ratio = drawdown_max(ledger.equity_series, naive.start_e8)
    assert int(run["drawdown_max_e8"]) == amount
    assert float(run["drawdown_ratio_max"]) == pytest.approx(ratio, rel=1e-12)
    assert {int(k): v for k, v in naive.refused.items()} == {
        place: int(count) for place, count in enumerate(run["refused"]) if count
    }
    assert (int(run["orders_sent"]), int(run["forced_exits"])) == (naive.sent, naive.forced_exits)
    assert int(run["round_trips"]) == len(ledger.trips)
    assert int(run["holding_ns"]) == sum(trip.closed_ts - trip.opened_ts for trip in ledger.trips)
    assert abs(int(run["round_trip_pnl_e8"]) - sum(trip.net_e8 for trip in ledger.trips)) <= 2 * len(fills)
    assert [int(book["venue_lots"]) for book in engine.books] == [book.venue_lots for book in naive.books]


def test_cases_reach_every_rule() -> None:
    """The cases above are only worth something if they meet forced exits, refusals, fundings and partial fills."""
    seen: set[str] = set()
    for case, (execution, risk, kinds) in enumerate(CASES):
        settle = "BTC" if INVERSE in kinds else "USDT"
        instruments = [instrument(kind, f"S{place}", settle) for place, kind in enumerate(kinds)]
        events, script = random_tape(100 * case, EVENTS, len(kinds)), random_script(100 * case, EVENTS, len(kinds))
        run = naive_run(events, script, instruments, execution, risk, 100 * case)
        seen |= {reason.name for reason in run.refused}
        seen |= {"forced"} if run.forced_exits else set()
        seen |= {"funding"} if run.ledger.funding_e8 else set()
        seen |= {"maker" if fill[5] else "taker" for fill in run.fills}
        seen |= {"short" for fill in run.fills if fill[8] < 0}
    wanted = {
        "MAX_POSITION",
        "COOLDOWN",
        "DAILY_LOSS",
        "MAX_NOTIONAL",
        "SHORT_NOT_ALLOWED",
        "forced",
        "funding",
        "maker",
        "taker",
    }
    assert wanted | {"short"} <= seen, sorted(wanted - seen)


def test_any_chunking_gives_the_same_run() -> None:
    events, script = random_tape(5, EVENTS, 2), random_script(5, EVENTS, 2)
    hashes = set()
    for cuts in ([], [1], [350], sorted(np.random.default_rng(3).integers(1, EVENTS, 40).tolist()), list(range(1, EVENTS))):
        instruments = [instrument(symbol="A"), instrument(symbol="B")]
        engine = engine_of(PythonDriver(Scripted(script)), instruments, execution=HONEST, risk=RISK)
        for part in np.split(np.asarray(events), cuts):
            engine.feed(joined([part]) if len(part) else part)
        state = engine.state_hash
        engine.finish()
        hashes.add((engine.recorder.fills_hash, engine.recorder.decision_hash, state, engine.state_hash))
    assert len(hashes) == 1
