"""Kill a writer at random points: the lake stays readable and the next write succeeds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from builders import put, random_columns
from builders_kill import killed_after
from edgesmith.domain.events import Stream
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.quality import verify

KILLS = 60
PIECES = 40
ROWS = 120

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


def write_pieces(root: Path, start: int) -> None:
    """Merge piece after piece into two partitions, for ever; each piece adds rows."""
    piece = start
    while True:
        for stream in (Stream.BBO, Stream.TRADE):
            put(root, stream, random_columns(stream, ROWS, seed=piece))
        piece += 1


def test_a_killed_writer_leaves_a_readable_lake(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    piece, interrupted, checksums = 0, 0, set()
    for kill in range(KILLS):
        # A new lake now and then: the first write of a partition can be hit too.
        root = tmp_path / f"lake{kill % 3}" / str(kill // 20)
        before = {partition.key: partition.meta for partition in Catalog(root).partitions()}
        killed_after(float(rng.uniform(0.001, 0.04)), lambda root=root, piece=piece: write_pieces(root, piece))
        partitions = Catalog(root).partitions()
        assert {partition.key for partition in partitions} >= set(before)
        for partition in partitions:
            assert verify(partition).problems == (), f"after kill {kill} of seed 7"
            assert partition.key not in before or partition.meta.rows >= before[partition.key].rows
            checksums.add(partition.meta.content_sha256)
        interrupted += leftovers(root) > 0
        piece = (piece + 7) % PIECES
        result = put(root, Stream.BBO, random_columns(Stream.BBO, ROWS, seed=10_000 + kill))
        assert result.rows_added == ROWS
        folder = result.meta.key.folder(root)
        assert sorted(path.name for path in folder.iterdir()) == sorted(["meta.json", result.meta.data_file])
    # The test is worth something only if kills hit writes and writes got through.
    assert interrupted >= 5 and len(checksums) > KILLS // 2


def leftovers(root: Path) -> int:
    """Return how many files in the lake no meta names."""
    named = {partition.data_path for partition in Catalog(root).partitions()}
    return sum(path.is_file() and path.name != "meta.json" and path not in named for path in root.rglob("*"))


class Crash(BaseException):
    """Stands for the process dying at this point."""


@pytest.mark.parametrize("first_write", [True, False])
def test_death_at_every_step_of_a_commit_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_write: bool
) -> None:
    steps = 0
    while True:
        root = tmp_path / str(steps)
        old = None if first_write else put(root, Stream.BBO, random_columns(Stream.BBO, ROWS)).meta
        with monkeypatch.context() as patched:
            crashed = _crash_at(patched, steps)
            try:
                put(root, Stream.BBO, random_columns(Stream.BBO, ROWS, seed=1))
            except Crash:
                assert crashed
        metas = [partition.meta for partition in Catalog(root).partitions()]
        assert all(verify(partition).ok for partition in Catalog(root).partitions())
        again = put(root, Stream.BBO, random_columns(Stream.BBO, ROWS, seed=1)).meta
        assert metas in ([again], [] if old is None else [old])
        if not crashed:
            break
        steps += 1
    # fsync and rename of the file and fsync of the folder, twice, and the removal of the old file.
    assert steps == (6 if first_write else 7)


def _crash_at(patched: pytest.MonkeyPatch, step: int) -> list[int]:
    # Replaces every call that changes the disk for good; the one numbered `step` and all after it do nothing but die.
    crashed: list[int] = []
    calls = [0]

    def dying(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if calls[0] >= step:
                crashed.append(calls[0])
                raise Crash
            calls[0] += 1
            return original(*arguments, **options)

        return call

    patched.setattr(os, "fsync", dying(os.fsync))
    patched.setattr(Path, "replace", dying(Path.replace))
    patched.setattr(Path, "unlink", dying(Path.unlink))
    return crashed
