"""The fit repeats, improves, and stays among legal markets; the parts of the simulator it turns on do what they say."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from builders_worlds import a_market, an_instrument, of_kind
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.worlds.fit import FREE, FitResult, distance, fit_tape, neighbor, simulated_facts
from edgesmith.worlds.fitted import FITTED, find_fit
from edgesmith.worlds.parameters import TapeParameters
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
            free=free,
            progress=lambda done, total: steps.append((done, total)),
        )

    first = fit(6)
    assert steps == [(done, 6) for done in range(2, 7)]
    assert first == fit(6) and first.evaluations == 6
    assert first.score < fit(1).score and first.parameters.market_ratio > SLOW.market_ratio


def test_neighbors_are_legal_and_only_free_parameters_move() -> None:
    rng = np.random.default_rng(4)
    found = [one for _ in range(200) if (one := neighbor(SLOW, ("market_ratio", "fast_branching_ratio", "fast_ms"), 0.5, rng))]
    assert len(found) > 50 and all(one.branching_ratio <= 0.97 for one in found)
    assert {one.actions_per_s for one in found} == {20.0} and len({one.market_ratio for one in found}) > 20


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
