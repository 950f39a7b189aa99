"""The vault: the last days of a lake, which nobody sees until a sealed record says what they will be asked.

Reading order: `vault_records` (what the ledger says), `lake.held` and `lake.vaulted` (where the days are), `thresholdout` (how
peeks are answered). An opening writes its seal, makes the only token there is, reads, evaluates the frozen edge, and writes the
result. Killed before the seal, nothing happened. Killed after it, the opening counts as spent, and opening the same edge again
brings the same seal to its result. A peek tells nothing before it is recorded, so a killed one never was, and asking again draws
the same noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from edgesmith.canonical import content_hash
from edgesmith.clock import Clock, unguessable
from edgesmith.domain.units import format_ns, ns_of_date
from edgesmith.edges.chain import Appender, Chain, Head
from edgesmith.edges.edge import EdgeEvidence, EdgeSpec
from edgesmith.edges.evaluator import Evaluator
from edgesmith.edges.peeks import answered, refuse_peek
from edgesmith.edges.trials import TrialLedger, data_uses
from edgesmith.edges.twins import refuse_twin
from edgesmith.edges.vault_records import (
    OPENINGS_MAX,
    Closed,
    Evaluation,
    Generation,
    OpeningResult,
    Peek,
    Seal,
    VaultedPartition,
    VaultRecord,
    VaultState,
    decoded,
    noise_hash,
    opening_alpha,
    state_of,
)
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.lake.atomic import locked_folder, write_atomically
from edgesmith.lake.catalog import Catalog, Partition, format_days
from edgesmith.lake.held import Held, HeldSeries
from edgesmith.lake.quality import verify
from edgesmith.lake.schema import PartitionKey, parse_stream
from edgesmith.lake.vaulted import (
    OpeningToken,
    forget_held,
    move_in,
    move_out,
    note_held,
    vault_folder,
    vaulted_partitions,
)

LEDGER_NAME = "ledger.jsonl"
NOISE_KEY_NAME = "noise.key"
NOISE_KEY_BYTES = 32
N_MIN = 200

_NO_GENERATION = "no generation of the vault is open; begin one with `edgesmith vault init --days N`"


class Opened(NamedTuple):
    """An opening and its result; `again` where the result was there already and nothing was read."""

    seal: Seal
    result: OpeningResult
    again: bool

    def evidence(self, data_fingerprint: str) -> EdgeEvidence:
        """Return the result as evidence about the edge."""
        found = self.result.evaluation
        return EdgeEvidence(
            edge_id=self.seal.edge_id,
            stage="vault",
            data_fingerprint=data_fingerprint,
            first_ns=found.first_ns,
            last_ns=found.last_ns,
            n=found.n,
            blocks=found.blocks,
            gross_bps=found.gross_bps,
            cost_bps=found.cost_bps,
            net_bps=found.net_bps,
            net_low_bps=found.net_low_bps,
            net_high_bps=found.net_high_bps,
            p=found.p,
            q=None,
            e_value=None,
            trials_total=self.seal.trials_total,
            verdict=self.result.verdict.value,
            sentence=self.result.sentence,
            details={
                "alpha": self.seal.alpha,
                "opening": self.seal.opening,
                "generation": self.seal.generation,
                "seal_hash": self.seal.record_hash,
                "result_hash": self.result.record_hash,
            },
        )


class Vault:
    """The vault of the lake at `root`; `entropy` gives bytes that nobody can guess, for the key of the noise of peeks."""

    def __init__(self, root: Path, trials: TrialLedger, clock: Clock, entropy: Callable[[int], bytes] = unguessable) -> None:
        self._root = root
        self._trials = trials
        self._clock = clock
        self._entropy = entropy
        self._chain: Chain[VaultRecord] = Chain(vault_folder(root) / LEDGER_NAME, decoded)

    def state(self) -> VaultState:
        """Return what the ledger says, after checking all of it."""
        return self._stated(self._chain.read())

    def head(self) -> Head | None:
        """Return the place and hash of the last record; written down elsewhere it proves that nothing was taken back."""
        return self._chain.head()

    def init(self, days: int, *, peek_days: int = 0, venue: str | None = None, symbol: str | None = None) -> Generation:
        """Put the last `days` of the lake, or of one venue or symbol, behind the door; the first `peek_days` are for peeks."""
        if days < 1:
            raise InputError(f"--days was {days}, expected at least 1")
        if not 0 <= peek_days < days:
            raise InputError(
                f"--peek-days was {peek_days}, expected 0 to {days - 1}: they are the first of the --days {days}, and openings "
                "need at least one of the rest"
            )
        if not self._root.is_dir():
            raise InputError(f"there is no lake at {self._root}; name yours with --lake")
        with self._held() as chain:
            state = self._checked(chain)
            if state.current is not None:
                raise InputError(
                    f"generation {state.current.generation} of the vault is open; close it before the next one begins "
                    "(`edgesmith vault close`)"
                )
            after = state.generations[-1].last_day if state.generations else None
            chosen = _last_days(Catalog(self._root).partitions(venue=venue, symbol=symbol), days, after)
            self._check_unseen(chosen)
            series = _series(chosen)
            held = Held(len(state.generations) + 1, series)
            key = self._entropy(NOISE_KEY_BYTES).hex()
            # First the note: from here on no reader sees the days, whatever happens to this process.
            note_held(self._root, held)
            write_atomically(self._key_path, lambda path: _write_secret(path, key))
            record = self._append(
                chain,
                state,
                record="generation",
                generation=held.generation,
                series=series,
                partitions=[_vaulted(one) for one in chosen],
                peek_days=peek_days,
                noise_hash=noise_hash(key),
            )
            move_in(self._root, held, [one.key for one in chosen])
            assert isinstance(record, Generation)
            return record

    def open(self, spec: EdgeSpec, evaluator: Evaluator, *, n_min: int = N_MIN) -> Opened:
        """Ask the vault about one edge: seal, read, evaluate, record; an edge that was opened is answered from the ledger."""
        with self._opened() as chain:
            state = self._checked(chain)
            seal = state.seal_of(spec.spec_hash)
            if seal is not None and seal.sequence in state.results:
                return Opened(seal, state.results[seal.sequence], True)
            if seal is None:
                seal = self._seal(chain, state, spec, evaluator, n_min)
            else:
                _check_resumable(state, seal, evaluator)
            result = self._result(chain, seal, evaluator)
            self._close_spent(chain)
            return Opened(seal, result, False)

    def peek(self, spec: EdgeSpec, evaluator: Evaluator) -> tuple[Peek, bool]:
        """Return a noisy answer about an edge from the days for peeks, and whether it had been given before."""
        with self._opened() as chain:
            state = self._checked(chain)
            generation = _current(state)
            known = next((one for one in state.peeks_of(generation.generation) if one.spec_hash == spec.spec_hash), None)
            if known is not None:
                return known, True
            refuse_peek(state, generation)
            wanted, outside = self._partitions_of(generation, spec, peek=True)
            evaluator.check(spec, outside, ns_of_date(generation.first_day))
            token = OpeningToken(generation.generation, generation.record_hash)
            key = self._noise_key(generation)
            told = answered(state, generation, spec, evaluator, key, outside, lambda: self._read(token, wanted))
            record = self._append(chain, state, **told)
            assert isinstance(record, Peek)
            return record, False

    def close(self, reason: str, *, abandon: bool = False) -> Closed:
        """End the generation: its days go back into the lake, and are training data; `abandon` gives up unfinished openings."""
        if not reason.strip():
            raise InputError("--reason was empty, expected why the generation ends: it stays in the ledger")
        with self._opened() as chain:
            state = self._checked(chain)
            generation = _current(state)
            unfinished = state.unfinished(generation.generation)
            if unfinished and not abandon:
                raise InputError(
                    f"the opening of {unfinished[0].edge_id} has no result yet; finish it with `edgesmith vault open`, or give "
                    "it up, spent and unanswered, with --abandon"
                )
            return self._close(chain, reason)

    def fingerprint(self, generation: int) -> str:
        """Return the hash of the content of a generation's days."""
        return content_hash(self.state().generations[generation - 1].partitions)

    @property
    def _key_path(self) -> Path:
        return vault_folder(self._root) / NOISE_KEY_NAME

    @contextmanager
    def _opened(self) -> Iterator[Appender[VaultRecord]]:
        # Where there is no vault, asking for one must not make its folder.
        if not self.state().generations:
            raise InputError(_NO_GENERATION)
        with self._held() as chain:
            yield chain

    @contextmanager
    def _held(self) -> Iterator[Appender[VaultRecord]]:
        with locked_folder(vault_folder(self._root)), self._chain.appending() as chain:
            yield chain

    def _checked(self, chain: Appender[VaultRecord]) -> VaultState:
        # Checks the rules, and finishes what a killed command left undone: the ledger says where the days belong.
        state = self._stated(chain.records)
        if state.current is not None:
            held = Held(state.current.generation, state.current.series)
            note_held(self._root, held)
            move_in(self._root, held, [_key(one) for one in state.current.partitions])
        else:
            for generation in state.generations[-1:]:
                move_out(self._root, generation.generation, [_key(one) for one in generation.partitions])
            forget_held(self._root)
            self._key_path.unlink(missing_ok=True)
        return self._stated(chain.records) if self._close_spent(chain) else state

    def _stated(self, records: Sequence[VaultRecord]) -> VaultState:
        state = state_of(records, str(self._chain.path))
        for folder in sorted(vault_folder(self._root).glob("generation=*")):
            if folder.name.removeprefix("generation=") not in map(str, range(1, len(state.generations) + 1)):
                raise CorruptDataError(
                    f"{folder} holds days that {self._chain.path} knows nothing of; the ledger was deleted or cut: restore it"
                )
        return state

    def _append(self, chain: Appender[VaultRecord], state: VaultState, **fields: object) -> VaultRecord:
        now_ns = self._clock.now_ns()
        if now_ns < state.last_ns:
            raise DataError(
                f"the clock says {format_ns(now_ns)}, before the last record of the vault ({format_ns(state.last_ns)}); "
                "set the clock of this machine right"
            )
        return chain.append(at_ns=now_ns, **fields)

    def _check_unseen(self, chosen: Sequence[Partition]) -> None:
        looks = self._trials.account(data_uses(chosen)).looks
        if looks:
            raise InputError(
                f"{len(looks)} of the looks in the trial ledger saw these days (the first: {looks[0].record.kind}, record "
                f"{looks[0].record.sequence + 1}), so they are no longer unseen; put later days away, before anything sees them"
            )

    def _seal(self, chain: Appender[VaultRecord], state: VaultState, spec: EdgeSpec, evaluator: Evaluator, n_min: int) -> Seal:
        generation = _current(state)
        if state.openings(generation.generation) >= OPENINGS_MAX:
            raise InputError(
                f"all {OPENINGS_MAX} openings of generation {generation.generation} are spent; finish that of "
                f"{state.unfinished(generation.generation)[0].edge_id} with `edgesmith vault open`, and the generation closes"
            )
        _, outside = self._partitions_of(generation, spec, peek=False)
        evaluator.check(spec, outside, ns_of_date(generation.opening_day))
        opened = [one.spec for one in state.seals]
        pairs = {pair for one in [spec, *opened] for pair in _instruments(one)}
        refuse_twin(spec, opened, evaluator, [one for one in Catalog(self._root).partitions() if _pair(one.key) in pairs])
        opening = state.openings(generation.generation) + 1
        head = self._trials.head()
        record = self._append(
            chain,
            state,
            record="seal",
            generation=generation.generation,
            opening=opening,
            edge_id=spec.edge_id,
            spec_hash=spec.spec_hash,
            spec=spec,
            hypothesis=f"the mean net profit per trade is above zero: {spec.sentence}",
            alpha=opening_alpha(opening),
            n_min=n_min,
            evaluator=evaluator.name,
            trials_total=self._trials.account(data_uses(outside)).trials_total,
            trials_head=None if head is None else head.record_hash,
            regimes_sha256=evaluator.regimes_sha256(spec),
        )
        assert isinstance(record, Seal)
        return record

    def _partitions_of(
        self, generation: Generation, spec: EdgeSpec, *, peek: bool
    ) -> tuple[list[VaultedPartition], list[Partition]]:
        # What the vault holds of an edge's instruments for peeks or for openings, and what anyone may see of them.
        pairs = _instruments(spec)
        wanted = generation.of(pairs, peek=peek)
        outside = [one for one in Catalog(self._root).partitions() if _pair(one.key) in pairs]
        for pair in pairs:
            if pair not in map(_pair, wanted):
                raise InputError(f"the vault holds no data of {':'.join(pair)} for this; see `edgesmith vault ls`")
            if pair not in (_pair(one.key) for one in outside):
                raise InputError(f"there is no data of {':'.join(pair)} outside the vault to compare its edges on; import some")
        return wanted, outside

    def _result(self, chain: Appender[VaultRecord], seal: Seal, evaluator: Evaluator) -> OpeningResult:
        generation = next(one for one in chain.records if isinstance(one, Generation) and one.generation == seal.generation)
        token = OpeningToken(seal.generation, seal.record_hash)
        partitions = self._read(token, generation.of(_instruments(seal.spec), peek=False))
        found = evaluator.evaluate(seal.spec, partitions)
        verdict, sentence = judged(found, seal.alpha, seal.n_min)
        state = state_of(chain.records, str(self._chain.path))
        record = self._append(
            chain, state, record="result", of=seal.sequence, evaluation=found, verdict=verdict, sentence=sentence
        )
        assert isinstance(record, OpeningResult)
        return record

    def _read(self, token: OpeningToken, wanted: Sequence[VaultedPartition]) -> list[Partition]:
        partitions = vaulted_partitions(self._root, token, [_key(one) for one in wanted])
        sums = {_key(one): one.content_sha256 for one in wanted}
        for one in partitions:
            if one.meta.content_sha256 != sums[one.key] or not verify(one).ok:
                raise CorruptDataError(f"{one.key} in the vault is not what was put there; restore {one.folder} from a backup")
        return partitions

    def _noise_key(self, generation: Generation) -> str:
        try:
            key = self._key_path.read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            key = ""
        if noise_hash(key) != generation.noise_hash:
            raise CorruptDataError(
                f"{self._key_path} is not the key that generation {generation.generation} began with, so no noise can be drawn; "
                "restore it from a backup (openings do not need it)"
            )
        return key

    def _close_spent(self, chain: Appender[VaultRecord]) -> bool:
        state = self._stated(chain.records)
        current = state.current
        if current is None or state.openings(current.generation) < OPENINGS_MAX or state.unfinished(current.generation):
            return False
        self._close(chain, f"all {OPENINGS_MAX} openings are spent")
        return True

    def _close(self, chain: Appender[VaultRecord], reason: str) -> Closed:
        state = state_of(chain.records, str(self._chain.path))
        assert state.current is not None
        try:
            key = self._noise_key(state.current)
        except CorruptDataError:
            # Lost: then nobody can check the noise, which is no reason to keep the days.
            key = None
        record = self._append(chain, state, record="closed", generation=state.current.generation, reason=reason, noise_key=key)
        move_out(self._root, state.current.generation, [_key(one) for one in state.current.partitions])
        forget_held(self._root)
        self._key_path.unlink(missing_ok=True)
        assert isinstance(record, Closed)
        return record


