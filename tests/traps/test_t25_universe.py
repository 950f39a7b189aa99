"""T25, symbols chosen with hindsight: members of a day are chosen by the days before it, and the dead are searched too."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import put
from edgesmith.cli.app import run
from edgesmith.cli.world import write_world
from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_S, ns_of_date
from edgesmith.edges.online import next_level
from edgesmith.edges.trials import LEDGER_NAME, TrialLedger
from edgesmith.errors import CorruptDataError, EdgesmithError, InputError
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.universe import Universe, build_universe, load_universe
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

FIRST = date(2026, 1, 5)
VENUE = "binance_usdm"
DAYS = [FIRST + timedelta(days=number) for number in range(6)]
# What each symbol trades on each day, None where it does not exist: FALLEN ends after the fourth day, RISER is large at the end.
TURNOVER: dict[str, list[float | None]] = {
    "STEADY": [100.0] * 6,
    "FALLEN": [90.0, 90.0, 90.0, 90.0, None, None],
    "THIRD": [50.0] * 6,
    "RISER": [10.0, 10.0, 10.0, 10.0, 500.0, 500.0],
}
PRICES = {"STEADY": [100.0] * 7, "FALLEN": [100.0, 100.0, 100.0, 100.0, 40.0], "THIRD": [100.0] * 7}
PRICES["RISER"] = [100.0, 102.0, 104.0, 106.0, 140.0, 142.0, 144.0]


def a_lake(root: Path, turnover: Mapping[str, list[float | None]] = TURNOVER, days: int = 6) -> Catalog:
    for symbol, sizes in turnover.items():
        for day, size in zip(DAYS[:days], sizes, strict=False):
            if size is not None:
                ts = {name: np.array([ns_of_date(day) + NS_PER_S]) for name in ("ts_event", "ts_recv")}
                quote = {"bid_price": 99.9, "bid_qty": 1.0, "ask_price": 100.1, "ask_qty": 1.0}
                trade = {"price": 100.0, "qty": round(size / 100.0, 3), "side": np.int8(1), "trade_id": 1}
                for stream, columns in ((Stream.BBO, quote), (Stream.TRADE, trade)):
                    named = {name: np.array([value]) for name, value in columns.items()}
                    put(root, stream, ts | named, venue=VENUE, symbol=symbol, day=day)
    return Catalog(root)


def members(universe: Universe) -> dict[date, tuple[str, ...]]:
    return {one.day: one.members for one in universe.days}


def profit(chosen: Mapping[date, tuple[str, ...]]) -> float:
    """The mean return of holding the members of each day over that day."""
    returns = [PRICES[s][DAYS.index(day) + 1] / PRICES[s][DAYS.index(day)] - 1.0 for day, names in chosen.items() for s in names]
    return float(np.mean(returns))


def test_t25_members_are_chosen_by_the_days_before_and_stay_to_their_last_day(tmp_path: Path) -> None:
    universe = build_universe(a_lake(tmp_path), VENUE, top=2, window_days=2)
    assert members(universe) == {
        DAYS[1]: ("STEADY", "FALLEN"),
        DAYS[2]: ("STEADY", "FALLEN"),
        DAYS[3]: ("STEADY", "FALLEN"),
        DAYS[4]: ("STEADY",),  # FALLEN was chosen; nobody takes its place on a day nobody could know it would miss
        DAYS[5]: ("RISER", "STEADY"),
    }
    assert [one.silent for one in universe.days] == [(), (), (), ("FALLEN",), ()]
    assert all(one.decided_from <= one.decided_to < one.day for one in universe.days)


def test_t25_hindsight_is_another_list_and_flatters(tmp_path: Path) -> None:
    catalog = a_lake(tmp_path)
    ours = members(build_universe(catalog, VENUE, top=2, window_days=2))
    # What people do: the largest symbols of today, over all of the past.
    largest = sorted(TURNOVER, key=lambda symbol: -(TURNOVER[symbol][-1] or 0.0))[:2]
    hindsight = {day: tuple(largest) for day in ours}
    assert sorted(largest) == ["RISER", "STEADY"] and set(ours.values()) != set(hindsight.values())
    assert profit(hindsight) > 0.03 and profit(ours) < -0.05


@functools.cache
def figures(seed: int) -> dict[str, list[float | None]]:
    rng = np.random.default_rng(seed)
    sizes = rng.lognormal(0.0, 1.5, (5, 6)).round(1) + 0.1
    there = rng.random((5, 6)) < 0.8
    return {f"S{k}": [float(v) if on else None for v, on in zip(sizes[k], there[k], strict=True)] for k in range(5)}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), known=st.integers(2, 5), window=st.integers(1, 4), by=st.sampled_from(["turnover", "trades"]))
def test_t25_later_days_change_nothing(tmp_path: Path, seed: int, known: int, window: int, by: Any) -> None:
    root = tmp_path / f"{seed}_{known}_{window}_{by}"
    try:
        early = build_universe(a_lake(root, figures(seed), known), VENUE, top=2, window_days=window, by=by)
    except InputError:
        early = None
    late = build_universe(a_lake(root, figures(seed)), VENUE, top=2, window_days=window, by=by)
    until = [one for one in late.days if one.day < DAYS[known]]
    assert until == list(early.days if early is not None else ())


def test_t25_a_universe_is_what_was_written(tmp_path: Path) -> None:
    universe = build_universe(a_lake(tmp_path / "lake"), VENUE, top=2)
    path = universe.save(tmp_path / "u.json")
    assert load_universe(path) == universe
    assert build_universe(Catalog(tmp_path / "lake"), VENUE, top=2, workers=2).universe_id == universe.universe_id
    path.write_bytes(path.read_bytes().replace(b"FALLEN", b"WINNER"))
    with pytest.raises(CorruptDataError, match="was changed after it was built"):
        load_universe(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"top": 0}, "top was 0"),
        ({"by": "fame"}, "by was 'fame', expected one of turnover, trades"),
        ({"window_days": 0}, "window was 0 days"),
        ({"end": DAYS[0]}, "no day of binance_usdm has recorded trades in the 7 days before it"),
    ],
)
def test_impossible_universes(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build_universe(a_lake(tmp_path, days=2), VENUE, **({"top": 2} | options))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the lake of the world `delisted`, at a fiftieth of its activity."""
    root = tmp_path_factory.mktemp("delisted")
    recipe = find_scenario("delisted")

    world = World(recipe, seed=3, start_day=FIRST, hours=recipe.hours, rate=0.02)
    write_world(world, root, workers=2)
    return root


