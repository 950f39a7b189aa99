"""Markets that hang together: the same bytes alone and together, no seams, prices that follow within the lags."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from builders_worlds import START_DAY, mid_at, of_kind
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.worlds.leads import lead_facts
from edgesmith.worlds.links import Link
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World, WorldHour


@cache
def world() -> World:
    return World(find_scenario("lead_lag"), seed=1, start_day=START_DAY, hours=3)


@cache
def together(hour: int) -> tuple[WorldHour, ...]:
    return world().together(hour)


def tapes(hour: int = 1) -> list[NDArray[Any]]:
    """The perpetual, the other coin, and the spot market."""
    return [part.events for part in together(hour)]


HASH_HOURS = """
from datetime import date
from hashlib import sha256
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World
world = World(find_scenario("lead_lag"), seed=1, start_day=date(2026, 1, 5), hours=3)
print(*(sha256(member.hour(1).events.tobytes()).hexdigest() for member in reversed(world.members)))
"""


def test_each_market_alone_in_another_process_is_the_one_made_together() -> None:
    run = subprocess.run([sys.executable, "-c", HASH_HOURS], capture_output=True, text=True, check=True)
    expected = [hashlib.sha256(tape.tobytes()).hexdigest() for tape in reversed(tapes())]
    assert run.stdout.split() == expected and len(set(expected)) == 3


def test_every_row_is_possible_and_hours_join_without_a_seam() -> None:
    for number, member in enumerate(world().members):
        tape, after = tapes(1)[number], tapes(2)[number]
        start_ns = member.market.start_ns + NS_PER_HOUR
        assert start_ns <= tape["ts_event"][0] and tape["ts_event"][-1] < start_ns + NS_PER_HOUR
        assert (np.diff(tape["ts_event"]) >= 0).all()
        quotes, trades = of_kind(tape, 0), of_kind(tape, 1)
        assert (np.diff(quotes["ts_recv"]) >= 0).all() and np.array_equal(quotes["seq"], np.arange(len(quotes)))
        tick = member.instrument.tick
        for prices in (quotes["bid_price"], quotes["ask_price"], trades["price"]):
            assert np.abs(prices / tick - np.rint(prices / tick)).max() < 1e-4
        assert (quotes["ask_price"] > quotes["bid_price"]).all()
        gap_bps = abs(np.log(of_kind(after, 0)["bid_price"][0] / quotes["bid_price"][-1])) * 1e4
        assert gap_bps < 0.5, "all that was under way has arrived by the end of the hour"


def test_messages_are_those_of_the_own_market_and_a_few_quotes_in_between() -> None:
    spot, tape = world(), tapes()[2]
    base = spot.market.hour(1)
    assert not (tape["kind"] > 1).any(), "a spot market has no funding"
    trades, own = of_kind(tape, 1), of_kind(base, 1)
    for field in ("ts_event", "ts_recv", "seq", "side", "qty"):
        assert np.array_equal(trades[field], own[field])
    added = len(of_kind(tape, 0)) - len(of_kind(base, 0))
    assert 0 < added < 0.1 * len(of_kind(base, 0))
    assert (tape["ts_event"] % 1_000 == 0).all() and (tape["ts_event"] % 1_000_000 != 0).any(), "stamps of microseconds"


def test_one_coin_has_one_price_and_follows_within_a_second() -> None:
    perp, other, spot = tapes()
    at = np.arange(perp["ts_recv"][0] + 60 * NS_PER_S, perp["ts_recv"][-1] - NS_PER_S, NS_PER_S)
    basis_bps = np.log(mid_at(perp, at) / mid_at(spot, at)) * 1e4
    moves_bps = np.diff(np.log(mid_at(perp, at))) * 1e4
    assert np.abs(np.median(basis_bps)) < 0.2 and basis_bps.std() < 1.5 * moves_bps.std()
    for leader, follower in ((perp, spot), (spot, perp), (perp, other)):
        facts = lead_facts(leader, follower)
        assert facts.moves > 100 and facts.next_correlation > 0.1 and facts.same_correlation > 0.1
        means = [mean.mean_bps for mean in facts.next]
        assert means[0] > 4.0 * facts.next[0].error_bps and sorted(means, reverse=True) == means


def test_the_truth_says_how_markets_hang_together() -> None:
    truth = world().truth([together(1)[2]])
    assert truth.leader == "SIMBTC.PERP" and set(truth.symbols) == {"SIMBTC.PERP", "SIMETH.PERP", "SIMBTC.SPOT"}
    assert {link.source for link in truth.links} == {"SIMBTC.PERP", "SIMETH.PERP", "FACTOR"}
    at_once, *_, late = truth.claims
    assert at_once.decisions > 100 and at_once.natural_bps > 4.0 * at_once.natural_error_bps
    assert late.natural_bps < at_once.natural_bps < at_once.cost_bps


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": ""}, "expected the symbol of a market"),
        ({"share": 0.0}, "share was 0.0"),
        ({"lag_median_ms": 5_000.0}, "lag_median_ms and lag_log_sd were 5000.0"),
    ],
)
def test_impossible_links(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Link(**({"source": "A", "share": 0.5, "lag_median_ms": 40.0} | changes))


def test_links_to_nowhere_are_refused() -> None:
    scenario = find_scenario("lead_lag")
    stray = msgspec.structs.replace(scenario.links[0], source="NOWHERE")
    with pytest.raises(InputError, match=r"a link names NOWHERE, expected one of FACTOR, SIMBTC\.PERP, SIMETH\.PERP"):
        World(msgspec.structs.replace(scenario, links=(stray,)), seed=1, start_day=START_DAY, hours=1)
    with pytest.raises(InputError, match=r"own_share was 0\.48"):
        msgspec.structs.replace(scenario, links=())