def judged(found: Evaluation, alpha: float, n_min: int) -> tuple[Verdict, str]:
    """Return the verdict on a sealed hypothesis and the numbers that decided it."""
    if found.n < n_min or found.p is None or found.net_bps is None:
        return Verdict.INSUFFICIENT, f"{found.n:,} trades in the vault, sealed for at least {n_min:,}"
    numbers = f"{found.net_bps:.2f} bps net per trade over {found.n:,} trades (p = {found.p:.4f}, sealed level {alpha:.4f})"
    if found.p <= alpha and found.net_bps > 0:
        return Verdict.VALIDATED, f"{Verdict.VALIDATED.words}: {numbers}"
    real = found.p_gross is not None and found.p_gross <= alpha
    verdict = Verdict.REJECT_COST if real else Verdict.REJECT_NULL
    return verdict, f"{verdict.words}: {numbers}"


def _current(state: VaultState) -> Generation:
    if state.current is None:
        raise InputError(_NO_GENERATION)
    return state.current


def _check_resumable(state: VaultState, seal: Seal, evaluator: Evaluator) -> None:
    current = state.current
    if current is None or current.generation != seal.generation:
        raise InputError(
            f"{seal.edge_id} was sealed in generation {seal.generation}, which was closed before it was answered; its opening is "
            "spent"
        )
    model = evaluator.regimes_sha256(seal.spec)
    if (seal.evaluator, seal.regimes_sha256) != (evaluator.name, model):
        raise InputError(
            f"{seal.edge_id} was sealed for '{_method(seal.evaluator, seal.regimes_sha256)}' and this is "
            f"'{_method(evaluator.name, model)}'; finish the opening with what began it, or give it up with "
            "`edgesmith vault close --abandon`"
        )


