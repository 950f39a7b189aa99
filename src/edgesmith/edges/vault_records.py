"""What the vault's ledger says, and the rules its records must obey; breaking one is a hard error.

Five kinds of records: a *generation* of days is put away, an opening is *sealed*, its *result* follows, an edge is *peeked* at,
and at the end the generation is *closed*. The alpha of the j-th opening of a generation is 0.05 * 6 / (pi^2 j^2), so all openings
together spend at most 0.05. When the next one would be below what the test can resolve, the generation is spent. Peeks see only
the generation's first days and openings only the rest, so neither wears out the other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import msgspec

from edgesmith.domain.units import format_ns
from edgesmith.edges.chain import Body
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.thresholdout import BUDGET, PEEKS_MAX
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import CorruptDataError
from edgesmith.lake.held import HeldSeries

VAULT_ALPHA = 0.05
# The smallest p-value of 9,999 sign flips: a level below it can never be met.
ALPHA_LEAST = 1e-4


def opening_alpha(opening: int) -> float:
    """Return the level of the j-th opening of a generation, counting from 1."""
    return VAULT_ALPHA * 6.0 / (math.pi**2 * opening**2)


OPENINGS_MAX = math.isqrt(int(opening_alpha(1) / ALPHA_LEAST))


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sequence: int
    previous: str
    at_ns: int
    record_hash: str


class VaultedPartition(msgspec.Struct, frozen=True):
    """A partition behind the door: its name and the checksum of its content."""

    venue: str
    stream: str
    symbol: str
    day: date
    content_sha256: str


class Generation(_Record, frozen=True, kw_only=True):
    """Days put away; the first `peek_days` of them are for peeks, and `noise_hash` is what the key of their noise hashes to."""

    record: Literal["generation"]
    generation: int
    series: tuple[HeldSeries, ...]
    partitions: tuple[VaultedPartition, ...]
    peek_days: int = 0
    noise_hash: str | None = None

    @property
    def first_day(self) -> date:
        """Return the first of its days."""
        return min(one.first_day for one in self.series)

    @property
    def last_day(self) -> date:
        """Return the last of its days."""
        return max(one.last_day for one in self.series)

    @property
    def opening_day(self) -> date:
        """Return the first of the days that openings read; the ones before it are for peeks."""
        return self.first_day + timedelta(days=self.peek_days)

    def of(self, instruments: Sequence[tuple[str, str]], *, peek: bool) -> list[VaultedPartition]:
        """Return what it holds of (venue, symbol) pairs: the days for peeks, or the days for openings."""
        return [one for one in self.partitions if (one.venue, one.symbol) in instruments and (one.day < self.opening_day) == peek]


class Seal(_Record, frozen=True, kw_only=True):
    """What will be tested and how, written before a single row is read.

    `hypothesis` says it in words; direction, horizon, latency and cost tier are those of `spec`. `trials_total` are all cells
    looked at in data of the instrument before, `trials_head` the last record of the trial ledger, `regimes_sha256` the content of
    the regime model the edge rests on.
    """

    record: Literal["seal"]
    generation: int
    opening: int
    edge_id: str
    spec_hash: str
    spec: EdgeSpec
    hypothesis: str
    alpha: float
    n_min: int
    evaluator: str
    trials_total: int
    trials_head: str | None
    regimes_sha256: str | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluator measured; bps per trade, the interval is two-sided at 90 %, `p` one-sided against "no net profit"."""

    first_ns: int
    last_ns: int
    n: int
    blocks: int
    gross_bps: float | None
    cost_bps: float | None
    net_bps: float | None
    net_low_bps: float | None
    net_high_bps: float | None
    p: float | None
    p_gross: float | None


class OpeningResult(_Record, frozen=True, kw_only=True):
    """What an opening found; `of` is the place of its seal."""

    record: Literal["result"]
    of: int
    evaluation: Evaluation
    verdict: Verdict
    sentence: str


class Peek(_Record, frozen=True, kw_only=True):
    """A noisy answer, bps per expected trade: `answer_bps` is `outside_bps`, or where the vault disagrees what it says instead.

    The mechanism is `edges.thresholdout`. `blocks` and `blocks_outside` are how many blocks of time were averaged.
    """

    record: Literal["peek"]
    generation: int
    peek: int
    edge_id: str
    spec_hash: str
    spec: EdgeSpec
    evaluator: str
    regimes_sha256: str | None
    outside_fingerprint: str
    trades_outside: int
    blocks_outside: int
    blocks: int
    outside_bps: float
    threshold_bps: float
    noise_bps: float
    worst_case_bps: float
    agrees: bool
    answer_bps: float
    budget_left: int


class Closed(_Record, frozen=True, kw_only=True):
    """The end of a generation: its days are training data from here on; by `noise_key` anyone can check its peeks."""

    record: Literal["closed"]
    generation: int
    reason: str
    noise_key: str | None = None


VaultRecord = Generation | Seal | OpeningResult | Peek | Closed
_KINDS: dict[str, type[VaultRecord]] = {
    "generation": Generation,
    "seal": Seal,
    "result": OpeningResult,
    "peek": Peek,
    "closed": Closed,
}


def noise_hash(key: str) -> str:
    """Return what a generation says of the key of its noise before anyone may know the key."""
    return hashlib.sha256(key.encode()).hexdigest()


