"""The public record of a run: seeds, worlds, the rule of matching and every figure of every method, to be checked by anybody."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.truth.bars import LIKELY_T, SURE_T, Bar
from benchmarks.truth.jobs import PLANTED, SCALES
from benchmarks.truth.matching import HORIZON_FACTOR, PHI_MIN
from benchmarks.truth.measures import SpeedRow
from benchmarks.truth.nulls import METHODS

SCHEMA_VERSION = 2
METHOD_TEXTS = {
    "ours": "self-normalized sign flips of block influences, max-T over the family",
    "welch": "Welch's t-test of the cell against the rest, rows independent",
    "newey_west": "Newey-West errors with the automatic lag 4 (T / 100)^(2/9)",
    "permutation": "the cell's mean under permuted rows",
    "ic": "t-test of the mean rank information coefficient, ten decisions standing for a date, as alphalens prints it",
    "prior": "the four tests and the scorer of the prior system, with and without its filter of 5 bps",
}


def record_of(
    scale: str,
    hours: int,
    rows: dict[str, list[Any]],
    tables: dict[str, Any],
    bars: list[Bar],
    speed: SpeedRow,
    memory: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return everything that is published of a run."""
    sizes = SCALES[scale]
    return {
        "schema_version": SCHEMA_VERSION,
        "scale": scale,
        "first_seed": sizes.seed,
        "null_world_hours": hours,
        "matching_rule": {
            "verdicts": ["CANDIDATE", "REJECT_COST"],
            "phi_min": PHI_MIN,
            "side": "the side of the plant",
            "horizon_factor": HORIZON_FACTOR,
            "true_t_sure": SURE_T,
            "true_t_likely": LIKELY_T,
        },
        "methods": METHOD_TEXTS,
        "leaderboard": {name: tables["null"][name] for name in METHODS} | {"prior": tables["null"]["prior"]},
        "bars": [bar._asdict() for bar in bars],
        "recipes": msgspec.to_builtins(PLANTED),
        "tables": {name: table for name, table in tables.items() if name != "null"},
        "worlds": {kind: msgspec.to_builtins(some) for kind, some in rows.items()},
        "speed": {"rows": speed.rows, "cpu_s": speed.cpu_s, "rows_per_s": speed.rows_per_s},
        "memory": memory,
    }
