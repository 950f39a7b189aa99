"""`edgesmith trials`: every look at data, and what is left to spend on the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.output import number, print_json, print_table
from edgesmith.cli.report import find_run
from edgesmith.cli.selection import (
    DEFAULT_LAKE,
    DEFAULT_RUNS,
    DateOption,
    EndOption,
    JsonOption,
    LakeOption,
    MarketOption,
    RunsOption,
    StartOption,
    VenueOption,
    choose,
)
from edgesmith.domain.units import format_ns
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.edges.trials import DataUse, Look, TrialLedger

RESULT_NAME = "discovery.json"


def trials_command(
    run: Annotated[str | None, typer.Option("--run", help="Only looks at data that this run looked at.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only looks at data of this symbol in the lake.")] = None,
    venue: VenueOption = "binance",
    market: MarketOption = None,
    date: DateOption = None,
    start: StartOption = None,
    end: EndOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """List looks at data: cells counted, level granted to each, outcome, and the level the next look there would get."""
    from edgesmith.edges.trials import LEDGER_NAME, TrialLedger, data_uses

    if run is not None and symbol is not None:
        raise InputError("--run was given together with --symbol; give one or the other")
    ledger = TrialLedger(runs / LEDGER_NAME)
    data: tuple[DataUse, ...] | None = None
    if run is not None:
        data = _data_of(run, runs, ledger)
    elif symbol is not None:
        data = data_uses(choose(lake, venue, market, [symbol], date, start, end))
    account, head = ledger.account(data), ledger.head()
    if as_json:
        print_json({"account": account, "head": head})
        return
    if not account.looks:
        typer.echo(f"nobody has looked at {'this data' if data is not None else 'any data'} yet, says {runs / LEDGER_NAME}")
        return
    columns = ("#", "kind", "data", "cells", "level", "p", "found", "e-value", "e-BH")
    title = (
        f"{runs / LEDGER_NAME}: {account.trials_total:,} cells in {len(account.looks):,} look{'s' * (len(account.looks) != 1)}"
    )
    print_table(
        title, columns, [_row(one) for one in account.looks], right=("#", "cells", "level", "p", "e-value"), whole=("kind",)
    )
    typer.echo(
        f"the next look at {'this data' if data is not None else 'data that all of these saw'} gets level "
        f"{account.level_next:.5f}; alpha wealth left: {account.wealth_left:.5f}"
    )
    typer.echo(
        "found: p is within its level (LORD++); e-BH: what stands however the runs depend on each other; -: not settled, which "
        "counts as nothing found"
    )
    if head is not None:
        typer.echo(f"{head.sequence + 1:,} records, all hashes right; the last is {head.record_hash}")


def _data_of(run: str, runs: Path, ledger: TrialLedger) -> tuple[DataUse, ...] | None:
    # A search knows its own look; of any other run the manifest says what it was fed.
    import msgspec

    from edgesmith.edges.trials import DataUse

    folder = find_run(run, runs)
    if (folder / RESULT_NAME).is_file():
        identity = msgspec.json.decode((folder / RESULT_NAME).read_bytes())["trial_hash"]
        look = next((one for one in ledger.records() if one.trial_hash == identity), None)
        if look is None:
            raise InputError(f"the search {folder.name} is not in the ledger of {runs}; expected the ledger it was counted in")
        return look.data
    manifest: dict[str, Any] = msgspec.json.decode((folder / "manifest.json").read_bytes())
    first_ns, last_ns = manifest["data"]["first_ns"], manifest["data"]["last_ns"]
    names = [f"{one['venue']}:{one['symbol']}" for one in manifest["instruments"]]
    return tuple(DataUse(instrument=name, first_ns=first_ns, last_ns=last_ns, partitions=()) for name in names)


def _row(one: Look) -> tuple[object, ...]:
    from edgesmith.edges.online import e_value

    record = one.record
    level = "-" if record.level is None else f"{record.level:.5f}"
    looked = (record.sequence + 1, record.kind, _data_words(record.data), f"{record.trials:,}", level)
    if one.p is None:
        return (*looked, "-", "-", "-", "-")
    return (*looked, number(one.p, 5), _yes(one.found), number(e_value(one.p), 1), _yes(one.stands_e_bh))


def _yes(said: bool) -> str:
    return "yes" if said else "no"


def _data_words(data: tuple[DataUse, ...] | None) -> str:
    if not data:
        return "not recorded: counts everywhere"
    first = data[0]
    more = f" and {len(data) - 1} more" if len(data) > 1 else ""
    return f"{first.instrument} {format_ns(first.first_ns)[:16]} to {format_ns(first.last_ns)[:16]}{more}"
