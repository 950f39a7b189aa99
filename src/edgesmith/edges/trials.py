"""The trial ledger: every look at data, counted by the engine, in an append-only hash-chained file.

A look is one run: what was looked at, in which data, and how many cells that were, pruned ones too. The same cells on the same
data are one look however often they are run: seeds do not make new evidence. Looks at overlapping data are one sequence: each is
granted its level of error before it is judged, and its outcome is recorded beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from edgesmith.canonical import content_hash
from edgesmith.domain.units import INT64_MAX, NS_PER_MINUTE
from edgesmith.edges.chain import Appender, Body, Chain, Head
from edgesmith.edges.online import ALPHA, e_bh, e_value, next_level, wealth_left
from edgesmith.errors import InputError
from edgesmith.lake.catalog import Partition

LEDGER_NAME = "trials.jsonl"
COMMON_NS_MIN = NS_PER_MINUTE


class DataUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of the data of one instrument that was looked at: a span of the receive clock and the partitions it came from."""

    instrument: str
    first_ns: int
    last_ns: int
    partitions: tuple[str, ...]

    def overlaps(self, other: DataUse) -> bool:
        """Tell whether both hold some of the same data: a time in common, of one partition or of one instrument.

        Of two different partitions less than a minute is none: days are cut by the venue's clock, spans are of the receive clock.
        """
        common_ns = min(self.last_ns, other.last_ns) - max(self.first_ns, other.first_ns)
        if not set(self.partitions).isdisjoint(other.partitions):
            return common_ns > 0
        least_ns = min(COMMON_NS_MIN, self.last_ns - self.first_ns, other.last_ns - other.first_ns)
        return self.instrument == other.instrument and common_ns >= max(least_ns, 0)


