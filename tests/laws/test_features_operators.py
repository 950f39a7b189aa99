"""What must hold for every registered feature; a feature registered tomorrow is tested without a line here."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders_features import LEVEL_TICKS, TICK, bbo_tape, mirrored, mixed_tape, scaled
from edgesmith.domain.events import KIND_BBO, KIND_TRADE
from edgesmith.features.catalog import features
from edgesmith.features.operator import Feature, Mirror, Unit
from edgesmith.features.program import Program

REGISTERED = features()
every_feature = pytest.mark.parametrize("feature", REGISTERED, ids=[feature.name for feature in REGISTERED])


@functools.cache
def program() -> Program:
    return Program([feature.spec() for feature in REGISTERED])


@functools.cache
def tape() -> NDArray[Any]:
    return mixed_tape(6_000, seed=11)


@functools.cache
def rows() -> NDArray[np.float64]:
    return program().compute(tape())


def column(feature: Feature, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return matrix[:, program().names.index(feature.name)]


def updates(feature: Feature, events: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isin(events["kind"], [int(stream) for stream in feature.spec().consumes])


def same_bytes(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@every_feature
def test_nan_exactly_before_warm_up(feature: Feature) -> None:
    values = column(feature, rows())[updates(feature, tape())]
    assert np.isnan(values[: feature.spec().warmup_events - 1]).all()
    assert np.isfinite(values[feature.spec().warmup_events - 1 :]).all()


@every_feature
def test_other_events_carry_the_value_forward(feature: Feature) -> None:
    values, mine = column(feature, rows()), updates(feature, tape())
    places = np.maximum.accumulate(np.where(mine, np.arange(len(mine)), -1))
    expected = np.where(places < 0, np.nan, values[np.maximum(places, 0)])
    assert (~mine).sum() > 100
    assert same_bytes(values, expected)


def in_chunks(events: NDArray[Any], cuts: list[int]) -> NDArray[np.float64]:
    state, out = program().new_state(int(events["instrument"].max()) + 1), np.empty((len(events), program().width))
    edges = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    for start, stop in pairwise(edges):
        program().run(events[start:stop], out[start:stop], state)
    return out


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12))
def test_any_chunking_gives_the_same_bytes(cuts: list[int]) -> None:
    assert same_bytes(in_chunks(tape(), cuts), rows())


def test_one_at_a_time_gives_the_same_bytes() -> None:
    state, out = program().new_state(), np.empty(program().width)
    for place in range(1_500):
        program().step(tape()[place : place + 1], out, state)
        assert same_bytes(out, rows()[place]), f"event {place}"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5_999), st.integers(0, 2**31))
def test_later_events_change_nothing_before(place: int, seed: int) -> None:
    place %= len(tape())
    other = tape().copy()
    other[place:] = mixed_tape(6_000, seed=seed)[place:]
    assert same_bytes(program().compute(other)[:place], rows()[:place])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5_999), st.integers(1, 600))
def test_snapshot_and_restore_are_invisible(place: int, detour: int) -> None:
    place %= len(tape())
    state, out = program().new_state(), np.empty_like(rows())
    program().run(tape()[:place], out[:place], state)
    snapshot = state.snapshot()
    program().run(bbo_tape(detour, seed=5), np.empty((detour, program().width)), state)
    state.restore(snapshot)
    program().run(tape()[place:], out[place:], state)
    assert same_bytes(out, rows())


@every_feature
@pytest.mark.parametrize("factor", [2.0**-7, 2.0**5])
def test_price_scale_by_a_power_of_two_is_exact(feature: Feature, factor: float) -> None:
    values = column(feature, program().compute(scaled(tape(), factor)))
    assert same_bytes(values, column(feature, rows()) * (factor if feature.unit is Unit.PRICE else 1.0))


@every_feature
def test_price_scale(feature: Feature) -> None:
    factor = 0.37
    values = column(feature, program().compute(scaled(tape(), factor)))
    expected = column(feature, rows()) * (factor if feature.unit is Unit.PRICE else 1.0)
    if feature.unit is Unit.LABEL:
        # Rounding may move a ratio across a threshold it sits on.
        assert np.mean(np.isclose(values, expected, equal_nan=True)) > 0.99
    else:
        # Rounded prices differ by 2**-53 of the level (2**16), returns by the same over a step of 2**-20 of it.
        np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-9 * np.nanmax(np.abs(expected)))


@every_feature
def test_mirrored_market(feature: Feature) -> None:
    if feature.mirror is Mirror.NONE:
        pytest.skip(f"{feature.name} declares no answer to the mirror")
    twice_center = 2.0 * LEVEL_TICKS * TICK
    values = column(feature, program().compute(mirrored(tape(), twice_center)))
    plain = column(feature, rows())
    expected = {
        Mirror.EVEN: plain,
        Mirror.ODD: 2.0 * feature.center - plain,
        Mirror.LEVEL: twice_center - plain,
    }[feature.mirror]
    if feature.unit is Unit.LABEL:
        assert np.mean(np.isclose(values, expected, equal_nan=True)) > 0.99
        assert len(np.unique(plain[~np.isnan(plain)])) > 1, "the tape never leaves one state, so this proves nothing"
    else:
        # Relative moves are divided by the mirrored level, which differs by at most 4000 ticks in 2**20.
        np.testing.assert_allclose(values, expected, rtol=1e-2, atol=1e-6 * np.nanmax(np.abs(plain)))


@every_feature
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_number_gives_nan_once_and_is_forgotten(feature: Feature, bad: float) -> None:
    events, place = tape(), len(tape()) * 2 // 3
    mine = np.flatnonzero(updates(feature, events))
    place = int(mine[mine > place][0])
    broken = events[np.insert(np.arange(len(events)), place, place)]
    if events[place]["kind"] == KIND_BBO:
        for name in ("bid_price", "bid_qty", "ask_price", "ask_qty"):
            broken[name][place] = bad
    else:
        assert events[place]["kind"] == KIND_TRADE
        broken["price"][place] = broken["qty"][place] = bad
    values = column(feature, program().compute(broken))
    assert np.isnan(values[place])
    after = np.delete(values, place)
    # Until the next event of its own the feature carries the NaN forward.
    mine_after = updates(feature, events)
    assert same_bytes(after[mine_after], column(feature, rows())[mine_after])


def test_interleaved_instruments_do_not_meet() -> None:
    both = mixed_tape(6_000, seed=3, instruments=2)
    together = program().compute(both, instruments=2)
    for instrument in range(2):
        mine = both["instrument"] == instrument
        alone = both[mine]
        alone["instrument"] = 0
        assert same_bytes(together[mine], program().compute(alone))


ALONE_AND_TOGETHER = """
import sys
import numpy as np
from edgesmith.domain.events import EVENT
from edgesmith.features.catalog import features
from edgesmith.features.program import Program

events = np.fromfile(sys.argv[1], EVENT)
specs = [feature.spec() for feature in features()]
together = Program(specs).compute(events)
alone = np.column_stack([Program([spec]).compute(events) for spec in specs])
np.savez(sys.argv[2], together=together, alone=alone)
"""


def test_plain_python_gives_the_same_bytes_and_columns_do_not_know_each_other(tmp_path: Path) -> None:
    events = mixed_tape(900, seed=21)
    events.tofile(tmp_path / "events")
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    arguments = [sys.executable, "-W", "ignore", "-c", ALONE_AND_TOGETHER, str(tmp_path / "events"), str(tmp_path / "rows.npz")]
    subprocess.run(arguments, env=environment, check=True)
    plain = np.load(tmp_path / "rows.npz")
    compiled = program().compute(events)
    assert np.isfinite(compiled[-1]).all(), "the tape is too short to warm every feature"
    assert same_bytes(plain["together"], compiled)
    assert same_bytes(plain["alone"], compiled)
