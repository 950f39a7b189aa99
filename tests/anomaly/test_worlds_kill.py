"""Kill `world make` at random points: every day in the lake is whole, and running it again gives the world."""

from __future__ import annotations

import errno
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest

from builders_kill import killed_after
from builders_worlds import START_DAY
from edgesmith.cli.world import write_world
from edgesmith.domain.events import Stream
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.quality import verify
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

KILLS = 12
HOURS = 25
DELAY_S_MAX = 0.4

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


def a_world(hours: int) -> World:
    scenario = msgspec.structs.replace(find_scenario("null_plain"), claims=())
    return World(scenario, seed=4, start_day=START_DAY, hours=hours, rate=0.01)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def write_worlds(root: Path) -> None:
    """Write the same world into one new lake after another, for ever."""
    for number in count():
        write_world(a_world(HOURS), root / str(number), workers=2)


def test_a_killed_world_leaves_whole_partitions_and_can_be_finished(tmp_path: Path) -> None:
    write_world(a_world(HOURS), tmp_path / "whole", workers=2)
    whole = files(tmp_path / "whole")
    rng = np.random.default_rng(11)
    interrupted = 0
    for kill in range(KILLS):
        root = tmp_path / str(kill)
        killed_after(float(rng.uniform(0.0, DELAY_S_MAX)), lambda root=root: write_worlds(root))
        for lake in sorted(root.iterdir()) if root.exists() else []:
            found = files(lake)
            partitions = Catalog(lake).partitions()
            for partition in partitions:
                assert verify(partition).problems == (), f"after kill {kill} of seed 11"
            days = Counter(partition.key.day for partition in partitions)
            assert set(days.values()) <= {len(Stream)}, f"half a day after kill {kill} of seed 11"
            if found != whole:
                interrupted += len(found) > 0
                write_world(a_world(HOURS), lake, workers=2)
                assert files(lake) == whole, f"after kill {kill} of seed 11"
    assert interrupted >= KILLS // 3, "the test is worth something only if kills hit writes"


class Crash(BaseException):
    """Stands for the process dying at this point."""


def test_death_at_every_step_of_a_day_is_healed_by_running_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rename in turn is where it ends: data twice, the intent, and the metas, after which the day is there."""
    world = a_world(hours=1)
    write_world(world, tmp_path / "whole", workers=1)
    whole = files(tmp_path / "whole")
    seen = []
    for steps in range(3 * len(Stream) + 1):
        root = tmp_path / str(steps)
        with monkeypatch.context() as patched, pytest.raises(Crash):
            _crash_at(patched, steps)
            write_world(world, root, workers=1)
        partitions = Catalog(root).partitions()
        assert all(verify(partition).ok for partition in partitions)
        seen.append(len(partitions))
        write_world(world, root, workers=1)
        assert files(root) == whole
    assert seen == [0] * (2 * len(Stream) + 1) + [len(Stream)] * len(Stream), "the rename of the intent is the commit"
    assert files(tmp_path / "whole") == whole


def test_a_reader_who_may_not_write_does_not_see_half_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched, pytest.raises(Crash):
        _crash_at(patched, 2 * len(Stream) + 3)
        write_world(a_world(hours=1), tmp_path, workers=1)

    def read_only(path: Path, target: Path) -> Path:
        raise PermissionError(errno.EROFS, "Read-only file system", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", read_only)
        assert Catalog(tmp_path).partitions() == []
    assert len(Catalog(tmp_path).partitions()) == len(Stream)


def _crash_at(patched: pytest.MonkeyPatch, step: int) -> None:
    # The rename numbered `step`, and every change of the disk after it, does nothing but die.
    calls = [0]
    real_replace, real_unlink = Path.replace, Path.unlink

    def replace(path: Path, target: Path) -> Path:
        if calls[0] >= step:
            calls[0] += 1
            raise Crash
        calls[0] += 1
        return real_replace(path, target)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if calls[0] > step:
            raise Crash
        real_unlink(path, missing_ok)

    patched.setattr(Path, "replace", replace)
    patched.setattr(Path, "unlink", unlink)
