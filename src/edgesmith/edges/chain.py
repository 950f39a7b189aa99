"""A file of records that can only grow: JSON lines, each with the hash of the line before it.

An edit, a removal or a reordering breaks the chain. A cut at the end leaves a chain that holds, so a second file, the head,
names the last record; it is written after each append and may lag by the one a crash interrupted. Whoever can rewrite both files
can rewrite history: write the head's hash down elsewhere (commands print it) where that matters.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from edgesmith.canonical import canonical_json, content_hash
from edgesmith.errors import CorruptDataError, DataError
from edgesmith.lake.atomic import write_atomically

GENESIS = "0" * 64
HEAD_SUFFIX = ".head"

Body = dict[str, Any]
R = TypeVar("R")


class Head(msgspec.Struct, frozen=True):
    """The last record of a chain."""

    sequence: int
    record_hash: str


class Chain(Generic[R]):
    """The chain in a file; `decode` makes a record of a line's JSON object. Safe for several processes."""

    def __init__(self, path: Path, decode: Callable[[Body], R]) -> None:
        self.path = path
        self._head_path = path.with_name(path.name + HEAD_SUFFIX)
        self._decode = decode

    def read(self) -> tuple[R, ...]:
        """Return all records, oldest first, after checking the chain; raises CorruptDataError on the first that does not hold."""
        return tuple(self._decoded(self._read_bodies()))

    def head(self) -> Head | None:
        """Return the last record's place and hash after checking the chain; None where there are no records."""
        bodies = self._read_bodies()
        return _head_of(bodies) if bodies else None

    @contextmanager
    def appending(self) -> Iterator[Appender[R]]:
        """Hold the chain against other writers and yield what appends to it."""
        with ExitStack() as held:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # Unbuffered: what could not be written must not be written later.
                file = held.enter_context(open(self.path, "a+b", buffering=0))
            except OSError as error:
                raise DataError(
                    f"{self.path} cannot be written ({error.strerror}), so nothing can be recorded in it; make its folder "
                    "writable, or choose another"
                ) from None
            fcntl.flock(file, fcntl.LOCK_EX)
            content = _whole(file)
            bodies = self._checked(content)
            records = self._decoded(bodies)
            # A line without its end was being written when the process died: nobody was told it exists.
            file.truncate(len(content))
            yield Appender(file, self._decode, self._write_head, bodies, records)

    def _read_bodies(self) -> list[Body]:
        try:
            with open(self.path, "rb", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return self._checked(_whole(file))
        except (FileNotFoundError, NotADirectoryError):
            if self._head_path.exists():
                raise CorruptDataError(
                    f"{self.path} is missing but {self._head_path.name} is there; restore it from a backup"
                ) from None
            return []
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror}); make it readable") from None

    def _checked(self, content: bytes) -> list[Body]:
        bodies = _verified(content, self.path)
        self._check_head(bodies)
        return bodies

    def _check_head(self, bodies: list[Body]) -> None:
        try:
            head = msgspec.json.decode(self._head_path.read_bytes(), type=Head)
        except FileNotFoundError:
            # Chains of the first format had no head; its records do not say what they are.
            head = _head_of(bodies) if bodies and "record" not in bodies[-1] else Head(-1, GENESIS)
        except msgspec.DecodeError as error:
            raise CorruptDataError(f"{self._head_path} is not the head of a chain ({error}); restore it from a backup") from None
        known = bodies[head.sequence]["record_hash"] if 0 <= head.sequence < len(bodies) else GENESIS
        if known != head.record_hash or len(bodies) - head.sequence > 2:
            raise CorruptDataError(
                f"{self.path} has {len(bodies)} records but its head says that number {head.sequence + 1} is "
                f"{head.record_hash[:12]}; records were deleted or come from another copy: restore both files from a backup"
            )

    def _decoded(self, bodies: list[Body]) -> list[R]:
        records = []
        for number, body in enumerate(bodies):
            try:
                records.append(self._decode(body))
            except msgspec.ValidationError as error:
                raise CorruptDataError(
                    f"{self.path}: line {number + 1} is not a record this edgesmith knows ({error}); "
                    "read it with the edgesmith that wrote it, or restore the file from a backup"
                ) from None
        return records

    def _write_head(self, head: Head) -> None:
        write_atomically(self._head_path, lambda path: _write_bytes(path, canonical_json(head)))


class Appender(Generic[R]):
    """The records of a chain while it is held, and the way to add one."""

    def __init__(
        self,
        file: FileIO,
        decode: Callable[[Body], R],
        write_head: Callable[[Head], None],
        bodies: list[Body],
        records: list[R],
    ) -> None:
        self._file = file
        self._decode = decode
        self._write_head = write_head
        self._bodies = bodies
        self.records = records

    def append(self, **fields: Any) -> R:
        """Add a record that says `fields` and return it; it is on disk when this returns."""
        try:
            return self._appended(fields)
        except OSError as error:
            raise DataError(
                f"{self._file.name} could not be written ({error.strerror}), and the record is not in it; make room and try again"
            ) from None

    def _appended(self, fields: dict[str, Any]) -> R:
        if self._bodies:
            # The head may lag by one after a crash, never by two.
            self._write_head(_head_of(self._bodies))
        previous = self._bodies[-1]["record_hash"] if self._bodies else GENESIS
        plain: Body = {"sequence": len(self._bodies), "previous": previous, **msgspec.to_builtins(fields)}
        body = {**plain, "record_hash": content_hash(plain)}
        record = self._decode(body)
        self._write_line(canonical_json(body) + b"\n")
        self._bodies.append(body)
        self.records.append(record)
        # Should this fail, the record stands all the same: the head may lag by one.
        with suppress(OSError):
            self._write_head(_head_of(self._bodies))
        return record

    def _write_line(self, line: bytes) -> None:
        before = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError:
            # A disk that is full takes half a line.
            self._file.truncate(before)
            raise


def _head_of(bodies: list[Body]) -> Head:
    return Head(len(bodies) - 1, bodies[-1]["record_hash"])


def _whole(file: FileIO) -> bytes:
    file.seek(0)
    content = file.read()
    return content[: content.rfind(b"\n") + 1]


def _verified(content: bytes, path: Path) -> list[Body]:
    bodies: list[Body] = []
    previous = GENESIS
    for number, line in enumerate(content.splitlines()):
        try:
            body = msgspec.json.decode(line, type=Body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptDataError(f"{path}: line {number + 1} is not JSON ({error}); restore the file from a backup") from None
        plain = {name: value for name, value in body.items() if name != "record_hash"}
        chained = body.get("sequence") == number and body.get("previous") == previous
        # The bytes too: the same object written another way was not written here.
        if not chained or body.get("record_hash") != content_hash(plain) or canonical_json(body) != line:
            raise CorruptDataError(
                f"{path}: line {number + 1} breaks the hash chain; it was edited, removed or moved. Restore it from a backup"
            )
        previous = body["record_hash"]
        bodies.append(body)
    return bodies


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
