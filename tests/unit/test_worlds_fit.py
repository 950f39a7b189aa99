"""The fit repeats, improves, and stays among legal markets; the parts of the simulator it turns on do what they say."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from builders_worlds import a_market, an_instrument, of_kind
from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.worlds.fit import FREE, FitResult, coded, decoded, distance, fit_tape, simulated_facts
from edgesmith.worlds.fitted import FITTED, find_fit
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.search import Search
from edgesmith.worlds.stylized import Facts

SLOW = TapeParameters(actions_per_s=20.0)


@pytest.fixture(scope="module")
def target() -> Facts:
    return simulated_facts(msgspec.structs.replace(SLOW, market_ratio=0.16), an_instrument(), [3], 600.0)[0]


def test_a_tape_is_closest_to_itself(target: Facts) -> None:
    other = simulated_facts(SLOW, an_instrument(), [3], 600.0)[0]
    assert distance(target, target) < distance(other, target)


def test_fit_repeats_and_improves(target: Facts) -> None:
    steps: list[tuple[int, int]] = []
    free = ("market_ratio",)

    def fit(evaluations: int, seed: int = 1) -> FitResult:
        return fit_tape(
            target,
            SLOW,
            an_instrument(),
            evaluations=evaluations,
            seed=seed,
            tapes=1,
            free=free,
            progress=lambda done, total: steps.append((done, total)),
        )

    first = fit(14)
    assert steps == [*((done, 14) for done in range(2, 14)), (14, 14)]
    assert first == fit(14) and first.evaluations == 14
    assert first.score < fit(1).score and first.parameters.market_ratio > SLOW.market_ratio


def test_codes_lead_back_and_what_is_no_market_is_none() -> None:
    names = ("market_ratio", "fast_branching_ratio", "fast_ms")
    point = coded(SLOW, names)
    back = decoded(SLOW, names, point)
    assert back is not None and np.allclose(packed_values(back), packed_values(SLOW), rtol=1e-12)
    assert decoded(SLOW, names, point + np.array([0.0, 5.0, 0.0])) is None, "a branching ratio above 1"
    moved = decoded(SLOW, names, point + np.array([9.0, 0.0, 0.7]))
    assert moved is None or moved.market_ratio < 1.0


def packed_values(parameters: TapeParameters) -> list[float]:
    return list(msgspec.structs.asdict(parameters).values())


def test_the_search_finds_a_valley_whose_sides_differ() -> None:
    aim, width = np.array([1.0, -2.0, 0.5, 3.0]), np.array([1.0, 30.0, 3.0, 0.3])
    search, rng = Search.around(np.zeros(4), 0.3), np.random.default_rng(2)
    for _ in range(150):
        points = search.sample(rng)
        search.learn(points, (((points - aim) * width) ** 2).sum(axis=1))
    assert np.abs((search.mean - aim) * width).max() < 0.05 and search.step < 0.05


def test_free_names_are_parameters() -> None:
    assert set(FREE) <= set(TapeParameters.__struct_fields__) and len(set(FREE)) == len(FREE)


def test_what_cannot_be_fitted_is_refused(target: Facts) -> None:
    with pytest.raises(InputError, match="evaluations was 0"):
        fit_tape(target, SLOW, an_instrument(), evaluations=0)
    with pytest.raises(InputError, match="an hour is simulated"):
        simulated_facts(SLOW, an_instrument(), [1], 2_000.0, per_seed=2)


def test_fitted_markets_are_named_and_hold_their_record() -> None:
    assert set(FITTED) == {"btc_perp", "btc_spot", "btc_coinm_perp"}
    for name, fit in FITTED.items():
        assert find_fit(name) is fit and fit.name == name
        assert 0.0 < fit.score < 1.5 and 0 < fit.rows_accepted <= fit.rows
    with pytest.raises(UnknownNameError, match="btc_perp"):
        find_fit("btc_prep")


def moved_hour(**changes: Any) -> Any:
    return a_market(seed=2, rate=0.2, **changes).hour(0)


def test_makers_leave_a_touch_before_it_moves() -> None:
    def queue_before_move(events: Any) -> float:
        quotes = of_kind(events, 0)
        narrow = np.rint((quotes["ask_price"] - quotes["bid_price"]) * 10.0)[:-1] == 1
        wider = np.flatnonzero(narrow & (np.diff(quotes["ask_price"]) > 0.05))
        return float(np.median(quotes["ask_qty"][wider]))

    assert queue_before_move(moved_hour(withdraw_ratio=0.03)) < 0.7 * queue_before_move(moved_hour())


def test_orders_are_taken_back() -> None:
    def returned_ratio(events: Any) -> float:
        quotes = of_kind(events, 0)
        same = (quotes["bid_qty"][2:] == quotes["bid_qty"][:-2]) & (quotes["ask_qty"][2:] == quotes["ask_qty"][:-2])
        return float(same.mean())

    assert returned_ratio(moved_hour(undo_ratio=0.8)) > 0.25 > 0.05 > returned_ratio(moved_hour())


def test_what_follows_a_move_brings_size_in_proportion() -> None:
    def size_per_step(events: Any) -> float:
        quotes = of_kind(events, 0)
        steps = np.diff(np.rint(quotes["bid_price"] * 10.0))
        raised = steps > 20
        return float(np.median(quotes["bid_qty"][1:][raised]))

    assert size_per_step(moved_hour(follow_lots_per_tick=60.0)) > 3.0 * size_per_step(moved_hour())


def test_refill_steps_have_the_size_asked_for() -> None:
    def narrowing_steps(events: Any) -> Any:
        quotes = of_kind(events, 0)
        spread = np.rint((quotes["ask_price"] - quotes["bid_price"]) * 10.0)
        steps = -np.diff(spread)
        return steps[steps > 0]

    wide = {"jump_median_ticks": 200.0, "jump_log_sd": 0.1, "refill_complete_ratio": 0.0}
    steps = narrowing_steps(moved_hour(**wide, refill_step_ticks=5.0, refill_step_log_sd=0.01))
    assert set(np.percentile(steps, (10, 50, 90))) <= {5.0, 6.0}
    assert np.percentile(narrowing_steps(moved_hour(**wide)), 90) > 20.0


RUNS = {"run_start_ratio": 0.3, "run_length_min": 6.0, "run_follow_ratio": 0.9}


def moves_of(events: Any) -> Any:
    quotes = of_kind(events, 0)
    sides = np.diff(np.rint(quotes["bid_price"] * 10.0)), np.diff(np.rint(quotes["ask_price"] * 10.0))
    moved = np.flatnonzero(sides[0] + sides[1])
    return quotes["ts_event"][1:][moved], sides[0][moved], sides[1][moved]


def test_moves_come_in_runs_of_one_direction() -> None:
    def clustered(events: Any) -> tuple[float, float]:
        stamps, bid, ask = moves_of(events)
        counts = np.bincount((stamps - stamps[0]) // NS_PER_S)
        signs = np.sign(bid + ask)
        return float(counts.var() / counts.mean()), float((signs[1:] == signs[:-1]).mean())

    plain, runs, turning = (clustered(moved_hour(**changes)) for changes in ({}, RUNS, RUNS | {"run_turn_ratio": 0.5}))
    assert runs[0] > 3.0 * plain[0] and runs[1] > plain[1] + 0.1
    assert turning[1] < runs[1] - 0.1


def test_both_sides_move_at_once_where_makers_shift_the_touch() -> None:
    def both_ratio(events: Any) -> float:
        _, bid, ask = moves_of(events)
        return float(((np.abs(bid) > 1) & (np.abs(ask) > 1)).mean())

    assert both_ratio(moved_hour(**RUNS, run_shift_ratio=0.9)) > 0.3 > 0.1 > both_ratio(moved_hour(**RUNS))


def test_makers_come_back_when_a_run_ends() -> None:
    def queue(events: Any) -> float:
        stamps, _, _ = moves_of(events)
        quotes = of_kind(events, 0)
        last = stamps[:-1][np.diff(stamps) > NS_PER_S]
        return float(np.median(quotes["bid_qty"][np.searchsorted(quotes["ts_event"], last + NS_PER_S // 20) - 1]))

    assert queue(moved_hour(**RUNS, run_settle_lots=20_000.0)) > 1.5 * queue(moved_hour(**RUNS))


def test_bursts_that_feed_themselves_are_refused() -> None:
    with pytest.raises(InputError, match="the branching ratios or the runs"):
        a_market(seed=2, rate=0.02, **RUNS | {"run_start_ratio": 1.0}, run_excitation=500.0).hour(0)


def test_an_opening_is_the_hour_before_it_is_led_to_the_next() -> None:
    market = a_market(seed=2, rate=0.2)
    part, hour = market.opening(600 * NS_PER_S), market.hour(0)
    assert len(part) > 1_000 and part["ts_event"][-1] < hour["ts_event"][0] + 601 * NS_PER_S
    same = hour[: len(part)]
    assert all(np.array_equal(part[field], same[field]) for field in ("kind", "seq", "ts_event", "ts_recv", "side"))
    assert np.array_equal(of_kind(part, 0)["bid_qty"], of_kind(same, 0)["bid_qty"])
    assert np.array_equal(of_kind(part, 1)["qty"], of_kind(same, 1)["qty"])
    with pytest.raises(InputError, match="a part of an hour"):
        market.opening(0)
