"""The truth table as bars: each row of the design's with what was reached, what is asked at this scale, and whether it holds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from benchmarks.truth.capacity import capacity_summary
from benchmarks.truth.decay import decay_summary, half_life_summary
from benchmarks.truth.effects import effect_summary
from benchmarks.truth.jobs import DECAY_WORLD
from benchmarks.truth.measures import SpeedRow
from benchmarks.truth.nulls import summary
from benchmarks.truth.plants import PlantRow

# Above the first a plant must be found almost always, between the two three times in four.
SURE_T, LIKELY_T = 6.0, 4.7


class Asked(NamedTuple):
    """What a scale asks for."""

    found_max: float
    false_max: int
    coverage: tuple[float, float]
    bias: float
    decay_ratio: float
    rows_per_s: float


ASKED = {
    "ci": Asked(0.081, 0, (0.86, 0.94), 0.05, 3.0, 1e6),
    "release": Asked(0.064, 1, (0.885, 0.915), 0.02, 2.5, 2e6),
}
ASKED["quick"] = ASKED["ci"]


class Bar(NamedTuple):
    """One thing that must hold: what, the figure, what is asked, and whether it does; None where it is not measured here."""

    what: str
    reached: str
    asked: str
    holds: bool | None


def tables_of(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Return the summary of each kind of row."""
    makers = {"null": summary, "effect": effect_summary, "decay": decay_summary, "half-life": half_life_summary}
    makers |= {"capacity": capacity_summary}
    found: dict[str, Any] = {kind: make(rows[kind]) for kind, make in makers.items() if rows.get(kind)}
    found["recall"] = recall_of(rows.get("plant", []))
    return found


def recall_of(rows: list[PlantRow]) -> dict[str, tuple[int, int]]:
    """Return (found, planted) sides of plants by how sure they could be."""
    sides = [side for row in rows for side in row.sides if side.true_t is not None]
    groups = {
        "sure": [side for side in sides if side.true_t >= SURE_T],
        "likely": [side for side in sides if LIKELY_T <= side.true_t < SURE_T],
    }
    return {name: (sum(side.matched for side in group), len(group)) for name, group in groups.items()}


def bars_of(
    scale: str, rows: dict[str, list[Any]], tables: dict[str, Any], speed: SpeedRow, memory: dict[str, Any] | None
) -> list[Bar]:
    """Return every row of the table."""
    asked = ASKED[scale]
    return [
        *_null_bars(asked, tables["null"]),
        *_plant_bars(asked, scale, rows["plant"], tables),
        *_effect_bars(asked, tables["effect"]),
        *_trap_bars(rows["trap"]),
        *_decay_bars(asked, tables),
        *_machine_bars(asked, scale, rows, speed, memory),
    ]


def _null_bars(asked: Asked, table: dict[str, Any]) -> list[Bar]:
    worlds, ours = table["worlds"], table["ours"]

    def limit(level: float) -> float:
        return level + 2.0 * math.sqrt(level * (1.0 - level) / worlds)

    found_max = max(asked.found_max, limit(0.05))
    ks_max = 1.36 / math.sqrt(worlds)
    sizes = [
        Bar(
            f"size: one random cell a world, p <= {level:.0%}",
            f"{ours[name]:.1%}",
            f"<= {limit(level):.1%}",
            ours[name] <= limit(level),
        )
        for level, name in ((0.05, "size_5"), (0.01, "size_1"))
    ]
    return [
        *sizes,
        Bar("p calibration: KS distance from uniform", f"{ours['ks']:.3f}", f"<= {ks_max:.3f}", ours["ks"] <= ks_max),
        Bar(
            "family-wise: null worlds with any discovery",
            f"{ours['any_found']:.1%}",
            f"<= {found_max:.1%}",
            ours["any_found"] <= found_max,
        ),
    ]


