"""`edgesmith regimes`: fit, show, log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.groups import grouped
from edgesmith.cli.output import console, number, percent, print_json, print_table, progress
from edgesmith.cli.selection import JsonOption, Selection
from edgesmith.domain.units import format_duration_ns, format_ns

if TYPE_CHECKING:
    from edgesmith.evaluation.regime_log import LogSummary
    from edgesmith.features.regime_model import RegimeModel
    from edgesmith.lake.catalog import Partition

app = typer.Typer(no_args_is_help=True)

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="File written by `regimes fit`.")]
PART_HELP = "Use only the first part of the interval, such as 0.7; the rest is left to be judged on."


@app.command("fit")
@grouped
def fit_command(
    data: Selection,
    part: Annotated[float, typer.Option("--part", min=0.01, max=1.0, help=PART_HELP)] = 1.0,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Feature to make regimes of, volatility first; repeat. Has a default.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--number", min=2, max=5, help="Number of regimes; the best of 2 to 5 by default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the fit.")] = 0,
    allow_unstable: Annotated[
        bool, typer.Option("--allow-unstable", help="Write a model even where no number of regimes was stable; it will say so.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Model file; in `<lake>/regimes` by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit regimes on an interval, which they must never be judged on."""
    from edgesmith.evaluation.regimes import RegimeFit, fit_regimes

    chosen = data.partitions()
    first_ns, last_ns = _span(chosen)
    last_ns = first_ns + int((last_ns - first_ns) * part)
    with console().status(f"fitting regimes of {data.symbol} ..."):
        counts = RegimeFit().regimes if count is None else (count,)
        how = RegimeFit(inputs=tuple(inputs) if inputs else None, regimes=counts, seed=seed, allow_unstable=allow_unstable)
        model = fit_regimes(chosen, first_ns, last_ns, how)
    path = model.save(output or data.lake / "regimes" / f"{model.instrument.replace(' ', '_').lower()}_{model.model_id}.json")
    if as_json:
        print_json({"path": str(path), "model_id": model.model_id, "model": model})
        return
    _show(model)
    console().print(f"written to {path}", soft_wrap=True)


@app.command("show")
def show_command(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Show what regimes a model holds, and how they were chosen."""
    from edgesmith.features.regime_model import load_model

    loaded = load_model(model)
    if as_json:
        print_json({"model_id": loaded.model_id, "model": loaded})
        return
    _show(loaded)


@app.command("log")
@grouped
def log_command(
    model: ModelArgument,
    data: Selection,
    rest: Annotated[
        bool, typer.Option("--rest", help="Only what comes after the fit interval, where that ends within the days chosen.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Parquet file of episodes; beside MODEL by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Assign regimes as they would have been assigned live, and log every episode; refuses the interval of the fit."""
    from edgesmith.evaluation.regime_log import log_regimes
    from edgesmith.features.regime_model import load_model

    loaded = load_model(model)
    chosen = data.partitions()
    first_ns, last_ns = _span(chosen)
    start_ns = loaded.fit_last_ns + 1 if rest and first_ns <= loaded.fit_last_ns else None
    path = output or model.with_suffix(".episodes.parquet")
    with progress("regimes", "events") as advance:
        summary = log_regimes(chosen, loaded, path, start_ns=start_ns, end_ns=last_ns + 1, progress=advance)
    if as_json:
        print_json({"path": str(path), "summary": summary})
        return
    _show_log(summary, path)


def _span(partitions: list[Partition]) -> tuple[int, int]:
    return min(one.meta.ts_recv_min for one in partitions), max(one.meta.ts_recv_max for one in partitions)


def _show(model: RegimeModel) -> None:
    console().print(
        f"[bold]{model.regimes} regimes[/] of {model.instrument}, model {model.model_id}, fitted on {model.rows:,} rows from "
        f"{format_ns(model.fit_first_ns)[:19]} to {format_ns(model.fit_last_ns)[:19]} UTC",
        soft_wrap=True,
    )
    if not model.is_stable:
        console().print("[yellow]no number of regimes was stable: these may not come back on other data[/]")
    labels = range(model.regimes)
    rows: list[tuple[str, ...]] = [
        ("share of the rows", *(percent(model.weights[k], 1) for k in labels)),
        ("volatility, bps per root second", *(number(model.volatilities[k], 3) for k in labels)),
    ]
    rows += [
        (one.feature.partition("(")[0], *(number(model.means[k][j], 1) for k in labels)) for j, one in enumerate(model.inputs)
    ]
    named = tuple(f"regime {k}" for k in labels)
    print_table("means of inputs are in scales from the median", ("", *named), rows, right=named)
    tried = [(one.regimes, number(one.bic, 0), number(one.stability, 2)) for one in model.candidates]
    print_table("numbers of regimes tried", ("regimes", "BIC", "stability"), tried, right=("regimes", "BIC", "stability"))


def _show_log(summary: LogSummary, path: Path) -> None:
    console().print(
        f"[bold]{summary.instrument}[/], model {summary.model_id}: {summary.rows:,} rows, {summary.rows_without_label:,} of them "
        f"without a label, from {format_ns(summary.first_ns)[:19]} to {format_ns(summary.last_ns)[:19]} UTC",
        soft_wrap=True,
    )
    rows = [
        (
            one.label,
            percent(one.time_ratio, 1),
            f"{one.episodes:,}",
            *(format_duration_ns(q) for q in one.dwell_ns),
            *("-" for _ in range(0 if one.dwell_ns else 3)),
            number(one.confidence_mean, 2) if one.episodes else "-",
        )
        for one in summary.regimes
    ]
    columns = ("regime", "time", "episodes", "dwell 10 %", "dwell 50 %", "dwell 90 %", "confidence")
    print_table("", columns, rows, right=columns)
    to = tuple(f"to {k}" for k in range(len(summary.regimes)))
    moves = [(f"regime {k}", *(f"{count:,}" for count in row)) for k, row in enumerate(summary.transitions)]
    print_table("how often one gave way to another", ("", *to), moves, right=to)
    console().print(f"episodes: {path}", soft_wrap=True)
