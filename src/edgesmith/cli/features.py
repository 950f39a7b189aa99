"""`edgesmith features`: ls, compute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from edgesmith.cli.groups import grouped
from edgesmith.cli.output import console, percent, print_json, print_table, progress
from edgesmith.cli.selection import JsonOption, LeaderOption, Selection, Selections, WorkersOption, grid_of, one_of
from edgesmith.domain.units import format_duration_ns
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.evaluation.matrix_file import MatrixFile
    from edgesmith.features.program import Program
    from edgesmith.lake.catalog import Partition

app = typer.Typer(no_args_is_help=True)

SetOption = Annotated[
    list[str],
    typer.Option("--set", help="Feature sets, single features (see `features ls`) or regime models (.json), by commas."),
]
GridOption = Annotated[str, typer.Option("--grid", help="A row per event, or per instant of a grid such as 100ms or 1s.")]
ValuesOption = Annotated[str, typer.Option("--values", help="float32: prices in 8 bytes, the rest in 4; or float64.")]
DEFAULT_SETS = ["base"]
LEADER_SET = "cross"


@app.command("ls")
def ls_command(as_json: JsonOption = False) -> None:
    """List every feature with its parameters, unit and warm-up."""
    from edgesmith.features.catalog import FEATURE_SETS, feature_set, features

    found = [(one, one.spec()) for one in features()]
    members_of = {name: {spec.feature for spec in feature_set(name)} for name in FEATURE_SETS}
    sets = {one.name: [name for name, members in members_of.items() if one.name in members] for one, _ in found}
    if as_json:
        print_json(
            [
                {"name": one.name, "params": dict(spec.params), "warmup_events": spec.warmup_events, "sets": sets[one.name]}
                for one, spec in found
            ]
        )
        return
    rows = [
        (
            one.name,
            ", ".join(f"{name}={value:g}" for name, value in dict(spec.params).items()),
            f"{spec.warmup_events:,}",
            one.summary,
        )
        for one, spec in found
    ]
    columns = ("feature", "parameters", "warm-up", "what it is")
    print_table("", columns, rows, right=("warm-up",), whole=("feature",))
    for name, members in FEATURE_SETS.items():
        console().print(f"set [bold]{name}[/]: {', '.join(members)}")


@app.command("compute")
@grouped
def compute_command(
    data: Selections,
    sets: SetOption = DEFAULT_SETS,
    leader: LeaderOption = None,
    grid: GridOption = "event",
    values: ValuesOption = "float32",
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute feature rows and write them beside the data, each symbol by itself; computing again is a no-op.

    With --leader, features of what that market did, as received here, stand beside the symbol's own.
    """
    from edgesmith.evaluation.matrix import compute_matrix
    from edgesmith.evaluation.matrix_file import Values
    from edgesmith.parallel import map_ordered

    grid_ns = grid_of(grid)
    one_of("--values", values, get_args(Values))
    names = data.symbols
    chosen = {name: _work(data, name, leader, sets) for name in names}
    width = max(program.width for _, _, program in chosen.values())
    told: dict[str, tuple[int, int]] = {}
    with progress(f"features of {', '.join(names)}", "events") as advance:

        def compute(name: str) -> list[MatrixFile]:
            def tell(done: int, total: int) -> None:
                told[name] = done, total
                known = list(told.values())
                advance(sum(done for done, _ in known), sum(total for _, total in known))

            partitions, instrument, program = chosen[name]
            return compute_matrix(
                data.lake,
                partitions,
                program,
                instrument=instrument,
                grid_ns=grid_ns,
                values=cast(Values, values),
                progress=tell,
            )

        computed = map_ordered(compute, names, workers=workers, mode="threads")
        written = [(name, file) for name, files in zip(names, computed, strict=True) for file in files]
    if as_json:
        print_json([{"symbol": name, "day": file.day, "path": str(file.path), "rows": file.rows} for name, file in written])
        return
    states = {True: "computed", False: "already there"}
    rows = [(name, file.day, f"{file.rows:,}", states[file.computed], file.path) for name, file in written]
    print_table(f"{width} features", ("symbol", "day (UTC)", "rows", "", "file"), rows, right=("rows",))


@app.command("where")
@grouped
def where_command(
    condition: Annotated[str, typer.Argument(metavar="CONDITION", help="Such as 'imbalance_ema > 0.6 and spread <= 0.2'.")],
    data: Selection,
    as_json: JsonOption = False,
) -> None:
    """Say how often, and for how long at a time, a condition over features held."""
    from edgesmith.evaluation.occurrence import occurrence
    from edgesmith.features.catalog import columns
    from edgesmith.features.condition import Condition

    parsed = Condition.parse(condition, [one.name for one in columns()])
    program = program_of_one(list(parsed.features))
    chosen = data.partitions()
    with progress("looking", "events") as advance:
        found = occurrence(chosen, program, Condition.parse(condition, program.names), progress=advance)
    if as_json:
        print_json(found)
        return
    rows = [
        ("events with every feature known", f"{found.rows:,}"),
        ("of these it held at", f"{found.rows_held:,} ({percent(found.held_ratio)})"),
        ("times it began", f"{found.onsets:,}"),
        ("time it held", percent(found.time_ratio)),
        ("mean stretch", "-" if found.stretch_ns_mean is None else format_duration_ns(found.stretch_ns_mean)),
    ]
    print_table(f"{data.symbol}: {parsed}", ("", "value"), rows, right=("value",))


def _work(data: Selections, symbol: str, leader: str | None, sets: list[str]) -> tuple[list[Partition], tuple[str, str], Program]:
    # What is read for a symbol, whose rows are written, and the features, which know the place of the leader.
    from edgesmith.features.cross import led_by
    from edgesmith.features.program import Program

    own = data.of(symbol)
    instrument = (own[0].key.venue, own[0].key.symbol)
    if leader is None:
        return own, instrument, program_of_one(sets)
    leads = data.of(leader)
    other = (leads[0].key.venue, leads[0].key.symbol)
    if other == instrument:
        raise InputError(f"--leader was {leader}, the symbol itself; expected another market")
    specs = program_of_sets([*sets, LEADER_SET]).features
    return [*own, *leads], instrument, Program(led_by(specs, sorted((instrument, other)).index(other)))


def program_of_one(names: list[str]) -> Program:
    """Return the program of named sets, features and models for one instrument by itself; refuse what follows another."""
    from edgesmith.features.cross import follows

    program = program_of_sets(names)
    led = [spec.name for spec in program.features if follows(spec)]
    if led:
        raise InputError(
            f"{', '.join(led)}: features of another market; name it with --leader, in `features compute` or `discover`"
        )
    return program


def program_of_sets(names: list[str]) -> Program:
    """Return the program of named sets, single features and regime models, each feature once."""
    from edgesmith.features.catalog import FEATURE_SETS, feature, feature_set
    from edgesmith.features.program import Program
    from edgesmith.features.regime_model import load_model

    specs = {}
    for name in names:
        for part in name.split(","):
            if part.endswith(".json"):
                found = list(load_model(Path(part)).features())
            else:
                found = feature_set(part) if part in FEATURE_SETS else [feature(part)]
            specs.update({spec.name: spec for spec in found})
    return Program(list(specs.values()))
