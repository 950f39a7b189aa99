"""From a search to verdicts on the command line: the split is respected, evidence is kept, pages are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders_edges import evidence, spec
from edgesmith.cli.app import run
from edgesmith.edges.registry import EdgeRegistry, sqlite_url
from edgesmith.edges.trials import LEDGER_NAME, TrialLedger

SYMBOL = "P1X16USDT"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("desk")
    assert run(["world", "make", "P1_16", "--seed", "4", "--hours", "14", "--lake", str(root / "data")]) == 0
    words = ["discover", "--venue", "simulated", "--symbol", SYMBOL, "--set", "imbalance_ema", "--set", "rsi", "--part", "0.5"]
    words += ["--horizon", "5,10", "--latency", "50", "--lake", str(root / "data"), "--runs", str(root / "runs")]
    assert run(words) == 0
    (found,) = (folder.name for folder in (root / "runs").glob("run_*"))
    return root, found


def words(desk: tuple[Path, str], *more: str) -> list[str]:
    root, found = desk
    return ["validate", found, "--lake", str(root / "data"), "--runs", str(root / "runs"), "--days-min", "1", *more]


def test_candidates_get_verdicts_cards_and_evidence(desk: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = desk
    assert run(words(desk, "--json")) == 0
    cards = json.loads(capsys.readouterr().out)
    assert {"VALIDATED"} <= {card["verdict"] for card in cards}
    assert all(card["findings"]["onsets"] > 0 for card in cards)
    for card in cards:
        parts, found = card["cost_parts"], card["findings"]
        assert parts["funding_bps"] is not None
        assert sum(parts.values()) == pytest.approx(found["cost_bps"])
        assert found["gross_bps"] - found["cost_bps"] == pytest.approx(found["net_bps"])
        assert card["maker"]["touch"]["fills"] >= card["maker"]["queue"]["fills"]
        # The search looked at one latency and two horizons.
        assert len(card["latency_curve"]) == 6 and [point["at"] for point in card["response_curve"]][-1] == 10**10
    (folder,) = (root / "runs").glob("validation_*")
    assert (folder / "report.html").is_file() and len(list(folder.glob("edge_*.html"))) == len(cards)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(["edges", "ls", "--verdict", "VALIDATED", "--runs", str(root / "runs"), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["verdict"] for row in listed} == {"VALIDATED"}
    assert run(words(desk)) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_t15_data_the_search_saw_is_refused(desk: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Trap T15: "out of sample" that was inside discovery."""
    assert run(words(desk, "--from", "2026-01-05")) == 2
    assert "what was searched proves nothing" in capsys.readouterr().err


def test_another_way_in_or_out_is_another_edge_judged_behind_the_queue(
    desk: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = desk
    assert run(words(desk, "--top", "1", "--entry", "maker_touch", "--exit", "stop:1.5", "--json")) == 0
    (card,) = json.loads(capsys.readouterr().out)
    asked = card["spec"]
    assert asked["entry"] == "maker_touch" and asked["exit"] == {"kind": "stop", "stop_volatility_units": 1.5}
    assert asked["fee_in_bps"] == 0.0 < asked["fee_out_bps"]
    if card["maker"] is not None:
        assert card["findings"]["net_bps"] == pytest.approx(card["maker"]["queue"]["net_bps"])
    assert (
        card["sentence"].endswith("(a maker behind the whole queue)")
        and card["findings"]["onsets"] > 0
        and card["verdict"] != "VALIDATED"
    )
    entries = [EdgeRegistry(sqlite_url(root / "runs")).get(row.edge_id).entry for row in listed(root)]
    assert "maker_touch" in entries and "taker" in entries
    for bad, said in (("--entry", "expected taker, maker_touch or maker_queue"), ("--exit", "stop:UNITS such as stop:1.5")):
        assert run(words(desk, bad, "stop:soon")) == 2
        assert said in capsys.readouterr().err


def listed(root: Path) -> list[Any]:
    return EdgeRegistry(sqlite_url(root / "runs")).list(None, SYMBOL)


def test_unknown_runs_and_edges_are_one_line(desk: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = desk
    assert run(["validate", "run_nothing", "--runs", str(root / "runs")]) == 2
    assert "expected a discovery run" in capsys.readouterr().err
    assert run(words(desk, "--edge", "edge_nothing")) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_validations_of_the_same_data_share_one_level_of_error(desk: tuple[Path, str]) -> None:
    root, _ = desk
    ledger = TrialLedger(root / "runs" / LEDGER_NAME)
    before = [one for one in ledger.records() if one.kind == "validation"]
    assert run(words(desk, "--top", "1")) == 0
    after = [one for one in ledger.records() if one.kind == "validation"]
    assert len(after) == len(before) + 1
    assert all(one.level is not None and one.level < 0.05 for one in after)
    looks = [one for one in ledger.account(after[-1].data).looks if one.record.kind == "validation"]
    assert all(one.p is not None for one in looks)


def test_an_edge_of_another_search_is_refused(desk: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = desk
    strangers = [spec(), spec(symbol=SYMBOL), spec(symbol=SYMBOL, entry="maker_touch")]
    EdgeRegistry(sqlite_url(root / "runs")).record([(one, evidence(one.edge_id)) for one in strangers])
    for one in strangers:
        assert run(words(desk, "--edge", one.edge_id)) == 2
        assert "is not of this search" in capsys.readouterr().err


def test_a_lake_without_the_symbol_is_one_line(
    desk: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root, found = desk
    assert run(["validate", found, "--lake", str(tmp_path), "--runs", str(root / "runs")]) == 2
    assert "name its lake with --lake" in capsys.readouterr().err
