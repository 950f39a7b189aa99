"""`edgesmith world ls`, `make` and `leads` for worlds of several markets and of capacity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesmith.cli.app import run

PERP, SPOT = "simulated:SIMBTC.PERP", "simulated:SIMBTC.SPOT"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("leads") / "lake"
    assert run(["world", "make", "lead_lag", "--hours", "1", "--rate", "0.3", "--seed", "3", "--lake", str(root)]) == 0
    return root


def test_all_markets_of_a_world_are_made(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["lake", "ls", "--lake", str(lake), "--json"]) == 0
    assert {"SIMBTC.PERP", "SIMBTC.SPOT", "SIMETH.PERP"} == {one["symbol"] for one in json.loads(capsys.readouterr().out)}
    assert run(["world", "ls"]) == 0
    assert "Several markets" in capsys.readouterr().out


def test_leads_as_json_and_as_tables(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["world", "leads", PERP, SPOT, "--lake", str(lake), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["facts"]["next_correlation"] == pytest.approx(found["reverse"]["reverse_correlation"], abs=0.02)
    assert [one["latency_ms"] for one in found["facts"]["next"]] == [0, 20, 50, 100] and found["facts"]["moves"] > 50
    assert run(["world", "leads", PERP, SPOT, "--lake", str(lake)]) == 0
    tables = capsys.readouterr().out
    assert "B in the window after A" in tables and max(len(line) for line in tables.splitlines()) <= 100
    assert run(["world", "leads", "SIMBTC.PERP", SPOT, "--lake", str(lake)]) != 0
    assert "expected VENUE:SYMBOL" in capsys.readouterr().err


def test_make_says_what_a_size_earns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["world", "make", "P12", "--hours", "1", "--lake", str(tmp_path)]) == 0
    assert "A unit traded moves the price by" in capsys.readouterr().out
