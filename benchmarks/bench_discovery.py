"""Speed of discovery: block accumulation alone, the whole pass over events, and the sign-flip tests."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from edgesmith.clock import monotonic_s
from edgesmith.domain.events import EVENT
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.evaluation.bins import BINS_MAX
from edgesmith.evaluation.blocks import BlockSums
from edgesmith.evaluation.labels import MOMENTS, ColumnGroup, LabelSpec, column_groups
from edgesmith.evaluation.panel import Panel
from edgesmith.evaluation.significance import sign_flip

ROWS = 864_000  # a day on the 100 ms grid
FEATURES = 16
HORIZONS_NS = (NS_PER_S // 2, NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S, 5 * NS_PER_S)
EVENTS = 2_000_000


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Time each piece of work `repeats` times after one run that compiles."""
    return [
        _timed("discovery: block sums, 16 features x 5 horizons (rows)", ROWS, repeats, _block_sums()),
        _timed("discovery: panel with labels, 16 features x 5 horizons (events)", EVENTS, repeats, _panel()),
        _timed("discovery: 9,999 sign flips x 400 blocks x 1,500 cells (cells)", 1_500, repeats, _flips()),
    ]


def _timed(work: str, count: int, repeats: int, run: Callable[[], None]) -> dict[str, Any]:
    run()
    seconds = []
    for _ in range(repeats):
        start_s = monotonic_s()
        run()
        seconds.append(monotonic_s() - start_s)
    return {"work": work, "peer": "edgesmith", "events": count, "seconds": seconds, "per_second_median": count / median(seconds)}


def _block_sums() -> Callable[[], None]:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, BINS_MAX - 4, (ROWS, FEATURES), dtype=np.uint8)
    labels = rng.integers(-50_000, 50_000, (ROWS, len(HORIZONS_NS) * MOMENTS))
    ts_ns = np.arange(ROWS, dtype=np.int64) * (100 * NS_PER_MS)
    group = ColumnGroup(60 * NS_PER_S, 100 * NS_PER_MS, tuple((0, horizon_ns) for horizon_ns in HORIZONS_NS))
    names = tuple(f"feature_{index}" for index in range(FEATURES))

    def run() -> None:
        BlockSums(group, names).add(ts_ns, codes, labels)

    return run


def _panel() -> Callable[[], None]:
    rng = np.random.default_rng(2)
    events = np.zeros(EVENTS, EVENT)
    events["ts_recv"] = np.cumsum(rng.integers(0, 86 * NS_PER_MS, EVENTS))
    mid = 60_000.0 + np.cumsum(rng.integers(-1, 2, EVENTS)) * 0.1
    events["bid_price"], events["ask_price"] = mid - 0.05, mid + 0.05
    features = rng.normal(size=(EVENTS, FEATURES))
    spec = LabelSpec(horizons_ns=HORIZONS_NS, latencies_ns=(50 * NS_PER_MS,), fee_in_bps=5.0, fee_out_bps=5.0)
    groups = column_groups(spec, 24 * 3_600 * NS_PER_S)

    def run() -> None:
        panel = Panel(spec, groups, instrument=0, width=FEATURES)
        for begin in range(0, EVENTS, 65_536):
            for _ in panel.feed(events[begin : begin + 65_536], features[begin : begin + 65_536]):
                pass

    return run


def _flips() -> Callable[[], None]:
    psi = np.random.default_rng(3).standard_normal((400, 1_500))

    def run() -> None:
        sign_flip([(1, psi)], flips=9_999, seed=1)

    return run


if __name__ == "__main__":
    for row in measure():
        print(f"{row['work']}: {row['per_second_median']:,.0f} per second, median of {len(row['seconds'])}")
