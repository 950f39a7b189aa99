"""The benchmarks run and write what they say; how fast anything is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_two_works_are_measured_and_written(tmp_path: Path) -> None:
    works = ("backtest_ema_compiled", "memory")
    done = benchmarks(*works, "--quick", "--no-peers", "--events", "5000", "--repeats", "1", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results" / "latest.json").read_text(encoding="utf-8"))
    assert set(results["works"]) == set(works)
    assert results["machine"]["cores"] and results["versions"]["numba"]
    compiled, memory = (results["works"][name] for name in works)
    assert not compiled["error"] and not memory["error"]
    rows = {row["who"]: row for row in compiled["rows"]}
    assert all(len(row["seconds"]) == 1 and not row["error"] for row in rows.values())
    same = [check for row in rows.values() for check in row["checks"] if check["what"] in ("fills", "pnl")]
    assert same and all(check["reached"] for check in same), "the engine and the loop fused by hand must agree"
    few, many = memory["rows"]
    assert many["facts"][0]["fills"] > 5 * few["facts"][0]["fills"] > 0
    markdown = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert all(row["who"] in markdown for row in compiled["rows"])


def test_an_unknown_work_is_refused_in_one_line(tmp_path: Path) -> None:
    done = benchmarks("nonsense", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "work was nonsense, expected some of features" in done.stderr
    assert not list(tmp_path.iterdir())
