"""Features over several streams, grids and instruments against their naive twins, on a tape where takers meet the best prices."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
import pytest

from builders_features import LEADER, LEVEL_TICKS, NS_PER_MS, in_order, slow_tape, small_program
from edgesmith.domain.events import (
    EVENT,
    FLAG_AFTER_GAP,
    KIND_BBO,
    KIND_FUNDING,
    KIND_MARK_PRICE,
    KIND_OPEN_INTEREST,
    KIND_TRADE,
)
from edgesmith.features.catalog import feature, features
from edgesmith.features.operator import Unit
from edgesmith.features.program import Program
from naive import behavior, flow, grids
from naive import features as of_one_stream

OWN = 1
TWINS = {**vars(grids), **vars(flow)}
NAMES = [one.name for one in features() if one.name in TWINS and one.name not in vars(of_one_stream)]
# Differences of nearly equal numbers: error in units of the largest value in the column.
ABSOLUTE = 1e-9


def quotes(count: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["kind"] = KIND_BBO
    bid = LEVEL_TICKS + np.cumsum(rng.choice([-1, 0, 0, 0, 0, 1], count))
    events["bid_price"], events["ask_price"] = bid * 0.1, (bid + rng.choice([1, 1, 1, 2], count)) * 0.1
    events["bid_qty"], events["ask_qty"] = rng.integers(1, 20, count), rng.integers(1, 20, count)
    events["ts_recv"] = np.cumsum(rng.integers(0, 12, count)) * NS_PER_MS + rng.integers(0, 1_000, count)
    events["ts_recv"] = np.maximum.accumulate(events["ts_recv"])
    return events


@functools.cache
def tape() -> Any:
    rng = np.random.default_rng(5)
    own, leader = quotes(260, 3), quotes(120, 4)
    own["flags"][[60, 200]] = FLAG_AFTER_GAP
    taken = np.sort(rng.choice(len(own), 160))
    trades = np.zeros(len(taken), EVENT)
    trades["kind"] = KIND_TRADE
    trades["side"] = rng.choice([-1, 1], len(taken))
    trades["ts_recv"] = own["ts_recv"][taken] + rng.integers(0, 3, len(taken)) * NS_PER_MS
    trades["price"] = np.where(trades["side"] > 0, own["ask_price"][taken], own["bid_price"][taken])
    trades["qty"] = rng.integers(1, 12, len(taken)) * 0.5
    slow = [slow_tape(kind, 12, kind) for kind in (KIND_MARK_PRICE, KIND_FUNDING, KIND_OPEN_INTEREST)]
    for part in (leader, *slow):
        part["ts_recv"] = part["ts_recv"] / part["ts_recv"][-1] * own["ts_recv"][-1]
    for part in (own, trades, *slow):
        part["instrument"] = OWN
    for part in (own, leader, trades, *slow):
        part["seq"] = np.arange(len(part))
    return in_order([own, leader, np.sort(trades, order=["ts_recv", "seq"]), *slow])


@functools.cache
def as_rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = [{name: event[name].item() for name in EVENT.names} | {"order": k} for k, event in enumerate(tape())]
    return [row for row in rows if row["instrument"] == OWN], [row for row in rows if row["instrument"] == LEADER]


@functools.cache
def rows_of_own() -> Any:
    return small_program().compute(tape(), instruments=2)[tape()["instrument"] == OWN]


def test_every_feature_has_a_twin() -> None:
    missing = [one.name for one in features() if one.name not in {**TWINS, **vars(of_one_stream), **vars(behavior)}]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_twin(name: str) -> None:
    program, rows = small_program(), rows_of_own()
    column = program.names.index(name)
    spec, got, twin = program.features[column], rows[:, column], TWINS[name]
    own, leader = as_rows()
    arguments = [own, leader] if "leader_quotes" in inspect.signature(twin).parameters else [own]
    params = {key: value for key, value in spec.params if key != "leader"}
    wanted = np.array(twin(*arguments, **params), np.float64)
    assert np.isfinite(wanted).sum() > 100
    if spec.definition.unit is Unit.LABEL:
        assert np.mean((got == wanted) | (np.isnan(got) & np.isnan(wanted))) > 0.99
        return
    assert np.nanstd(wanted) > 0.0 or name == "minute_of_day", "the tape never moves it"
    np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=ABSOLUTE * np.nanmax(np.abs(wanted)))


def test_a_leader_beside_the_run_is_refused() -> None:
    with pytest.raises(Exception, match="expected at least 4: a feature looks at instrument 3"):
        Program([feature("leader_return", leader=3)]).new_state(2)


def test_t27_trades_of_one_instant_may_come_in_any_order() -> None:
    # Sums over trades do not depend on the order within one receive time; everything that meets the book does.
    events = tape()[(tape()["instrument"] == OWN) & (tape()["kind"] == KIND_TRADE)].copy()
    events["ts_recv"] = events["ts_recv"] // (40 * NS_PER_MS) * (40 * NS_PER_MS)
    events["instrument"] = 0
    program = Program(
        [feature(name, warmup_events=1) for name in ("trade_flow_imbalance", "trade_sign_memory", "trade_activity")]
    )
    last = np.r_[events["ts_recv"][1:] != events["ts_recv"][:-1], True]
    shuffled = events[np.lexsort((np.random.default_rng(1).random(len(events)), events["ts_recv"]))]
    np.testing.assert_allclose(program.compute(shuffled)[last], program.compute(events)[last], rtol=1e-12)
