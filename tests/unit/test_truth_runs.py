"""The proof of the method counts right: when a plant is matched, what a release run keeps, and which bars hold."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from benchmarks.truth import jobs, matching
from benchmarks.truth.bars import ASKED, bars_of, recall_of, tables_of
from benchmarks.truth.capacity import CapacityRow, capacity_summary
from benchmarks.truth.decay import DecayRow, HalfLifeRow, decay_summary
from benchmarks.truth.effects import EffectRow
from benchmarks.truth.jobs import DECAY_WORLD, SCALES, TURN_WORLD, Job, jobs_of, run_jobs
from benchmarks.truth.leaderboard import record_of
from benchmarks.truth.matching import SideMatch
from benchmarks.truth.measures import SpeedRow
from benchmarks.truth.nulls import METHODS, NullRow
from benchmarks.truth.plants import PlantRow
from benchmarks.truth.shards import ShardRow
from benchmarks.truth.show import show
from benchmarks.truth.store import ROW_MODULES, RowStore, code_hash
from rich.console import Console

from edgesmith.worlds.scenarios import RELEASE_SEEDS


def side(true_t: float, matched: bool) -> SideMatch:
    return SideMatch(side=1, true_t=true_t, phi=0.6 if matched else 0.4, cell="", matched=matched)


def plant(*sides: SideMatch, expected: str = "VALIDATED", verdict: str = "VALIDATED") -> PlantRow:
    return PlantRow(
        world="P", seed=1, hours=1, expected=expected, discovered={}, sides=sides, verdicts=(), verdict=verdict, net_bps=None,
        net_low_bps=None, sentence="",
    )  # fmt: skip


def test_phi_is_the_correlation_of_two_sets_of_rows() -> None:
    draw = np.random.default_rng(1)
    a, b = draw.random(500) < 0.3, draw.random(500) < 0.5
    assert matching._phi(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert matching._phi(a, a) == pytest.approx(1.0)
    assert matching._phi(a, np.ones(500, bool)) == 0.0


def test_the_true_t_of_a_plant_is_the_mean_of_the_t_its_rows_would_have() -> None:
    """Over many draws of the noise, t of the planted rows is around what the truth says, whatever those draws were."""
    draw = np.random.default_rng(2)
    rows, found, true = 6_000, [], []
    blocks = np.arange(rows) // 60
    for _ in range(60):
        chosen = draw.random(rows) < 0.1
        expected = np.where(chosen, 0.5, 0.0)
        moves = expected + draw.standard_t(4, rows)
        t = matching._true_t(chosen, moves, expected, 0.0, blocks)
        assert t is not None
        true.append(t)
        error = 0.5 / t
        found.append((moves[chosen].mean() - moves[~chosen].mean()) / error)
    assert np.mean(found) == pytest.approx(np.mean(true), abs=4.0 / 60**0.5 / 2.0)
    assert matching._true_t(np.zeros(rows, bool), moves, expected, 0.0, blocks) is None


def test_recall_counts_sides_by_how_sure_they_could_be() -> None:
    rows = [plant(side(7.0, True), side(6.0, False)), plant(side(5.0, True), side(4.0, False))]
    assert recall_of(rows) == {"sure": (1, 2), "likely": (1, 1)}
    assert rows[0].matched is False


def test_capacity_is_near_within_a_factor_of_one_and_a_half() -> None:
    def row(found: float | None) -> CapacityRow:
        return CapacityRow(seed=1, hours=1, true_qty=0.1, found_qty=found, true_slope_bps=50.0, slope_bps=50.0, net_bps=1.0)

    table = capacity_summary([row(0.149), row(0.067), row(0.16), row(0.05), row(None)])
    assert table["near_ratio"] == pytest.approx(0.4)


def test_a_death_is_counted_from_its_block_and_beside_an_oracle_that_is_no_slower() -> None:
    draw = np.random.default_rng(3)

    def row(seed: int) -> DecayRow:
        parts = (1.0 + draw.standard_normal(200), 1.0 + draw.standard_normal(60), draw.standard_normal(200))
        promised, healthy, ended = (tuple(part.tolist()) for part in parts)
        return DecayRow(world="P8_dies", seed=seed, promised=promised, healthy=healthy, ended=ended)

    found = decay_summary([row(seed) for seed in range(9)])["P8_dies"]
    assert found["alarms_before_the_end"] == found["never_noticed"] == 0
    assert found["ratio"] > 1.0 and found["loose_oracle_blocks"] <= found["oracle_blocks"] < found["blocks"] < 100


def rows_of(seed: int = 4) -> dict[str, list[Any]]:
    """Return rows of every kind, of a method that is right."""
    draw = np.random.default_rng(seed)

    def decay(world: str, at: int) -> DecayRow:
        blocks = [tuple((mean + draw.standard_normal(150)).tolist()) for mean in (1.0, 1.0, 0.0)]
        return DecayRow(world=world, seed=at, promised=blocks[0], healthy=blocks[1], ended=blocks[2])

    null = dict.fromkeys(NullRow.__struct_fields__, 0) | {"world": "N1"}
    effect = dict.fromkeys(EffectRow.__struct_fields__, 10.0) | {
        "held_sum_bps": 100.0,
        "label_sum_bps": 100.0,
        "net_low_bps": -9.0,
    }
    shard = {"1 shards": "a", "7 shards": "a"}
    return {
        "null": [NullRow(**(null | {f"p_{one}": (at + 0.5) / 200 for one in METHODS})) for at in range(200)],
        "plant": [
            plant(side(7.0, True)),
            plant(side(5.0, True), expected="REJECT_COST", verdict="REJECT_COST"),
        ],
        "effect": [EffectRow(**(effect | {"seed": at, "net_low_bps": -9.0 if at else 9.0})) for at in range(10)],
        "trap": [{"trap": "T1", "leak_found": True, "honest_accused": False}],
        "decay": [decay(world, at) for world in (DECAY_WORLD, TURN_WORLD) for at in range(3)],
        "half-life": [HalfLifeRow(seed=1, days=15, true_days=5.0, value_days=5.5, low_days=4.0, high_days=6.0)],
        "capacity": [
            CapacityRow(seed=1, hours=4, true_qty=0.1, found_qty=0.1, true_slope_bps=1.0, slope_bps=1.0, net_bps=1.0),
        ],
        "shards": [ShardRow(world="P1_16", seed=1, sums=shard, results=shard)],
    }


TABLE = (
    "size", "p calibration", "family-wise", "false promotion", "recall", "cost verdict", "effect bias", "90 % intervals", "traps",
    "decay", "capacity", "same bytes", "first pass",
)  # fmt: skip


@pytest.mark.parametrize("scale", ["ci", "release"])
def test_every_row_of_the_table_is_a_bar_is_printed_and_is_in_the_record(scale: str) -> None:
    rows, speed = rows_of(), SpeedRow(rows=10_000_000, cpu_s=(4.0, 2.0, 3.0))
    tables = tables_of(rows)
    bars = bars_of(scale, rows, tables, speed, {"mib": 540.0, "holds": True})
    wanted = (*TABLE, "half-life", "memory") if scale == "release" else TABLE
    assert [name for name in wanted if not any(bar.what.startswith(name) for bar in bars)] == []
    assert [bar for bar in bars if not bar.holds and "decay" not in bar.what] == []
    printed = Console(width=120, file=StringIO())
    show(printed, tables, rows, bars)
    assert all(len(line) <= 120 for line in printed.file.getvalue().splitlines())
    record = msgspec.json.decode(msgspec.json.encode(record_of(scale, 1, rows, tables, bars, speed, None)))
    assert record["matching_rule"]["phi_min"] == 0.5 and set(record["leaderboard"]) == {*METHODS, "prior"}
    assert len(record["worlds"]["null"]) == 200 and len(record["bars"]) == len(bars)


def test_a_bar_that_is_missed_is_said_so() -> None:
    rows = rows_of()
    rows["null"] = [msgspec.structs.replace(row, found=1, candidates=int(row.seed == 0)) for row in rows["null"]]
    rows["plant"] = [plant(side(7.0, False), expected="REJECT_COST")]
    rows["trap"][0]["honest_accused"] = True
    rows["shards"] = [ShardRow(world="P", seed=1, sums={"1": "a", "2": "b"}, results={"1": "a", "2": "a"})]
    bars = bars_of("release", rows, tables_of(rows), SpeedRow(rows=1, cpu_s=(1.0,)), None)
    missed = " ".join(bar.what for bar in bars if not bar.holds)
    for name in (
        "family-wise",
        "false promotion",
        "recall",
        "cost verdict",
        "honest twins",
        "same bytes",
        "first pass",
        "memory",
    ):
        assert name in missed


def test_release_seeds_are_used_by_the_release_alone() -> None:
    def seeds(name: str) -> set[int]:
        return {part for job in jobs_of(name) for part in _numbers(job.arguments) if part > 1_000}

    assert seeds("release") and seeds("release") <= set(RELEASE_SEEDS)
    assert not seeds("ci") & set(RELEASE_SEEDS)
    assert sum(job.kind == "null" for job in jobs_of("release")) >= 1_000
    assert sum(job.kind == "null" for job in jobs_of("ci")) >= 200
    assert sum(job.cost_s for job in jobs_of("release", 24)) > 8 * sum(job.cost_s for job in jobs_of("release"))
    assert set(ASKED) == set(SCALES)


def _numbers(arguments: Any) -> list[int]:
    return [one for one in arguments if isinstance(one, int)] if isinstance(arguments, tuple) else []


def test_a_stopped_run_goes_on_and_other_code_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def make(number: int) -> dict[str, int]:
        made.append(number)
        if number == 3 and len(made) == 3:
            raise KeyboardInterrupt
        return {"number": number}

    monkeypatch.setitem(jobs.KINDS, "trap", jobs.Kind(make, dict[str, Any], 1.0))
    monkeypatch.setattr(jobs, "map_ordered", lambda function, items, **_: map(function, items))
    work, path = [Job("trap", number, 1.0) for number in (1, 2, 3)], tmp_path / "kept" / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_jobs(work, 1, RowStore(path, "a"), lambda _: None)
    path.write_bytes(path.read_bytes() + b'{"key": "cut')
    rows = run_jobs(work, 1, RowStore(path, "a"), lambda _: None)
    assert made == [1, 2, 3, 3] and rows["trap"] == [{"number": number} for number in (1, 2, 3)]
    assert run_jobs(work, 1, RowStore(path, "a"), lambda _: None) == rows and len(made) == 4
    run_jobs(work, 1, RowStore(path, "b"), lambda _: None)
    assert made[4:] == [1, 2, 3]


def test_rows_are_kept_for_the_code_that_makes_them(tmp_path: Path) -> None:
    package, own = tmp_path / "src" / "edgesmith", tmp_path / "benchmarks" / "truth"
    for folder in (package / "edges" / "report", package / "cli", own):
        folder.mkdir(parents=True)
    for name in ROW_MODULES:
        (own / f"{name}.py").write_text("")
    matters, report, world = package / "edges" / "edge.py", package / "edges" / "report" / "card.py", package / "cli" / "world.py"
    for path in (matters, report, world):
        path.write_text("one")
    before = code_hash(tmp_path)
    report.write_text("two")
    (own / "show.py").write_text("two")
    assert code_hash(tmp_path) == before
    for path in (matters, world, own / "plants.py"):
        path.write_text("two")
        after = code_hash(tmp_path)
        assert after != before
        before = after
