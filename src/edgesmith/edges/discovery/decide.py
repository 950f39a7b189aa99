"""What the numbers of a cell amount to, in one word and one sentence: the rungs of the ladder that a search can decide."""

from __future__ import annotations

from edgesmith.domain.units import format_duration_ns
from edgesmith.edges.verdict import Verdict

# Strongest first; validation adds the others.
DECIDED = (Verdict.CANDIDATE, Verdict.REJECT_COST, Verdict.REJECT_NULL, Verdict.INSUFFICIENT)


def decide(*, testable: bool, p_family: float, mde_bps: float | None, alpha: float) -> Verdict:
    """Return the first rung that applies; of what is real REJECT_COST, until it was shown to pay.

    `p_family` is that of "no different from the rest", adjusted for every cell it was one of. Where no effect of any size would
    have been found, finding none means nothing.
    """
    if not testable:
        return Verdict.INSUFFICIENT
    if p_family > alpha:
        return Verdict.INSUFFICIENT if mde_bps is None else Verdict.REJECT_NULL
    return Verdict.REJECT_COST


def sentence(
    verdict: Verdict,
    *,
    side: int,
    horizon_ns: int,
    gross_bps: float,
    cost_bps: float,
    mde_bps: float | None,
    blocks: int,
    blocks_effective: float,
) -> str:
    """Explain a verdict with the numbers that decided it; `gross_bps` is signed for the side."""
    word = "buying" if side > 0 else "selling"
    horizon = format_duration_ns(horizon_ns)
    if verdict is Verdict.REJECT_COST:
        return f"{verdict.words}: {word} gains {gross_bps:.2f} bps over {horizon}, trading it costs {cost_bps:.2f} bps"
    if verdict is Verdict.REJECT_NULL:
        return f"{verdict.words}, and the smallest effect we could have seen is {mde_bps:.2f} bps over {horizon}"
    worth = f"{blocks} block{'s' * (blocks != 1)} of time, worth {min(blocks, blocks_effective):.0f} equal ones"
    return f"{verdict.words}: {worth}, cannot prove an effect over {horizon}"


def paying_sentence(
    verdict: Verdict, *, side: int, horizon_ns: int, onsets: int, gross_bps: float, cost_bps: float, p: float | None
) -> str:
    """Explain what round trips said that were entered when the trigger began; `gross_bps` is signed for the side."""
    word = "buying" if side > 0 else "selling"
    horizon = format_duration_ns(horizon_ns)
    sure = "too few to be sure" if p is None else f"no profit: p = {p:.4f}"
    if verdict is Verdict.CANDIDATE:
        return (
            f"{verdict.words}: {word} when it begins earns {gross_bps - cost_bps:.2f} bps after {cost_bps:.2f} bps of cost over "
            f"{horizon}, {onsets:,} times ({sure})"
        )
    return (
        f"{verdict.words}: {word} when it begins gains {gross_bps:.2f} bps over {horizon}, {onsets:,} times, trading it costs "
        f"{cost_bps:.2f} bps ({sure})"
    )
