"""`edgesmith edges`: ls, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.output import console, number, print_json, print_table
from edgesmith.cli.selection import DEFAULT_RUNS, JsonOption, RegistryOption, RunsOption
from edgesmith.domain.units import format_duration_ns, format_ns
from edgesmith.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from edgesmith.edges.edge import EdgeEvidence, EdgeSpec
    from edgesmith.edges.registry import EdgeRegistry, EdgeRow

app = typer.Typer(no_args_is_help=True)

ROWS_SHOWN = 50
WIDE = 120


@app.command("ls")
def ls_command(
    verdict: Annotated[str | None, typer.Option("--verdict", help="Only edges that stand at this verdict.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Only edges that this search found: its id or its folder.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Only edges whose id or trigger has this in it.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of the table.")] = ROWS_SHOWN,
    runs: RunsOption = DEFAULT_RUNS,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List edges and where they stand, the most profitable lower bound (USD per day, then bps) first; --json has all."""
    from edgesmith.edges.verdict import Verdict

    if verdict is not None and verdict.upper() not in list(Verdict):
        raise UnknownNameError("verdict", verdict, list(Verdict))
    wanted = None if verdict is None else verdict.upper()
    if (where := _absent(registry, runs)) is not None:
        _say_none(where, as_json)
        return
    store = open_registry(registry, runs)
    found_by = None if run is None else _trial_hash(run, runs)
    rows = store.list(wanted, symbol, None if as_json else limit, text=text, found_by=found_by)
    if as_json:
        print_json(rows)
        return
    if not rows:
        if known := sum(store.counts().values()):
            typer.echo(f"none of the {known:,} edges in {store.name} match")
        else:
            _say_none(store.name, as_json)
        return
    counts = ", ".join(f"{count:,} {name or 'without evidence'}" for name, count in store.counts().items())
    # A claim is long: where it would be a column of a few letters, it stands below.
    narrow = console().width < WIDE
    columns = ("edge", *(() if narrow else ("claim",)), "net bps", "at least", "USD/day", "n", "stands at")
    print_table(
        f"{store.name}: {counts}",
        columns,
        [(one.edge_id, *(() if narrow else (_claim(one),)), *_numbers(one)) for one in rows],
        right=("net bps", "at least", "USD/day", "n"),
        whole=("edge", "stands at"),
    )
    for one in rows if narrow else ():
        typer.echo(f"{one.edge_id}: {_claim(one)}")
    typer.echo("at least, USD/day: the lower end of the 90 % interval, per trade and at the size that earns most")
    if len(rows) == limit:
        typer.echo(f"the first {limit}; --limit and --json show more")


@app.command("show")
def show_command(
    edge: Annotated[str, typer.Argument(metavar="EDGE", help="Id of an edge, or a unique beginning of one.")],
    runs: RunsOption = DEFAULT_RUNS,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an edge claims and everything that was found out about it, oldest first."""
    if (where := _absent(registry, runs)) is not None:
        raise InputError(f"there are no edges in {where}; find some with `edgesmith discover`")
    store = open_registry(registry, runs)
    spec = store.get(edge)
    found = store.evidence(spec.edge_id)
    if as_json:
        print_json({"edge_id": spec.edge_id, "spec_hash": spec.spec_hash, "spec": spec, "evidence": found})
        return
    print_table(spec.edge_id, ("what", "value"), _spec_rows(spec))
    for one in found:
        print_table(f"{one.stage}: {one.verdict}", ("what", "value"), _evidence_rows(one))
    if not found:
        typer.echo("nothing is known about it yet")


def open_registry(url: str | None, runs: Path) -> EdgeRegistry:
    """Return the registry a user means: a URL, or the one beside the runs."""
    from edgesmith.edges.registry import EdgeRegistry, sqlite_url

    return EdgeRegistry(url or sqlite_url(runs))


def _absent(url: str | None, runs: Path) -> str | None:
    # Who only reads makes no files.
    from edgesmith.edges.registry import is_there, sqlite_url

    where = url or sqlite_url(runs)
    return None if is_there(where) else where


def _say_none(where: str, as_json: bool) -> None:
    if as_json:
        print_json([])
    else:
        typer.echo(f"no edges in {where} yet; find some with `edgesmith discover`")


def _claim(one: EdgeRow) -> str:
    word = "buy" if one.side > 0 else "sell"
    return f"{word} {one.symbol} for {format_duration_ns(one.horizon_ns)} when {one.trigger}"


def _numbers(one: EdgeRow) -> tuple[str, ...]:
    count = "-" if one.n is None else f"{one.n:,}"
    usd = number(one.net_low_usd_per_day, 0)
    return number(one.net_bps), number(one.net_low_bps), usd, count, one.verdict or "-"


def _trial_hash(run: str, runs: Path) -> str:
    import msgspec

    from edgesmith.edges.discovery.result import RESULT_FILE

    for folder in (Path(run), runs / run):
        if (folder / RESULT_FILE).is_file():
            return str(msgspec.json.decode((folder / RESULT_FILE).read_bytes())["trial_hash"])
    raise InputError(f"run was '{run}', expected a search: its id or a folder with {RESULT_FILE}; `edgesmith runs` lists them")


def _spec_rows(spec: EdgeSpec) -> list[tuple[str, object]]:
    return [
        ("claim", spec.sentence),
        ("horizon, latency", f"{format_duration_ns(spec.horizon_ns)}, {format_duration_ns(spec.latency_ns)}"),
        ("entry, exit", f"{spec.entry}, {spec.exit.kind}"),
        ("fees (in, out)", f"{spec.fee_in_bps:g} + {spec.fee_out_bps:g} bps, {spec.cost_tier}"),
        ("definitions", f"features {spec.features_hash[:12]}, bins {spec.bins_hash[:12]}, code {spec.code_sha256[:12]}"),
        ("content", spec.spec_hash),
    ]


def _evidence_rows(one: EdgeEvidence) -> list[tuple[str, object]]:
    interval = f"{number(one.net_low_bps)} to {number(one.net_high_bps)}"
    rows: list[tuple[str, object]] = [
        ("in words", one.sentence),
        ("data", f"{format_ns(one.first_ns)[:19]} to {format_ns(one.last_ns)[:19]}, {one.data_fingerprint[:12]}"),
        ("n, blocks", f"{one.n:,}, {one.blocks:,}"),
        ("gross - cost = net", f"{number(one.gross_bps)} - {number(one.cost_bps)} = {number(one.net_bps)} bps"),
        ("net, 90 %", f"{interval} bps"),
        ("p, q", f"{number(one.p, 4)}, {number(one.q, 4)}"),
        ("cells looked at", f"{one.trials_total:,}"),
    ]
    return rows + [
        (name.removesuffix("_ns").replace("_", " "), _plain(name, value)) for name, value in sorted(one.details.items())
    ]


def _plain(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name.endswith("_ns") and isinstance(value, int | float):
        return format_duration_ns(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    if isinstance(value, list | dict | tuple):
        return f"{len(value)} values (--json)"
    return str(value)
