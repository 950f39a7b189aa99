"""Rows on disk as they come, so that a stopped run goes on: a JSON line a row, keyed by the job and the code that makes rows."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.harness import ROOT
from edgesmith.canonical import canonical_json

# What cannot change a row: what is printed, served or drawn.
NO_MATTER = ("cli", "live", "edges/report", "trading/report")
MATTERS_OF_CLI = ("cli/world.py",)
ROW_MODULES = ("capacity", "decay", "desk", "effects", "matching", "nulls", "plants", "shards", "traps")


def code_hash(root: Path = ROOT) -> str:
    """Return the hash of the sources that rows depend on."""
    package, own = root / "src" / "edgesmith", root / "benchmarks" / "truth"
    chosen = [path for path in package.rglob("*.py") if _matters(path.relative_to(package).as_posix())]
    chosen += [own / f"{name}.py" for name in ROW_MODULES]
    digest = sha256()
    for path in sorted(chosen):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _matters(name: str) -> bool:
    return name in MATTERS_OF_CLI or not any(name.startswith(f"{folder}/") for folder in NO_MATTER)


class RowStore:
    """Rows of jobs by key; a line that was cut by a kill is not there."""

    def __init__(self, path: Path, code: str) -> None:
        self.path, self._code = path, code
        self._rows: dict[str, bytes] = {}
        if path.is_file():
            for line in path.read_bytes().split(b"\n"):
                try:
                    entry = msgspec.json.decode(line, type=_Entry)
                except (msgspec.DecodeError, msgspec.ValidationError):
                    continue
                self._rows[entry.key] = bytes(entry.row)

    def key(self, kind: str, arguments: Any) -> str:
        """Return the name of a job's row, for this state of the code."""
        return sha256(canonical_json([self._code, kind, arguments])).hexdigest()[:24]

    def get(self, key: str) -> bytes | None:
        """Return the row as JSON; None where it is not there."""
        return self._rows.get(key)

    def add(self, key: str, kind: str, row: bytes) -> None:
        """Keep a row, safe from a kill when this returns."""
        self._rows[key] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = msgspec.json.encode(_Entry(key=key, kind=kind, row=msgspec.Raw(row))) + b"\n"
        with self.path.open("ab") as file:
            # A line that was cut before must not swallow this one.
            if file.tell() and self.path.read_bytes()[-1:] != b"\n":
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


class _Entry(msgspec.Struct, frozen=True):
    key: str
    kind: str
    row: msgspec.Raw