def data_uses(partitions: Iterable[Partition], first_ns: int | None = None, last_ns: int | None = None) -> tuple[DataUse, ...]:
    """Return what looking at `partitions` means, instrument by instrument; `first_ns`, `last_ns` where only a part was seen."""
    grouped: dict[str, list[Partition]] = {}
    for one in partitions:
        grouped.setdefault(f"{one.key.venue}:{one.key.symbol}", []).append(one)
    return tuple(
        DataUse(
            instrument=instrument,
            first_ns=max(first_ns or 0, min(one.meta.ts_recv_min for one in members)),
            last_ns=min(INT64_MAX if last_ns is None else last_ns, max(one.meta.ts_recv_max for one in members)),
            partitions=tuple(sorted(one.meta.content_sha256 for one in members)),
        )
        for instrument, members in sorted(grouped.items())
    )


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One look. `data` is None where it was not recorded: such a look counts as overlapping everything.

    `level` is the error level granted to the run among all looks at overlapping data, `trials_total` the cells of all of them,
    this one included.
    """

    sequence: int
    previous: str
    record: Literal["look"] = "look"
    kind: str
    data_fingerprint: str
    cells_hash: str
    trials: int
    data: tuple[DataUse, ...] | None = None
    level: float | None = None
    trials_total: int | None = None
    record_hash: str

    @property
    def trial_hash(self) -> str:
        """Return the identity of the trial: kind, data and cells; neither seed nor number of flips."""
        return trial_hash(self.kind, self.data_fingerprint, self.cells_hash)

    def overlaps(self, data: Sequence[DataUse] | None) -> bool:
        """Tell whether this look saw some of `data`; unknown data overlaps everything."""
        return self.data is None or data is None or any(one.overlaps(other) for one in self.data for other in data)


class TrialOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a look came to: the smallest p-value of the run, adjusted for every cell of it."""

    sequence: int
    previous: str
    record: Literal["outcome"]
    of: int
    p: float
    record_hash: str


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A look beside its outcome; `p` is None where it was never settled, which counts as nothing found."""

    record: TrialRecord
    p: float | None
    found: bool
    stands_e_bh: bool


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """All looks at some data: how many cells, and what is left to spend on the next."""

    looks: tuple[Look, ...]
    trials_total: int
    level_next: float
    wealth_left: float


def trial_hash(kind: str, data_fingerprint: str, cells_hash: str) -> str:
    """Return the content hash that makes two searches the same trial."""
    return content_hash([kind, data_fingerprint, cells_hash])


class TrialLedger:
    """The ledger in a file; safe for several processes. `alpha` bounds the false discovery rate over all looks at some data."""

    def __init__(self, path: Path, alpha: float = ALPHA) -> None:
        self._chain: Chain[TrialRecord | TrialOutcome] = Chain(path, _decoded)
        self._alpha = alpha

    def record(
        self, *, kind: str, data_fingerprint: str, cells_hash: str, trials: int, data: Sequence[DataUse] | None = None
    ) -> TrialRecord:
        """Append a look before it is judged and return its record; a look already there is returned as it stands."""
        if trials < 0:
            raise InputError(f"trials was {trials}, must be >= 0")
        wanted = trial_hash(kind, data_fingerprint, cells_hash)
        with self._chain.appending() as chain:
            looks = [one for one in chain.records if isinstance(one, TrialRecord)]
            known = next((one for one in looks if one.trial_hash == wanted), None)
            if known is not None:
                return known
            account = _account(chain.records, data, self._alpha)
            return _look(
                chain,
                kind=kind,
                data_fingerprint=data_fingerprint,
                cells_hash=cells_hash,
                trials=trials,
                data=None if data is None else tuple(data),
                level=account.level_next,
                trials_total=account.trials_total + trials,
            )

    def settle(self, look: TrialRecord, p: float) -> TrialOutcome:
        """Record what a look came to, once: of a look already settled the first outcome stands."""
        if not 0.0 < p <= 1.0:
            raise InputError(f"p was {p}, expected above 0 and at most 1")
        with self._chain.appending() as chain:
            if look not in chain.records:
                raise InputError(f"the look {look.record_hash[:12]} is not in {self._chain.path}; record it there first")
            for one in chain.records:
                if isinstance(one, TrialOutcome) and one.of == look.sequence:
                    return one
            settled = chain.append(record="outcome", of=look.sequence, p=float(p))
            assert isinstance(settled, TrialOutcome)
            return settled

    def records(self) -> tuple[TrialRecord, ...]:
        """Return all looks, oldest first, after checking the chain."""
        return tuple(one for one in self._chain.read() if isinstance(one, TrialRecord))

    def account(self, data: Sequence[DataUse] | None = None) -> Account:
        """Return the looks at data that overlaps `data`, or all looks, and what is left to spend there."""
        return _account(self._chain.read(), data, self._alpha)

    def verify(self) -> int:
        """Check every hash and return the number of records; raises CorruptDataError on the first that does not hold."""
        return len(self._chain.read())

    def head(self) -> Head | None:
        """Return the place and hash of the last record; None where there is none."""
        return self._chain.head()

    def trials_total(self, data_fingerprint: str | None = None) -> int:
        """Return the cells looked at so far, in all data or in that of one fingerprint."""
        return sum(one.trials for one in self.records() if data_fingerprint in (None, one.data_fingerprint))


def _look(chain: Appender[TrialRecord | TrialOutcome], **fields: object) -> TrialRecord:
    record = chain.append(record="look", **fields)
    assert isinstance(record, TrialRecord)
    return record


def _account(records: Sequence[TrialRecord | TrialOutcome], data: Sequence[DataUse] | None, alpha: float) -> Account:
    outcomes = {one.of: one.p for one in records if isinstance(one, TrialOutcome)}
    seen = [one for one in records if isinstance(one, TrialRecord) and one.overlaps(data)]
    p_values = [outcomes.get(one.sequence) for one in seen]
    found = [p is not None and one.level is not None and p <= one.level for one, p in zip(seen, p_values, strict=True)]
    stands = e_bh([0.0 if p is None else e_value(p) for p in p_values], alpha)
    looks = zip(seen, p_values, found, stands, strict=True)
    return Account(
        looks=tuple(Look(record=one, p=p, found=hit, stands_e_bh=stand) for one, p, hit, stand in looks),
        trials_total=sum(one.trials for one in seen),
        level_next=next_level(found, alpha),
        wealth_left=wealth_left(found, alpha),
    )


def _decoded(body: Body) -> TrialRecord | TrialOutcome:
    if body.get("record") == "outcome":
        return msgspec.convert(body, TrialOutcome)
    return msgspec.convert(body, TrialRecord)
