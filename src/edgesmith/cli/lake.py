"""`edgesmith lake`: import, download, ls, show, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.output import number, percent, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_LAKE, JsonOption, LakeOption, MarketOption, WorkersOption, days_of, venue_of
from edgesmith.domain.units import format_duration_ns, format_ns, parse_date
from edgesmith.errors import DataError, InputError

if TYPE_CHECKING:
    from edgesmith.lake.catalog import Partition
    from edgesmith.lake.importers import FileReport, ImportReport

app = typer.Typer(no_args_is_help=True)

FormatArgument = Annotated[str, typer.Argument(metavar="FORMAT", help="binance-capture, binance-vision, tardis or prior-lake.")]
FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to import.")]
VenueFilter = Annotated[str | None, typer.Option("--venue", help="Only this venue.")]
SymbolFilter = Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")]
StreamFilter = Annotated[str | None, typer.Option("--stream", help="Only this stream.")]
DayFilter = Annotated[str | None, typer.Option("--date", help="Only this UTC day.")]


@app.command("import")
def import_command(
    kind: FormatArgument,
    files: FilesArgument,
    market: MarketOption = None,
    symbol: SymbolFilter = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Import files into the lake; importing the same file again changes nothing."""
    from edgesmith.lake.importers import import_files

    with progress("importing") as advance:
        report = import_files(kind, files, lake, market=market, symbol=symbol, progress=advance)
    show_import(report, as_json)


@app.command("download")
def download_command(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="binance-vision.")],
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol such as BTCUSDT.")],
    date: Annotated[str, typer.Option("--date", help="UTC day, YYYY-MM-DD.")],
    stream: Annotated[str, typer.Option("--stream", help="trades, aggTrades or bookTicker.")],
    market: Annotated[str, typer.Option("--market", help="usdm, spot or coinm.")] = "usdm",
    base_url: Annotated[str | None, typer.Option("--base-url", help="A mirror of the public dumps.")] = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Download a public daily dump, verify its checksum, and import it; a broken download is resumed."""
    from edgesmith.errors import UnknownNameError
    from edgesmith.lake.download import BASE_URL, download_vision
    from edgesmith.lake.importers import import_files

    if source != "binance-vision":
        raise UnknownNameError("download source", source, ["binance-vision"])
    day = parse_date(date)
    with progress("downloading") as advance:
        path = download_vision(market, symbol, day, stream, lake / "downloads", base_url=base_url or BASE_URL, progress=advance)
    with progress("importing") as advance:
        report = import_files("binance-vision", [path], lake, market=market, symbol=symbol, progress=advance)
    show_import(report, as_json)


@app.command("ls")
def ls_command(
    venue: VenueFilter = None,
    stream: StreamFilter = None,
    symbol: SymbolFilter = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """List what the lake holds, one line per series, without opening data; --json has every partition."""
    from edgesmith.lake.catalog import Catalog, format_days

    partitions = Catalog(lake).partitions(venue, stream, symbol)
    if as_json:
        print_json([partition.meta for partition in partitions])
        return
    if not partitions:
        typer.echo(f"the lake at {lake} holds nothing that matches; import some with `edgesmith lake import`")
        return
    series: dict[tuple[str, str, str], list[Partition]] = {}
    for one in partitions:
        series.setdefault((one.key.venue, one.key.symbol, one.key.stream.label), []).append(one)
    rows = [
        (
            " ".join(name),
            format_days([one.key.day for one in members]),
            f"{sum(one.meta.rows for one in members):,}",
            _shortest_skew(members),
        )
        for name, members in sorted(series.items())
    ]
    columns = ("series", "days (UTC)", "rows", "clock skew")
    print_table(
        f"{lake}: {len(partitions)} partitions of {len(rows)} series",
        columns,
        rows,
        right=("rows", "clock skew"),
        whole=("series",),
    )


def _shortest_skew(members: list[Partition]) -> str:
    clocks = [one.meta.clock for one in members]
    if any(clock.event_clock == "receive" for clock in clocks):
        return "no venue clock"
    if any(clock.recv_clock == "venue" for clock in clocks):
        return "no receive time"
    return format_duration_ns(min((clock.skew_ns_p50 for clock in clocks), key=abs))


@app.command("show")
def show_command(
    venue: Annotated[str, typer.Option("--venue", help="Exchange or venue.")],
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol.")],
    market: MarketOption = None,
    date: DayFilter = None,
    stream: StreamFilter = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Describe partitions: span, rates, gaps, clock skew, spreads, where the rows came from."""
    from edgesmith.lake.catalog import Catalog
    from edgesmith.lake.quality import partition_facts

    first, last = days_of(date, None, None)
    catalog, name = Catalog(lake), venue_of(venue, market)
    found = catalog.partitions(name, stream, symbol, first, last)
    if not found:
        found = catalog.require(name, stream or "bbo", symbol, first, last)
    described = [(one, partition_facts(one)) for one in found]
    if as_json:
        print_json([{"meta": one.meta, "facts": facts} for one, facts in described])
        return
    for one, facts in described:
        known = [
            ("rows", f"{facts.rows:,} ({facts.rows_per_s:,.1f} per second)"),
            ("venue clock", f"{format_ns(facts.ts_event_min)} to {format_ns(facts.ts_event_max)[11:]}"),
            ("clock skew (receive - venue)", _skew_words(one)),
            ("gaps over 10 s", f"{facts.gaps} (longest pause {format_duration_ns(facts.gap_ns_max)})"),
            ("received out of venue order", f"{facts.received_late_rows:,} rows"),
            ("one-tick spread", percent(facts.one_tick_spread_ratio)),
            ("crossed or locked quotes", None if facts.crossed_rows is None else f"{facts.crossed_rows} / {facts.locked_rows}"),
            ("buys", percent(facts.buy_ratio)),
            ("volume", number(facts.volume_qty, 3)),
            ("steps (price, quantity)", f"{one.meta.price_increment}, {one.meta.qty_increment}"),
            ("sources", ", ".join(source.name for source in one.meta.sources)),
            ("content", one.meta.content_sha256[:16]),
        ]
        print_table(str(one.key), ("what", "value"), [row for row in known if row[1] not in (None, "-")])