class VaultState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that follows from the ledger."""

    generations: tuple[Generation, ...] = ()
    seals: tuple[Seal, ...] = ()
    results: dict[int, OpeningResult] = {}
    peeks: tuple[Peek, ...] = ()
    closed: tuple[Closed, ...] = ()
    last_ns: int = 0

    @property
    def current(self) -> Generation | None:
        """Return the generation whose days are put away now; None where there is none."""
        return self.generations[-1] if len(self.generations) > len(self.closed) else None

    def openings(self, generation: int) -> int:
        """Return how many openings a generation has had, unfinished ones too."""
        return sum(one.generation == generation for one in self.seals)

    def seal_of(self, spec_hash: str) -> Seal | None:
        """Return the seal of an edge, whatever generation it was opened in."""
        return next((one for one in self.seals if one.spec_hash == spec_hash), None)

    def unfinished(self, generation: int) -> list[Seal]:
        """Return the openings of a generation that have no result."""
        return [one for one in self.seals if one.generation == generation and one.sequence not in self.results]

    def peeks_of(self, generation: int) -> list[Peek]:
        """Return the peeks at a generation, oldest first."""
        return [one for one in self.peeks if one.generation == generation]

    def budget_left(self, generation: int) -> int:
        """Return how often the vault may still disagree with a peek at a generation."""
        return BUDGET - sum(not one.agrees for one in self.peeks_of(generation))


def decoded(body: Body) -> VaultRecord:
    """Make a record of a ledger line."""
    kind = body.get("record")
    if kind not in _KINDS:
        raise msgspec.ValidationError(f"record was {kind!r}, expected {', '.join(_KINDS)}")
    return msgspec.convert(body, _KINDS[kind])


def state_of(records: Sequence[VaultRecord], ledger: str) -> VaultState:
    """Walk the records in order and return where they lead; raises CorruptDataError on the first that breaks a rule."""
    state = VaultState()
    for record in records:
        problem = _problem(state, record)
        if problem:
            raise CorruptDataError(f"{ledger}: record {record.sequence + 1} {problem}; the ledger was tampered with: restore it")
        state = _after(state, record)
    return state


def _after(state: VaultState, record: VaultRecord) -> VaultState:
    replaced = msgspec.structs.replace(state, last_ns=record.at_ns)
    if isinstance(record, Generation):
        return msgspec.structs.replace(replaced, generations=(*state.generations, record))
    if isinstance(record, Seal):
        return msgspec.structs.replace(replaced, seals=(*state.seals, record))
    if isinstance(record, OpeningResult):
        return msgspec.structs.replace(replaced, results={**state.results, record.of: record})
    if isinstance(record, Peek):
        return msgspec.structs.replace(replaced, peeks=(*state.peeks, record))
    return msgspec.structs.replace(replaced, closed=(*state.closed, record))


def _problem(state: VaultState, record: VaultRecord) -> str | None:
    if record.at_ns < state.last_ns:
        return f"was written at {format_ns(record.at_ns)}, before the one above it ({format_ns(state.last_ns)})"
    if isinstance(record, Generation):
        return _generation_problem(state, record)
    if isinstance(record, Seal):
        return _seal_problem(state, record)
    if isinstance(record, OpeningResult):
        if record.of in state.results or all(one.sequence != record.of for one in state.seals):
            return f"is the result of record {record.of + 1}, which has one already or is no seal"
        return None
    if isinstance(record, Peek):
        return _peek_problem(state, record)
    current = state.current
    if current is None or current.generation != record.generation:
        return f"closes generation {record.generation}, which is not open"
    if record.noise_key is not None and noise_hash(record.noise_key) != current.noise_hash:
        return "shows another noise key than the one its generation began with"
    return None


def _generation_problem(state: VaultState, record: Generation) -> str | None:
    if state.current is not None:
        return "begins a generation while another is open"
    if record.generation != len(state.generations) + 1:
        return f"begins generation {record.generation}, expected {len(state.generations) + 1}"
    if state.generations and record.first_day <= state.generations[-1].last_day:
        return f"puts away {record.first_day}, which is not after the generation before ({state.generations[-1].last_day})"
    return None


def _peek_problem(state: VaultState, record: Peek) -> str | None:
    current = state.current
    if current is None or current.generation != record.generation or not current.peek_days:
        return f"peeks at generation {record.generation}, which is not open or has no days for that"
    earlier, budget = state.peeks_of(record.generation), state.budget_left(record.generation)
    if record.peek != len(earlier) + 1 or record.peek > PEEKS_MAX or budget < 1:
        return f"is peek {record.peek} with {budget} of the budget left, expected {len(earlier) + 1} and at least 1"
    if record.budget_left != budget - (not record.agrees):
        return f"leaves {record.budget_left} of the budget, expected {budget - (not record.agrees)}"
    if record.agrees and record.answer_bps != record.outside_bps:
        return f"agrees on {record.outside_bps:.6g} bps and answers {record.answer_bps:.6g}"
    if record.spec_hash != record.spec.spec_hash or record.edge_id != record.spec.edge_id:
        return f"peeks at {record.edge_id} with the spec of {record.spec.edge_id}"
    if any(one.spec_hash == record.spec_hash for one in earlier):
        return f"peeks at {record.edge_id} a second time"
    return None


def _seal_problem(state: VaultState, record: Seal) -> str | None:
    current = state.current
    if current is None or current.generation != record.generation:
        return f"opens generation {record.generation}, which is not open"
    expected = state.openings(record.generation) + 1
    if expected > OPENINGS_MAX:
        return f"is opening {expected} of {OPENINGS_MAX}"
    if record.opening != expected or record.alpha != opening_alpha(expected):
        return f"is opening {record.opening} at alpha {record.alpha:.6g}, expected {expected} at {opening_alpha(expected):.6g}"
    if record.spec_hash != record.spec.spec_hash or record.edge_id != record.spec.edge_id:
        return f"seals {record.edge_id} with the spec of {record.spec.edge_id}"
    if state.seal_of(record.spec_hash) is not None:
        return f"opens {record.edge_id} a second time"
    return None
