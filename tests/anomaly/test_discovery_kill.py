"""`edgesmith discover` killed while it codes days, and again while it searches: run once more it says what it would have said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builders import put
from builders_discovery import START_NS, planted_tape
from builders_kill import killed_when
from edgesmith.cli.app import run
from edgesmith.domain.events import PAYLOAD_FIELDS, Stream
from edgesmith.domain.units import NS_PER_DAY, date_of_ns
from edgesmith.edges.registry import EdgeRegistry, sqlite_url
from edgesmith.edges.trials import LEDGER_NAME, Account, TrialLedger

DAYS = 4


@pytest.fixture(scope="module")
def tape_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour of four days, an edge of 6 bps in the top tenth of imbalance."""
    root = tmp_path_factory.mktemp("lake")
    for at in range(DAYS):
        tape = planted_tape(40 + at, effect_bps=6.0, minutes=30)
        tape = tape[tape["bid_qty"] > 0]
        columns = {name: tape[name].copy() for name in ("ts_event", "ts_recv", *PAYLOAD_FIELDS[Stream.BBO])}
        for name in ("ts_event", "ts_recv"):
            columns[name] += at * NS_PER_DAY
        day = date_of_ns(START_NS + at * NS_PER_DAY)
        put(root, Stream.BBO, columns, venue="simulated", symbol="BUSDT", day=day, simulated=True)
    return root


def searched(lake: Path, runs: Path) -> None:
    """Search by the command line."""
    options = ["--symbol", "BUSDT", "--set", "spread", "--set", "imbalance_ema", "--horizon", "1,5", "--latency", "50"]
    places = ["--depth", "2", "--fee-bps", "1", "--lake", str(lake), "--runs", str(runs), "--json"]
    assert run(["discover", "--venue", "simulated", *options, *places]) == 0


def linked(lake: Path, to: Path) -> Path:
    """Return a lake with the same data and no coded days."""
    for path in lake.rglob("*"):
        if path.is_file() and "coded" not in path.parts:
            at = to / path.relative_to(lake)
            at.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, at)
    return to


def kept(runs: Path) -> tuple[bytes, list[str], Account]:
    """Return the result, the edges registered, and what the ledger says of every look."""
    (result,) = runs.glob("*/discovery.json")
    edges = sorted(row.edge_id for row in EdgeRegistry(sqlite_url(runs)).list())
    return result.read_bytes(), edges, TrialLedger(runs / LEDGER_NAME).account()


def test_a_search_killed_twice_ends_with_the_same_bytes(tape_lake: Path, tmp_path: Path) -> None:
    whole = linked(tape_lake, tmp_path / "whole"), tmp_path / "whole_runs"
    searched(*whole)
    lake, runs = linked(tape_lake, tmp_path / "killed"), tmp_path / "killed_runs"

    killed_when(lambda: len(list(lake.rglob("coded/**/meta.json"))) >= 2, lambda: searched(lake, runs))
    coded = {path: path.stat().st_mtime_ns for path in lake.rglob("coded/**/meta.json")}
    assert coded and not list(runs.glob("*/discovery.json"))

    ledger = runs / LEDGER_NAME
    killed_when(lambda: ledger.exists() and ledger.stat().st_size > 0, lambda: searched(lake, runs))
    assert not list(runs.glob("*/discovery.json"))

    searched(lake, runs)
    assert kept(runs) == kept(whole[1])
    assert {path: path.stat().st_mtime_ns for path in coded} == coded, "days that were done are not computed again"
