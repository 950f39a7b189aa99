"""Memory of a search over months: coded days, block sums and tests of 48 features, at three lengths of the same market.

What is generated: a quote a second and a trade after every other one, drawn hour by hour when they are read (a bridge around slow
waves, so that any hour can be drawn alone), no full book of ticks; a decision every 100 ms, so ten times as many as quotes.
Everything from there on is what `discover` does: 48 compiled features, codes and quotes of each day written to disk, sums,
sign flips. The days are written anew each time.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coded_days import FIRST_DAY, GRID_NS
from benchmarks.harness import Contestant, Options, Row, at_most_check, race
from benchmarks.machine import peak_rss_mib, thread_cpu_s
from benchmarks.market import INSTRUMENT
from edgesmith.canonical import content_hash
from edgesmith.domain.events import EVENT, KIND_BBO, KIND_TRADE
from edgesmith.domain.records import as_records
from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DEFAULT_HORIZONS_NS, DiscoveryConfig
from edgesmith.edges.discovery.pipeline import Workplace, discover
from edgesmith.features.catalog import feature_set
from edgesmith.features.operator import FeatureSpec
from edgesmith.features.program import Program

TITLE = "memory of a search over months: 48 features, 10 horizons, up to 10^8 decisions"
# At most 1,500 blocks are kept: of 30 minutes in the first two, of two hours in the third.
ROWS, QUICK_ROWS = (10_000_000, 27_000_000, 100_000_000), (100_000, 200_000, 400_000)
FEATURES = 48
LATENCIES_NS = (50 * NS_PER_MS,)
FAR_ROWS = 1_000_000_000
PEAK_MIB_MAX = 1_000.0
HOUR_QUOTES = NS_PER_HOUR // NS_PER_S


def rows(options: Options) -> list[Row]:
    """Search each length in a process of its own, once; the slope between the longer two is carried on to 10^9 rows."""
    sides = [
        Contestant(
            who=f"search of {count / 1e6:g} M decisions", prepare="benchmarks.bench_long:prepare", options={"rows": count},
            count=count, unit="rows", ours=True, once=True, note="two cores; peak of the whole process, which is all there is",
        )
        for count in (QUICK_ROWS if options.quick else ROWS)
    ]  # fmt: skip
    found = race(sides, 1)
    for row in found:
        if row.seconds:
            at_most_check(row, "peak MiB", row.fact("process_mib"), PEAK_MIB_MAX, "MiB")
    before, longest = found[-2:]
    # A quick look is too short for a slope.
    if before.seconds and longest.seconds and not options.quick:
        slope = (longest.fact("process_mib") - before.fact("process_mib")) / (longest.count - before.count)
        far_mib = longest.fact("process_mib") + max(0.0, slope) * (FAR_ROWS - longest.count)
        at_most_check(longest, "MiB at 10^9 rows", far_mib, PEAK_MIB_MAX, "MiB")
    return found


def prepare(rows: int) -> Callable[[], dict[str, Any]]:
    """Return one search; a small one has compiled everything."""
    program = Program(features())
    assert program.width == FEATURES, f"{program.width} features"
    config = DiscoveryConfig(horizons_ns=DEFAULT_HORIZONS_NS, latencies_ns=LATENCIES_NS)

    def search(count: int) -> dict[str, Any]:
        folder = Path(tempfile.mkdtemp(prefix="edgesmith_bench_"))
        start_s = thread_cpu_s()
        try:
            found = discover(Generated(count), INSTRUMENT, program, config, workplace=Workplace(folder, workers=2))
            written = sum(path.stat().st_size for path in folder.rglob("*.npy"))
        finally:
            shutil.rmtree(folder)
        blocks = max(cell.blocks for cell in found.cells)
        facts = {"blocks": blocks, "cells": len(found.cells), "written_gib": round(written / 2**30, 2)}
        return {**facts, "process_mib": round(peak_rss_mib(), 1), "main_thread_s": round(thread_cpu_s() - start_s, 1)}

    search(QUICK_ROWS[0])
    return lambda: search(rows)


def features() -> list[FeatureSpec]:
    """Return the 48 features; some are in two sets."""
    sets = ("base", "behavior", "regime", "flow")
    return list({spec.name: spec for name in sets for spec in feature_set(name)}.values())[:FEATURES]


class Generated:
    """A market that is drawn hour by hour as it is read."""

    instruments = (("simulated", "BTCUSDT"),)

    def __init__(self, rows: int) -> None:
        self._first_ns = FIRST_DAY * NS_PER_DAY
        self._last_ns = self._first_ns + rows * GRID_NS
        self.fingerprint = content_hash(["generated", rows])

    def span(self, instrument: int) -> tuple[int, int]:
        """Return the receive times of the first and last quote."""
        return self._first_ns, self._last_ns

    def window_fingerprint(self, start_ns: int, end_ns: int) -> str:
        """Return the hash of what is drawn for a window."""
        return content_hash(["generated", max(start_ns, self._first_ns), min(end_ns, self._last_ns)])

    def window(self, start_ns: int, end_ns: int) -> Iterator[NDArray[Any]]:
        """Yield the events of each hour."""
        start_ns, end_ns = max(start_ns, self._first_ns), min(end_ns, self._last_ns + 1)
        for hour in range(start_ns // NS_PER_HOUR, -(-end_ns // NS_PER_HOUR)):
            events = _hour(hour)
            inside = (events["ts_recv"] >= start_ns) & (events["ts_recv"] < end_ns)
            yield events if inside.all() else as_records(events[inside])


def _hour(hour: int) -> NDArray[Any]:
    rng = np.random.default_rng(hour)
    at = np.arange(HOUR_QUOTES)
    walk = np.cumsum(rng.normal(0.0, 6.0, HOUR_QUOTES))
    bridge = walk - walk[-1] * (at + 1) / HOUR_QUOTES
    hours = hour + at / HOUR_QUOTES
    mid = 60_000.0 + 2_000.0 * np.sin(hours / 37.0) + 900.0 * np.sin(hours / 5.3) + bridge
    bid = np.round(mid * 10.0) / 10.0
    ask = np.round(bid + rng.choice([0.1, 0.2, 0.3], HOUR_QUOTES, p=[0.8, 0.15, 0.05]), 1)
    ts = hour * NS_PER_HOUR + at * NS_PER_S + rng.integers(0, 900 * NS_PER_MS, HOUR_QUOTES)
    side = rng.choice(np.array([-1, 1], np.int8), HOUR_QUOTES)
    columns = ("bid_price", bid), ("bid_qty", rng.exponential(5.0, HOUR_QUOTES)), ("ask_price", ask)
    events = np.zeros(HOUR_QUOTES + HOUR_QUOTES // 2, EVENT)
    # Every third row is a trade, just after the quote before it.
    kinds = np.arange(len(events)) % 3
    quotes, trades, of = kinds < 2, kinds == 2, at[1::2]
    for name, values in (*columns, ("ask_qty", rng.exponential(5.0, HOUR_QUOTES))):
        events[name][quotes] = values
    events["kind"] = np.where(quotes, KIND_BBO, KIND_TRADE)
    events["ts_recv"][quotes], events["ts_recv"][trades] = ts, ts[of] + 50 * NS_PER_MS
    events["ts_event"] = events["ts_recv"] - 5 * NS_PER_MS
    events["side"][trades] = side[of]
    # A trade's payload lies where a quote's does.
    events["bid_price"][trades] = np.where(side[of] > 0, ask[of], bid[of])
    events["bid_qty"][trades] = rng.exponential(0.05, len(of))
    events["seq"] = np.arange(len(events))
    return as_records(events)
