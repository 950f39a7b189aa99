"""Peeks at the vault: what may be asked, and what a noisy answer says; `thresholdout` is the mechanism."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgesmith.canonical import content_hash
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.evaluator import Evaluator
from edgesmith.edges.thresholdout import BUDGET, PEEKS_MAX, Noise, asked, thresholdout
from edgesmith.edges.vault_records import Generation, VaultState
from edgesmith.errors import InputError
from edgesmith.evaluation.labels import block_length_ns
from edgesmith.lake.catalog import Partition

# Fewer trades outside the vault, or fewer blocks on either side, and the averages say nothing.
TRADES_MIN, BLOCKS_MIN = 30, 20


def refuse_peek(state: VaultState, generation: Generation) -> None:
    """Raise InputError where the generation takes no more peeks."""
    number = generation.generation
    if not generation.peek_days:
        raise InputError(
            f"generation {number} of the vault has no days for peeks; the next one will with `edgesmith vault init --days N "
            "--peek-days K`"
        )
    if state.budget_left(number) < 1:
        raise InputError(
            f"the budget for peeks at generation {number} is spent: the vault disagreed {BUDGET} times; what is left is "
            "`edgesmith vault open EDGE`, once per edge"
        )
    if len(state.peeks_of(number)) >= PEEKS_MAX:
        raise InputError(
            f"generation {number} was peeked at {PEEKS_MAX:,} times, which is all; what is left is `edgesmith vault open EDGE`"
        )


def answered(
    state: VaultState,
    generation: Generation,
    spec: EdgeSpec,
    evaluator: Evaluator,
    noise_key: str,
    outside: Sequence[Partition],
    inside: Callable[[], Sequence[Partition]],
) -> dict[str, object]:
    """Return the record of a peek; `inside` is called where there is something to compare the vault with."""
    number = generation.generation
    peek, left = len(state.peeks_of(number)) + 1, state.budget_left(number)
    span_ns = max(one.meta.ts_recv_max for one in outside) - min(one.meta.ts_recv_min for one in outside)
    block_ns = block_length_ns(spec.horizon_ns, span_ns)
    known = evaluator.profits(spec, outside, block_ns)
    if known.trades < TRADES_MIN or len(known.sums_bps) < BLOCKS_MIN:
        raise InputError(
            f"{spec.edge_id} has {known.trades} trades in {len(known.sums_bps)} blocks outside the vault, expected at least "
            f"{TRADES_MIN} in {BLOCKS_MIN}: there is nothing to compare the vault with; import more days"
        )
    hidden = evaluator.profits(spec, inside(), block_ns)
    if len(hidden.sums_bps) < BLOCKS_MIN:
        raise InputError(
            f"the days for peeks are {len(hidden.sums_bps)} blocks for {spec.edge_id}, expected at least {BLOCKS_MIN}; put more "
            "days away for peeks in the next generation"
        )
    question = asked(known.sums_bps, known.trades, hidden.sums_bps)
    answer = thresholdout(question, Noise(noise_key), peek=peek, disagreements=BUDGET - left)
    return {
        "record": "peek",
        "generation": number,
        "peek": peek,
        "edge_id": spec.edge_id,
        "spec_hash": spec.spec_hash,
        "spec": spec,
        "evaluator": evaluator.name,
        "regimes_sha256": evaluator.regimes_sha256(spec),
        "outside_fingerprint": content_hash(sorted(one.meta.content_sha256 for one in outside)),
        "trades_outside": known.trades,
        "blocks_outside": len(question.outside),
        "blocks": len(question.inside),
        **answer._asdict(),
        "budget_left": left - (not answer.agrees),
    }
