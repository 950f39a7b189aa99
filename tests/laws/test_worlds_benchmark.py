"""Every recipe of the benchmark does what it says: edges of the stated size, null nulls, the same bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builders_worlds import START_DAY, mid_at, of_kind
from edgesmith.domain.records import taken
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.evaluation.impact import ImpactMeter
from edgesmith.worlds.claims import BLOCK_NS, Claim, ClaimTruth
from edgesmith.worlds.plant import PlantedTape, plant_edges
from edgesmith.worlds.random import root_key
from edgesmith.worlds.regions import decisions
from edgesmith.worlds.scenarios import SCENARIOS, find_scenario
from edgesmith.worlds.world import World, WorldHour

PLANTED = sorted(name for name in SCENARIOS if SCENARIOS[name].group == "P")
# Hours that show the edge where the first ones do not.
SHOWN_AT = {"P10": (17 * 24, 17 * 24 + 1, 17 * 24 + 2), "P11": (12, 13, 37), "P4": range(1)}
SIZES = {"P1_1": 1, "P1_2": 2, "P1_4": 4, "P1_8": 8, "P1_16": 16, "P2_6": 6, "P2_12": 12, "P3_8": 8, "P3_15": 15, "P4": 6}
SIZES |= {"P5": 12, "P6": 12, "P7": 20, "P8_dies": 15, "P8_turns": 15, "P9": 9, "P10": 60, "P11": 12, "P12": 12}


@cache
def world_of(name: str, seed: int = 1, rate: float = 1.0) -> World:
    scenario = find_scenario(name)
    return World(scenario, seed=seed, start_day=START_DAY, hours=scenario.hours, rate=rate)


@cache
def hours_of(name: str) -> list[WorldHour]:
    return [world_of(name).hour(hour) for hour in SHOWN_AT.get(name, range(3))]


def claims_of(name: str) -> tuple[ClaimTruth, ...]:
    return world_of(name).truth(hours_of(name)).claims


@pytest.mark.parametrize("name", PLANTED)
def test_edges_have_the_stated_size_and_cost_decides(name: str) -> None:
    first, *others = claims_of(name)
    assert first.decisions > 40 and abs(first.gross_bps - SIZES[name]) < 0.1 * SIZES[name]
    for claim in (first, *others):
        if claim.right == "REJECT_COST":
            assert abs(claim.gross_bps) < claim.cost_bps
        else:
            assert claim.gross_bps > claim.cost_bps + 3.0 * claim.natural_error_bps


def test_a_capacity_follows_from_the_impact_that_trades_have() -> None:
    (claim,), impact = claims_of("P12"), find_scenario("P12").impact_bps_per_qty
    assert claim.impact_bps_per_qty is not None and claim.capacity_qty is not None
    assert abs(claim.impact_bps_per_qty - impact) < 0.1 * impact
    edge = claim.gross_bps - claim.cost_bps
    assert claim.capacity_qty == pytest.approx(edge / (2.0 * claim.impact_bps_per_qty), rel=1e-3) == pytest.approx(0.1, rel=0.15)
    earned = {size.qty: size.qty * size.net_bps for size in claim.net_by_qty}
    assert max(earned, key=lambda qty: earned[qty]) == pytest.approx(claim.capacity_qty, abs=1e-6)
    assert claim.net_by_qty[-1].net_bps == pytest.approx(0.0, abs=1e-3), "twice the best size earns nothing"
    meter = ImpactMeter(0, BLOCK_NS)
    for hour in hours_of("P12"):
        meter.feed(taken(hour.events, np.argsort(hour.events["ts_recv"], kind="stable")))
    slope = meter.slope_bps(1)
    assert abs(slope.mean - claim.impact_bps_per_qty) < 0.1 * impact, "those who measure the market find it"


def test_impact_moves_prices_alone_and_is_gone_at_both_ends() -> None:
    world = world_of("P12")
    base, pressed = world.market.hour(0), world.received(0).events
    for field in ("ts_event", "ts_recv", "kind", "seq", "side"):
        assert np.array_equal(base[field], pressed[field])
    before, after = of_kind(base, 0), of_kind(pressed, 0)
    moved = np.rint((after["bid_price"] - before["bid_price"]) * 10)
    assert np.array_equal(moved, np.rint((after["ask_price"] - before["ask_price"]) * 10)) and np.abs(moved).max() > 50
    assert moved[0] == 0 and abs(moved[-1]) <= 2 and np.array_equal(before["ask_qty"], after["ask_qty"])


def test_no_feature_of_the_interaction_says_anything_alone() -> None:
    both, book, flow = claims_of("P6")
    assert abs(book.planted_bps) < 0.05 * both.planted_bps and abs(flow.planted_bps) < 0.05 * both.planted_bps


def test_a_regime_hides_its_edge_from_those_who_do_not_ask() -> None:
    inside, everywhere = claims_of("P5")
    assert abs(everywhere.planted_bps) < 0.5 * inside.planted_bps


def test_calendars_fade_end_turn_and_keep_hours() -> None:
    def planted(name: str, hour: int) -> float:
        return world_of(name).truth([world_of(name).hour(hour)]).claims[0].planted_bps

    assert 0.3 * 20 < planted("P7", 5 * 24) < 0.75 * 20 and 0.0 < planted("P7", 19 * 24) < 0.15 * 20
    assert planted("P8_dies", 5 * 24) == planted("P8_dies", 9 * 24) == 0.0 and planted("P8_turns", 5 * 24) < -10.0
    assert planted("P10", 16 * 24 + 23) == planted("P10", 18 * 24) == 0.0
    assert claims_of("P11")[1].planted_bps == 0.0


def test_the_one_day_of_p10_leaves_its_price_where_labels_hold() -> None:
    # Onsets drive the price of this day far; labels end at 20,000 bps, so no hour may come near a half or twice.
    for hour in hours_of("P10"):
        quotes = of_kind(hour.events, 0)
        mid = (quotes["bid_price"] + quotes["ask_price"]) / 2.0
        assert (mid / mid[0]).min() > 0.75 and (mid / mid[0]).max() < 1.3
    labels = _moves(hours_of("P10"))
    (claim,) = claims_of("P10")
    # The record is exact given the tape; what is drawn spreads by two standard errors about it.
    error = labels.std() / np.sqrt(len(labels))
    assert len(labels) > 100 and abs(labels.mean() - claim.gross_bps) < 2.5 * error


def _moves(hours: list[WorldHour]) -> np.ndarray:
    plant, found = find_scenario("P10").plants[0], []
    for hour in hours:
        instants, signs = decisions(hour.events, plant.region, 500_000_000, plant.posted_within_ns, onset=True)
        quotes = of_kind(hour.events, 0)
        mid, known = (quotes["bid_price"] + quotes["ask_price"]) / 2.0, quotes["ts_recv"]
        at, after = (np.searchsorted(known, instants + ahead, "right") - 1 for ahead in (0, 5_000_000_000))
        chosen = signs != 0
        found.append((signs * (mid[after] / mid[at] - 1.0) * 1e4)[chosen])
    return np.concatenate(found)


@pytest.mark.parametrize("name", PLANTED)
def test_tapes_change_in_price_alone_except_where_the_plant_says_so(name: str) -> None:
    hour = hours_of(name)[-1]
    base, events = world_of(name).received(hour.hour).events, hour.events
    for field in ("ts_event", "ts_recv", "kind", "seq", "side"):
        assert np.array_equal(base[field], events[field])
    before, after = of_kind(base, 0), of_kind(events, 0)
    sizes_change = any(not np.array_equal(before[side], after[side]) for side in ("bid_qty", "ask_qty"))
    assert sizes_change == (name == "P12")
    wider = np.rint(((after["ask_price"] - after["bid_price"]) - (before["ask_price"] - before["bid_price"])) * 10)
    assert set(wider) == ({0.0, 960.0} if name == "P9" else {0.0}) or (name == "P9" and len(set(wider)) == 2)
    if name == "P12":
        assert after["bid_qty"].max() > 0.1 and (np.minimum(before["bid_qty"], 0.1) <= after["bid_qty"]).all()


def measured(base: NDArray[Any], planted: PlantedTape, claim: Claim, leader: NDArray[Any] | None) -> tuple[float, float, float]:
    """Extra return of the claim from the prices alone, that expected, and over all instants the former minus the latter."""
    horizon_ns, late_ns = claim.horizon_ms * NS_PER_MS, claim.latency_ms * NS_PER_MS
    at, signs = decisions(
        base,
        claim.region,
        claim.every_ms * NS_PER_MS,
        horizon_ns + late_ns,
        onset=claim.onset,
        watched=leader if claim.by_leader else None,
    )
    at = at + late_ns
    now, then = mid_at(base, at), mid_at(base, at + horizon_ns)
    extra = (mid_at(planted.events, at + horizon_ns) - mid_at(planted.events, at) - (then - now)) / now * 1e4
    quotes = of_kind(base, 0)
    ticks = planted.expected_ticks[base["kind"] == 0]
    index = [np.searchsorted(quotes["ts_recv"], at + wait, side="right") - 1 for wait in (0, horizon_ns)]
    expected = (ticks[index[1]] - ticks[index[0]]) * 0.1 / now * 1e4
    inside = signs != 0
    means = [float((move * signs * claim.side)[inside].mean()) for move in (extra, expected)]
    return means[0], means[1], float((extra - expected).mean())


@pytest.mark.parametrize("name", ["P1_8", "P2_12", "P3_8", "P4", "P5", "P6", "P9", "P12"])
def test_prices_move_by_the_analytic_truth_and_nothing_drifts(name: str) -> None:
    # The leader's market is a busy one: a quieter copy will do.
    world = world_of(name, rate=0.25 if name == "P4" else 1.0)
    base = world.received(0).events
    leader = None if world.leader is None else world.leader.hour(0).events
    claim, plants = world.scenario.claims[0], world.scenario.plants
    got, truths, drifts = [], [], []
    for draw in range(10):
        tape = plant_edges(base, plants, instrument=world.instrument, key=root_key(draw, 7), leader=leader)
        extra, truth, drift = measured(base, tape, claim, leader)
        got.append(extra)
        truths.append(truth)
        drifts.append(drift)
        assert tape.offset_ticks[0] == tape.offset_ticks[-1] == 0, "whatever is planted is taken back within the tape"
    error = np.std(got, ddof=1) / len(got) ** 0.5
    assert np.ptp(truths) < 1e-9 and abs(np.mean(got) - truths[0]) < 3.5 * error < 0.35 * truths[0]
    assert abs(np.mean(drifts)) < 3.5 * np.std(drifts, ddof=1) / len(drifts) ** 0.5 + 1e-4


@cache
def null_returns(name: str) -> NDArray[np.float64]:
    """Mean forward return over 5 s by world (rows) and cell (columns), the trend taken off."""
    rows = []
    for seed in range(100, 116):
        world = world_of(name, seed)
        events = world.hour(1).events
        drift_bps = world.scenario.drift_hour_bps * world.market.trend_sign(1) * 5.0 / 3_600.0 if name == "N4" else 0.0
        row = []
        for claim in world.scenario.claims:
            at, signs = decisions(events, claim.region, NS_PER_S, 5 * NS_PER_S)
            moves = (mid_at(events, at + 5 * NS_PER_S) / mid_at(events, at) - 1.0) * 1e4 - drift_bps
            row += [moves[signs > 0].mean(), moves[signs < 0].mean()]
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("name", ["N1", "N3", "N4", "N5"])
def test_nothing_is_followed_by_anything_in_a_null(name: str) -> None:
    means = null_returns(name)
    assert np.isfinite(means).all()
    t = means.mean(axis=0) / (means.std(axis=0, ddof=1) / len(means) ** 0.5)
    assert np.abs(t).max() < 3.8, "four cells over 16 worlds"


def test_the_volatility_linked_null_foretells_variance() -> None:
    world = world_of("N3", 100)
    base, events = world.received(1).events, world.hour(1).events
    region = world.scenario.plants[0].region
    at, signs = decisions(events, region, NS_PER_S, 5 * NS_PER_S)
    ratio = [np.mean((mid_at(tape, at + 5 * NS_PER_S) - mid_at(tape, at))[signs != 0] ** 2) for tape in (events, base)]
    assert 4.0 < ratio[0] / ratio[1] < 40.0


def test_days_of_the_trending_null_drift_by_what_they_say() -> None:
    world = world_of("N4", 101)
    assert {world.market.trend_sign(hour) for hour in range(24)} <= {1, -1}
    assert len({world.market.trend_sign(24 * day) for day in range(20)}) == 2
    moves = []
    for seed in range(40):
        market = world_of("N4", seed).market
        moves.append(market.trend_sign(0) * np.log(market.opening_ticks(8) / market.opening_ticks(0)) * 1e4 / 8)
    assert abs(np.mean(moves) - 50.0) < 3.5 * np.std(moves) / len(moves) ** 0.5


HASH_HOURS = """
import sys
from datetime import date
from hashlib import sha256
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World
for name in sys.argv[1:]:
    world = World(find_scenario(name), seed=1, start_day=date(2026, 1, 5), hours=3)
    print(sha256(world.hour(1).events.tobytes()).hexdigest())
"""


def test_another_process_makes_the_same_bytes() -> None:
    names = ["P2_12", "P4", "P6", "P9", "N3", "N4", "N5"]
    run = subprocess.run([sys.executable, "-c", HASH_HOURS, *names], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [hashlib.sha256(world_of(name).hour(1).events.tobytes()).hexdigest() for name in names]


@pytest.mark.parametrize("name", ["N5", "N4", "P4", "P8_turns"])
def test_hours_stay_inside_their_hour(name: str) -> None:
    world = world_of(name)
    events = world.hour(2).events
    start_ns = world.market.start_ns + 2 * NS_PER_HOUR
    assert start_ns <= events["ts_event"].min() and events["ts_event"].max() < start_ns + NS_PER_HOUR
    assert (np.diff(events["ts_event"]) >= 0).all()
