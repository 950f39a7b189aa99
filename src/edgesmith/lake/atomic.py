"""Files that appear whole or not at all, in a folder only one writer may change at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgesmith.clock import SystemClock, monotonic_s
from edgesmith.domain.units import NS_PER_MS
from edgesmith.errors import DataError

TEMPORARY_PREFIX = ".writing-"
LOCK_WAIT_S = 60.0
_LOCK_POLL_NS = 20 * NS_PER_MS


@contextmanager
def locked_folder(folder: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Create `folder` if need be and hold it against every other writer; the lock dies with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        wait_for_lock(descriptor, folder, wait_s)
        yield
    finally:
        os.close(descriptor)


def wait_for_lock(descriptor: int, path: Path, wait_s: float) -> None:
    """Take the lock of an open file or folder; raises DataError when somebody else keeps it for `wait_s`."""
    clock, deadline_s = SystemClock(), monotonic_s() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic_s() >= deadline_s:
                raise DataError(
                    f"{path} was held by another writer for {wait_s:g} s; wait for that import to end (or end it) and try again"
                ) from None
            clock.sleep_until_ns(clock.now_ns() + _LOCK_POLL_NS)
        else:
            return


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file, then put it at `path` so that a crash leaves the old file or the new one."""
    write_together([(path, write)])


def write_together(files: Sequence[tuple[Path, Callable[[Path], None]]]) -> None:
    """Write several files, each as `write_atomically` does: all are whole on disk before the first is put in place."""
    temporaries = [path.with_name(TEMPORARY_PREFIX + path.name) for path, _ in files]
    try:
        for temporary, (_, write) in zip(temporaries, files, strict=True):
            write(temporary)
            sync(temporary)
        for temporary, (path, _) in zip(temporaries, files, strict=True):
            temporary.replace(path)
    except BaseException:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        raise
    for folder in dict.fromkeys(path.parent for path, _ in files):
        sync(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left behind; call it only while holding the folder."""
    for leftover in folder.glob(TEMPORARY_PREFIX + "*"):
        leftover.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
