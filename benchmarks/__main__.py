"""Measure: `python -m benchmarks [WORK ...] [--repeats 5] [--events 3700000] [--quick] [--no-peers]`."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from rich.console import Console

from benchmarks.harness import Options
from benchmarks.machine import load_average
from benchmarks.report import TABLE_WIDTH, Work, commit, new_results, read_results, show, write_results
from benchmarks.tape import DATA, write_tape
from edgesmith.clock import SystemClock
from edgesmith.domain.units import format_ns

# Name -> module, function that measures, name of its title.
WORKS: dict[str, tuple[str, str, str]] = {
    "features": ("bench_measured", "feature_rows", "FEATURES_TITLE"),
    "feature_matrix": ("bench_measured", "matrix_rows", "MATRIX_TITLE"),
    "feature_families": ("bench_families", "rows", "TITLE"),
    "backtest_ema_compiled": ("bench_backtest", "rows", "TITLE"),
    "python_callback": ("bench_python", "rows", "TITLE"),
    "sweep": ("bench_sweep", "rows", "TITLE"),
    "live_event": ("bench_live", "rows", "TITLE"),
    "strategy_v1": ("bench_v1", "rows", "TITLE"),
    "strategy_v1_live": ("bench_v1", "live_rows", "LIVE_TITLE"),
    "memory": ("bench_memory", "rows", "TITLE"),
    "import_capture": ("bench_import", "rows", "TITLE"),
    "worlds": ("bench_worlds", "rows", "TITLE"),
    "worlds_truth": ("bench_worlds_truth", "rows", "TITLE"),
    "cold_compile": ("bench_cold", "rows", "TITLE"),
    "edges_list": ("bench_edges", "rows", "TITLE"),
    "analysis": ("bench_analysis", "rows", "TITLE"),
    "discovery": ("bench_discovery", "rows", "TITLE"),
    "discovery_memory": ("bench_long", "rows", "TITLE"),
}
QUICK_EVENTS, QUICK_REPEATS = 100_000, 1
BENCHMARKS = Path(__file__).resolve().parent


def main() -> None:
    """Run the works asked for; one that fails does not stop the others."""
    asked = _arguments()
    options = Options(
        events=asked.events or (QUICK_EVENTS if asked.quick else Options().events),
        repeats=asked.repeats or (QUICK_REPEATS if asked.quick else Options().repeats),
        quick=asked.quick,
        peers=not asked.no_peers,
    )
    # A quick look is not a result: it does not touch the files of the repository.
    folder = asked.output or (DATA if asked.quick else BENCHMARKS)
    json_path, markdown_path = folder / "results" / "latest.json", folder / "RESULTS.md"
    console = Console() if Console().is_terminal else Console(width=TABLE_WIDTH)
    write_tape(options.events)
    results = read_results(json_path) or new_results()
    results.versions = new_results().versions
    for name in asked.work or WORKS:
        with console.status(f"measuring {name} ..."):
            measured = _measure(name, options)
        results.works[name] = measured
        results.works = {known: results.works[known] for known in WORKS if known in results.works}
        write_results(results, json_path, markdown_path)
        show(name, measured, console)
    console.print(f"written to {json_path} and {markdown_path}", soft_wrap=True)


def _measure(name: str, options: Options) -> Work:
    where, function, title = WORKS[name]
    work = Work(title=name, commit=commit(), load_average=load_average(), options=options)
    work.measured_at = format_ns(SystemClock().now_ns())[:16] + " UTC"
    try:
        module = import_module(f"benchmarks.{where}")
        work.title = getattr(module, title)
        work.rows = getattr(module, function)(options)
    except Exception as error:
        work.error = f"{type(error).__name__}: {error}"
    return work


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory beside the peers.")
    parser.add_argument("work", nargs="*", metavar="WORK", help=f"what to measure; all by default: {', '.join(WORKS)}")
    parser.add_argument("--repeats", type=int, help="timed runs of every side; the median counts (default 5)")
    parser.add_argument("--events", type=int, help="events of the simulated tape (default 3,700,000)")
    parser.add_argument("--quick", action="store_true", help="a small tape, one repeat; results go to benchmarks/_data")
    parser.add_argument("--no-peers", action="store_true", help="leave out what needs an environment of its own")
    parser.add_argument("--output", type=Path, help="folder for results/latest.json and RESULTS.md (default benchmarks)")
    asked = parser.parse_args()
    unknown = ", ".join(name for name in asked.work if name not in WORKS)
    if unknown:
        parser.error(f"work was {unknown}, expected some of {', '.join(WORKS)}")
    return asked


if __name__ == "__main__":
    main()
