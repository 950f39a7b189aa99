"""Markets that hang together: the same bytes alone and together, no seams, prices that follow within the lags."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from builders_worlds import START_DAY, mid_at, of_kind
from edgesmith.cli.world import write_world
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


HASH_LINKED = """
import sys
from hashlib import sha256
import numpy as np
from edgesmith.domain.events import EVENT
from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.records import as_records
from edgesmith.worlds.links import Link, Source, hung_together
own, other = (as_records(np.fromfile(path, EVENT)) for path in sys.argv[1:])
steps = {"tick_size": "0.01", "lot_size": "0.00001"}
instrument = Instrument(venue="simulated", symbol="A", kind=ContractKind.LINEAR, settle="USDT", **steps)
settings = {"instrument": instrument, "own_share": 0.5, "own_log_path": 0.002, "opening": 6_000_000}
settings |= {"start_ns": int(own["ts_event"][0]) // 3_600_000_000_000 * 3_600_000_000_000, "stamp_ns": 1_000}
source = Source(Link(source="B", share=0.5, lag_median_ms=40.0), other, 0.001)
linked = hung_together(own, [source], key=np.uint64(7), **settings)
print(len(linked), sha256(linked.tobytes()).hexdigest())
"""


def test_compiled_equals_plain_python(tmp_path: Path) -> None:
    paths = [str(tmp_path / "own"), str(tmp_path / "other")]
    for path, member in zip(paths, (world(), world().members[0]), strict=True):
        member.market.hour(1)[:4_000].tofile(path)
    found = [
        subprocess.run(
            [sys.executable, "-c", HASH_LINKED, *paths], env=os.environ | more, capture_output=True, text=True, check=True
        ).stdout
        for more in ({}, {"NUMBA_DISABLE_JIT": "1"})
    ]
    assert found[0] == found[1] and int(found[0].split()[0]) > 4_000, "some moves are quoted at once"


def test_a_lake_is_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    small = World(find_scenario("lead_lag"), seed=2, start_day=START_DAY, hours=3, rate=0.02)
    written = []
    for workers in (1, 3):
        root = tmp_path / str(workers)
        result = write_world(small, root, workers=workers)
        written.append({str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()})
    assert written[0] == written[1] and len(written[0]) == 2 * len(result.partitions) == 2 * (5 + 5 + 2)
    assert [one.symbol for one in result.instruments] == ["SIMBTC.SPOT", "SIMBTC.PERP", "SIMETH.PERP"]


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
