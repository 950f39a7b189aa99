"""Commands that work on many things at once say and write the same whatever the number of workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesmith.cli.app import run

SYMBOLS = ("DEMO1USDT", "NULL1USDT")


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_worlds_features_and_verification_do_not_depend_on_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for workers in ("1", "2"):
        lake = tmp_path / workers
        parallel = ["--workers", workers, "--lake", str(lake)]
        for scenario in ("demo", "null_plain"):
            assert run(["world", "make", scenario, "--hours", "2", "--rate", "0.2", *parallel]) == 0
        symbols = [word for symbol in SYMBOLS for word in ("--symbol", symbol)]
        capsys.readouterr()
        assert run(["features", "compute", "--venue", "simulated", *symbols, "--json", *parallel]) == 0
        computed = json.loads(capsys.readouterr().out)
        assert [one["symbol"] for one in computed] == list(SYMBOLS) and all(one["rows"] > 1_000 for one in computed)
        assert run(["lake", "verify", "--json", *parallel]) == 0
        verified = json.loads(capsys.readouterr().out)
        assert len(verified) == 10 and all(one["ok"] for one in verified)
        said[workers] = files(lake), verified
    assert said["1"] == said["2"]


def test_a_number_of_workers_that_cannot_be_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["world", "make", "demo", "--hours", "1", "--workers", "0", "--lake", str(tmp_path)]) == 2
    assert "workers was 0, expected 1.." in capsys.readouterr().err
