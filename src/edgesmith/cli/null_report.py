"""`edgesmith edges null-report`: what the search finds in the user's own data where nothing can be found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.discover import DEFAULT_SETS, ListOption, discovery_config
from edgesmith.cli.features import program_of_sets
from edgesmith.cli.groups import grouped
from edgesmith.cli.output import number, percent, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_RUNS, JsonOption, RunsOption, Selection, WorkersOption
from edgesmith.domain.units import format_duration_ns
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.edges.null_report.result import NullConfig, NullReport
    from edgesmith.features.program import Program
    from edgesmith.lake.catalog import Partition

# The latency validation asks for; more of them multiply the work and say little more about p.
DEFAULT_LATENCIES_MS = ["50"]
PLACEBOS = 20
# Enough to see whether a p of 5 % is one.
FLIPS = 999


@grouped
def null_report_command(
    data: Selection,
    sets: Annotated[list[str], typer.Option("--set", help="Feature set or feature; repeat for several.")] = DEFAULT_SETS,
    depth: Annotated[int, typer.Option("--depth", help="Conditions of a trigger: 1, pairs (2) or triples (3).")] = 1,
    horizon: Annotated[
        ListOption, typer.Option("--horizon", "--horizons", help="Horizons in seconds, such as 1,5,60; ten by default.")
    ] = None,
    latency: Annotated[
        list[str], typer.Option("--latency", "--latencies", help="Reaction latencies in ms, such as 0,50.")
    ] = DEFAULT_LATENCIES_MS,
    cost_tier: Annotated[
        str | None, typer.Option("--cost-tier", help="Fees by name, such as vip0_taker; the instrument's taker fee by default.")
    ] = None,
    fee_bps: Annotated[float | None, typer.Option("--fee-bps", help="Fee per side, in place of a tier.")] = None,
    placebos: Annotated[int, typer.Option("--placebos", min=1, help="Placebos of each kind.")] = PLACEBOS,
    seed: Annotated[int, typer.Option("--seed", help="Seed of placebos and sign flips.")] = 1,
    workers: WorkersOption = None,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Search placebos of your own data: is p what it says, what could be seen at all, what would have to be known to pay."""
    import msgspec

    from edgesmith.edges.null_report.result import NullConfig

    search = discovery_config(horizon, latency, fee_bps, seed, depth=depth, cost_tier=cost_tier)
    config = NullConfig(search=msgspec.structs.replace(search, flips=FLIPS), placebos=placebos)
    program = program_of_sets(sets)
    found, folder = run_null_report(data.partitions(), program, config, lake=data.lake, runs=runs, workers=workers)
    if as_json:
        print_json(found)
        return
    show_null_report(found)
    typer.echo(f"report: {folder}/report.html")


def run_null_report(
    partitions: list[Partition], program: Program, config: NullConfig, *, lake: Path, runs: Path, workers: int | None
) -> tuple[NullReport, Path]:
    """Search the placebos with a progress bar, write JSON and page; returns report and folder."""
    from edgesmith.canonical import short_hash
    from edgesmith.edges.discovery.pipeline import Workplace
    from edgesmith.edges.null_report.pipeline import null_report
    from edgesmith.edges.report.null_report import write_null_report
    from edgesmith.evaluation.sources import LakeSource
    from edgesmith.trading.backtest import instruments_of

    used = [one for one in partitions if one.key.stream in program.consumes]
    if not used:
        streams = ", ".join(sorted(str(one) for one in program.consumes))
        raise InputError(f"the features read {streams}, which this data lacks; choose other features")
    source = LakeSource(used)
    (instrument,) = instruments_of(used, source.instruments)
    with progress("null report") as advance:
        workplace = Workplace(lake=lake, workers=workers, progress=lambda stage, done, total: advance(done, total, stage))
        found = null_report(source, instrument, program, config, workplace=workplace)
    folder = runs / f"null_{short_hash([found.instrument, found.data_fingerprint, found.features, program.program_id, config])}"
    folder.mkdir(parents=True, exist_ok=True)
    found.save(folder)
    write_null_report(found, folder / "report.html")
    return found, folder


def show_null_report(found: NullReport) -> None:
    """Print what was found where nothing is, how p is spread, and what could be seen and could pay."""
    typer.echo(f"{found.instrument}: {found.sentence}")
    alpha = percent(found.config.search.alpha, 0)
    columns = ("placebo", "searched", "with a find", "cells found", "p <= 5 %", "p <= 1 %")
    print_table(
        f"What the search found where nothing is (allowed: a find in {alpha} of them)",
        columns,
        [
            (row.kind, row.placebos, row.any_found, row.found, percent(row.share_5, 1), percent(row.share_1, 2))
            for row in found.kinds
        ],
        right=columns[1:],
    )
    _show_methods(found)
    _show_horizons(found)
    for note in found.notes:
        typer.echo(f"note: {note}")


def _show_methods(found: NullReport) -> None:
    columns = ("method", "p <= 5 %", "p <= 1 %", "distance", "with a find")
    if found.methods:
        print_table(
            f"One cell of each placebo by other methods (distance from uniform: at most {found.methods[0].ks_bar:.3f})",
            columns,
            [
                (
                    row.method,
                    percent(row.share_5, 1),
                    percent(row.share_1, 1),
                    number(row.ks, 3),
                    "-" if row.any_found is None else f"{row.any_found} of {found.searched}",
                )
                for row in found.methods
            ],
            right=columns[1:],
        )
    if found.prior:
        _show_prior(found)


def _show_prior(found: NullReport) -> None:
    columns = ("prior system's method", "patterns", "kept", "accepted", "validated", "promoted in")
    print_table(
        "",
        columns,
        [
            (
                f"filter at {row.return_min_bps:g} bps" if row.return_min_bps else "without the filter",
                *(f"{value:,}" for value in (row.patterns, row.kept, row.accepted, row.validated)),
                f"{row.any_validated} of {row.placebos}",
            )
            for row in found.prior
        ],
        right=columns[1:],
    )


def _show_horizons(found: NullReport) -> None:
    tiers = next((row.tiers for row in found.horizons if row.tiers), ())
    columns = ("horizon", "seen from, bps", "sd, bps", *(f"{tier.cost_bps:.1f} bps" for tier in tiers))
    rows = [
        (
            format_duration_ns(row.horizon_ns),
            number(row.mde_bps),
            number(row.gross_sd_bps),
            *("-" for _ in (tiers if not row.tiers else ())),
            *("never" if tier.needed_ic > 1.0 else number(tier.needed_ic, 2) for tier in row.tiers),
        )
        for row in found.horizons
    ]
    print_table("The smallest effect that would be seen, and the IC needed to pay a round trip", columns, rows, right=columns)
    typer.echo("round trips: " + "; ".join(f"{tier.cost_bps:.1f} bps {tier.tier}" for tier in tiers))
