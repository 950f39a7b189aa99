"""Speed and memory of discovery on coded days: first pass, scan of pairs beside a bare loop, sign flips, a whole search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.coded_days import DAY_ROWS, GRID_NS, MOVES_ROWS, Days, feature_rows, pair_days, panel_of
from benchmarks.harness import Contestant, Options, Row, at_least_check, at_most_check, faster_check, race
from benchmarks.machine import peak_rss_mib, thread_cpu_s
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DEFAULT_HORIZONS_NS, DEFAULT_LATENCIES_NS, DiscoveryConfig
from edgesmith.edges.discovery.pipeline import Workplace, search_panel
from edgesmith.edges.discovery.screen import screen_pairs
from edgesmith.evaluation.bins import cut_matrix, encode_columns
from edgesmith.evaluation.labels import LabelSpec, column_groups
from edgesmith.evaluation.significance import sign_flip
from edgesmith.evaluation.sums import TESTED_MOMENTS, SingleCells

TITLE = "discovery: first pass, pairs, sign flips, and a whole search of 3.26 M rows"
FEATURES = 24
FIRST_PASS_HORIZONS_NS = (NS_PER_S // 2, NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S, 5 * NS_PER_S)
PAIR_ROWS, SEARCH_ROWS, QUICK_ROWS = 3_200_000, 3_260_000, 60_000
POLARS_PAIRS, PANDAS_PAIRS = 276, 24
FLIP_BLOCKS, FLIP_CELLS = 400, 1_500
ENCODED_ROWS = 8_192

FIRST_PASS_PER_S, SEARCH_S_MAX, SEARCH_MIB_MAX = 2e6, 60.0, 1_000.0
# The scan may take twice the time of the loop that does nothing else.
LOOP_RATIO, FRAME_RATIO = 0.5, 1.0


def rows(options: Options) -> list[Row]:
    """Return every piece of work; each has its own target."""
    return [*_first_pass_rows(options), *_pair_rows(options), *_flip_rows(options), *_search_rows(options)]


def _first_pass_rows(options: Options) -> list[Row]:
    count = QUICK_ROWS if options.quick else DAY_ROWS
    sides = [
        Contestant(
            who=f"first pass, {words}", prepare="benchmarks.bench_discovery:prepare_first_pass",
            options={"rows": count, "stay_rows": stay_rows}, count=count, unit="rows", ours=True,
            note="one core: feature rows to codes, targets of 5 horizons, block sums of 24 features; by CPU time",
        )
        for words, stay_rows in (("values that stay for a second", 10), ("values that are new in every row", 1))
    ]  # fmt: skip
    found = race(sides, options.repeats)
    for row in found:
        if row.seconds:
            at_least_check(row, "rows/s", row.rate, FIRST_PASS_PER_S, "a core")
    return found


def _pair_rows(options: Options) -> list[Row]:
    count = QUICK_ROWS if options.quick else PAIR_ROWS
    size = {"rows": count, "features": FEATURES}
    sides = [
        Contestant(
            who="pair scan, edgesmith", prepare="benchmarks.bench_discovery:prepare_pairs", options=size, count=count,
            unit="rows",
            note="two cores: targets from quotes, sums of 276 pairs x 121 cells x 3 horizons, best cells of all intervals",
        ),
        Contestant(
            who="pair scan, bare loop", prepare="benchmarks.peers.pair_scan:prepare_loop", options=size, count=count, unit="rows",
            note="two cores: 276 pairs x 100 cells x 3 moves, bins and moves given; count, mean and t",
        ),
    ]  # fmt: skip
    for library, pairs in (("polars", POLARS_PAIRS), ("pandas", PANDAS_PAIRS)):
        note = "all pairs" if pairs == POLARS_PAIRS else f"{pairs} of the pairs, scaled to all"
        sides.append(
            Contestant(
                who=f"pair scan, {library}", prepare="benchmarks.peers.pair_scan:prepare_frame",
                options={**size, "library": library, "pairs": pairs}, count=count, unit="rows", note=note,
            )
        )  # fmt: skip
    found = race(sides, options.repeats)
    for row in found[1:]:
        faster_check(row, LOOP_RATIO if "loop" in row.who else FRAME_RATIO)
    return found


def _flip_rows(options: Options) -> list[Row]:
    side = Contestant(
        who=f"9,999 sign flips, {FLIP_BLOCKS} blocks", prepare="benchmarks.bench_discovery:prepare_flips", count=FLIP_CELLS,
        unit="cells", note="one core",
    )  # fmt: skip
    return race([side], options.repeats)


def _search_rows(options: Options) -> list[Row]:
    count = QUICK_ROWS if options.quick else SEARCH_ROWS
    side = Contestant(
        who="whole search, depth 3", prepare="benchmarks.bench_discovery:prepare_search", options={"rows": count}, count=count,
        unit="rows", once=True,
        note="two cores: singles, pairs, triples, max-T; 24 features x 10 horizons x 6 latencies; peak of the whole process, "
        "which is all there is: workers are threads; days are mapped from files",
    )  # fmt: skip
    (found,) = race([side], options.repeats)
    if found.seconds:
        at_most_check(found, "seconds", sorted(found.seconds)[len(found.seconds) // 2], SEARCH_S_MAX, "s")
        at_most_check(found, "peak MiB", found.median_fact("process_mib"), SEARCH_MIB_MAX, "MiB")
    return [found]


def prepare_first_pass(rows: int, stay_rows: int) -> Callable[[], dict[str, Any]]:
    """Return one first pass over feature rows in memory, timed by the thread's own clock."""
    labels = LabelSpec(horizons_ns=FIRST_PASS_HORIZONS_NS, latencies_ns=(50 * NS_PER_MS,), fee_in_bps=5.0, fee_out_bps=5.0)
    days = Days(rows=rows, features=FEATURES, latencies=1, tail_rows=max(FIRST_PASS_HORIZONS_NS) // GRID_NS, stay_rows=stay_rows)
    panel = panel_of(days, labels, workers=1)
    values = feature_rows(0, rows, FEATURES, stay_rows)
    groups = column_groups(labels, 24 * NS_PER_HOUR)
    day = panel.open_day(panel.days[0])
    columns, (cuts, counts) = np.arange(FEATURES), cut_matrix(panel.bins)

    def run() -> dict[str, Any]:
        start_s = thread_cpu_s()
        codes = np.empty((FEATURES, rows), np.uint8)
        for begin in range(0, rows, ENCODED_ROWS):
            part = values[begin : begin + ENCODED_ROWS]
            encode_columns(part, columns, cuts, counts, codes[:, begin : begin + len(part)])
        panel.block_sums(SingleCells(panel.bins), groups, moments=TESTED_MOMENTS)
        seconds = thread_cpu_s() - start_s
        assert np.array_equal(codes, day.codes), "the codes summed were not those of these rows"
        return {"seconds": seconds}

    run()
    return run


def prepare_pairs(rows: int, features: int) -> Callable[[], dict[str, Any]]:
    """Return one scan of all pairs, and what follows it: which cells are worth testing."""
    labels = LabelSpec(horizons_ns=tuple(at * GRID_NS for at in MOVES_ROWS), latencies_ns=(0,), fee_in_bps=5.0, fee_out_bps=5.0)
    panel = panel_of(pair_days(rows, features), labels, workers=2)
    deviations = {horizon_ns: (horizon_ns / NS_PER_S) ** 0.5 for horizon_ns in labels.horizons_ns}

    def run() -> dict[str, Any]:
        return {"cells": len(screen_pairs(panel, range(features), deviations, 30, 64, None).chosen)}

    run()
    return run


def prepare_flips() -> Callable[[], dict[str, Any]]:
    """Return the sign flips of one family."""
    psi = np.random.default_rng(3).standard_normal((FLIP_BLOCKS, FLIP_CELLS))

    def run() -> dict[str, Any]:
        return {"largest": float(sign_flip([(1, psi)], flips=9_999, seed=1).maxima[-1])}

    run()
    return run


def prepare_search(rows: int) -> Callable[[], dict[str, Any]]:
    """Return one whole search; a small one has compiled everything."""
    config = DiscoveryConfig(depth=3)
    labels = LabelSpec(horizons_ns=DEFAULT_HORIZONS_NS, latencies_ns=DEFAULT_LATENCIES_NS, fee_in_bps=5.0, fee_out_bps=5.0)

    def search(count: int) -> dict[str, Any]:
        tail = max(labels.horizons_ns) // GRID_NS
        panel = panel_of(Days(rows=count, features=FEATURES, latencies=len(labels.latencies_ns), tail_rows=tail), labels, 2)
        found = search_panel(panel, config, config.alpha, workplace=Workplace(workers=2))
        trials = len(found.singles.cells) + sum(depth.trials for depth in found.deep.depths)
        return {"trials": trials, "process_mib": round(peak_rss_mib(), 1)}

    search(QUICK_ROWS)
    # The days themselves are written before the clock starts, by another process.
    tail = max(labels.horizons_ns) // GRID_NS
    panel_of(Days(rows=rows, features=FEATURES, latencies=len(labels.latencies_ns), tail_rows=tail), labels, 2)
    return lambda: search(rows)
