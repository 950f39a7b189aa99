"""The command line as a person meets it: the main job on a small world, and bad input answered in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesmith.cli.app import run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a lake that holds one simulated hour."""
    folder = tmp_path_factory.mktemp("desk")
    assert run(["world", "make", "demo", "--hours", "1", "--lake", str(folder / "data")]) == 0
    return folder


def _options(workplace: Path) -> list[str]:
    places = ["--lake", str(workplace / "data"), "--runs", str(workplace / "runs")]
    return ["--venue", "simulated", "--symbol", "DEMO1USDT", "--date", "2026-01-05", *places]


def test_the_demo_ends_in_a_report_that_says_what_was_true(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["demo", "--hours", "1", "--lake", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    assert run(arguments) == 0
    said = capsys.readouterr().out
    report = Path(said.strip().splitlines()[-1].split()[-1])
    page = report.read_text()
    assert "SIMULATED" in said
    assert "trade_flow_imbalance" in page
    assert "Simulated market" in page or "SIMULATED MARKET" in page
    # Again with another seed: the old demo world makes room.
    assert run([*arguments, "--seed", "2"]) == 0


@pytest.mark.parametrize("file", ["ema_cross_compiled.py:EmaCross", "ema_cross_python.py:EmaCross"])
def test_the_example_strategies_run(workplace: Path, capsys: pytest.CaptureFixture[str], file: str) -> None:
    options = _options(workplace)
    assert run(["backtest", "--strategy", f"{EXAMPLES}/{file}", "--set", "fast_events=50", "--json", *options]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["result"]["fills"] > 0
    assert manifest["strategy"]["config"]["fast_events"] == 50
    folder = workplace / "runs" / manifest["run_id"]
    assert (folder / "report.html").is_file()
    assert run(["report", manifest["run_id"][:10], "--runs", str(workplace / "runs"), "--lake", str(workplace / "data")]) == 0


def test_listings_speak_json(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = ["--lake", str(workplace / "data")]
    run(["backtest", *_options(workplace)])
    capsys.readouterr()
    for command in (["lake", "ls", *lake], ["features", "ls"], ["world", "ls"], ["runs", "--runs", str(workplace / "runs")]):
        assert run([*command, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) > 0
        assert run(command) == 0
        assert capsys.readouterr().out.strip()


def test_features_are_computed_once(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["features", "compute", "--venue", "simulated", "--symbol", "DEMO1USDT", "--lake", str(workplace / "data")]
    assert run(command) == 0
    assert "computed" in capsys.readouterr().out
    assert run(command) == 0
    assert "already there" in capsys.readouterr().out


def test_a_damaged_lake_is_found(workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["world", "make", "null_plain", "--hours", "1", "--lake", str(tmp_path)]) == 0
    assert run(["lake", "verify", "--lake", str(tmp_path)]) == 0
    victim = next(tmp_path.glob("exchange=simulated/stream=bbo/**/*.parquet"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0xFF
    victim.write_bytes(content)
    assert run(["lake", "verify", "--lake", str(tmp_path)]) == 3
    assert "damaged" in capsys.readouterr().err


BROKEN = {
    "raises.py": "raise ValueError('boom')\n",
    "uncompilable.py": (
        "from edgesmith.trading.strategy import CompiledStrategy\n"
        "class Odd(CompiledStrategy):\n"
        "    @staticmethod\n"
        "    def decide(view):\n"
        "        return view.no_such_field\n"
    ),
    "raises_later.py": (
        "from edgesmith.domain.events import Stream\n"
        "from edgesmith.trading.strategy import PythonStrategy\n"
        "class Late(PythonStrategy):\n"
        "    streams = (Stream.BBO,)\n"
        "    def on_event(self, event, ctx):\n"
        "        raise KeyError('price')\n"
    ),
}


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--strategy", "martingale"], "unknown strategy 'martingale'; possible: baseline"),
        (["--strategy", "nowhere.py:Best"], "expected a Python file that exists"),
        (["--strategy", "{folder}/raises.py:Any"], "raised ValueError: boom"),
        (["--strategy", "{folder}/uncompilable.py:Odd"], "cannot be compiled"),
        (["--strategy", "{folder}/uncompilable.py:Other"], "possible: Odd"),
        (["--strategy", "{folder}/raises_later.py:Late"], "raised in on_event: KeyError"),
        (["--set", "order_qty=-1"], "order_qty"),
        (["--set", "no_such=1"], "its settings are: order_qty"),
        (["--execution", "perfect"], "possible: honest, instant"),
        (["--ordering", "loose"], "--ordering was 'loose'"),
        (["--equity", "-5"], "equity_start was -5"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], said: str
) -> None:
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    words = [word.format(folder=tmp_path) for word in extra]
    assert run(["backtest", *_options(workplace), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--venue", "simulated", "--symbol", "DEMO1USDT", "--date", "2026-01-09"], "the lake has 2026-01-05"),
        (["--venue", "simulated", "--symbol", "XYZ"], "the lake at"),
        (["--venue", "binance", "--symbol", "BTCUSDT"], "--market was not given"),
        (["--venue", "nyse", "--symbol", "BTCUSDT"], "venue was 'nyse'"),
        (["--venue", "simulated", "--symbol", "DEMO1USDT", "--date", "yesterday"], "expected YYYY-MM-DD"),
        (["--venue", "simulated", "--symbol", "DEMO1USDT", "--start", "2026-01-06", "--end", "2026-01-05"], "range was empty"),
    ],
)
@pytest.mark.parametrize("command", ["backtest", "discover", "features compute"])
def test_a_wrong_choice_of_data_says_what_there_is(
    workplace: Path, capsys: pytest.CaptureFixture[str], command: str, arguments: list[str], said: str
) -> None:
    assert run([*command.split(), *arguments, "--lake", str(workplace / "data")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_refused_import_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = tmp_path / "capture.txt"
    capture.write_text("not a frame\n" * 3)
    assert (
        run(
            [
                "lake",
                "import",
                "binance-capture",
                str(capture),
                "--market",
                "usdm",
                "--symbol",
                "BTCUSDT",
                "--lake",
                str(tmp_path),
            ]
        )
        == 3
    )
    assert "could be stored" in capsys.readouterr().err


def test_the_demo_on_a_real_capture(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = shared_data / "captures" / "binance_coinm_btcusd_perp_20240809.gz"
    assert run(["demo", "--data", str(capture), "--lake", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert "our clock was 1.2" in said
    assert "real: binance_coinm BTCUSD_PERP" in said
    assert "too little data to say" in said


def test_replay_goes_on_from_its_cursor(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["lake", "replay", "--venue", "simulated", "--symbol", "DEMO1USDT", "--lake", str(workplace / "data")]
    assert run([*command, "--limit", "20"]) == 0
    whole = capsys.readouterr().out.splitlines()
    assert run([*command, "--limit", "12", "--speed", "100000x"]) == 0
    first = capsys.readouterr()
    cursor = first.err.split()[-1]
    assert run([*command, "--limit", "8", "--cursor", cursor]) == 0
    assert first.out.splitlines() + capsys.readouterr().out.splitlines() == whole
    assert [json.loads(line)["ts_recv"] for line in whole] == sorted(json.loads(line)["ts_recv"] for line in whole)
    for option, value in (("--speed", "fast"), ("--order", "any"), ("--cursor", "x"), ("--stream", "depth")):
        assert run([*command, option, value]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_condition_is_followed(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--venue", "simulated", "--symbol", "DEMO1USDT", "--lake", str(workplace / "data")]
    found = {}
    for condition in ("imbalance_ema > 0.5", "not imbalance_ema > 0.5", "imbalance_ema > 2"):
        assert run(["features", "where", condition, *places, "--json"]) == 0
        found[condition] = json.loads(capsys.readouterr().out)
    yes, no, never = found.values()
    assert 0 < yes["rows_held"] < yes["rows"] == yes["rows_held"] + no["rows_held"]
    assert yes["time_ratio"] + no["time_ratio"] == pytest.approx(1.0, abs=0.01)
    assert abs(yes["onsets"] - no["onsets"]) <= 1
    assert never["rows_held"] == never["onsets"] == 0
    assert run(["features", "where", "imbalance_emma > 0.5", *places]) == 2
    assert "imbalance_ema" in capsys.readouterr().err


def test_a_sweep_ranks_every_combination(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--venue", "simulated", "--symbol", "DEMO1USDT", "--lake", str(workplace / "data")]
    command = ["sweep", *places, "--over", "cooldown_events=10:50:20", "--over", "order_qty=0.01,0.02"]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["settings"] for one in found][:2] == [
        {"cooldown_events": "10", "order_qty": "0.01"},
        {"cooldown_events": "10", "order_qty": "0.02"},
    ]
    assert len(found) == 6
    single = ["backtest", *_options(workplace), "--set", "cooldown_events=30", "--set", "order_qty=0.02", "--json"]
    assert run(single) == 0
    alone = json.loads(capsys.readouterr().out)["metrics"]
    assert alone == next(one["metrics"] for one in found if one["settings"] == {"cooldown_events": "30", "order_qty": "0.02"})
    assert run(command) == 0
    assert "best 6 of 6" in capsys.readouterr().out
    for over in ("order_qty", "order_qty=", "order_qty=1:0:1", "no_such=1,2"):
        assert run(["sweep", *places, "--over", over]) == 2
    assert run(["sweep", *places, "--over", "a=1,2", "--strategy", f"{EXAMPLES}/ema_cross_python.py:EmaCross"]) == 2