def test_t25_the_delisted_symbol_of_the_world_falls_and_ends(lake: Path) -> None:
    scenario = find_scenario("delisted")
    ending = next(one for one in scenario.others if one.delisted is not None)
    assert ending.delisted is not None
    held = Catalog(lake).partitions("simulated", Stream.BBO, ending.symbol)
    last_ns = ns_of_date(FIRST) + ending.delisted.after_hours * 3_600 * NS_PER_S
    assert max(one.meta.ts_event_max for one in held) < last_ns <= max(one.meta.ts_event_max for one in held) + 600 * NS_PER_S
    before, last = (pq.read_table(one.data_path)["bid_price"].to_numpy() for one in held[-2:])
    assert 0.35 < last[-1] / before[-1] < 0.45
    truth = held[-1].meta.truth
    assert truth is not None and truth["delisted"] == msgspec.to_builtins(ending.delisted)


def test_t25_a_search_of_a_universe_searches_the_dead_and_counts_everybody(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, runs = tmp_path / "u.json", tmp_path / "runs"
    where = ["--lake", str(lake), "--json"]
    assert run(["universe", "build", "--venue", "simulated", "--top", "2", "--window", "2d", "--output", str(file), *where]) == 0
    capsys.readouterr()
    small = ["--set", "spread", "--horizon", "10", "--latency", "0", "--grid", "1000", "--runs", str(runs)]
    assert run(["discover", "--universe", str(file), *small, *where]) == 0
    found = {one["symbol"]: one for one in json.loads(capsys.readouterr().out)["symbols"]}
    assert list(found) == ["STEADY1USDT", "FALLEN1USDT", "THIRD1USDT"]
    assert found["FALLEN1USDT"]["days"] == ["2026-01-06", "2026-01-07", "2026-01-08"]
    levels, totals = ([one[name] for one in found.values()] for name in ("level", "trials_total"))
    # One budget: symbols whose data never meets are looks of one sequence all the same, and every cell of every symbol counts.
    hits = [one.found for one in TrialLedger(runs / LEDGER_NAME).account().looks]
    assert levels == [next_level(hits[:count]) for count in range(3)] and levels[0] < 0.05
    assert totals[-1] == sum(one["trials"] for one in found.values())
    assert run(["discover", "--universe", str(file), *small, *where]) == 0
    again = {one["symbol"]: one for one in json.loads(capsys.readouterr().out)["symbols"]}
    assert [one["level"] for one in again.values()] == levels, "the same search is the same trial"
    assert run(["discover", "--universe", str(file), "--symbol", "STEADY1USDT", *small, *where]) == 2
    assert "give --universe alone" in capsys.readouterr().err
    assert run(["universe", "show", str(file), "--by-day"]) == 0
    assert "FALLEN1USDT" in capsys.readouterr().out


def test_t25_a_universe_of_days_the_lake_lacks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog, file = a_lake(tmp_path / "lake"), tmp_path / "u.json"
    build_universe(catalog, VENUE, top=2).save(file)
    shutil.rmtree(next((tmp_path / "lake").rglob("stream=bbo/symbol=fallen")))
    code = run(["discover", "--universe", str(file), "--lake", str(tmp_path / "lake"), "--runs", str(tmp_path / "runs")])
    assert code == InputError.exit_code and issubclass(InputError, EdgesmithError)
    assert "has FALLEN on 2026-01-06, but no bbo data" in capsys.readouterr().err
