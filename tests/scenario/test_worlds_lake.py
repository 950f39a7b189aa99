"""Worlds in the lake: complete, marked, repeatable, with their truth beside them; and a demo world whose truth is clear."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from builders_worlds import START_DAY, of_kind
from edgesmith.cli.world import make_world, write_world
from edgesmith.domain.events import EVENT, Stream
from edgesmith.domain.instruments import Instrument
from edgesmith.errors import DataError
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.importers.entry import import_files
from edgesmith.lake.quality import verify
from edgesmith.lake.replay import Replay
from edgesmith.lake.schema import PartitionKey
from edgesmith.venues.registry import find_instrument
from edgesmith.worlds.plant import Plant, plant_edges
from edgesmith.worlds.random import root_key
from edgesmith.worlds.regions import Region
from edgesmith.worlds.scenarios import SCENARIOS, find_scenario
from edgesmith.worlds.world import RECIPE_VERSION, TruthRecord, World


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_world_is_written_verified_and_replayed(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    result = make_world("demo", seed=3, root=tmp_path, hours=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    partitions = Catalog(tmp_path).partitions()
    assert {partition.key.stream for partition in partitions} == set(Stream)
    for partition in partitions:
        assert partition.key.venue == "simulated" and partition.key.symbol == "DEMO1USDT" and partition.key.day == START_DAY
        assert partition.meta.simulated and (partition.meta.price_increment, partition.meta.qty_increment) == ("0.1", "0.001")
        assert msgspec.convert(partition.meta.truth, TruthRecord) == result.truths[0]
        assert verify(partition).ok
    replayed = sum(len(batch) for batch in Replay(partitions).batches())
    assert replayed == result.events == sum(len(hour.events) for hour in World(find_scenario("demo"), 3, START_DAY, 2))
    assert result.instrument.simulated and result.instrument.taker_fee_ratio == 0.000075
    assert msgspec.convert(partitions[0].meta.truth["instrument"], Instrument) == result.instrument


def test_writing_again_changes_nothing_and_another_truth_is_refused(tmp_path: Path) -> None:
    make_world("null_plain", seed=3, root=tmp_path, hours=1)
    before = files(tmp_path)
    make_world("null_plain", seed=3, root=tmp_path, hours=1)
    assert files(tmp_path) == before
    with pytest.raises(DataError, match="another truth: its seed is 3, that of the new one 4"):
        make_world("null_plain", seed=4, root=tmp_path, hours=1)
    later = START_DAY + timedelta(days=1)
    with pytest.raises(DataError, match="its first_day is 2026-01-05, that of the new one 2026-01-06"):
        make_world("null_plain", seed=3, root=tmp_path, hours=1, start_day=later)
    assert files(tmp_path) == before


def test_worlds_of_two_versions_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("edgesmith.worlds.world.RECIPE_VERSION", RECIPE_VERSION - 1)
        make_world("null_plain", seed=3, root=tmp_path, hours=1, rate=0.02)
    before = files(tmp_path)
    with pytest.raises(
        DataError, match=f"its recipe_version is {RECIPE_VERSION - 1}, that of the new one {RECIPE_VERSION}"
    ) as said:
        make_world("null_plain", seed=3, root=tmp_path, hours=30, rate=0.02)
    assert files(tmp_path) == before and "write into another lake root" in str(said.value) and "\n" not in str(said.value)


def test_an_interrupted_world_leaves_no_half_day(tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done == 26:
            raise KeyboardInterrupt

    world = World(find_scenario("null_plain"), seed=1, start_day=START_DAY, hours=30, rate=0.02)
    with pytest.raises(KeyboardInterrupt):
        write_world(world, tmp_path, progress=stop)
    whole = Catalog(tmp_path).partitions()
    assert {partition.key.day for partition in whole} == {START_DAY} and len(whole) == len(Stream)
    assert all(partition.meta.truth is not None and partition.meta.truth["hours"] == 24 for partition in whole)
    result = write_world(world, tmp_path)
    assert len(Catalog(tmp_path).partitions()) == 2 * len(Stream) and [truth.hours for truth in result.truths] == [24, 6]
    trades = [partition for partition in Catalog(tmp_path).partitions() if partition.key.stream == Stream.TRADE]
    assert sum(partition.meta.rows for partition in trades) == sum(len(of_kind(hour.events, 1)) for hour in world)


def test_the_demo_has_one_tradable_one_too_small_and_one_empty_feature() -> None:
    scenario = find_scenario("demo")
    world = World(scenario, seed=2, start_day=START_DAY, hours=scenario.hours)
    hours = list(world)
    assert 0.6e6 < sum(len(hour.events) for hour in hours) < 1.6e6
    truth = world.truth(hours)
    flow, short, book, volatility = truth.claims
    assert (flow.verdict, short.verdict, book.verdict, volatility.verdict) == (
        "tradable",
        "real_but_cost",
        "real_but_cost",
        "nothing",
    )
    assert flow.gross_bps > 2.0 * flow.cost_bps and short.gross_bps < 0.5 * short.cost_bps
    # The natural effect alone is real, and with what was planted on top it stays below cost.
    assert book.natural_bps > 4.0 * book.natural_error_bps and book.gross_bps < 0.6 * book.cost_bps
    assert volatility.gross_bps == 0.0 and volatility.basis == "symmetry"
    assert abs(volatility.natural_bps) < 4.0 * volatility.natural_error_bps
    assert all(claim.cost_bps > 1.5 for claim in truth.claims)
    assert truth.shifts_late < 0.2 * (truth.shifts_scheduled + truth.shifts_taken_back)


@pytest.mark.parametrize("name", sorted(name for name in SCENARIOS if SCENARIOS[name].group == "demo"))
def test_every_scenario_is_consistent(name: str) -> None:
    scenario = SCENARIOS[name]
    world = World(scenario, seed=1, start_day=START_DAY, hours=2)
    hours = list(world)
    truth = world.truth(hours)
    assert truth.claims and scenario.summary
    for claim in truth.claims:
        if claim.verdict == "tradable":
            assert claim.planted_bps > claim.cost_bps
        elif claim.verdict == "real_but_cost":
            assert 0.0 < claim.gross_bps < claim.cost_bps
        else:
            assert claim.basis == "symmetry"
    if not scenario.plants:
        base = World(msgspec.structs.replace(scenario, claims=()), seed=1, start_day=START_DAY, hours=2)
        assert base.market.hour(1).tobytes() == hours[1].events.tobytes()


def test_edges_are_planted_in_a_real_market(tmp_path: Path, shared_data: Path) -> None:
    capture = shared_data / "captures" / "binance_usdm_btcusdt_20240808.gz"
    import_files("binance-capture", [capture], tmp_path, market="usdm", symbol="BTCUSDT")
    batches = list(Replay(Catalog(tmp_path).partitions(), order="venue").batches())
    tape = np.zeros(sum(map(len, batches)), EVENT)
    start = 0
    for batch in batches:
        tape[start : start + len(batch)] = batch
        start += len(batch)
    book = Plant(region=Region(feature="imbalance_ema", low=0.5, mirrored=True), side=1, shift_bps=1.0, probability_ratio=0.5)
    planted = plant_edges(tape, [book], instrument=find_instrument("binance_usdm", "BTCUSDT"), key=root_key(1, 0))
    quotes = tape["kind"] == Stream.BBO
    moved = np.rint((planted.events["bid_price"] - tape["bid_price"])[quotes] * 10)
    assert np.array_equal(moved, planted.offset_ticks[quotes]) and planted.offset_ticks[-1] == 0
    assert planted.scheduled > 30 and planted.late == 0, "a busy market always has an update that moves the mid price"
    assert np.array_equal(planted.events["bid_qty"][quotes], tape["bid_qty"][quotes])


def test_a_market_that_leads_is_written_beside_the_one_it_leads(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    result = make_world("P4", seed=3, root=tmp_path, hours=1, rate=0.05, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]
    (truth,) = result.truths
    assert truth.leader is not None and truth.leader != result.instrument.symbol
    partitions = Catalog(tmp_path).partitions()
    assert {partition.key.symbol for partition in partitions} == {truth.leader, result.instrument.symbol}
    assert len(partitions) == len(result.partitions) == 2 * len(Stream)
    assert all(verify(partition).ok for partition in partitions)
    assert result.events == sum(partition.meta.rows for partition in partitions)


def test_every_market_has_a_place_of_its_own_in_the_lake() -> None:
    markets = [market for scenario in SCENARIOS.values() for market in (scenario, *scenario.others)]
    keys = [PartitionKey("simulated", Stream.BBO, market.symbol, START_DAY) for market in markets]
    assert len(set(keys)) == len(markets) > len(SCENARIOS) + 2
