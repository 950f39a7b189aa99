"""A feed delays, loses and repeats what it says it does, and leaves the rest alone; null markets are made of whole tapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builders_worlds import START_DAY, a_market, an_instrument, mid_at, of_kind
from edgesmith.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.worlds.calendars import Calendar
from edgesmith.worlds.claims import Claim
from edgesmith.worlds.feeds import FEEDS, Feed, FeedRecord, find_feed, receive
from edgesmith.worlds.nulls import chimera, reflected
from edgesmith.worlds.plant import Plant, plant_edges
from edgesmith.worlds.random import root_key
from edgesmith.worlds.regions import Cell, Region, decisions
from edgesmith.worlds.scenario import Scenario
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

KEY = root_key(5, 0)
BOOK = Region(feature="imbalance_ema", low=0.6, mirrored=True)


@pytest.fixture(scope="module")
def tape() -> NDArray[Any]:
    return a_market(seed=31, rate=0.15).hour(0)


def test_an_ideal_feed_changes_nothing(tape: NDArray[Any]) -> None:
    received = receive(tape, FEEDS["off"], KEY)
    assert received.events is tape and received.record == FeedRecord() and received.raw.tobytes() != b""


@pytest.mark.parametrize("level", ["mild", "hostile"])
def test_what_a_feed_did_is_on_record(tape: NDArray[Any], level: str) -> None:
    before = tape.tobytes()
    received = receive(tape, FEEDS[level], KEY)
    events, record = received.events, received.record
    assert tape.tobytes() == before and receive(tape, FEEDS[level], KEY).raw.tobytes() == received.raw.tobytes()
    assert len(events) == len(tape) - record.lost and len(received.resent) == record.duplicates + record.crossed
    for start_ns, end_ns in record.gaps:
        assert not ((events["ts_event"] >= start_ns) & (events["ts_event"] < end_ns)).any() and end_ns - start_ns >= NS_PER_MS
    assert record.lost == sum(((tape["ts_event"] >= start) & (tape["ts_event"] < end)).sum() for start, end in record.gaps)
    assert (np.diff(events["ts_event"]) >= 0).all() and (np.diff(of_kind(events, 0)["ts_recv"]) > 0).all()
    quotes = of_kind(events, 0)
    assert (quotes["bid_price"] < quotes["ask_price"]).all(), "a lake refuses crossed quotes"
    crossed = of_kind(received.resent, 0)
    assert (crossed["bid_price"] > crossed["ask_price"]).sum() == record.crossed
    assert (np.diff(received.raw["ts_recv"]) >= 0).all() and len(received.raw) == len(events) + len(received.resent)


def test_a_hostile_feed_is_hostile(tape: NDArray[Any]) -> None:
    received = receive(tape, FEEDS["hostile"], KEY)
    record = received.record
    assert 4 <= len(record.gaps) <= 24 and record.crossed > 3 and record.duplicates > 100 and record.delayed > 100
    trades = of_kind(received.events, 1)
    assert 0.005 < record.late / len(trades) < 0.02 and (np.diff(trades["ts_recv"]) < 0).any()
    skew_ms = np.median(received.events["ts_recv"] - received.events["ts_event"]) / NS_PER_MS
    assert -1_310 < skew_ms < -1_230, "received before it was sent: the recorder's clock is behind"


def test_rows_sent_again_are_rows_that_were_there(tape: NDArray[Any]) -> None:
    received = receive(tape, FEEDS["hostile"], KEY)
    again = of_kind(received.resent, 1)
    held = {(row["ts_event"], row["seq"], row["price"], row["qty"]) for row in of_kind(received.events, 1)}
    assert len(again) > 5 and {(row["ts_event"], row["seq"], row["price"], row["qty"]) for row in again} <= held


def test_records_of_pieces_add_up() -> None:
    world = World(find_scenario("N5"), seed=1, start_day=START_DAY, hours=2)
    hours = list(world)
    feed = world.truth(hours).feed
    assert feed.lost == hours[0].feed.lost + hours[1].feed.lost and feed.gaps == hours[0].feed.gaps + hours[1].feed.gaps
    assert world.truth(hours).feed_level == "hostile"


def test_edges_are_planted_on_what_was_received(tape: NDArray[Any]) -> None:
    events = receive(tape, FEEDS["hostile"], KEY).events
    plant = Plant(
        region=Region(feature="trade_flow_imbalance", low=0.4, mirrored=True), side=1, shift_bps=2.0, probability_ratio=0.5
    )
    planted = plant_edges(events, [plant], instrument=an_instrument(), key=KEY)
    assert planted.scheduled > 100 and planted.offset_ticks[-1] == 0


def test_a_chimera_has_the_prices_of_one_and_the_flow_of_the_other(tape: NDArray[Any]) -> None:
    other = a_market(seed=77, rate=0.1).hour(0)
    made = chimera(tape, other)
    for name in ("bid_price", "ask_price", "ts_recv"):
        assert np.array_equal(of_kind(made, 0)[name], of_kind(tape, 0)[name])
    quotes = of_kind(made, 0)
    count = min(len(of_kind(other, 0)), len(quotes))
    assert np.array_equal(quotes["bid_qty"][:count], of_kind(other, 0)["bid_qty"][:count])
    trades = np.flatnonzero(made["kind"] == 1)
    quote_rows = np.flatnonzero(made["kind"] == 0)
    trades = trades[trades > quote_rows[0]]
    before = made[quote_rows[np.searchsorted(quote_rows, trades) - 1]]
    touch = np.where(made["side"][trades] > 0, before["ask_price"], before["bid_price"])
    assert np.array_equal(made["price"][trades], touch)
    with pytest.raises(InputError, match="flow holds no events of kind 1"):
        chimera(tape, of_kind(other, 0))


def test_reflected_blocks_keep_the_tape_and_lose_the_effect(tape: NDArray[Any]) -> None:
    block_ns = 5 * NS_PER_MINUTE
    made = reflected(tape, block_ns=block_ns, instrument=an_instrument(), key=KEY)
    for name in ("ts_event", "ts_recv", "kind", "side", "seq"):
        assert np.array_equal(made[name], tape[name])
    before, after = of_kind(tape, 0), of_kind(made, 0)
    assert np.array_equal(after["bid_qty"], before["bid_qty"])
    steps, new_steps = (np.diff(np.rint((one["bid_price"] + one["ask_price"]) * 10)) for one in (before, after))
    assert (
        np.array_equal(np.abs(steps), np.abs(new_steps)) and (steps != new_steps).any() and (steps == new_steps)[steps != 0].any()
    )
    assert np.array_equal(
        np.rint((after["ask_price"] - after["bid_price"]) * 10), np.rint((before["ask_price"] - before["bid_price"]) * 10)
    )
    at, signs = decisions(tape, BOOK, NS_PER_S, NS_PER_S)
    natural, placebo = (
        [((mid_at(one, at + NS_PER_S) - mid_at(one, at)) * signs)[signs != 0].mean() for one in tapes]
        for tapes in (
            [tape],
            [reflected(tape, block_ns=block_ns, instrument=an_instrument(), key=root_key(k, 0)) for k in range(20)],
        )
    )
    assert natural[0] > 0.0 and abs(np.mean(placebo)) < 3.5 * np.std(placebo) / len(placebo) ** 0.5


def test_absorption_needs_the_book_against_the_flow(tape: NDArray[Any]) -> None:
    flow = Region(feature="trade_flow_imbalance", low=0.2, mirrored=True)
    roles = {}
    for role in ("same", "opposite", "sign"):
        cell = Cell(feature="imbalance_ema", low=0.2, role=role)
        roles[role] = decisions(
            tape, Region(feature="trade_flow_imbalance", low=0.2, mirrored=True, within=(cell,)), NS_PER_S, 0
        )[1]
    alone = decisions(tape, flow, NS_PER_S, 0)[1]
    assert np.array_equal(roles["same"] + roles["opposite"], alone * (roles["sign"] != 0))
    assert np.array_equal(roles["sign"], np.abs(roles["same"]) - np.abs(roles["opposite"])) and roles["opposite"].any()
    onsets = decisions(tape, flow, NS_PER_S, 0, onset=True)[1]
    assert 0 < np.abs(onsets).sum() < np.abs(alone).sum() and np.array_equal(onsets[onsets != 0], alone[onsets != 0])


PLAIN = {"region": BOOK, "side": 1}


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Feed(gap_ratio=1.5), "feed gap_ratio was 1.5"),
        (lambda: Feed(burst_ms=-1.0), "feed burst_ms was -1.0"),
        (lambda: Feed(gap_ms_max=0.0), "feed gap_ms_max was 0.0"),
        (lambda: Feed(skew_ms=1e9), "feed skew_ms was"),
        (lambda: Calendar(half_life_days=-1.0), "half_life_days was -1.0"),
        (lambda: Calendar(hours=(24,)), "expected 0..23"),
        (lambda: Calendar(after_end_ratio=-2.0), "after_end_ratio was -2.0"),
        (lambda: Calendar(only_day=-1), "expected >= 0"),
        (lambda: Plant(**PLAIN, shift_bps=1.0, probability_ratio=0.5, widen_bps=-1.0), "widen_bps and touch_qty_max"),
        (lambda: Claim(**PLAIN, horizon_ms=1, right="VALIDATED", basis="plant", latency_ms=-1), "latency_ms -1"),
        (lambda: Cell(feature="spread", low=0.1, role="sign"), "expected an odd feature"),
        (lambda: Scenario(name="x", summary="x", symbol="X", drift_hour_bps=1e9), "drift_hour_bps was"),
        (lambda: reflected(np.zeros(0), block_ns=0, instrument=an_instrument(), key=KEY), "block_ns was 0"),
        (
            lambda: Scenario(
                name="x",
                summary="x",
                symbol="X",
                plants=(Plant(**PLAIN, shift_bps=1.0, probability_ratio=0.5, by_leader=True),),
            ),
            "looks at a leader",
        ),
    ],
)
def test_impossible_settings(build: Callable[[], Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_unknown_levels_and_traps() -> None:
    with pytest.raises(UnknownNameError, match="unknown feed 'bad'; possible: hostile, mild, off"):
        find_feed("bad")
    with pytest.raises(UnknownNameError, match="unknown trap 'T9'"):
        Scenario(name="x", summary="x", symbol="X", trap="T9")
