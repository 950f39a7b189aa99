"""`edgesmith world`: facts, compare, fit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from edgesmith.cli.groups import grouped
from edgesmith.cli.output import console, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_LAKE, MARKET_TEXT, JsonOption, LakeOption, Selection, days_of, selection_of, venue_of
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.domain.instruments import Instrument
    from edgesmith.worlds.accept import Judgment
    from edgesmith.worlds.stylized import Facts

# A day of a busy market is 1.3 GiB of events; facts need them all at once.
EVENTS_MAX = 40_000_000
DEFAULT_EVALUATIONS = 300
SPOT = "_spot"


class Tape(NamedTuple):
    """What a selection of the lake holds: its name, its instrument and its facts."""

    name: str
    instrument: Instrument
    facts: Facts


@grouped
def facts_command(
    data: Selection,
    as_json: JsonOption = False,
) -> None:
    """Measure the stylized facts of a tape, real or simulated."""
    from edgesmith.worlds.stylized import FACT_NAMES

    tape = measured(data)
    if as_json:
        print_json(tape.facts)
        return
    rows = [(name, figure(tape.facts.value(name))) for name in FACT_NAMES]
    title = f"{tape.name}: {tape.facts.span_s:,.0f} s on the {tape.facts.clock} clock"
    print_table(title, ("fact", "value"), rows, right=("value",))


def compare_command(
    simulated: Annotated[str, typer.Argument(metavar="A", help=f"Tape to judge: {MARKET_TEXT}.")],
    target: Annotated[str, typer.Argument(metavar="B", help="Tape to hold it against, written the same way.")],
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Hold the facts of tape A against those of tape B, with the acceptance ranges of a realistic simulator."""
    from edgesmith.worlds.accept import judge

    judged, aim = measured(selection_of(lake, simulated)), measured(selection_of(lake, target))
    rows = judge(judged.facts, aim.facts, spot=aim.instrument.venue.endswith(SPOT))
    if as_json:
        print_json({"judgments": [readable(row) for row in rows], "simulated": judged.facts, "target": aim.facts})
        return
    print_judgments(f"{judged.name} held against {aim.name}", rows)


@grouped
def fit_command(
    data: Selection,
    evaluations: Annotated[int, typer.Option("--evaluations", help="Parameter sets to try.")] = DEFAULT_EVALUATIONS,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same result.")] = 1,
    preset: Annotated[str, typer.Option("--preset", help="Fitted market to start from.")] = "btc_perp",
    out: Annotated[Path, typer.Option("--out", help="File the parameters are written to, as JSON.")] = Path("fit.json"),
    as_json: JsonOption = False,
) -> None:
    """Fit the simulator's parameters to a tape and write them as JSON."""
    import msgspec

    from edgesmith.worlds.accept import judge
    from edgesmith.worlds.fit import fit_tape
    from edgesmith.worlds.fitted import find_fit

    first = find_fit(preset).parameters
    tape = measured(data)
    with progress(f"fitting {tape.name}", "trials") as advance:
        found = fit_tape(tape.facts, first, tape.instrument, evaluations=evaluations, seed=seed, progress=advance)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(found.parameters), indent=2) + b"\n")
    rows = judge(found.facts, tape.facts, spot=tape.instrument.venue.endswith(SPOT))
    if as_json:
        print_json({"score": found.score, "parameters": found.parameters, "judgments": [readable(row) for row in rows]})
        return
    print_judgments(f"fit of {tape.name}: score {found.score:.3f} after {found.evaluations:,} trials, written to {out}", rows)


def measured(data: Selection) -> Tape:
    """Read the quotes and trades a selection means, and measure them."""
    from edgesmith.domain.events import Stream
    from edgesmith.domain.records import joined
    from edgesmith.lake.catalog import Catalog
    from edgesmith.lake.replay import Replay
    from edgesmith.trading.backtest import instruments_of
    from edgesmith.worlds.stylized import facts_of

    chosen = [one for one in data.partitions() if one.key.stream in (Stream.BBO, Stream.TRADE)]
    days = days_of(data.date, data.start, data.end)
    Catalog(data.lake).require(venue_of(data.venue, data.market), "trade", data.symbol, *days)
    replay = Replay(chosen, order="venue")
    if replay.events_total > EVENTS_MAX:
        raise InputError(
            f"the tape had {replay.events_total:,} events, expected at most {EVENTS_MAX:,}: choose one day with --date"
        )
    instrument = instruments_of(chosen, replay.instruments)[0]
    unstamped = any(one.meta.clock.event_clock == "receive" for one in chosen)
    facts = facts_of(joined(list(replay.batches())), instrument.tick, "receive" if unstamped else "venue")
    return Tape(instrument.name, instrument, facts)


def print_judgments(title: str, rows: tuple[Judgment, ...]) -> None:
    """Write the acceptance table."""
    lines = [
        (row.name, figure(row.value), figure(row.target), f"{figure(row.low)}..{figure(row.high)}", "yes" if row.ok else "NO")
        for row in rows
    ]
    columns = ("fact", "A", "B", "accepted", "ok")
    print_table(title, columns, lines, right=columns[1:4])
    console().print(f"{sum(row.ok for row in rows)} of {len(rows)} rows inside their range")


def readable(row: Judgment) -> dict[str, object]:
    """Return a row for JSON, which knows no infinity: an open end is null."""
    bounds = {name: value if math.isfinite(value) else None for name, value in (("low", row.low), ("high", row.high))}
    return {"name": row.name, "value": row.value, "target": row.target, "ok": row.ok, **bounds}


def figure(value: float) -> str:
    """Format a number with the digits its size deserves; a dash for an unknown one, nothing for an open end."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return ""
    if abs(value) >= 1_000.0:
        return f"{value:,.0f}"
    return f"{value:.3g}"
