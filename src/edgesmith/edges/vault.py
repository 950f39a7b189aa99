"""The vault: the last days of a lake, which nobody sees until a sealed record says what they will be asked.

Reading order: `vault_records` (what the ledger says), `lake.held` and `lake.vaulted` (where the days are). An opening writes its
seal, makes the only token there is, reads, evaluates the frozen edge, and writes the result. Killed before the seal, nothing
happened. Killed after it, the opening counts as spent, and opening the same edge again brings the same seal to its result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import content_hash
from edgesmith.clock import Clock
from edgesmith.domain.units import NS_PER_S, format_ns
from edgesmith.edges.chain import Appender, Chain, Head
from edgesmith.edges.edge import EdgeEvidence, EdgeSpec
from edgesmith.edges.trials import TrialLedger, data_uses
from edgesmith.edges.vault_records import (
    OPENINGS_MAX,
    Closed,
    Evaluation,
    Generation,
    OpeningResult,
    Seal,
    VaultedPartition,
    VaultRecord,
    VaultState,
    decoded,
    opening_alpha,
    state_of,
)
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.lake.atomic import locked_folder
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
N_MIN = 200
TWIN_JACCARD_RATIO = 0.8
# Onsets this close are one: otherwise another decision grid would make another edge.
TWIN_GRID_NS = NS_PER_S

Onsets = NDArray[np.int64]


class Evaluator(Protocol):
    """How a frozen edge is measured on partitions of its instrument; deterministic."""

    @property
    def name(self) -> str:
        """Return what it does and in which version; part of the seal."""
        ...

    def check(self, spec: EdgeSpec) -> None:
        """Raise InputError for an edge it cannot measure."""
        ...

    def onsets(self, spec: EdgeSpec, partitions: Sequence[Partition]) -> Onsets:
        """Return the instants at which the trigger became true."""
        ...

    def evaluate(self, spec: EdgeSpec, partitions: Sequence[Partition]) -> Evaluation:
        """Measure the edge."""
        ...


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
    """The vault of the lake at `root`."""

    def __init__(self, root: Path, trials: TrialLedger, clock: Clock) -> None:
        self._root = root
        self._trials = trials
        self._clock = clock
        self._chain: Chain[VaultRecord] = Chain(vault_folder(root) / LEDGER_NAME, decoded)

    def state(self) -> VaultState:
        """Return what the ledger says, after checking all of it."""
        return self._stated(self._chain.read())

    def head(self) -> Head | None:
        """Return the place and hash of the last record; written down elsewhere it proves that nothing was taken back."""
        return self._chain.head()

    def init(self, days: int, *, venue: str | None = None, symbol: str | None = None) -> Generation:
        """Put the last `days` of the lake, or of one venue or symbol, behind the door."""
        if days < 1:
            raise InputError(f"--days was {days}, expected at least 1")
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
            # First the note: from here on no reader sees the days, whatever happens to this process.
            note_held(self._root, held)
            record = self._append(
                chain,
                state,
                record="generation",
                generation=held.generation,
                series=series,
                partitions=[_vaulted(one) for one in chosen],
            )
            move_in(self._root, held, [one.key for one in chosen])
            assert isinstance(record, Generation)
            return record

    def open(self, spec: EdgeSpec, evaluator: Evaluator, *, n_min: int = N_MIN) -> Opened:
        """Ask the vault about one edge: seal, read, evaluate, record; an edge that was opened is answered from the ledger."""
        with self._held() as chain:
            state = self._checked(chain)
            seal = state.seal_of(spec.spec_hash)
            if seal is not None and seal.sequence in state.results:
                return Opened(seal, state.results[seal.sequence], True)
            if seal is None:
                seal = self._seal(chain, state, spec, evaluator, n_min)
            elif seal.evaluator != evaluator.name:
                raise InputError(
                    f"{seal.edge_id} was sealed for '{seal.evaluator}' and this is '{evaluator.name}'; "
                    "finish the opening with the edgesmith that began it"
                )
            result = self._result(chain, seal, evaluator)
            if self._stated(chain.records).openings(seal.generation) >= OPENINGS_MAX:
                self._close(chain, f"all {OPENINGS_MAX} openings are spent")
            return Opened(seal, result, False)

    def close(self, reason: str) -> Closed:
        """End the generation: its days go back into the lake, and are training data."""
        with self._held() as chain:
            state = self._checked(chain)
            if state.current is None:
                raise InputError("no generation of the vault is open; begin one with `edgesmith vault init --days N`")
            unfinished = [one.edge_id for one in state.seals if one.sequence not in state.results]
            if unfinished:
                raise InputError(f"the opening of {unfinished[0]} has no result yet; finish it with `edgesmith vault open`")
            return self._close(chain, reason)

    def fingerprint(self, generation: int) -> str:
        """Return the hash of the content of a generation's days."""
        return content_hash(self.state().generations[generation - 1].partitions)

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
        return state

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
        evaluator.check(spec)
        generation = state.current
        if generation is None:
            raise InputError("no generation of the vault is open; begin one with `edgesmith vault init --days N`")
        if not any((one.venue, one.symbol) == (spec.venue, spec.symbol) for one in generation.partitions):
            raise InputError(f"the vault holds no data of {spec.instrument}; see `edgesmith vault ls`")
        visible = Catalog(self._root).partitions(venue=spec.venue, symbol=spec.symbol)
        self._check_no_twin(state, spec, evaluator, visible)
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
            trials_total=self._trials.account(data_uses(visible)).trials_total if visible else 0,
            trials_head=None if head is None else head.record_hash,
        )
        assert isinstance(record, Seal)
        return record

    def _check_no_twin(self, state: VaultState, spec: EdgeSpec, evaluator: Evaluator, visible: Sequence[Partition]) -> None:
        earlier = [one.spec for one in state.seals if one.spec.instrument == spec.instrument]
        if not earlier:
            return
        if not visible:
            raise InputError(f"there is no data of {spec.instrument} outside the vault to compare its edges on; import some")
        own = _instants(evaluator.onsets(spec, visible))
        for other in earlier:
            overlap = jaccard(own, _instants(evaluator.onsets(other, visible)))
            if overlap >= TWIN_JACCARD_RATIO or other.trigger == spec.trigger:
                raise InputError(
                    f"{spec.edge_id} acts at the same instants as {other.edge_id} (Jaccard {overlap:.2f}, the limit is "
                    f"{TWIN_JACCARD_RATIO}), which was opened already; the vault answers once for both"
                )

    def _result(self, chain: Appender[VaultRecord], seal: Seal, evaluator: Evaluator) -> OpeningResult:
        generation = next(one for one in chain.records if isinstance(one, Generation) and one.generation == seal.generation)
        wanted = [one for one in generation.partitions if (one.venue, one.symbol) == (seal.spec.venue, seal.spec.symbol)]
        token = OpeningToken(seal.generation, seal.record_hash)
        partitions = vaulted_partitions(self._root, token, [_key(one) for one in wanted])
        sums = {_key(one): one.content_sha256 for one in wanted}
        for one in partitions:
            if one.meta.content_sha256 != sums[one.key] or not verify(one).ok:
                raise CorruptDataError(f"{one.key} in the vault is not what was put there; restore {one.folder} from a backup")
        found = evaluator.evaluate(seal.spec, partitions)
        verdict, sentence = judged(found, seal.alpha, seal.n_min)
        state = state_of(chain.records, str(self._chain.path))
        record = self._append(
            chain, state, record="result", of=seal.sequence, evaluation=found, verdict=verdict, sentence=sentence
        )
        assert isinstance(record, OpeningResult)
        return record

    def _close(self, chain: Appender[VaultRecord], reason: str) -> Closed:
        state = state_of(chain.records, str(self._chain.path))
        assert state.current is not None
        record = self._append(chain, state, record="closed", generation=state.current.generation, reason=reason)
        move_out(self._root, state.current.generation, [_key(one) for one in state.current.partitions])
        forget_held(self._root)
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


def jaccard(one: Onsets, other: Onsets) -> float:
    """Return the share of instants both have among those either has; 0 where neither has any."""
    union = len(np.union1d(one, other))
    return len(np.intersect1d(one, other)) / union if union else 0.0


def _instants(onsets: Onsets) -> Onsets:
    return np.unique(onsets // TWIN_GRID_NS)


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
