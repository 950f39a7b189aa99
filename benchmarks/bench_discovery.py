"""Speed of discovery on generated decisions: the first pass, the scan of pairs, the sign flips, and a whole search."""

from __future__ import annotations

import resource
from collections.abc import Callable
from datetime import date
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np

from edgesmith.clock import monotonic_s
from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, NS_PER_S, date_of_ns
from edgesmith.edges.discovery.config import DEFAULT_HORIZONS_NS, DEFAULT_LATENCIES_NS, DiscoveryConfig
from edgesmith.edges.discovery.deep import deep_search
from edgesmith.edges.discovery.judge import judge
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import CodedDay, CodedPanel
from edgesmith.evaluation.decisions import GridDay
from edgesmith.evaluation.labels import LabelSpec, column_groups
from edgesmith.evaluation.screening import LANES, SLOTS, add_pairs
from edgesmith.evaluation.significance import sign_flip
from edgesmith.evaluation.sums import TESTED_MOMENTS, SingleCells

GRID_NS = 100 * NS_PER_MS
DAY_ROWS = NS_PER_DAY // GRID_NS
FEATURES = 24
BINS = 12
FIRST_DAY = 19_943
FIRST_PASS_HORIZONS_NS = (NS_PER_S // 2, NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S, 5 * NS_PER_S)
SEARCH_ROWS = 3_260_000
PAIR_ROWS = 3_200_000


def generated_panel(rows: int, features: int, labels: LabelSpec, workers: int | None = None) -> CodedPanel:
    """Return a panel whose days are drawn when they are opened: a random walk, and codes that stay for a second."""
    first_ns = FIRST_DAY * NS_PER_DAY
    last_ns = first_ns + rows * GRID_NS - 1
    days = tuple(date_of_ns(at * NS_PER_DAY) for at in range(FIRST_DAY, last_ns // NS_PER_DAY + 1))
    latencies = len(set(labels.latencies_ns))
    kept: dict[date, CodedDay] = {}

    def open_day(day: date) -> CodedDay:
        if day not in kept:
            # Two days at most are under work at once.
            for old in sorted(kept)[:-1]:
                kept.pop(old, None)
            at = days.index(day)
            count = min(DAY_ROWS, rows - at * DAY_ROWS)
            kept[day] = _generated_day(at, count, max(labels.horizons_ns) // GRID_NS, latencies, features)
        return kept[day]

    bins = tuple(FeatureBins(f"feature_{at:02d}", tuple(float(cut) for cut in range(BINS - 1))) for at in range(features))
    return CodedPanel(
        bins=bins, labels=labels, first_ns=first_ns, last_ns=last_ns, days=days, open_day=open_day, texts={}, workers=workers
    )


def _generated_day(at: int, count: int, tail: int, latencies: int, features: int) -> CodedDay:
    rng = np.random.default_rng(at)
    mid = 60_000.0 + np.cumsum(rng.normal(0.0, 2.0, count + tail))
    mids = np.repeat(mid[None], latencies, axis=0)
    codes = np.repeat(rng.integers(0, BINS, (features, -(-count // 10)), dtype=np.uint8), 10, axis=1)[:, :count]
    first_index = (FIRST_DAY + at) * DAY_ROWS
    grid = GridDay(first_index, count, mids, np.full_like(mids, 0.1), np.full(count + tail, count + tail - 1, np.int32))
    return CodedDay(grid, np.ascontiguousarray(codes))


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Time each piece of work `repeats` times after one run that compiles."""
    rows = SEARCH_ROWS if repeats >= 5 else SEARCH_ROWS // 8
    return [
        _timed("discovery: first pass, 24 features x 5 horizons, one core (rows)", DAY_ROWS, repeats, _first_pass()),
        _timed("discovery: scan of 276 pairs x 121 cells x 3 horizons, two cores (rows)", PAIR_ROWS, repeats, _pairs()),
        _timed("discovery: 9,999 sign flips x 400 blocks x 1,500 cells (cells)", 1_500, repeats, _flips()),
        _timed(
            f"discovery: singles, pairs, triples of {rows:,} rows, 24 features x 10 horizons x 6 latencies (rows)",
            rows,
            max(1, repeats // 5),
            _search(rows),
        ),
    ]


def _timed(work: str, count: int, repeats: int, run: Callable[[], None]) -> dict[str, Any]:
    run()
    seconds = []
    for _ in range(repeats):
        start_s = monotonic_s()
        run()
        seconds.append(monotonic_s() - start_s)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = count / median(seconds)
    return {
        "work": work, "peer": "edgesmith", "events": count, "seconds": seconds, "per_second_median": rate, "peak_mb": peak_mb,
    }  # fmt: skip


def _first_pass() -> Callable[[], None]:
    labels = LabelSpec(horizons_ns=FIRST_PASS_HORIZONS_NS, latencies_ns=(50 * NS_PER_MS,), fee_in_bps=5.0, fee_out_bps=5.0)
    panel = generated_panel(DAY_ROWS, FEATURES, labels, workers=1)
    panel.open_day(panel.days[0])
    groups = column_groups(labels, 24 * NS_PER_HOUR)

    def run() -> None:
        panel.block_sums(SingleCells(panel.bins), groups, moments=TESTED_MOMENTS)

    return run


def _pairs() -> Callable[[], None]:
    from edgesmith.parallel import map_ordered

    rng = np.random.default_rng(2)
    codes = np.repeat(rng.integers(0, SLOTS, (FEATURES, PAIR_ROWS // 10), dtype=np.uint8), 10, axis=1)
    packed = rng.integers(-50_000, 50_000, (PAIR_ROWS, LANES))
    left, right = (np.array(side) for side in zip(*combinations(range(FEATURES), 2), strict=True))

    def scan(part: tuple[int, int]) -> Any:
        sums = np.zeros((len(left), SLOTS * SLOTS, LANES), np.int64)
        for begin in range(*part, 1_024):
            end = min(begin + 1_024, part[1])
            add_pairs(codes[:, begin:end], left, right, packed[begin:end], sums)
        return sums

    def run() -> None:
        half = PAIR_ROWS // 2
        for _ in map_ordered(scan, [(0, half), (half, PAIR_ROWS)], workers=2, mode="threads"):
            pass

    return run


def _flips() -> Callable[[], None]:
    psi = np.random.default_rng(3).standard_normal((400, 1_500))

    def run() -> None:
        sign_flip([(1, psi)], flips=9_999, seed=1)

    return run


def _search(rows: int) -> Callable[[], None]:
    config = DiscoveryConfig(depth=3)
    labels = LabelSpec(horizons_ns=DEFAULT_HORIZONS_NS, latencies_ns=DEFAULT_LATENCIES_NS, fee_in_bps=5.0, fee_out_bps=5.0)
    panel = generated_panel(rows, FEATURES, labels, workers=2)
    groups = column_groups(labels, panel.last_ns - panel.first_ns)

    def run() -> None:
        sums = panel.block_sums(SingleCells(panel.bins), groups, moments=TESTED_MOMENTS)
        judged = judge(panel.bins, groups, sums, config, config.alpha / 2, 2)
        del sums
        deep_search(panel, judged, config, config.alpha / 2, (), 2, None)

    return run


if __name__ == "__main__":
    for row in measure(1):
        print(
            f"{row['work']}: {row['per_second_median']:,.0f} per second, {median(row['seconds']):.2f} s, {row['peak_mb']:.0f} MB"
        )
