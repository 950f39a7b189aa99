"""Baseline and StrategyV1 from the command line: trace, explain, compare, tune; refusals are one line."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from builders_v1 import measured_report, report_of, scores
from edgesmith.cli.app import run
from edgesmith.domain.units import NS_PER_DAY
from edgesmith.evaluation.comparison import block_length, probability_above, resample
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.replay import Replay
from edgesmith.trading.sweep import load_events

MARKET = ["--venue", "simulated", "--symbol", "DEMO1USDT"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("v1")
    with pytest.MonkeyPatch.context() as patch:
        say(patch, folder, "world", "make", "demo", "--hours", "1")
        events = load_events(Replay(Catalog(folder / "lake").partitions("simulated")))
        measured = msgspec.structs.replace(measured_report(events), instrument="simulated:OTHER")
        measured.save(folder / "features_report.json")
        earlier = msgspec.structs.replace(report_of(scores()), first_ns=1, last_ns=2)
        earlier.save(folder / "earlier.json")
        say(patch, folder, "backtest", *MARKET)
        say(patch, folder, "backtest", *MARKET, "--strategy", "v1", "--set", f"report={folder}/features_report.json")
    return folder


def say(patch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    patch.setenv("EDGESMITH_LAKE", str(folder / "lake"))
    patch.setenv("EDGESMITH_RUNS", str(folder / "runs"))
    patch.setenv("COLUMNS", "100")
    return run(words)


def runs(folder: Path) -> dict[str, Path]:
    found = {}
    for path in (folder / "runs").glob("run_*/manifest.json"):
        found[json.loads(path.read_bytes())["strategy"]["name"]] = path.parent
    return found


def test_the_run_says_where_quotes_ended_and_that_it_is_in_sample(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = f"report={place}/features_report.json"
    assert say(monkeypatch, place, "backtest", *MARKET, "--strategy", "v1", "--set", report) == 0
    told = capsys.readouterr().out
    assert "from quotes to entries" in told
    assert "in sample: the feature report was made on data of this run" in told
    assert "the feature report is of simulated:OTHER, the run trades simulated:DEMO1USDT" in told
    page = (runs(place)["v1"] / "report.html").read_text()
    assert "From quotes to entries" in page
    assert "every check passed" in page


def test_explain_tells_a_decision_and_recomputes_it(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs(place)["v1"]
    row = pl.read_parquet(folder / "trace.parquet").filter(pl.col("gate") == "entered").row(3, named=True)
    assert say(monkeypatch, place, "explain", folder.name, "--at", str(row["ts"])) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Outcome entered: every check passed" in told
    assert f"rescaled {row['confidence']:.3f}" in told
    assert "Risk on the order:" in told
    assert "imbalance_ema" in told
    assert "recomputed from the trace: the same decision" in told
    assert say(monkeypatch, place, "explain", folder.name, "--at", str(row["ts"]), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["recomputed"] is True
    assert answer["decision"]["qty"] == row["qty"]


@pytest.mark.parametrize(
    ("strategy", "at", "said"),
    [
        ("v1", "2020-01-01", "no decision was traced by then; the first is at 2026-01-05"),
        ("v1", "soon", "--at was 'soon', expected ns since 1970 or a time such as"),
        ("baseline", "2026-01-05T00:30:00", "run a strategy that can be traced (v1)"),
    ],
)
def test_explain_refuses_in_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], strategy: str, at: str, said: str
) -> None:
    assert say(monkeypatch, place, "explain", runs(place)[strategy].name, "--at", at) != 0
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_compare_is_fair_and_the_same_both_ways(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [folder.name for folder in runs(place).values()]
    answers: list[Any] = []
    for order in (names, names[::-1]):
        assert say(monkeypatch, place, "compare", *order, "--json", "--output", str(place / "page.html")) == 0
        answers.append(json.loads(capsys.readouterr().out))
    first, second = answers
    manifest = json.loads((place / "runs" / names[0] / "manifest.json").read_bytes())
    one = next(one for one in first["runs"] if one["run_id"] == names[0])
    assert one["return_ratio"] == manifest["metrics"]["return_ratio"]
    assert one["return_low_ratio"] <= one["return_ratio"] <= one["return_high_ratio"]
    assert one["sharpe"] == pytest.approx(manifest["metrics"]["sharpe_minute"], rel=1e-9)
    assert first["pairs"][0]["earns_more"] == pytest.approx(1.0 - second["pairs"][0]["earns_more"], abs=0.05)
    page = (place / "page.html").read_text()
    assert "Equity of each run" in page
    assert "SIMULATED" in page.upper()
    assert say(monkeypatch, place, "compare", *names) == 0
    assert "probability, by paired blocks of minutes" in capsys.readouterr().out


def test_compare_refuses_other_costs(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(monkeypatch, place, "backtest", *MARKET, "--execution", "instant", "--runs", str(place / "other")) == 0
    other = next((place / "other").glob("run_*"))
    capsys.readouterr()
    assert say(monkeypatch, place, "compare", runs(place)["v1"].name, str(other)) != 0
    assert "so their results cannot be compared" in capsys.readouterr().err


def test_tune_counts_its_trials_and_refuses_a_report_of_later_days(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", *MARKET, "--top-n", "2,5", "--alpha-min", "0.3,0.5"]
    assert say(monkeypatch, place, *words, "--report", str(place / "earlier.json"), "--train-end", "2026-01-05", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    # Both alphas keep the same features: the same selection twice is one trial.
    assert answer["trials"] == len(answer["train"]) == 2
    assert answer["trials_total"] == {"train": 2}
    assert answer["later"] is None
    late = msgspec.structs.replace(report_of(scores()), last_ns=(date(2026, 1, 6) - date(1970, 1, 1)).days * NS_PER_DAY)
    late.save(place / "late.json")
    assert say(monkeypatch, place, *words, "--report", str(place / "late.json"), "--train-end", "2026-01-05") != 0
    assert "after --train-end 2026-01-05" in capsys.readouterr().err


def test_paired_draws_tell_a_better_run_and_no_more_than_the_data_hold() -> None:
    rng = np.random.default_rng(5)
    market = rng.normal(0.0, 1.0, 1_000)
    runs_alike = np.column_stack([market, market + rng.normal(0.0, 0.1, 1_000), market + 0.02])
    draws = resample(runs_alike, seed=1)
    assert draws is not None
    assert probability_above(draws.total[:, 2], draws.total[:, 0]) == 1.0
    assert 0.02 < probability_above(draws.total[:, 1], draws.total[:, 0]) < 0.98
    assert draws.total[:, 0].mean() == pytest.approx(market.sum(), abs=3.0)
    assert draws.total[:, 0].std() == pytest.approx(np.sqrt(1_000), rel=0.15)
    assert block_length(1_000) == 10
    assert resample(runs_alike[:29], seed=1) is None
