"""What a run prints: sizes beside other methods, the planted worlds, and what must hold."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.truth.bars import Bar
from benchmarks.truth.jobs import DECAY_WORLD, TURN_WORLD
from benchmarks.truth.plants import PlantRow

METHOD_WORDS = {
    "ours": "block sign flips (ours)",
    "welch": "Welch",
    "newey_west": "Newey-West, automatic lag",
    "permutation": "permuted rows",
    "ic": "IC t, as alphalens",
}


def show(console: Console, tables: dict[str, Any], rows: dict[str, list[Any]], bars: list[Bar]) -> None:
    """Print everything."""
    _sizes(console, tables["null"])
    _plants(console, rows["plant"])
    _in_words(console, tables)
    final = Table(title="What must hold", title_justify="left")
    for name in ("what", "reached", "asked", "holds"):
        final.add_column(name, justify="right" if name in ("reached", "asked") else "left", no_wrap=name == "reached")
    for bar in bars:
        final.add_row(bar.what, bar.reached, bar.asked, "yes" if bar.holds else "[red]no[/]")
    console.print(final)


def _sizes(console: Console, table: dict[str, Any]) -> None:
    sizes = Table(title=f"One random cell in each of {table['worlds']:,} null worlds", title_justify="left")
    for name in ("method", "p <= 5 %", "p <= 1 %", "KS from uniform"):
        sizes.add_column(name, justify="left" if name == "method" else "right")
    for method, label in METHOD_WORDS.items():
        row = table[method]
        sizes.add_row(label, f"{row['size_5']:.1%}", f"{row['size_1']:.1%}", f"{row['ks']:.3f}")
    console.print(sizes)
    prior = table["prior"]
    console.print(
        f"The prior method on the same worlds kept {prior['kept']:,} patterns at its 5 bps filter and accepted "
        f"{prior['accepted']:,}; without the filter it accepted {prior['unfiltered_accepted']:,} and promoted something in "
        f"{prior['unfiltered_any_validated']:.0%} of the worlds. Ours: {table['ours']['candidates']} candidates."
    )


def _plants(console: Console, rows: list[PlantRow]) -> None:
    found = Table(title="Planted worlds: true t and phi of each side, buys first", title_justify="left")
    for name in ("world", "seed", "true t", "phi", "found", "right", "said", "net bps"):
        found.add_column(name, justify="right" if name in ("seed", "true t", "phi", "found", "net bps") else "left", no_wrap=True)
    for row in rows:
        sides = row.sides
        found.add_row(
            row.world,
            str(row.seed),
            " ".join("-" if side.true_t is None else f"{side.true_t:.1f}" for side in sides),
            " ".join("-" if side.phi is None else f"{side.phi:.2f}" for side in sides),
            f"{sum(side.matched for side in sides)}/{len(sides)}",
            row.expected,
            row.verdict,
            "" if row.net_bps is None else f"{row.net_bps:.2f}",
        )
    console.print(found)


def _in_words(console: Console, tables: dict[str, Any]) -> None:
    effect, decay = tables["effect"], tables["decay"]
    died, turned = decay[DECAY_WORLD], decay[TURN_WORLD]
    console.print(
        f"P1_16: planted {effect['planted_bps']:.2f} bps, drawn {effect['drawn_bps']:.2f}, labels of the same onsets "
        f"{effect['label_bps']:.2f}. All onsets, also where an hour ends and nothing is planted: "
        f"{effect['every_onset_bps']:.2f}. "
        f"One position at a time: {effect['one_at_a_time_bps']:.2f}; held from event to event {effect['held_bps']:.2f} is "
        f"true, and the replay says {effect['replay_bps']:.2f} (error {effect['replay_error_ratio']:.1%})."
    )
    console.print(
        f"An edge with a Sharpe ratio of {decay['sharpe_of_block']:.2f} a block: its death is noticed after "
        f"{died['blocks']:.0f} blocks, its reversal after {turned['blocks']:.0f}; false alarms {decay['false_alarms']} in "
        f"{decay['healthy_blocks_drawn']:,} healthy blocks. The oracle: "
        f"{died['oracle_blocks']:.0f} and {turned['oracle_blocks']:.0f} with as few, "
        f"{died['loose_oracle_blocks']:.0f} and {turned['loose_oracle_blocks']:.0f} where 2 % in 6,000 blocks are allowed."
    )
