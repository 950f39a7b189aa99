"""All families of features, 58 columns over quotes and trades, on the 100 ms grid of a day of 20 M events, in bounded memory.

The day is a seeded tape of quotes and trades, repeated with its clock moved on; batches are made as they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from benchmarks.harness import Contestant, Options, Row, at_most_check, race, rate_check
from benchmarks.machine import peak_rss_mib
from benchmarks.market import tape_events
from edgesmith.evaluation.decisions import DecisionSampler, sampled
from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program

TITLE = "order flow, liquidity, timeframes and covariates on a 100 ms grid, a day of 20 M events"
SETS = ("flow", "timeframes", "covariates")
DAY_EVENTS = 20_000_000
PER_SECOND = 1.5e6
PEAK_MIB_MAX = 500.0
GRID_NS = 100_000_000
GAP_NS = 60_000_000_000
BATCH_EVENTS = 65_536


def rows(options: Options) -> list[Row]:
    """Run the day; memory is that of the whole process since it was ready, the tape of 3.7 M events that repeats included."""
    whole = options.events * max(1, DAY_EVENTS // options.events)
    side = Contestant(
        who="edgesmith", prepare="benchmarks.bench_families:prepare", options={"events": options.events, "whole": whole},
        count=whole, note="one core",
    )  # fmt: skip
    (found,) = race([side], options.repeats)
    if found.seconds:
        rate_check(found, PER_SECOND)
        at_most_check(found, "peak MiB", found.median_fact("process_mib"), PEAK_MIB_MAX, "MiB")
    return [found]


def prepare(events: int, whole: int) -> Callable[[], dict[str, Any]]:
    """Return one run over `whole` events; compiling has happened."""
    tape = tape_events(events)
    program = Program([spec for name in SETS for spec in feature_set(name)])
    program.compute(tape[:1_000])
    span_ns = int(tape["ts_recv"][-1] - tape["ts_recv"][0]) + 1_000_000

    def batches() -> Iterator[NDArray[Any]]:
        for done in range(0, whole, events):
            for begin in range(0, events, BATCH_EVENTS):
                batch = tape[begin : begin + BATCH_EVENTS].copy()
                batch["ts_recv"] += done // events * span_ns
                yield batch

    def run() -> dict[str, Any]:
        sampler = DecisionSampler(program.width, grid_ns=GRID_NS, gap_ns=GAP_NS)
        written = sum(len(rows.features) for rows in sampled(batches(), program, sampler))
        return {"columns": program.width, "grid_rows": written, "process_mib": round(peak_rss_mib(), 1)}

    return run
