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

from builders_features import LEVEL_TICKS, TICK, bbo_tape, default_program, in_order, mirrored, mixed_tape, scaled
from edgesmith.domain.events import PAYLOAD_FIELDS, Stream
from edgesmith.domain.records import taken
from edgesmith.features.catalog import features
from edgesmith.features.operator import EVERY_STREAM, Feature, Mirror, Node, Unit

REGISTERED = features()
every_feature = pytest.mark.parametrize("feature", REGISTERED, ids=[feature.name for feature in REGISTERED])


# Sums of relative moves of both signs: what is left of them is not small against its error.
CANCELING = ("kyle_lambda", "order_flow_impact", "absorbed_flow")
# The laws look at this instrument; features that look across look at instrument 0.
OWN = 1


@functools.cache
def tape() -> NDArray[Any]:
    return with_leader(mixed_tape(6_000, seed=11))


def with_leader(events: NDArray[Any]) -> NDArray[Any]:
    events["instrument"] = OWN
    leader = bbo_tape(len(events) // 5, seed=17)
    leader["ts_recv"] = leader["ts_recv"] / leader["ts_recv"][-1] * events["ts_recv"][-1]
    return in_order([events, leader])


def compute(events: NDArray[Any]) -> NDArray[np.float64]:
    return default_program().compute(events, instruments=2)


@functools.cache
def rows() -> NDArray[np.float64]:
    return compute(tape())


def column(feature: Feature, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return matrix[:, default_program().names.index(feature.name)]


def updates(feature: Feature, events: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isin(events["kind"], [int(stream) for stream in feature.spec().consumes]) & (events["instrument"] == OWN)


def own_rows(feature: Feature, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return column(feature, matrix)[tape()["instrument"] == OWN]


def leaves(node: Node) -> set[Node]:
    return {node} if node.operator is None else set().union(*(leaves(child) for child in node.read))


def same_bytes(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@every_feature
def test_nan_exactly_before_warm_up(feature: Feature) -> None:
    mine, node = updates(feature, tape()), feature.spec().node
    values, events = column(feature, rows())[mine], tape()[mine]
    seen = [np.cumsum(events["kind"] == stream) >= count for stream, count in node.warmup.items()]
    counted = np.logical_and.reduce(seen) if seen else np.ones(len(events), bool)
    if node.warmup_ns == 0 and not node.looks_at:
        assert np.array_equal(np.isfinite(values), counted)
    settled = counted & (events["ts_recv"] - events["ts_recv"][0] >= node.warmup_ns)
    assert np.isnan(values[~settled]).all()
    assert np.isfinite(values[np.isfinite(values).argmax() :]).all()
    assert np.isfinite(values[len(values) * 9 // 10 :]).all(), "the tape is too short to warm it"


@every_feature
def test_other_events_carry_the_value_forward(feature: Feature) -> None:
    own = tape()["instrument"] == OWN
    values, mine = column(feature, rows())[own], updates(feature, tape())[own]
    places = np.maximum.accumulate(np.where(mine, np.arange(len(mine)), -1))
    expected = np.where(places < 0, np.nan, values[np.maximum(places, 0)])
    assert (~mine).sum() > 100 or feature.spec().consumes >= {Stream.BBO, Stream.TRADE}
    assert same_bytes(values, expected)


def in_chunks(events: NDArray[Any], cuts: list[int]) -> NDArray[np.float64]:
    state, out = (
        default_program().new_state(int(events["instrument"].max()) + 1),
        np.empty((len(events), default_program().width)),
    )
    edges = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    for start, stop in pairwise(edges):
        default_program().run(events[start:stop], out[start:stop], state)
    return out


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12))
def test_any_chunking_gives_the_same_bytes(cuts: list[int]) -> None:
    assert same_bytes(in_chunks(tape(), cuts), rows())


def test_one_at_a_time_gives_the_same_bytes() -> None:
    state, out = default_program().new_state(2), np.empty(default_program().width)
    for place in range(1_500):
        default_program().step(tape()[place : place + 1], out, state)
        assert same_bytes(out, rows()[place]), f"event {place}"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5_999), st.integers(0, 2**31))
def test_t04_later_events_change_nothing_before(place: int, seed: int) -> None:
    place %= len(tape())
    other = tape().copy()
    other[place:] = with_leader(mixed_tape(6_000, seed=seed))[place:]
    assert same_bytes(compute(other)[:place], rows()[:place])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5_999), st.integers(1, 600))
def test_snapshot_and_restore_are_invisible(place: int, detour: int) -> None:
    place %= len(tape())
    state, out = default_program().new_state(2), np.empty_like(rows())
    default_program().run(tape()[:place], out[:place], state)
    snapshot = state.snapshot()
    default_program().run(bbo_tape(detour, seed=5), np.empty((detour, default_program().width)), state)
    state.restore(snapshot)
    default_program().run(tape()[place:], out[place:], state)
    assert same_bytes(out, rows())


@every_feature
@pytest.mark.parametrize("factor", [2.0**-7, 2.0**5])
def test_price_scale_by_a_power_of_two_is_exact(feature: Feature, factor: float) -> None:
    values = own_rows(feature, compute(scaled(tape(), factor)))
    assert same_bytes(values, own_rows(feature, rows()) * (factor if feature.unit is Unit.PRICE else 1.0))


@every_feature
def test_price_scale(feature: Feature) -> None:
    factor = 0.37
    values = own_rows(feature, compute(scaled(tape(), factor)))
    expected = own_rows(feature, rows()) * (factor if feature.unit is Unit.PRICE else 1.0)
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
    values = own_rows(feature, compute(mirrored(tape(), twice_center)))
    plain = own_rows(feature, rows())
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
        absolute = 2e-2 if feature.name in CANCELING else 1e-6
        np.testing.assert_allclose(values, expected, rtol=1e-2, atol=absolute * np.nanmax(np.abs(plain)))


@every_feature
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_number_gives_nan_once_and_is_forgotten(feature: Feature, bad: float) -> None:
    events, mine = tape(), updates(feature, tape())
    # A feature may hear a stream only for the clock; whole numbers cannot be bad.
    numbers = [
        leaf for leaf in leaves(feature.spec().node) if leaf.field_of != EVERY_STREAM and events.dtype[leaf.name].kind == "f"
    ]
    reads = {stream for leaf in numbers for stream in leaf.field_of}
    for stream in reads & feature.spec().consumes:
        place = int(np.flatnonzero(mine & (events["kind"] == stream) & (np.arange(len(events)) > len(events) * 2 // 3))[0])
        broken = taken(events, np.insert(np.arange(len(events)), place, place))
        for name in PAYLOAD_FIELDS[stream]:
            if broken.dtype[name].kind == "f":
                broken[name][place] = bad
        values = column(feature, compute(broken))
        assert np.isnan(values[place])
        # Until the next event of its own the feature carries the NaN forward.
        assert same_bytes(np.delete(values, place)[mine], column(feature, rows())[mine])


def test_interleaved_instruments_do_not_meet() -> None:
    # All but the features that look across.
    program = default_program()
    apart = [column for column, spec in enumerate(program.features) if not spec.node.looks_at]
    both = mixed_tape(6_000, seed=3, instruments=2)
    together = program.compute(both, instruments=2)[:, apart]
    for instrument in range(2):
        mine = both["instrument"] == instrument
        alone = both[mine]
        alone["instrument"] = 0
        assert same_bytes(together[mine], program.compute(alone)[:, apart])


ALONE_AND_TOGETHER = """
import sys
import numpy as np
from edgesmith.domain.events import EVENT
from edgesmith.features.catalog import features
from edgesmith.features.program import Program

events = np.fromfile(sys.argv[1], EVENT)
specs = [feature.spec() for feature in features()]
together = Program(specs).compute(events, instruments=2)
alone = np.column_stack([Program([spec]).compute(events, instruments=2) for spec in specs])
np.savez(sys.argv[2], together=together, alone=alone)
"""


def test_plain_python_gives_the_same_bytes_and_columns_do_not_know_each_other(tmp_path: Path) -> None:
    events = with_leader(mixed_tape(900, seed=21))
    events.tofile(tmp_path / "events")
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    arguments = [sys.executable, "-W", "ignore", "-c", ALONE_AND_TOGETHER, str(tmp_path / "events"), str(tmp_path / "rows.npz")]
    subprocess.run(arguments, env=environment, check=True)
    plain = np.load(tmp_path / "rows.npz")
    compiled = compute(events)
    last = np.flatnonzero(events["instrument"] == OWN)[-1]
    assert np.isfinite(compiled[last]).all(), "the tape is too short to warm every feature"
    assert same_bytes(plain["together"], compiled)
    assert same_bytes(plain["alone"], compiled)
