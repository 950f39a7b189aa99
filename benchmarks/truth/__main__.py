"""Prove the method: `python -m benchmarks.truth [--release] [--quick] [--workers N]`; exit code 1 when a bar is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.machine import load_average, machine
from benchmarks.report import commit
from benchmarks.truth import nulls, plants, traps
from edgesmith.parallel import map_ordered
from edgesmith.worlds.traps import TRAPS

RESULTS = Path(__file__).resolve().parent.parent / "results"
# Release checks have seeds of their own; tuning never sees them.
CI_SEED, RELEASE_SEED = 5_000, 900_000
BOOK = "imbalance_ema"
# World, the right word, the feature it is planted on, how many worlds at least. P1_8 is only asked to be found: in the
# bin that holds its region an onset earns 5 to 7 bps, and a round trip costs 5.
PLANTS = (
    ("P1_1", "REJECT_COST", BOOK, 1),
    ("P1_2", "REJECT_COST", BOOK, 1),
    ("P1_4", "REJECT_COST", BOOK, 1),
    ("P1_8", "found", BOOK, 1),
    ("P1_16", "VALIDATED", BOOK, 3),
    ("P9", "REJECT_COST", BOOK, 1),
    ("N2", "REJECT_COST", BOOK, 1),
)


class Scale(NamedTuple):
    """How many worlds: null worlds of each kind, seeds of each plant, worlds for the intervals."""

    nulls: int
    seeds: int
    coverage: int
    seed: int


SCALES = {"quick": Scale(4, 1, 4, CI_SEED), "ci": Scale(67, 1, 60, CI_SEED), "release": Scale(334, 4, 200, RELEASE_SEED)}


class Bar(NamedTuple):
    """One thing that must hold: what, the figure, what is asked, and whether it does."""

    what: str
    reached: str
    asked: str
    holds: bool


def main() -> int:
    """Run the worlds of a scale and print what our method and the others say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="all worlds, with seeds kept for this")
    parser.add_argument("--quick", action="store_true", help="a few worlds, to see that it works")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    name = "release" if asked.release else "quick" if asked.quick else "ci"
    scale = SCALES[name]
    console = Console(width=None if Console().is_terminal else 140)
    with Progress(console=Console(stderr=True), transient=True) as bar:

        def run(label: str, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Any]:
            task = bar.add_task(label, total=len(jobs))
            rows = []
            for row in map_ordered(function, jobs, workers=asked.workers, mode="processes"):
                rows.append(row)
                bar.advance(task)
            return rows

        null_jobs = [(world, scale.seed + at) for at in range(scale.nulls) for world in ("N1", "N3", "N4")]
        null_rows = [row for row in run("null worlds", nulls.null_row, null_jobs) if row is not None]
        jobs = [
            (world, scale.seed + at, word, feature) for world, word, feature, least in PLANTS for at in range(least * scale.seeds)
        ]
        plant_rows = run("planted worlds", plants.plant_row, jobs)
        covered = run("intervals", plants.coverage_row, [("P1_16", scale.seed + at, 2) for at in range(scale.coverage)])
        trap_rows = run("traps", traps.trap_row, sorted(TRAPS))
    table = nulls.summary(null_rows)
    coverage = plants.coverage_summary([row for row in covered if row is not None], 5.0)
    bars = _bars(name, table, plant_rows, coverage, trap_rows)
    _show(console, table, plant_rows, bars)
    console.print(
        f"P1_16 moves {coverage['truth_gross_bps']:.2f} bps after an onset by the worlds' records; labels of the same onsets are "
        f"off by {coverage['label_bias_ratio']:+.1%}. With one position at a time {coverage['one_at_a_time_gross_bps']:.2f} bps "
        f"can be had, as onsets lie close together; replays of those are off by {coverage['replay_bias_ratio']:+.1%}."
    )
    record = {
        "scale": name,
        "commit": commit(),
        "machine": machine(),
        "load_average": load_average(),
        "nulls": table,
        "plants": plant_rows,
        "coverage": coverage,
        "traps": trap_rows,
        "bars": [one._asdict() for one in bars],
    }
    if name != "quick":
        path = RESULTS / f"truth_{name}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n")
        console.print(f"written to {path.relative_to(RESULTS.parent.parent)}")
    return 0 if all(one.holds for one in bars) else 1


