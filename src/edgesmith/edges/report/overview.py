"""The page on one validation: the funnel from cells looked at to verdicts, and the edges with what they earn at least."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesmith.edges.report.card import NO_CHART, STYLES
from edgesmith.edges.validation.card import EdgeCard
from edgesmith.edges.verdict import Verdict
from edgesmith.trading.report import formats
from edgesmith.trading.report.page import render_page, write_page

# In the order the ladder asks.
LADDER = tuple(Verdict)


def write_overview(
    cards: Sequence[EdgeCard],
    path: Path,
    *,
    instrument: str,
    looked_at: int,
    simulated: bool,
    truths: dict[str, str] | None = None,
) -> Path:
    """Write the page on all `cards` to `path`; `looked_at` are the cells discovery tried, `truths` go by edge id."""
    from edgesmith import __version__

    view = overview_view(cards, instrument=instrument, looked_at=looked_at, truths=truths or {})
    page = render_page("edges_overview.html.j2", NO_CHART, edgesmith_version=__version__, simulated=simulated, **view)
    return write_page(path, page)


def overview_view(cards: Sequence[EdgeCard], *, instrument: str, looked_at: int, truths: dict[str, str]) -> dict[str, Any]:
    """Return what the template shows."""
    counts = Counter(card.verdict for card in cards)
    ranked = sorted(cards, key=lambda card: (card.verdict.rank, -(card.net_low_usd_per_day or 0.0), card.spec.edge_id))
    return {
        "title": f"Edges of {instrument}",
        "sentence": _sentence(cards, looked_at),
        "funnel": _funnel(cards, looked_at),
        "counts": [(verdict.value, formats.count(counts[verdict]), STYLES[verdict]) for verdict in LADDER if counts[verdict]],
        "rows": [
            {
                "id": card.spec.edge_id,
                "claim": card.spec.sentence,
                "verdict": card.verdict.value,
                "tone": STYLES[card.verdict],
                "net": formats.bps(card.findings.net_bps),
                "low": formats.bps(card.findings.net_low_bps),
                "trades": formats.count(card.findings.onsets),
                "usd": formats.rough_money(card.net_low_usd_per_day, "USD"),
                "sentence": card.sentence,
                "truth": truths.get(card.spec.edge_id, ""),
            }
            for card in ranked
        ],
        "with_truth": bool(truths),
    }


def _sentence(cards: Sequence[EdgeCard], looked_at: int) -> str:
    proven = sum(card.verdict is Verdict.VALIDATED for card in cards)
    real = sum(card.verdict is Verdict.CANDIDATE for card in cards)
    return (
        f"{formats.count(looked_at)} cells looked at, {formats.count(len(cards))} carried to data nobody had searched: "
        f"{formats.count(proven)} proven, {formats.count(real)} real but not proven yet"
    )


def _funnel(cards: Sequence[EdgeCard], looked_at: int) -> list[tuple[str, str, float]]:
    # How many are left after each question; bars on a logarithmic scale, or thousands of cells would hide everything else.
    left = len(cards)
    steps = [("cells looked at", looked_at), ("candidates carried over", left)]
    for verdict in LADDER[:-2]:
        left -= sum(card.verdict is verdict for card in cards)
        steps.append((f"after {verdict.value}", left))
    steps.append((Verdict.VALIDATED.value, sum(card.verdict is Verdict.VALIDATED for card in cards)))
    most = max(looked_at, 1)
    return [(name, formats.count(count), _share(count, most)) for name, count in steps]


def _share(count: int, most: int) -> float:
    return round(100.0 * math.log1p(count) / math.log1p(most), 1)
