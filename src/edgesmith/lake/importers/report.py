"""What an import did, said in full: every line of a file is accepted or has a named reason, and the counts add up.

For every file `lines = accepted + sum(reasons)`. Set-aside lines are sound but not for the lake; quarantined lines are wrong,
and their raw text goes to the quarantine file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec

from edgesmith.lake.atomic import TEMPORARY_PREFIX

QUARANTINE_FOLDER = "quarantine"

SET_ASIDE: dict[str, str] = {
    "depth_not_stored": "order book depth and snapshots: not a stream of the lake",
    "other_symbol": "a frame of another symbol than the one asked for",
    "control_frame": "an answer to a subscription",
    "agg_trade_redundant": "an aggregate of trades the same file also holds one by one",
    "nothing_to_store": "a row without mark price, funding rate or open interest",
    "header": "a line of column names",
    "blank_line": "an empty line",
}

QUARANTINED: dict[str, str] = {
    "corrupt_json": "text that is not JSON",
    "corrupt_row": "a row with a wrong number of columns, or a value that cannot be read",
    "invalid_frame": "JSON that is not a frame of this market",
    "no_timestamp": "a line that does not begin with a receive time",
    "unknown_stream": "an event of a kind that is not known",
    "unit_unclear": "a clock that is not milli-, micro- or nanoseconds of 2010 to 2040",
    "not_finite": "a number that is missing, infinite or not a number",
    "non_positive": "a price or quantity that must be above zero",
    "crossed_quote": "a bid at or above the ask",
    "off_day": "a row of another day than the file's name says",
    "side_unclear": "a taker side that is neither buy, sell nor unknown",
    "non_monotone_id": "an id older than what the file had already reached",
    "duplicate": "a row the file already held",
    "unsupported_instrument": "an instrument edgesmith cannot value yet",
    "truncated_gzip": "the torn last line of a file that ends before its compression does",
    "file_refused": "a line of a file that was refused as a whole",
}

REASONS: dict[str, str] = SET_ASIDE | QUARANTINED


class PartitionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one file did to one partition; `rows_given = rows_added + duplicates`, both 0 where it was refused."""

    partition: str
    rows_given: int
    rows_added: int = 0
    duplicates: int = 0
    changed: bool = False
    skew_ns_min: int = 0
    skew_ns_p50: int = 0
    refused: str | None = None


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file; `lines = accepted + sum(reasons)`, and `rows` counts what was given to the lake per stream."""

    name: str
    sha256: str
    size_bytes: int
    lines: int
    accepted: int
    rows: dict[str, int]
    reasons: dict[str, int]
    partitions: tuple[PartitionReport, ...]
    messages: tuple[str, ...]
    quarantine: str | None = None
    truncated: bool = False
    failure: str | None = None

    @property
    def quarantined(self) -> int:
        """Return how many lines were wrong."""
        return sum(count for reason, count in self.reasons.items() if reason in QUARANTINED)

    @property
    def ok(self) -> bool:
        """Return whether the whole file was read, something of it was stored and no partition refused it."""
        refused = any(partition.refused for partition in self.partitions)
        return self.accepted > 0 and not (self.truncated or self.failure or refused)


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, file by file."""

    kind: str
    files: tuple[FileReport, ...]

    @property
    def ok(self) -> bool:
        """Return whether every file is `ok`; quarantined lines alone do not make an import fail."""
        return all(file.ok for file in self.files)

    @property
    def rows(self) -> dict[str, int]:
        """Return the rows given to the lake per stream."""
        return _summed(file.rows for file in self.files)

    @property
    def reasons(self) -> dict[str, int]:
        """Return the lines that did not go to the lake per reason."""
        return _summed(file.reasons for file in self.files)


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


class Quarantine:
    """The file of wrong lines of one source: JSON lines `{"reason": .., "raw": ..}`, in place only when it is complete."""

    def __init__(self, root: Path, source_name: str, source_sha256: str) -> None:
        self.path = root / QUARANTINE_FOLDER / f"{source_name}-{source_sha256[:12]}.jsonl"
        self._temporary = self.path.with_name(TEMPORARY_PREFIX + self.path.name)
        self._file: IO[bytes] | None = None

    def add(self, reason: str, raw: bytes | str) -> None:
        """Append one wrong line."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("wb")
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace")
        self._file.write(msgspec.json.encode({"reason": reason, "raw": text}) + b"\n")

    def discard(self) -> None:
        """Forget the wrong lines of a file that is refused as a whole."""
        if self._file is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)
            self._file = None

    def close(self) -> str | None:
        """Put the file in place and return its path; None (and no file of an earlier import) where no line was wrong."""
        if self._file is None:
            self.path.unlink(missing_ok=True)
            return None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self.path)
        return str(self.path)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
