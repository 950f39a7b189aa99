"""Runs side by side are the runs they would be alone, to the byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders_lanes import Dice, QuoteDice, Turner, alone, both_ways, engines, side_by_side
from builders_strategies import HONEST
from builders_tape import INSTANT, NO_RISK, random_tape
from edgesmith.domain.records import as_records, joined
from edgesmith.errors import OrderingError
from edgesmith.trading.guards import GuardConfig, OrderingMode

TESTS = Path(__file__).resolve().parents[1]


class Drift:
    """A feature program of one column that moves with the events so far."""

    width = 1

    def new_state(self, instruments: int = 1) -> Any:
        return [0]

    def run(self, events: Any, out: Any, state: Any) -> None:
        out[:, 0] = (state[0] + np.arange(len(events))) * 0.37
        state[0] += len(events)


@pytest.mark.parametrize("execution", [HONEST, INSTANT], ids=["honest", "instant"])
@pytest.mark.parametrize("strategy", [Dice, QuoteDice])
@pytest.mark.parametrize("risk", [{}, {"risk": NO_RISK}], ids=["risk", "free"])
def test_every_run_is_what_it_is_alone(strategy, execution, risk) -> None:
    for seed in (1, 2):
        events = random_tape(seed, 3_000, 2, step=2)
        options = {"execution": execution, "program": Drift(), **risk}
        together = side_by_side(events, [1, 2, 600, 601, 2_000], engines(strategy, **options))
        assert together == alone(events, [], engines(strategy, **options)[:-1])
        fills = [found[2][0] for found in together]
        assert fills[0] > 50 and fills[1] > 10 and fills[3] == 0, "some must trade much, some little, one not at all"
        assert risk or sum(found[2][3] for found in together) > 3, "stops must be among it"


def spread_out(copies: int, gap_ns: int) -> Any:
    """Return a tape again and again, later each time, its events at least `gap_ns` apart."""
    once = np.asarray(random_tape(9, 1_500, 1))
    events = np.asarray(joined([once] * copies)).copy()
    events["ts_recv"] = events["ts_event"] = int(once["ts_event"][0]) + np.arange(len(events)) * gap_ns
    events["seq"] = np.arange(len(events))
    return as_records(events)


@pytest.mark.parametrize(("strategy", "gap_ns"), [(Turner, 1_000), (Dice, 1_100_000_000)], ids=["fills", "curve"])
def test_room_is_made_when_a_buffer_is_full(strategy, gap_ns) -> None:
    events = spread_out(20, gap_ns)
    options = {"instruments": 1, "execution": INSTANT, "risk": NO_RISK}
    assert side_by_side(events, [], engines(strategy, **options)) == alone(events, [], engines(strategy, **options)[:-1])


@pytest.mark.parametrize("mode", list(OrderingMode))
def test_an_event_out_of_order_is_the_same_to_all(mode) -> None:
    events = random_tape(4, 400, 2)
    events["ts_recv"][200] -= 1_000_000_000
    events[300] = events[299]
    guards = GuardConfig(ordering=mode)
    if mode is OrderingMode.STRICT:
        for way in (side_by_side, alone):
            with pytest.raises(OrderingError, match=r"event 200 .* does not follow"):
                way(events, [], engines(guards=guards))
        return
    together = side_by_side(events, [150], engines(guards=guards))
    assert together == alone(events, [], engines(guards=guards)[:-1])
    assert together[0][2][5] > 0


def test_plain_python_runs_side_by_side_alike() -> None:
    code = "import json; from builders_lanes import both_ways; print(json.dumps(both_ways()))"
    env = {**os.environ, "PYTHONPATH": str(TESTS), "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2_000:]
    compiled = both_ways()
    assert json.loads(done.stdout.splitlines()[-1]) == compiled
    assert compiled[:4] == compiled[4:]
