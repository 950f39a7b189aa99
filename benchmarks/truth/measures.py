"""The speed row and the memory row of the truth table: one measured here by CPU time, one taken from what `make bench` kept."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.bench_discovery import DAY_ROWS, prepare_first_pass
from benchmarks.report import Results

SPEED_REPEATS = 5
MEMORY_WORK, MEMORY_CHECK = "discovery_memory", "MiB at 10^9 rows"


class SpeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """First passes over a day of decisions on a 100 ms grid, 24 features by 5 horizons; rows a second of one core's CPU time."""

    rows: int
    cpu_s: tuple[float, ...]

    @property
    def rows_per_s(self) -> float:
        """Return the median rate."""
        return self.rows / sorted(self.cpu_s)[len(self.cpu_s) // 2]


def speed_row(rows: int = DAY_ROWS) -> SpeedRow:
    """Time first passes: values to codes, targets, block sums."""
    run = prepare_first_pass(rows, stay_rows=10)
    return SpeedRow(rows=rows, cpu_s=tuple(float(run()["seconds"]) for _ in range(SPEED_REPEATS)))


def memory_of(results: Results) -> dict[str, Any] | None:
    """Return what the last measuring said of a search of 10^9 rows; None where it was not measured."""
    work = results.works.get(MEMORY_WORK)
    checks = [check for row in work.rows for check in row.checks if check.what == MEMORY_CHECK] if work is not None else []
    if work is None or not checks:
        return None
    return {"mib": checks[-1].value, "holds": checks[-1].reached, "commit": work.commit, "measured_at": work.measured_at}
