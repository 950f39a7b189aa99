"""`edgesmith world facts`, `compare` and `fit` on a small simulated lake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesmith.cli.app import run


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("facts") / "lake"
    assert run(["world", "make", "null_plain", "--hours", "1", "--seed", "3", "--lake", str(root), "--json"]) == 0
    return root


def test_facts_as_json_and_as_a_table(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--venue", "simulated", "--symbol", "NULL1USDT", "--lake", str(lake)]
    capsys.readouterr()
    assert run(["world", "facts", *chosen, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["clock"] == "venue" and facts["tick"] == 0.1 and 3_500 < facts["span_s"] <= 3_600
    assert run(["world", "facts", *chosen]) == 0
    table = capsys.readouterr().out
    assert "quotes_per_s" in table and max(len(line) for line in table.splitlines()) <= 80


def test_compare_judges_every_row(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["world", "compare", "simulated:NULL1USDT", "simulated:NULL1USDT", "--lake", str(lake)]) == 0
    table = capsys.readouterr().out
    assert "rows inside their range" in table and max(len(line) for line in table.splitlines()) <= 80
    assert run(["world", "compare", "NULL1USDT", "simulated:NULL1USDT", "--lake", str(lake)]) != 0
    assert "expected VENUE:SYMBOL" in capsys.readouterr().err


def test_fit_writes_parameters(lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fit.json"
    arguments = ["--venue", "simulated", "--symbol", "NULL1USDT", "--lake", str(lake), "--evaluations", "2", "--out", str(out)]
    assert run(["world", "fit", *arguments]) == 0
    assert "rows inside their range" in capsys.readouterr().out
    assert json.loads(out.read_text())["actions_per_s"] > 0.0