def _method(evaluator: str, model: str | None) -> str:
    return evaluator if model is None else f"{evaluator}, regimes {model[:12]}"


def _instruments(spec: EdgeSpec) -> list[tuple[str, str]]:
    leader = spec.trigger.leader
    return [(spec.venue, spec.symbol.upper())] + ([(spec.venue, leader.upper())] if leader is not None else [])


def _pair(one: PartitionKey | VaultedPartition) -> tuple[str, str]:
    return one.venue, one.symbol


def _last_days(partitions: Sequence[Partition], days: int, after: date | None) -> list[Partition]:
    # The same calendar days for every instrument: what happens in one tells about the others.
    if not partitions:
        raise InputError("the lake holds nothing that matches; import some data with `edgesmith lake import`")
    last = max(one.key.day for one in partitions)
    first = last - timedelta(days=days - 1)
    if after is not None and first <= after:
        raise InputError(
            f"the last {days} days are {format_days([first, last])}, but a new generation begins after {after}, the last day of "
            "the one before; import later days or take fewer"
        )
    return [one for one in partitions if one.key.day >= first]


def _series(chosen: Sequence[Partition]) -> tuple[HeldSeries, ...]:
    first, last = min(one.key.day for one in chosen), max(one.key.day for one in chosen)
    return tuple(
        HeldSeries(venue, symbol, first, last) for venue, symbol in sorted({(p.key.venue, p.key.symbol) for p in chosen})
    )


def _vaulted(one: Partition) -> VaultedPartition:
    return VaultedPartition(one.key.venue, one.key.stream.label, one.key.symbol, one.key.day, one.meta.content_sha256)


def _key(one: VaultedPartition) -> PartitionKey:
    return PartitionKey(one.venue, parse_stream(one.stream), one.symbol, one.day)


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
