"""What the numbers of a cell amount to, in one word and one sentence: the rungs of the ladder that a search can decide."""

from __future__ import annotations

from edgesmith.domain.units import format_duration_ns
from edgesmith.edges.verdict import Verdict

# Strongest first; validation adds the others.
DECIDED = (Verdict.CANDIDATE, Verdict.REJECT_COST, Verdict.REJECT_NULL, Verdict.INSUFFICIENT)


def decide(*, testable: bool, p_family: float, p_net: float, net_bps: float, mde_bps: float | None, alpha: float) -> Verdict:
    """Return the first rung that applies.

    `p_family` is that of "no different from the rest", `p_net` that of "no profit after cost", each adjusted for every cell
    it was one of; an edge must reject both. Where no effect of any size would have been found, finding none means nothing.
    """
    if not testable:
        return Verdict.INSUFFICIENT
    if p_family > alpha:
        return Verdict.INSUFFICIENT if mde_bps is None else Verdict.REJECT_NULL
    return Verdict.CANDIDATE if p_net <= alpha and net_bps > 0 else Verdict.REJECT_COST


def sentence(
    verdict: Verdict,
    *,
    side: int,
    horizon_ns: int,
    gross_bps: float,
    cost_bps: float,
    p: float,
    mde_bps: float | None,
    blocks: int,
    blocks_effective: float,
) -> str:
    """Explain a verdict with the numbers that decided it; `gross_bps` is signed for the side, `p` that of the deciding test."""
    word = "buying" if side > 0 else "selling"
    horizon = format_duration_ns(horizon_ns)
    if verdict is Verdict.CANDIDATE:
        return (
            f"{verdict.words}: {word} earns {gross_bps - cost_bps:.2f} bps after {cost_bps:.2f} bps of cost over {horizon} "
            f"(no profit: p = {p:.4f})"
        )
    if verdict is Verdict.REJECT_COST:
        return f"{verdict.words}: {word} gains {gross_bps:.2f} bps over {horizon}, trading it costs {cost_bps:.2f} bps"
    if verdict is Verdict.REJECT_NULL:
        return f"{verdict.words}, and the smallest effect we could have seen is {mde_bps:.2f} bps over {horizon}"
    worth = f"{blocks} block{'s' * (blocks != 1)} of time, worth {min(blocks, blocks_effective):.0f} equal ones"
    return f"{verdict.words}: {worth}, cannot prove an effect over {horizon}"