def _plant_bars(asked: Asked, scale: str, rows: list[PlantRow], tables: dict[str, Any]) -> list[Bar]:
    small = [row for row in rows if row.expected == "REJECT_COST"]
    # A null world is not validated here: a candidate of its search would have to be, so it counts as if it had been.
    false = tables["null"]["ours"]["candidates"] + sum(row.verdict == "VALIDATED" for row in small)
    worlds = tables["null"]["worlds"] + len(small)
    paid = [row for row in rows if row.expected not in ("REJECT_COST", "found")]
    bars = [
        Bar(
            "false promotion: VALIDATED in null or sub-cost worlds",
            f"{false} of {worlds}",
            f"<= {asked.false_max}",
            false <= asked.false_max,
        )
    ]
    for name, words, least in (("sure", f"t >= {SURE_T:g}", 0.95), ("likely", f"t {LIKELY_T:g} to {SURE_T:g}", 0.75)):
        found, planted = tables["recall"][name]
        if name == "likely" and scale != "release":
            least = 0.0
        if planted:
            text = f"{found} of {planted}, {found / planted:.0%}"
            bars.append(
                Bar(
                    f"recall: sides of plants, true {words}",
                    text,
                    f">= {least:.0%}" if least else "printed",
                    found / planted >= least,
                )
            )
    bars.append(_words("cost verdict: REJECT_COST where it is right", small))
    bars.append(_words("the right word for what pays, or does not last", paid))
    return bars


def _words(what: str, rows: list[PlantRow]) -> Bar:
    right = sum(row.verdict == row.expected for row in rows)
    return Bar(what, f"{right} of {len(rows)}", "all", right == len(rows))


def _effect_bars(asked: Asked, table: dict[str, Any]) -> list[Bar]:
    low, high = asked.coverage
    bias = table["bias_ratio"]
    return [
        Bar(
            "effect bias: labels or replay, against what was planted",
            f"{table['label_bias_ratio']:+.1%}, {table['replay_bias_ratio']:+.1%}",
            f"within {asked.bias:.0%}",
            abs(bias) <= asked.bias,
        ),
        Bar(
            "90 % intervals of the net effect that hold it",
            f"{table['coverage']:.1%}",
            f"{low:.1%} to {high:.1%}",
            low <= table["coverage"] <= high,
        ),
    ]


def _trap_bars(rows: list[dict[str, Any]]) -> list[Bar]:
    leaks, accused = sum(row["leak_found"] for row in rows), sum(row["honest_accused"] for row in rows)
    return [
        Bar("traps T1 to T8 called LEAK", f"{leaks} of {len(rows)}", "all", leaks == len(rows)),
        Bar("honest twins called LEAK", f"{accused} of {len(rows)}", "0", accused == 0),
    ]


def _decay_bars(asked: Asked, tables: dict[str, Any]) -> list[Bar]:
    died = tables["decay"][DECAY_WORLD]
    bars = [
        Bar(
            "decay: median blocks to notice a death / an oracle's",
            f"{died['blocks']:.0f} / {died['oracle_blocks']:.0f} = {died['ratio']:.1f}",
            f"<= {asked.decay_ratio:g}",
            died["ratio"] <= asked.decay_ratio and died["alarms_before_the_end"] == 0,
        )
    ]
    lives = tables.get("half-life")
    if lives is not None:
        share = lives["near_ratio"]
        bars.append(Bar("half-life of P7 within 30 % after three", f"{share:.0%} of {lives['worlds']}", ">= 80%", share >= 0.8))
    return bars


def _machine_bars(
    asked: Asked, scale: str, rows: dict[str, list[Any]], speed: SpeedRow, memory: dict[str, Any] | None
) -> list[Bar]:
    found = []
    if rows.get("capacity"):
        table = capacity_summary(rows["capacity"])
        text = f"{table['near_ratio']:.0%} of {table['worlds']}"
        found.append(Bar("capacity of P12 within a factor of 1.5", text, ">= 90%", table["near_ratio"] >= 0.9))
    same = all(row.same for row in rows["shards"])
    found.append(Bar("same bytes for 1, 2, 7, 64 shards, any chunk", "same" if same else "not the same", "same", same))
    rate = speed.rows_per_s
    found.append(
        Bar(
            "first pass, rows a second of a core's CPU time",
            f"{rate / 1e6:.2f} M",
            f">= {asked.rows_per_s / 1e6:g} M",
            rate >= asked.rows_per_s,
        )
    )
    if scale == "release":
        reached = "not measured" if memory is None else f"{memory['mib']:,.0f} MiB"
        found.append(Bar("memory at 10^9 rows, by `make bench`", reached, "<= 1,000 MiB", memory is not None and memory["holds"]))
    return found
