"""`edgesmith compare`: finished backtests over the same data at the same costs, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.output import number, percent, print_json, print_table
from edgesmith.cli.report import find_run
from edgesmith.cli.selection import DEFAULT_RUNS, JsonOption, RunsOption
from edgesmith.domain.units import format_duration_ns

if TYPE_CHECKING:
    from edgesmith.trading.comparison import ComparedRun, Comparison

OutputOption = Annotated[
    Path | None, typer.Option("--output", help="Where to write the page; compare_<id>.html beside the runs.")
]


def compare_command(
    run: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Run ids, unique beginnings of them, or run folders.")],
    runs: RunsOption = DEFAULT_RUNS,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare backtests: return, Sharpe with interval, drawdown, turnover, costs, and the chance that one beats the other."""
    from edgesmith.trading.comparison import compare_runs
    from edgesmith.trading.report.comparison import write_comparison

    folders = [find_run(name, runs) for name in run]
    found = compare_runs(folders)
    page = write_comparison(found, folders, output or folders[0].parent / f"{found.comparison_id}.html")
    if as_json:
        print_json(found)
        return
    show_comparison(found)
    typer.echo(f"report: {page}")


def show_comparison(found: Comparison) -> None:
    """Print the figures, one column a run, and the order of each pair."""
    simulated = "SIMULATED MARKET, " if found.simulated else ""
    span = format_duration_ns(found.last_ns - found.first_ns)
    names = [run.name for run in found.runs]
    rows = list(zip(FIGURES, *map(_cells, found.runs), strict=True))
    print_table(f"{simulated}{', '.join(found.symbols)}, {span}, same data and costs", ("", *names), rows, right=names)
    if found.pairs:
        pairs = [(one.first, one.second, percent(one.earns_more, 1), percent(one.sharpe_larger, 1)) for one in found.pairs]
        columns = ("this run", "against", "earns more", "larger Sharpe")
        print_table("probability, by paired blocks of minutes", columns, pairs, right=columns[2:])
    for note in found.notes:
        typer.echo(note)


FIGURES = (
    "return",
    "Sharpe, 1 min",
    "  its 90 % interval",
    "largest drawdown",
    "turnover / equity",
    "round trips",
    "won",
    "costs of what was traded (bps)",
    "costs of what was earned at mid",
    "time in the market",
)


def _cells(run: ComparedRun) -> tuple[str, ...]:
    interval = "-" if run.sharpe_low is None else f"{run.sharpe_low:.3f} to {run.sharpe_high:.3f}"
    return (
        percent(run.return_ratio, 3),
        number(run.sharpe, 3),
        interval,
        percent(run.drawdown_ratio_max, 3),
        number(run.turnover_ratio, 1),
        f"{run.round_trips:,}",
        percent(run.win_ratio, 1),
        number(run.cost_bps),
        percent(run.cost_share_ratio, 0),
        percent(run.exposure_time_ratio, 1),
    )
