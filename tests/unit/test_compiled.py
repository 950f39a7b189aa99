"""The cache of compiled code: never stale, and blind to the name a file is imported under."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location(sys.argv[2], sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
print(module.double(21))
"""

SOURCE = "from edgesmith.compiled import kernel\n\n\n@kernel\ndef double(number):\n    return number * {factor}\n"


def _run(path: Path, name: str, cache: Path) -> str:
    command = [sys.executable, "-c", SCRIPT, str(path), name]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "EDGESMITH_CACHE_DIR": str(cache)})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_cache_follows_source_and_module_name(tmp_path: Path) -> None:
    path = tmp_path / "strategy.py"
    path.write_text(SOURCE.format(factor=2))
    assert _run(path, "first_name", tmp_path / "cache") == "42"
    assert _run(path, "second_name", tmp_path / "cache") == "42"
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == 2
    path.write_text(SOURCE.format(factor=3))
    assert _run(path, "first_name", tmp_path / "cache") == "63"
