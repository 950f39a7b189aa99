"""Kill -9 at any moment of an import: the lake stays readable, and importing again completes it.

A child process imports and kills itself at its n-th function call (Python's or C's), so every point is repeatable and there is
one before and after each write, sync and rename. Children are forked from this process: they need not import anything anew.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders_import import quote, trade, write_lines
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.importers import import_files
from edgesmith.lake.quality import verify

POINTS = 60
SEED = 20_240_808
HALF_DAY_MS = 43_200_000

# A child that hangs is ended by the kernel, which the test then reports.
CHILD_SECONDS_MAX = 60


def do_import(path: Path, root: Path) -> None:
    import_files("binance-capture", [path], root, market="usdm", symbol="BTCUSDT")


class CallCounter:
    """Counts function calls and kills the process at the given one."""

    def __init__(self, last: int | None = None) -> None:
        self.calls = 0
        self._last = last

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        self.calls += 1
        if self.calls == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def count_calls(path: Path, root: Path) -> int:
    counter = CallCounter()
    sys.setprofile(counter)
    try:
        do_import(path, root)
    finally:
        sys.setprofile(None)
    return counter.calls


def import_killed_at(call: int, path: Path, root: Path) -> int:
    """Import in a child that dies at its `call`-th function call; return the signal that ended it, 0 where none did."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(CHILD_SECONDS_MAX)
            sys.setprofile(CallCounter(call))
            do_import(path, root)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def state(root: Path) -> dict[str, tuple[bytes, bytes]]:
    """What readers see: meta and data of every partition, each verified."""
    found = {}
    for partition in Catalog(root).partitions():
        result = verify(partition)
        assert result.ok, result
        found[str(partition.key)] = ((partition.folder / "meta.json").read_bytes(), partition.data_path.read_bytes())
    return found


@pytest.fixture
def captures(tmp_path: Path) -> tuple[Path, Path]:
    """Two captures that overlap; the second has wrong lines and reaches into the next day."""
    first = [maker(index) for index in range(150) for maker in (quote, trade)]
    second = [maker(index) for index in range(100, 300) for maker in (quote, trade)]
    second += [quote(400, B="0"), quote(401, T=1_723_118_400_000 + HALF_DAY_MS), b"no time"]
    return write_lines(tmp_path / "first.gz", first), write_lines(tmp_path / "second.gz", second)


def test_a_killed_import_leaves_a_readable_lake(tmp_path: Path, captures: tuple[Path, Path]) -> None:
    first, second = captures
    base, whole = tmp_path / "base", tmp_path / "whole"
    do_import(first, base)
    shutil.copytree(base, whole)
    before = state(base)
    total = count_calls(second, whole)
    after = state(whole)
    assert before != after and set(before) < set(after)
    quarantine = {path.name: path.read_bytes() for path in (whole / "quarantine").iterdir()}
    unfinished = changed = 0
    points = np.random.default_rng(SEED).integers(1, total, POINTS)
    # The writing happens in the last calls: half of the points go there.
    points[::2] = total - points[::2] * (total // 3) // total
    for point in points:
        root = tmp_path / "lake"
        shutil.copytree(base, root)
        assert import_killed_at(int(point), second, root) == signal.SIGKILL, f"seed {SEED}, call {point} of {total}"
        held = state(root)
        for key, content in held.items():
            assert content in (before.get(key), after[key]), f"{key} is neither old nor new: seed {SEED}, call {point}"
        assert set(before) <= set(held)
        assert not (root / "quarantine").exists() or all(
            path.name.startswith(".") or path.read_bytes() == quarantine[path.name] for path in (root / "quarantine").iterdir()
        )
        unfinished += held != after
        changed += held != before
        do_import(second, root)
        assert state(root) == after, f"seed {SEED}, call {point}"
        assert {path.name: path.read_bytes() for path in (root / "quarantine").iterdir()} == quarantine
        shutil.rmtree(root)
    assert unfinished >= 50 and changed >= 5, "the points must fall before, between and after the writes"