@app.command("verify")
def verify_command(
    venue: VenueFilter = None,
    stream: StreamFilter = None,
    symbol: SymbolFilter = None,
    workers: WorkersOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Read back every row group of every partition and compare it with its checksum."""
    from edgesmith.lake.catalog import Catalog
    from edgesmith.lake.quality import verify
    from edgesmith.parallel import map_ordered

    partitions = Catalog(lake).partitions(venue, stream, symbol)
    if not partitions:
        raise InputError(f"the lake at {lake} holds nothing that matches; nothing was verified")
    with progress("verifying", "partitions") as advance:
        verified = map_ordered(verify, partitions, workers=workers, mode="threads", progress=advance)
        results = list(zip(partitions, verified, strict=True))
    if as_json:
        print_json([{"partition": str(one.key), **_fields(result)} for one, result in results])
    else:
        for one, result in results:
            for problem in result.problems:
                typer.echo(f"{one.key}: {problem}")
    bad = sum(1 for _, result in results if not result.ok)
    if bad:
        raise DataError(f"{bad} of {len(results)} partitions are damaged; delete their folders and import those days again")
    if not as_json:
        typer.echo(f"{len(results)} partitions, {sum(result.rows for _, result in results):,} rows: all as they were written")


def _fields(result: object) -> dict[str, object]:
    import msgspec

    fields: dict[str, object] = msgspec.to_builtins(result)
    return fields


def _skew_words(one: Partition) -> str:
    clock = one.meta.clock
    if clock.event_clock == "receive":
        return "unknown: the venue sent no time"
    if clock.recv_clock == "venue":
        return "unknown: nobody recorded a receive time"
    return f"median {format_duration_ns(clock.skew_ns_p50)}, smallest {format_duration_ns(clock.skew_ns_min)}"


def show_import(report: ImportReport, as_json: bool) -> None:
    """Say what an import did; DataError when a file could not be taken whole."""
    if as_json:
        print_json(report)
    else:
        for file in report.files:
            rows = [
                (one.partition, f"{one.rows_added:,}", f"{one.duplicates:,}", "written" if one.changed else "unchanged")
                for one in file.partitions
            ]
            title = f"{file.name}: {file.lines:,} lines, {file.accepted:,} accepted"
            print_table(title, ("partition", "rows added", "already there", ""), rows, right=("rows added", "already there"))
            for name, count in file.reasons.items():
                typer.echo(f"  {count:,} x {name}")
            for message in file.messages:
                typer.echo(f"  {message}")
            if file.quarantine:
                typer.echo(f"  the lines that were wrong are in {file.quarantine}")
    for file in report.files:
        if not file.ok:
            raise DataError(f"{file.name}: {_failure(file)}")


def _failure(file: FileReport) -> str:
    if file.failure:
        return file.failure
    for one in file.partitions:
        if one.refused:
            return f"{one.partition} was refused: {one.refused}"
    if file.truncated:
        return "the file ends before its compression does; what decodes was imported, get the whole file and import it again"
    return f"none of its {file.lines:,} lines could be stored; the reasons are above"
