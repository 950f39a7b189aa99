"""The shift layer adds exactly what it says, on any tape, and touches nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders_worlds import a_market, an_instrument, mid_at, of_kind
from edgesmith.domain.events import EVENT
from edgesmith.domain.records import as_records
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.features.catalog import feature
from edgesmith.worlds.plant import Plant, plant_edges
from edgesmith.worlds.random import root_key
from edgesmith.worlds.regions import Region, decisions, is_shift_invariant, observable
from edgesmith.worlds.shifts import post_shifts
from naive.shift_layer import posted_offsets

FLOW = Region(feature="trade_flow_imbalance", low=0.4, mirrored=True)
BOTH_SIDES = Plant(region=FLOW, side=1, shift_bps=2.0, probability_ratio=0.3)
ONE_SIDE = Plant(region=Region(feature="imbalance_ema", low=0.6), side=-1, shift_bps=1.0, probability_ratio=0.5, window_ms=2_000)


@pytest.fixture(scope="module")
def tape() -> NDArray[Any]:
    return a_market(seed=31, rate=0.15).hour(0)


def planted(tape: NDArray[Any], *plants: Plant, seed: int = 1) -> Any:
    return plant_edges(tape, plants, instrument=an_instrument(), key=root_key(seed, 0))


def test_only_prices_change(tape: NDArray[Any]) -> None:
    base = tape.tobytes()
    result = planted(tape, BOTH_SIDES, ONE_SIDE)
    assert tape.tobytes() == base, "the tape given is left alone"
    for name in ("ts_event", "ts_recv", "seq", "kind", "side", "flags", "instrument"):
        assert np.array_equal(tape[name], result.events[name])
    for kind, names in ((0, ("bid_qty", "ask_qty")), (1, ("qty",)), (4, ("open_interest",)), (3, ("funding_rate",))):
        for name in names:
            assert np.array_equal(of_kind(tape, kind)[name], of_kind(result.events, kind)[name])
    before, after = of_kind(tape, 0), of_kind(result.events, 0)
    assert np.array_equal(
        np.rint((before["ask_price"] - before["bid_price"]) * 10), np.rint((after["ask_price"] - after["bid_price"]) * 10)
    )
    shifted = np.rint((result.events["price"] - tape["price"]) * 10)
    priced = tape["kind"] < 3
    assert np.array_equal(shifted[priced], result.offset_ticks[priced]) and result.offset_ticks.any()
    on_grid = of_kind(result.events, 1)["price"]
    assert np.array_equal(on_grid, np.rint(on_grid * 10) / 10.0)


def test_offset_is_zero_at_both_ends_and_moves_only_with_quotes_that_move_the_mid(tape: NDArray[Any]) -> None:
    result = planted(tape, BOTH_SIDES, ONE_SIDE)
    assert result.offset_ticks[0] == result.offset_ticks[-1] == 0
    assert abs(result.expected_ticks[-1]) < 1e-6
    quotes = tape["kind"] == 0
    steps = np.flatnonzero(np.diff(result.offset_ticks[quotes]))
    base = of_kind(tape, 0)
    moved = np.diff(base["bid_price"] + base["ask_price"])[steps] != 0
    assert result.scheduled > 100 and (~moved).sum() <= result.late < 0.4 * (result.scheduled + result.taken_back)


def test_observables_do_not_see_the_shifts(tape: NDArray[Any]) -> None:
    shifted = planted(tape, BOTH_SIDES).events
    for name in ("trade_flow_imbalance", "imbalance_ema"):
        assert is_shift_invariant(feature(name))
        for one, other in zip(observable(tape, feature(name)), observable(shifted, feature(name)), strict=True):
            assert one.tobytes() == other.tobytes()
    assert is_shift_invariant(feature("spread"))
    assert not any(is_shift_invariant(feature(name)) for name in ("rsi", "microprice", "volatility", "mid_price"))


def test_decisions_use_only_what_was_received(tape: NDArray[Any]) -> None:
    instants_ns, signs = decisions(tape, FLOW, NS_PER_S, 0)
    assert (np.diff(instants_ns) == NS_PER_S).all() and set(np.unique(signs)) == {-1, 0, 1}
    cut = len(instants_ns) // 2
    seen = tape[tape["ts_recv"] <= instants_ns[cut] + 90 * NS_PER_S]
    early_ns, early = decisions(seen, FLOW, NS_PER_S, 0)
    assert np.array_equal(early, signs[: len(early)]) and np.array_equal(early_ns, instants_ns[: len(early_ns)])
    assert len(early) > cut


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_posting_equals_the_naive_twin(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    events = _random_events(rng, data.draw(st.integers(1, 80)))
    count = data.draw(st.integers(1, 12))
    starts = np.sort(rng.integers(0, 2_000, count)) * NS_PER_MS
    multiples = rng.integers(-2, 3, count)
    weights = rng.normal(size=count)
    shift_ticks, window_ns = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 800)) * NS_PER_MS
    patience_ns = data.draw(st.integers(0, 300)) * NS_PER_MS
    offset, expected, late = np.zeros(len(events), np.int64), np.zeros(len(events)), np.zeros(2, np.int64)
    post_shifts(as_records(events), starts, multiples, weights, shift_ticks, window_ns, patience_ns, offset, expected, late)
    arguments = (shift_ticks, window_ns, patience_ns)
    assert np.array_equal(offset, posted_offsets(events, starts, multiples, *arguments))
    assert np.allclose(expected, posted_offsets(events, starts, weights, *arguments), atol=1e-9)


def _random_events(rng: np.random.Generator, count: int) -> NDArray[Any]:
    events = np.zeros(count, EVENT)
    events["ts_recv"] = np.cumsum(rng.integers(1, 60, count)) * NS_PER_MS
    events["kind"] = rng.integers(0, 2, count)
    bid = 100.0 + np.cumsum(rng.integers(-1, 2, count) * (rng.random(count) < 0.3))
    events["bid_price"] = bid
    events["ask_price"] = bid + 1.0
    return events


@pytest.mark.parametrize("item", [BOTH_SIDES, ONE_SIDE], ids=["mirrored", "one side"])
def test_planted_return_equals_the_analytic_truth(tape: NDArray[Any], item: Plant) -> None:
    """Means over many draws of one tape, in the region and everywhere, against the expectation computed beside them."""
    instants_ns, signs = decisions(tape, item.region, NS_PER_S, 10 * NS_PER_S)
    inside = signs != 0
    now, then = mid_at(tape, instants_ns), mid_at(tape, instants_ns + 10 * NS_PER_S)
    measured, everywhere = [], []
    for seed in range(24):
        result = planted(tape, item, seed=seed)
        extra = (
            (mid_at(result.events, instants_ns + 10 * NS_PER_S) - mid_at(result.events, instants_ns) - (then - now)) / now * 1e4
        )
        measured.append((item.side * signs * extra)[inside].mean())
        everywhere.append(extra.mean())
    quotes = of_kind(tape, 0)
    at_quotes = result.expected_ticks[tape["kind"] == 0]
    index = [np.searchsorted(quotes["ts_recv"], instants_ns + wait, side="right") - 1 for wait in (0, 10 * NS_PER_S)]
    expected = (at_quotes[index[1]] - at_quotes[index[0]]) * 0.1 / now * 1e4
    truth = (item.side * signs * expected)[inside].mean()
    error = np.std(measured) / len(measured) ** 0.5
    assert truth > 1.0 and abs(np.mean(measured) - truth) < 3.0 * error < 0.1 * truth
    # Offsets start and end at zero, so that what is planted in the region is taken back elsewhere.
    assert abs(np.mean(everywhere)) < 3.0 * np.std(everywhere) / len(everywhere) ** 0.5 + 0.01 * truth


def test_any_piece_of_any_tape_will_do(tape: NDArray[Any]) -> None:
    piece = tape[len(tape) // 3 : len(tape) // 2]
    result = planted(piece, BOTH_SIDES)
    assert result.offset_ticks[-1] == 0 and result.scheduled > 10
    nothing = planted(tape[:200], BOTH_SIDES)
    assert nothing.scheduled == 0 and nothing.events.tobytes() == tape[:200].tobytes()
    trades_only = planted(of_kind(tape, 1), BOTH_SIDES)
    assert not trades_only.offset_ticks.any()


def test_a_shift_below_one_tick_is_refused(tape: NDArray[Any]) -> None:
    small = msgspec.structs.replace(BOTH_SIDES, shift_bps=0.001)
    with pytest.raises(InputError, match=r"shift_bps was 0\.001, expected at least one tick"):
        planted(tape, small)
