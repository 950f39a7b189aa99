"""`edgesmith universe`: build, show; and the search of every member of a universe."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgesmith.cli.output import console, number, print_json, print_table, progress
from edgesmith.cli.selection import (
    DEFAULT_LAKE,
    NEEDED,
    EndOption,
    JsonOption,
    LakeOption,
    MarketOption,
    StartOption,
    VenueOption,
    WorkersOption,
    days_of,
    venue_of,
)
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.edges.discovery.result import DiscoveryResult
    from edgesmith.lake.catalog import Catalog, Partition
    from edgesmith.lake.universe import Universe

app = typer.Typer(no_args_is_help=True)

UniverseArgument = Annotated[Path, typer.Argument(metavar="UNIVERSE", help="File written by `universe build`.")]


@app.command("build")
def build_command(
    top: Annotated[int, typer.Option("--top", help="Members of a day.")] = 10,
    by: Annotated[str, typer.Option("--by", help="What they are chosen by: turnover, or trades (their number).")] = "turnover",
    window: Annotated[str, typer.Option("--window", help="Days looked back at, such as 7d.")] = "7d",
    venue: VenueOption = "binance",
    market: MarketOption = None,
    start: StartOption = None,
    end: EndOption = None,
    output: Annotated[Path | None, typer.Option("--output", help="File; in `<lake>/universes` by default.")] = None,
    workers: WorkersOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Choose the symbols of each day by the days before it, and write them down: later days change nothing."""
    from edgesmith.lake.catalog import Catalog
    from edgesmith.lake.universe import build_universe

    found = re.fullmatch(r"([1-9]\d{0,3})d", window)
    if found is None:
        raise InputError(f"--window was '{window}', expected days such as 7d")
    first, last = days_of(None, start, end)
    with progress("measuring", "partitions") as advance:
        universe = build_universe(
            Catalog(lake),
            venue_of(venue, market),
            top=top,
            by=by,  # type: ignore[arg-type]  # checked there, with the names that are possible
            window_days=int(found[1]),
            start=first,
            end=last,
            workers=workers,
            progress=advance,
        )
    name = f"{universe.venue}_top{top}_{by}_{window}_{universe.universe_id}.json"
    path = universe.save(output or lake / "universes" / name)
    if as_json:
        print_json({"path": str(path), "universe_id": universe.universe_id, "universe": universe})
        return
    _show(universe)
    console().print(f"written to {path}", soft_wrap=True)