def _bars(
    scale: str, table: dict[str, Any], rows: list[plants.PlantRow], coverage: dict[str, float], traps_: list[dict[str, Any]]
) -> list[Bar]:
    worlds, ours = table["worlds"], table["ours"]
    limit = 0.05 + 2.0 * (0.05 * 0.95 / max(worlds, 1)) ** 0.5
    ks_limit = 1.36 / max(worlds, 1) ** 0.5
    asked = [row for row in rows if row.expected != "found"]
    right = [row for row in asked if row.verdict == row.expected]
    sub_cost = [row for row in rows if row.expected == "REJECT_COST"]
    promoted = sum(row.verdict == "VALIDATED" for row in sub_cost)
    paying = [row for row in rows if row.expected != "REJECT_COST"]
    low, high = (0.86, 0.94) if scale != "release" else (0.885, 0.915)
    bias = 0.05 if scale != "release" else 0.02
    leaks = sum(row["leak_found"] for row in traps_)
    accused = sum(row["honest_accused"] for row in traps_)
    found, ks, covers, bias_ratio = ours["any_found"], ours["ks"], coverage["coverage"], coverage["bias_ratio"]
    return [
        Bar("null worlds in which anything was found", f"{found:.1%}", f"at most {limit:.1%}", found <= limit),
        Bar("p-values of one random cell a world, KS", f"{ks:.3f}", f"at most {ks_limit:.3f}", ks <= ks_limit),
        Bar("candidates in null worlds", str(ours["candidates"]), "0", ours["candidates"] == 0),
        Bar("false VALIDATED below cost", str(promoted), "0", promoted == 0),
        Bar("plants that pay, found", f"{sum(row.matched for row in paying)} of {len(paying)}", "95 %", _share(paying) >= 0.95),
        Bar("right word for what is planted", f"{len(right)} of {len(asked)}", "all", len(right) == len(asked)),
        Bar("90 % intervals that hold the truth", f"{covers:.0%}", f"{low:.0%} to {high:.0%}", low <= covers <= high),
        Bar("bias of the effect, labels or replay", f"{bias_ratio:+.1%}", f"within {bias:.0%}", abs(bias_ratio) <= bias),
        Bar("traps called LEAK", f"{leaks} of {len(traps_)}", "all", leaks == len(traps_)),
        Bar("honest columns called LEAK", str(accused), "0", accused == 0),
    ]


def _share(rows: list[plants.PlantRow]) -> float:
    return sum(row.matched for row in rows) / len(rows) if rows else 0.0


def _show(console: Console, table: dict[str, Any], rows: list[plants.PlantRow], bars: list[Bar]) -> None:
    sizes = Table(title=f"One random cell in each of {table['worlds']} null worlds", title_justify="left")
    for name in ("method", "p <= 5 %", "p <= 1 %", "KS from uniform"):
        sizes.add_column(name, justify="left" if name == "method" else "right")
    words = {
        "ours": "block sign flips (ours)",
        "welch": "Welch",
        "newey_west": "Newey-West, automatic lag",
        "permutation": "permuted rows",
    }
    for method, label in words.items():
        row = table[method]
        sizes.add_row(label, f"{row['size_5']:.1%}", f"{row['size_1']:.1%}", f"{row['ks']:.3f}")
    console.print(sizes)
    prior = table["prior"]
    console.print(
        f"The prior method on the same worlds kept {prior['kept']:,} patterns at its 5 bps filter and accepted "
        f"{prior['accepted']:,}; without the filter it accepted {prior['unfiltered_accepted']:,} and promoted something in "
        f"{prior['unfiltered_any_validated']:.0%} of the worlds. Ours: {table['ours']['candidates']} candidates."
    )
    found = Table(title="Planted worlds", title_justify="left")
    for name in ("world", "seed", "right", "said", "net bps", "in words"):
        found.add_column(name, justify="right" if name in ("seed", "net bps") else "left")
    for row in rows:
        net = "" if row.net_bps is None else f"{row.net_bps:.2f}"
        found.add_row(row.world, str(row.seed), row.expected, row.verdict, net, row.sentence[:70])
    console.print(found)
    final = Table(title="What must hold", title_justify="left")
    for name in ("what", "reached", "asked", "holds"):
        final.add_column(name, justify="right" if name in ("reached", "asked") else "left")
    for bar in bars:
        final.add_row(bar.what, bar.reached, bar.asked, "yes" if bar.holds else "[red]no[/]")
    console.print(final)


if __name__ == "__main__":
    sys.exit(main())
