"""Work measured by modules of their own, which time all their sides in one process: features and feature matrix."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.harness import Contestant, Options, Row, compare, faster_check, race, rate_check

FEATURES_TITLE = "15 features, one core, float64 matrix written"
MATRIX_TITLE = "28 features (base, behavior, regime), one core, in memory and as Parquet"
FEATURES_PER_S = 10e6
# Ours may take twice the time of the loop fused by hand, and must not take longer than polars.
FUSED_RATIO, POLARS_RATIO = 0.5, 1.0
MATRIX_PER_S, MATRIX_POLARS_RATIO = 4e6, 3.0


def feature_rows(options: Options) -> list[Row]:
    """Return ours, the loop fused by hand, and polars."""
    found = _measured("benchmarks.bench_features", options)
    ours = found[0]
    if not ours.seconds:
        return found
    rate_check(ours, FEATURES_PER_S)
    for row in found[1:]:
        compare(ours, row)
        faster_check(row, FUSED_RATIO if "fused" in row.who else POLARS_RATIO)
    return found


def matrix_rows(options: Options) -> list[Row]:
    """Return ours and polars, in memory and written; the targets are those of the arrays in memory."""
    found = _measured("benchmarks.bench_matrix", options)
    if not found[0].seconds:
        return found
    in_memory, polars, as_parquet, polars_parquet = found
    rate_check(in_memory, MATRIX_PER_S)
    compare(in_memory, polars)
    faster_check(polars, MATRIX_POLARS_RATIO)
    compare(as_parquet, polars_parquet)
    return found


def _measured(module: str, options: Options) -> list[Row]:
    # These modules choose their own size: `events` does not change it.
    work = {"module": module, "repeats": options.repeats}
    (done,) = race([Contestant(who=module, prepare="benchmarks.bench_measured:prepare", options=work, count=0)], repeats=1)
    if done.error:
        return [done]
    return [
        Row(
            who=one["peer"],
            count=one["events"],
            unit="units",
            seconds=[float(value) for value in one["seconds"]],
            note=one["work"],
        )
        for one in done.fact("rows")
    ]


def prepare(module: str, repeats: int) -> Callable[[], dict[str, Any]]:
    """Return the measurement; it warms itself up."""

    def run() -> dict[str, Any]:
        return {"rows": import_module(module).measure(repeats)}

    return run
