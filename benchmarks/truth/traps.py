"""Columns that look ahead: every one must be called a leak, and no honest twin may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.truth.desk import desk_of
from edgesmith.domain.records import joined
from edgesmith.evaluation.leak import leaking_columns
from edgesmith.worlds.traps import TRAPS

NS_PER_S = 10**9


def trap_row(name: str) -> dict[str, Any]:
    """Hold a trap and its honest twin against the tape of its world, with the future taken away."""
    trap = TRAPS[name]
    with desk_of(name, 1, 1) as desk:
        first_ns, last_ns = desk.source.span(0)
        tape = joined(list(desk.source.window(first_ns, last_ns + 1)))
    at = np.arange(first_ns + 90 * NS_PER_S, last_ns - 30 * NS_PER_S, NS_PER_S)

    def columns(known: Any, until_ns: int) -> Any:
        early = at[at <= until_ns]
        return np.stack([trap.leaking(known, early), trap.honest(known, early)], axis=1)

    leaking = leaking_columns(columns, tape, [int(cut) for cut in at[100::400]])
    return {"trap": name, "summary": trap.summary, "leak_found": 0 in leaking, "honest_accused": 1 in leaking}
