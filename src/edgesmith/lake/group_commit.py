"""Put several files of a lake in place so that a crash at any instant leaves all of them or none.

All files are whole on disk, under temporary names, before an *intent* that lists them appears in `.commits` of the lake; its
rename is the commit. Then the files get their names, and the intent goes. A writer killed in between leaves the intent: whoever
looks at the lake next finishes what it says, or, where it may not write, does not see the partitions it names.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgesmith.errors import CorruptDataError, DataError
from edgesmith.lake.atomic import TEMPORARY_PREFIX, locked_folder, remove_leftovers, sync, wait_for_lock

COMMITS_NAME = ".commits"
_SUFFIX = ".json"
# Between its intent and its last rename a living writer takes milliseconds.
_FINISH_WAIT_S = 10.0
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class _Intent(msgspec.Struct, frozen=True):
    """Files that are in the lake, relative to its root; each may still have its temporary name."""

    files: tuple[str, ...]


def commit_together(root: Path, files: Sequence[tuple[Path, Callable[[Path], None]]]) -> None:
    """Let each function write its file, then put all of them in place in the lake at `root`, whose folders the caller holds."""
    if not files:
        return
    paths = [path for path, _ in files]
    try:
        for path, write in files:
            write(_temporary(path))
            sync(_temporary(path))
        descriptor, intent = _declare(root, paths)
    except BaseException:
        for path in paths:
            _temporary(path).unlink(missing_ok=True)
        raise
    try:
        _finish(intent, paths)
    finally:
        os.close(descriptor)


def finish_commits(root: Path) -> frozenset[Path]:
    """Finish what killed writers began in the lake at `root`; return the folders that must not be seen, as it could not be."""
    folder = root / COMMITS_NAME
    hidden: set[Path] = set()
    for intent in sorted(folder.glob(f"[!.]*{_SUFFIX}")) if folder.is_dir() else []:
        try:
            descriptor = os.open(intent, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            hidden.update(_finish_other(root, intent, descriptor))
        finally:
            os.close(descriptor)
    return frozenset(hidden)


def _finish_other(root: Path, intent: Path, descriptor: int) -> list[Path]:
    content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    try:
        wait_for_lock(descriptor, intent, _FINISH_WAIT_S)
    except DataError:
        return [path.parent for path in _files(root, intent, content)]
    if os.fstat(descriptor).st_nlink == 0:
        return []  # its writer has finished it by now
    paths = _files(root, intent, content)
    try:
        _finish(intent, paths)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return [path.parent for path in paths]
    return []


def _files(root: Path, intent: Path, content: bytes) -> list[Path]:
    try:
        return [root / name for name in msgspec.json.decode(content, type=_Intent).files]
    except msgspec.DecodeError as error:
        raise CorruptDataError(f"{intent} is not the record of a commit ({error}); delete it and import that day again") from None


def _declare(root: Path, paths: Sequence[Path]) -> tuple[int, Path]:
    # The lock is taken before the file has its name, so nobody else finishes it while this process lives.
    content = msgspec.json.encode(_Intent(tuple(str(path.relative_to(root)) for path in paths)))
    folder = root / COMMITS_NAME
    intent = folder / f"{hashlib.sha256(content).hexdigest()[:16]}{_SUFFIX}"
    with locked_folder(folder):
        remove_leftovers(folder)
        temporary = _temporary(intent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, content)
            os.fsync(descriptor)
            temporary.replace(intent)
        except BaseException:
            os.close(descriptor)
            raise
        sync(folder)
    return descriptor, intent


def _finish(intent: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        if _temporary(path).exists():
            _temporary(path).replace(path)
    for folder in dict.fromkeys(path.parent for path in paths):
        sync(folder)
    intent.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(TEMPORARY_PREFIX + path.name)
