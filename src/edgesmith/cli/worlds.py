"""`edgesmith world`: ls, make, leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.output import console, number, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_LAKE, JsonOption, LakeOption, WorkersOption
from edgesmith.cli.world_leads import leads_command
from edgesmith.domain.units import NS_PER_MS, format_duration_ns, parse_date

if TYPE_CHECKING:
    from edgesmith.worlds.claims import ClaimTruth
    from edgesmith.worlds.regions import Cell
    from edgesmith.worlds.scenario import Scenario

app = typer.Typer(no_args_is_help=True)
app.command("leads")(leads_command)

GROUPS = {
    "demo": "To look at",
    "M": "Several markets",
    "P": "Planted edges",
    "N": "Nothing to find",
    "T": "Traps for a method that looks ahead",
}
DEFAULT_START = "2026-01-05"
# Regions open on a side carry a bound of this size.
UNBOUNDED = 1e9
HOURS_PER_DAY = 24
_ROLES = {"inside": "", "sign": " times its sign", "same": " on the same side", "opposite": " on the other side"}


@app.command("ls")
def ls_command(as_json: JsonOption = False) -> None:
    """List the scenarios and what is true of them."""
    from edgesmith.worlds.scenarios import SCENARIOS

    if as_json:
        print_json(list(SCENARIOS.values()))
        return
    for group, title in GROUPS.items():
        chosen = [one for one in SCENARIOS.values() if one.group == group]
        rows = [(one.name, one.hours, 1 + len(one.others), one.summary, _right(one)) for one in chosen]
        columns = ("scenario", "hours", "markets", "what is true", "right verdict")
        print_table(title, columns, rows, right=columns[1:3], whole=("scenario",))


def _right(scenario: Scenario) -> str:
    return "LEAK" if scenario.trap else "\n".join(dict.fromkeys(claim.right for claim in scenario.claims))


@app.command("make")
def make_command(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name of a scenario; `edgesmith world ls` lists them.")],
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 1,
    hours: Annotated[int | None, typer.Option("--hours", help="Length; the scenario's own by default.")] = None,
    start: Annotated[str, typer.Option("--start", help="First UTC day, YYYY-MM-DD.")] = DEFAULT_START,
    rate: Annotated[float, typer.Option("--rate", help="Activity, times the scenario's.")] = 1.0,
    workers: WorkersOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Simulate a scenario and write it into the lake, marked simulated, with the record of what is true."""
    from edgesmith.cli.world import make_world

    with progress(f"simulating {scenario}", "hours") as advance:
        day = parse_date(start)
        world = make_world(
            scenario, seed=seed, root=lake, hours=hours, start_day=day, rate=rate, workers=workers, progress=advance
        )
    if as_json:
        print_json({"partitions": world.partitions, "truth": world.truths})
        return
    rows = [(meta.key, f"{meta.rows:,}") for meta in world.partitions]
    print_table(f"{world.events:,} events in {lake}", ("partition", "rows"), rows, right=("rows",))
    claims = [
        (
            _where(claim),
            "buy" if claim.side > 0 else "sell",
            format_duration_ns(claim.horizon_ms * NS_PER_MS),
            number(claim.gross_bps),
            number(claim.cost_bps),
            claim.right,
        )
        for claim in world.truths[0].claims
    ]
    columns = ("where", "side", "horizon", "gross (bps)", "cost (bps)", "right verdict")
    if claims:
        print_table(f"What is true of {world.instrument.symbol}", columns, claims, right=columns[3:5])
    for claim in world.truths[0].claims:
        if claim.impact_bps_per_qty is not None:
            sizes = ", ".join(f"{number(size.net_bps)} bps with {number(size.qty)}" for size in claim.net_by_qty)
            console().print(
                f"A unit traded moves the price by {number(claim.impact_bps_per_qty)} bps, so a decision earns {sizes}: "
                f"most with {number(claim.capacity_qty)}",
                soft_wrap=True,
            )
    trap = world.truths[0].trap
    if trap is not None:
        console().print(f"Trap: {trap.summary}. Right verdict: {trap.right}", soft_wrap=True)


def _where(claim: ClaimTruth) -> str:
    said = [_bounds(claim) + (" (and mirrored)" if claim.mirrored else "")]
    said += [f"{_bounds(cell)}{_ROLES[cell.role]}" for cell in claim.within]
    said += ["on the leader"] if claim.by_leader else []
    said += [_hours(claim.hours)] if claim.hours else []
    said += [f"after {claim.latency_ms} ms"] if claim.latency_ms else []
    return "; ".join(said)


def _hours(hours: tuple[int, ...]) -> str:
    others = [hour for hour in range(HOURS_PER_DAY) if hour not in hours]
    few, word = (hours, "at") if len(hours) <= len(others) else (others, "outside")
    return f"{word} {', '.join(map(str, few))} UTC"


def _bounds(cell: ClaimTruth | Cell) -> str:
    bounds = [f">= {cell.low:g}"] if cell.low > -UNBOUNDED else []
    bounds += [f"< {cell.high:g}"] if cell.high < UNBOUNDED else []
    return f"{cell.feature} {' and '.join(bounds)}"
