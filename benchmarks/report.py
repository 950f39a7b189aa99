"""What was measured, as one JSON file, a table for the terminal and one for the repository."""

from __future__ import annotations

import statistics
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.environments import ENVIRONMENTS
from benchmarks.harness import ROOT, Check, Options, Row, compact
from benchmarks.machine import machine

PACKAGES = ("edgesmith", "numpy", "numba", "llvmlite", "polars", "pyarrow", "msgspec")
COLUMNS = ("who", "count", "median", "min - max", "rate", "ours / it", "reached", "target")
# Not squeezed into less where the output is not a terminal.
TABLE_WIDTH = 150
RIGHT = ("count", "median", "min - max", "rate", "ours / it")


class Work(msgspec.Struct, kw_only=True):
    """One piece of work: when and on what state of the code it was measured, and what every side did."""

    title: str
    rows: list[Row] = []
    error: str = ""
    commit: str = ""
    measured_at: str = ""
    load_average: float = 0.0
    options: Options = Options()


class Results(msgspec.Struct, kw_only=True):
    """Everything measured on one machine, by name of the work."""

    machine: dict[str, Any]
    versions: dict[str, str]
    works: dict[str, Work] = {}


def new_results() -> Results:
    """Return results with nothing measured yet."""
    versions = {name: version(name) for name in PACKAGES}
    pinned = [package.split("==") for packages in ENVIRONMENTS.values() for package in packages]
    return Results(machine=machine(), versions={**versions, **dict(pinned)}, works={})


def read_results(path: Path) -> Results | None:
    """Return what an earlier run wrote, when it was on a machine like this one."""
    if not path.is_file():
        return None
    earlier = msgspec.json.decode(path.read_bytes(), type=Results)
    return earlier if earlier.machine == machine() else None


def write_results(results: Results, json_path: Path, markdown_path: Path) -> None:
    """Write both files."""
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    markdown_path.write_text(_markdown(results), encoding="utf-8")


def commit() -> str:
    """Return the state of the code: short commit, with `+` when files differ from it."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + "+" if head and _git("status", "--porcelain", "--untracked-files=no") else head


def show(name: str, work: Work, console: Console) -> None:
    """Print one work as a table."""
    table = Table(title=f"{name}: {work.title}", title_justify="left", title_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in RIGHT else "left")
    for row in work.rows:
        cells = _cells(row)
        missed = any(not check.reached for check in row.checks)
        table.add_row(*cells, style="red" if row.error else "yellow" if missed else None)
    console.print(table)
    if work.error:
        console.print(f"[red]{name} failed:[/] {work.error}")
    for row in work.rows:
        if row.note:
            console.print(f"  [dim]{row.who}: {row.note}[/]")


def _cells(row: Row) -> list[str]:
    if row.error:
        return [row.who, "", "", "", "", "", "", f"not measured: {row.error}"]
    if not row.seconds:
        return [row.who, "", "", "", "", "", "", "not measured"]
    median, low, high = statistics.median(row.seconds), min(row.seconds), max(row.seconds)
    return [
        row.who,
        f"{row.count:,} {row.unit}",
        _seconds(median),
        f"{_seconds(low)} - {_seconds(high)}",
        f"{compact(row.rate)}/s",
        "" if row.faster_ratio is None else f"{row.faster_ratio:.3g}x",
        "\n".join("yes" if check.reached else "NO" for check in row.checks),
        "\n".join(f"{check.what} {_value(check)}, target {check.target}" for check in row.checks),
    ]


def _value(check: Check) -> str:
    if check.target.startswith("="):
        return f"{check.value:,.2f}" if "." in check.target else f"{check.value:,.0f}"
    return compact(check.value)


def _seconds(seconds: float) -> str:
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if abs(seconds) >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _markdown(results: Results) -> str:
    host = results.machine
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    lines = [
        "# Benchmark results",
        "",
        "Written by `make bench` from `benchmarks/results/latest.json`, which holds every timing. Sides of one work run in",
        "turns, each in a process of its own; `ours / it` is the median over the rounds of how many times as fast ours is.",
        "",
        f"Machine: {host['model']}, {host['cores']} cores, {host['memory_gib']} GiB, {host['system']}, Python {host['python']}.",
        f"Versions: {versions}.",
    ]
    for name, work in results.works.items():
        state = f"commit {work.commit}, {work.measured_at}, load average {work.load_average} before"
        lines += ["", f"## {name}: {work.title}", "", f"{state}; {work.options.repeats} repeats.", ""]
        if work.error:
            lines += [f"Failed: {work.error}", ""]
        lines += ["| " + " | ".join((*COLUMNS, "note")) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        for row in work.rows:
            cells = [cell.replace("\n", "; ").replace("|", "/") for cell in (*_cells(row), row.note)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
