"""Prove the method: `python -m benchmarks.truth [--release [--hours N]] [--quick] [--workers N]`; exit code 1 on a miss."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.machine import load_average, machine
from benchmarks.report import commit, read_results
from benchmarks.tape import DATA
from benchmarks.truth.bars import Bar, bars_of, tables_of
from benchmarks.truth.jobs import Job, jobs_of, run_jobs
from benchmarks.truth.leaderboard import record_of
from benchmarks.truth.measures import memory_of, speed_row
from benchmarks.truth.show import show
from benchmarks.truth.store import RowStore, code_hash

BENCHMARKS = Path(__file__).resolve().parent.parent
RESULTS = BENCHMARKS / "results"
WIDTH = 120
# Rows of a stopped release run, to go on from; the folder is not in the repository.
KEPT = DATA / "truth"


def main() -> int:
    """Run the worlds of a scale and print what our method and the others say."""
    asked = _arguments()
    name = "release" if asked.release else "quick" if asked.quick else "ci"
    console = Console() if Console().is_terminal else Console(width=WIDTH)
    jobs = jobs_of(name, asked.hours)
    store = RowStore(KEPT / f"{name}.jsonl", code_hash()) if name == "release" else None
    _foretell(console, jobs, store, asked.workers)
    rows = _run(jobs, asked.workers, store)
    speed, memory = speed_row(), memory_of_last()
    tables = tables_of(rows)
    bars = bars_of(name, rows, tables, speed, memory)
    show(console, tables, rows, bars)
    if name != "quick":
        path = RESULTS / f"truth_{name}.json"
        record = record_of(name, asked.hours, rows, tables, bars, speed, memory)
        record |= {"commit": commit(), "machine": machine(), "load_average": load_average()}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n")
        console.print(f"written to {path.relative_to(RESULTS.parent.parent)}")
    return 0 if _all_hold(console, bars) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="all worlds, with seeds kept for this; goes on where it stopped")
    parser.add_argument("--quick", action="store_true", help="a few worlds, to see that it works")
    parser.add_argument("--hours", type=int, default=1, help="length of each null world; 24 is a day and takes that much longer")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if not 1 <= asked.hours <= 48:
        parser.error(f"--hours was {asked.hours}, expected 1 to 48")
    return asked


def _foretell(console: Console, jobs: list[Job], store: RowStore | None, workers: int) -> None:
    left = [job for job in jobs if store is None or store.get(store.key(job.kind, msgspec.to_builtins(job.arguments))) is None]
    minutes = sum(job.cost_s for job in left) / workers / 60.0
    done = f"; {len(jobs) - len(left):,} are done already" if len(left) < len(jobs) else ""
    console.print(f"{len(jobs):,} worlds{done}. About {minutes:.0f} minutes on {workers} quiet cores.")


def _run(jobs: list[Job], workers: int, store: RowStore | None) -> dict[str, list[Any]]:
    columns = (
        TextColumn("worlds"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("worlds", total=sum(job.cost_s for job in jobs))
        return run_jobs(jobs, workers, store, lambda cost_s: bar.advance(task, cost_s))


def memory_of_last() -> dict[str, Any] | None:
    """Return the memory of a search of 10^9 rows as measured last on a machine like this one."""
    results = read_results(RESULTS / "latest.json")
    return None if results is None else memory_of(results)


def _all_hold(console: Console, bars: list[Bar]) -> bool:
    missed = [bar.what for bar in bars if not bar.holds]
    console.print("every bar holds" if not missed else f"[red]missed: {'; '.join(missed)}[/]")
    return not missed


if __name__ == "__main__":
    sys.exit(main())
