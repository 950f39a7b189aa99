"""`edgesmith features analyze` as a person meets it: on a world, on a real capture, and with options that make no sense."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgesmith.cli.app import run
from edgesmith.errors import CorruptDataError, InputError
from edgesmith.evaluation.feature_report import REPORT_FILE, TOLD, TOO_FEW_BLOCKS, load_report
from edgesmith.lake.importers import import_files

SETS = ["--set", "spread", "--set", "imbalance_ema,rsi"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    assert run(["world", "make", "imbalance_large", "--hours", "1", "--lake", str(folder)]) == 0
    return folder


def _analyze(lake: Path, out: Path, *more: str) -> int:
    options = ["--symbol", "LARGE1USDT", "--venue", "simulated", "--lake", str(lake), "--out", str(out), "--horizon", "1"]
    return run(["features", "analyze", *options, *SETS, *more])


def test_a_world_is_analyzed_and_the_same_again_gives_the_same_bytes(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _analyze(lake, tmp_path / "one") == 0
    said = capsys.readouterr().out
    assert "correlate with the label beyond chance: imbalance_ema" in said and "held out:" in said
    assert _analyze(lake, tmp_path / "two", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    first, second = ((tmp_path / name / REPORT_FILE).read_bytes() for name in ("one", "two"))
    assert first == second and json.loads(first) == printed
    report = load_report(tmp_path / "one")
    assert report.scores[0].column == "imbalance_ema" and report.scores[0].verdict == TOLD and report.scores[0].told_from_zero
    assert report.scores[0].params == {"period": 20.0} and report.simulated and report.rows > 35_000
    page = (tmp_path / "one" / "report.html").read_text()
    assert page == (tmp_path / "two" / "report.html").read_text()
    text = re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    assert "Simulated market" in text and "imbalance_ema" in text and "told from 0" in text
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", text)


def test_a_real_capture_of_minutes_is_said_to_be_too_short(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = shared_data / "captures/binance_usdm_btcusdt_20240808.gz"
    import_files("binance-capture", [capture], tmp_path / "lake", market="usdm", symbol="BTCUSDT")
    options = [
        "--symbol",
        "BTCUSDT",
        "--market",
        "usdm",
        "--lake",
        str(tmp_path / "lake"),
        "--out",
        str(tmp_path),
        "--horizon",
        "1",
    ]
    assert run(["features", "analyze", *options, *SETS]) == 0
    said = capsys.readouterr().out
    assert "too little data to tell any correlation from 0" in said
    report = load_report(tmp_path)
    assert {score.verdict for score in report.scores} == {TOO_FEW_BLOCKS} and not report.simulated
    assert (report.scores[0].correlation_low, report.scores[0].correlation_high) == (-1.0, 1.0)
    assert "Simulated market" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid", "event"], "--grid was 'event', expected a distance"),
        (["--model", "forest"], "--model was 'forest', expected one of ridge, xgboost"),
        (["--held-out", "0.9"], "held_out_ratio was 0.9, expected 0.1..0.5"),
        (["--horizon", "0.05"], "expected a positive multiple of the decision grid"),
        (["--horizon", "3600"], "no decision time has a label"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert _analyze(lake, tmp_path, *options) in (2, 3)
    said = capsys.readouterr().err
    assert message in said and len(said.strip().splitlines()) == 1


def test_reports_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; make it with `edgesmith features analyze`"):
        load_report(tmp_path / REPORT_FILE)
    (tmp_path / REPORT_FILE).write_text('{"scores": 3}')
    with pytest.raises(CorruptDataError, match="is not a feature report"):
        load_report(tmp_path)
