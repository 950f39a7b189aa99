"""The trial ledger: every look at data, counted by the engine, in an append-only hash-chained file.

One JSON line per search. A line carries the hash of the line before it, so an edit, a removal or a reordering in the middle
breaks the chain. The same cells on the same data are one trial however often they are run: seeds do not make new evidence.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from edgesmith.canonical import canonical_json, content_hash
from edgesmith.errors import CorruptDataError, InputError

GENESIS = "0" * 64


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One search: what was looked at, in which data, and how many cells that were."""

    sequence: int
    previous: str
    kind: str
    data_fingerprint: str
    cells_hash: str
    trials: int
    record_hash: str

    @property
    def trial_hash(self) -> str:
        """Return the identity of the trial: kind, data and cells; neither seed nor number of flips."""
        return trial_hash(self.kind, self.data_fingerprint, self.cells_hash)


def trial_hash(kind: str, data_fingerprint: str, cells_hash: str) -> str:
    """Return the content hash that makes two searches the same trial."""
    return content_hash([kind, data_fingerprint, cells_hash])


class TrialLedger:
    """The ledger in a file; safe for several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, *, kind: str, data_fingerprint: str, cells_hash: str, trials: int) -> TrialRecord:
        """Append a search and return its record; a search already there is returned as it stands."""
        if trials < 0:
            raise InputError(f"trials was {trials}, must be >= 0")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            records = _parse(whole, self._path)
            wanted = trial_hash(kind, data_fingerprint, cells_hash)
            for known in records:
                if known.trial_hash == wanted:
                    return known
            # A line without its end was being written when the process died: nobody was told it exists.
            file.truncate(len(whole))
            body = {
                "sequence": len(records),
                "previous": records[-1].record_hash if records else GENESIS,
                "kind": kind,
                "data_fingerprint": data_fingerprint,
                "cells_hash": cells_hash,
                "trials": trials,
            }
            record = msgspec.convert({**body, "record_hash": content_hash(body)}, TrialRecord)
            file.write(canonical_json(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return record

    def records(self) -> tuple[TrialRecord, ...]:
        """Return all records, oldest first, after checking the chain."""
        if not self._path.exists():
            return ()
        content = self._path.read_bytes()
        return tuple(_parse(content[: content.rfind(b"\n") + 1], self._path))

    def verify(self) -> int:
        """Check every hash and return the number of records; raises CorruptDataError on the first that does not hold."""
        return len(self.records())

    def trials_total(self, data_fingerprint: str | None = None) -> int:
        """Return the cells looked at so far, in all data or in that of one fingerprint."""
        return sum(one.trials for one in self.records() if data_fingerprint in (None, one.data_fingerprint))


def _parse(content: bytes, path: Path) -> list[TrialRecord]:
    records: list[TrialRecord] = []
    previous = GENESIS
    for number, line in enumerate(content.splitlines()):
        try:
            record = msgspec.json.decode(line, type=TrialRecord)
        except msgspec.DecodeError as error:
            raise CorruptDataError(
                f"{path}: line {number + 1} is not a trial record ({error}); restore the file from a backup"
            ) from error
        body = {name: getattr(record, name) for name in TrialRecord.__struct_fields__ if name != "record_hash"}
        if record.sequence != number or record.previous != previous or record.record_hash != content_hash(body):
            raise CorruptDataError(
                f"{path}: line {number + 1} breaks the hash chain; it was edited, removed or moved. Restore it from a backup"
            )
        previous = record.record_hash
        records.append(record)
    return records