@app.command("show")
def show_command(
    universe: UniverseArgument,
    by_day: Annotated[bool, typer.Option("--by-day", help="List the members of every day.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show which symbols were members when."""
    from edgesmith.lake.universe import load_universe

    loaded = load_universe(universe)
    if as_json:
        print_json({"universe_id": loaded.universe_id, "universe": loaded})
        return
    _show(loaded)
    if by_day:
        rows = [
            (one.day, f"{one.decided_from}..{one.decided_to}", " ".join(one.members), " ".join(one.silent)) for one in loaded.days
        ]
        print_table("", ("day", "decided from", "members, largest first", "chosen, no data"), rows, whole=("day",))


def _show(universe: Universe) -> None:
    from edgesmith.lake.catalog import format_days

    first, last = universe.days[0].day, universe.days[-1].day
    rows = []
    for symbol, days in universe.member_days().items():
        silent = [one.day for one in universe.days if symbol in one.silent]
        places = [one.members.index(symbol) + 1 for one in universe.days if symbol in one.members]
        rows.append((symbol, format_days(days), len(days), f"{min(places)} to {max(places)}", format_days(silent)))
    title = (
        f"universe {universe.universe_id}: the top {universe.top} of {universe.venue} by {universe.by} over "
        f"{universe.window_days} days, {first} to {last}"
    )
    columns = ("symbol", "member on (UTC)", "days", "place", "chosen, no data")
    print_table(title, columns, rows, right=("days", "place"), whole=("symbol",))


class Searched(NamedTuple):
    """One member's search: its days, what came of it, where it is; or why it could not be searched."""

    symbol: str
    days: tuple[date, ...]
    result: DiscoveryResult | None = None
    folder: Path | None = None
    failure: str = ""


class Member(NamedTuple):
    """A symbol of a universe with the days it was a member and what the lake has of them."""

    symbol: str
    days: tuple[date, ...]
    partitions: list[Partition]


def members_of(universe: Universe, lake: Path, start: str | None, end: str | None) -> list[Member]:
    """Return the members between two days, by their first day and their place in it, with their data."""
    from edgesmith.lake.catalog import Catalog

    catalog, found = Catalog(lake), universe.member_days(*days_of(None, start, end))
    if not found:
        raise InputError(f"universe {universe.universe_id} has no members from {start or 'its start'} to {end or 'its end'}")
    return [Member(symbol, days, _held(catalog, universe, symbol, days)) for symbol, days in found.items()]


def _held(catalog: Catalog, universe: Universe, symbol: str, days: tuple[date, ...]) -> list[Partition]:
    held = catalog.partitions(universe.venue, None, symbol, days[0], days[-1])
    chosen = [one for one in held if one.key.day in set(days)]
    missing = sorted(set(days) - {one.key.day for one in chosen if one.key.stream.label == NEEDED})
    if missing:
        said = catalog.absence(universe.venue, NEEDED, symbol, missing[0], missing[0])
        raise InputError(
            f"universe {universe.universe_id} has {symbol} on {missing[0]}, but {said}; choose days with --start and --end, "
            "or build the universe from this lake"
        )
    return chosen


def show_searched(universe: Universe, found: list[Searched], *, as_json: bool = False) -> None:
    """Print one table of all members' searches; raises InputError where none could be searched."""
    if all(one.result is None for one in found):
        raise InputError(f"no member of universe {universe.universe_id} could be searched; {found[0].symbol}: {found[0].failure}")
    if as_json:
        print_json({"universe_id": universe.universe_id, "symbols": [_record(one) for one in found]})
        return
    rows = [_row(one) for one in found]
    columns = ("symbol", "days", "cells", "level", "real", "cost", "best net bps", "outcome")
    print_table(
        f"universe {universe.universe_id}: {len(found)} symbols, each over the days it was a member",
        columns,
        rows,
        right=columns[1:7],
        whole=("symbol", "outcome"),
    )
    typer.echo("level: what the ledger granted this search of all members' data (LORD++); real and cost: cells with that verdict")
    for one in found:
        typer.echo(f"{one.symbol}: " + (f"report: {one.folder}/report.html" if one.folder else f"not searched: {one.failure}"))


def _record(one: Searched) -> dict[str, Any]:
    return {
        "symbol": one.symbol,
        "days": one.days,
        "folder": None if one.folder is None else str(one.folder),
        "failure": one.failure or None,
        "level": None if one.result is None else one.result.level,
        "trials": None if one.result is None else one.result.trials,
        "trials_total": None if one.result is None else one.result.trials_total,
        "counts": None if one.result is None else one.result.counts,
        "best_net_bps": _best_net_bps(one),
    }


def _row(one: Searched) -> tuple[object, ...]:
    if one.result is None:
        return one.symbol, len(one.days), "-", "-", "-", "-", "-", "not searched"
    counts = one.result.counts
    real, eaten = counts["CANDIDATE"], counts["REJECT_COST"]
    outcome = (
        "pays after cost" if real else "real, but costs eat it" if eaten else "nothing" if counts["REJECT_NULL"] else "too few"
    )
    level = number(one.result.level, 5)
    return one.symbol, len(one.days), f"{one.result.trials:,}", level, real, eaten, number(_best_net_bps(one)), outcome


def _best_net_bps(one: Searched) -> float | None:
    cells = () if one.result is None else one.result.cells
    paying = [cell.net_bps_best_side for cell in cells if cell.verdict.name == "CANDIDATE" and cell.net_bps_best_side is not None]
    return max(paying, default=None)
