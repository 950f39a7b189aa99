"""Events one at a time through the live entry: the same bytes as chunks."""

from __future__ import annotations

from pathlib import Path

from builders_tape import engine_of, instrument, random_tape
from edgesmith.strategies.registry import find_strategy
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine
from edgesmith.trading.risk import RiskConfig
from edgesmith.trading.strategy import configure

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ema_cross_compiled.py"
# Loose enough to trade often: what is compared must not be two empty runs.
RISK = RiskConfig(max_positions=2, cooldown_events=0)
EVENTS, SEED = 4_000, 5


def engine(*, live: bool) -> Engine:
    strategy = configure(find_strategy(f"{EXAMPLE}:EmaCross"), {"fast_events": 3, "slow_events": 7, "order_qty": 0.01})
    return engine_of(CompiledDriver(strategy, live=live), [instrument(symbol="A"), instrument(symbol="B")], risk=RISK, seed=SEED)


def outcome(run: Engine) -> tuple[object, ...]:
    state = run.state_hash
    run.finish()
    return state, run.recorder.fills_hash, run.recorder.decision_hash, int(run.run[0]["fills"]), run.curves.equity.tobytes()


def test_one_event_at_a_time_gives_the_same_bytes() -> None:
    tape = random_tape(SEED, EVENTS, 2)
    whole, single = engine(live=False), engine(live=True)
    whole.feed(tape)
    for index in range(len(tape)):
        single.feed(tape[index : index + 1])
    expected = outcome(whole)
    assert expected[3] > 100
    assert outcome(single) == expected


def test_a_full_buffer_is_emptied_on_the_way() -> None:
    tape = random_tape(SEED, 200, 2)
    run = engine(live=True)
    for index in range(100):
        run.feed(tape[index : index + 1])
    run.run["fills_used"] = len(run.recorder.fills) - 1
    run.feed(tape[100:101])
    assert int(run.run["events"][0]) == 101
    assert int(run.run["fills_used"][0]) < 10


def test_two_live_engines_share_nothing() -> None:
    tape = random_tape(SEED, 500, 2)
    first, second = engine(live=True), engine(live=True)
    for index in range(len(tape)):
        first.feed(tape[index : index + 1])
    assert int(second.run["events"][0]) == 0
    second.feed(tape[:10])
    assert int(first.run["events"][0]) == 500
