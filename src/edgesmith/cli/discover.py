"""`edgesmith discover`: which cells of which features predict, and whether that pays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.features import program_of_sets
from edgesmith.cli.output import number, print_json, print_table, progress
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
from edgesmith.domain.units import NS_PER_MS, NS_PER_S, format_duration_ns
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.edges.discovery.result import Cell, DiscoveryResult

LEDGER_NAME = "trials.jsonl"
# Bin code of missing values.
MISSING = 255
SHORT_WORDS = {
    "CANDIDATE": "real",
    "REJECT_COST": "cost",
    "REJECT_NULL": "nothing",
    "INSUFFICIENT": "too few",
}
DEFAULT_SETS = ["stationary"]


def discover_command(
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol such as BTCUSDT.")],
    venue: VenueOption = "binance",
    market: MarketOption = None,
    date: DateOption = None,
    start: StartOption = None,
    end: EndOption = None,
    sets: Annotated[list[str], typer.Option("--set", help="Feature set or feature; repeat for several.")] = DEFAULT_SETS,
    horizon: Annotated[list[float] | None, typer.Option("--horizon", help="Horizon in seconds; repeat for several.")] = None,
    latency: Annotated[list[float] | None, typer.Option("--latency", help="Reaction latency in ms; repeat for several.")] = None,
    fee_bps: Annotated[float | None, typer.Option("--fee-bps", help="Fee per side; default: the taker fee.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the sign flips.")] = 1,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Search single-feature cells for edges, with cost and latency inside the target and every look counted."""
    config = discovery_config(horizon, latency, fee_bps, seed)
    partitions = choose(lake, venue, market, [symbol], date, start, end)
    result, folder = run_discovery(partitions, program_of_sets(sets), config, runs, quiet=as_json)
    if as_json:
        print_json(result)
        return
    show_cells(result)
    typer.echo(f"{result.sentence}\nreport: {folder}/report.html")


def discovery_config(horizons_s: list[float] | None, latencies_ms: list[float] | None, fee_bps: float | None, seed: int) -> Any:
    """Return the discovery configuration command line options mean."""
    from edgesmith.edges.discovery.config import DiscoveryConfig

    options: dict[str, Any] = {"seed": seed, "fee_in_bps": fee_bps, "fee_out_bps": fee_bps}
    if horizons_s:
        options["horizons_ns"] = tuple(_positive("--horizon", value, NS_PER_S) for value in horizons_s)
    if latencies_ms:
        options["latencies_ns"] = tuple(_positive("--latency", value, NS_PER_MS) for value in latencies_ms)
    return DiscoveryConfig(**options)


def _positive(option: str, value: float, unit_ns: int) -> int:
    if not 0.0 < value < 1e6:
        raise InputError(f"{option} was {value}, expected above 0 and below 1,000,000")
    return round(value * unit_ns)


def run_discovery(partitions: Any, program: Any, config: Any, runs: Path, *, quiet: bool = False) -> tuple[DiscoveryResult, Path]:
    """Search with a progress bar, count the trials in the ledger, write result and report; returns them."""
    from edgesmith.edges.discovery.pipeline import discover
    from edgesmith.edges.trials import TrialLedger
    from edgesmith.lake.replay import Replay
    from edgesmith.trading.backtest import data_identity, instruments_of
    from edgesmith.trading.manifest import discovery_manifest, write_manifest
    from edgesmith.trading.report import write_report

    used = [one for one in partitions if one.key.stream in program.consumes]
    replay = Replay(used)
    instrument = instruments_of(used, replay.instruments)[0]
    runs.mkdir(parents=True, exist_ok=True)
    with progress("discovery") as advance:
        result = discover(
            replay,
            instrument,
            program,
            config,
            ledger=TrialLedger(runs / LEDGER_NAME),
            progress=lambda stage, done, total: advance(done, total),
            on_survey=None if quiet else show_needed,
        )
    record = discovery_manifest(data_identity(replay, used), [instrument], program.names, config, result.trial_hash)
    folder = runs / record["run_id"]
    folder.mkdir(exist_ok=True)
    result.save(folder)
    write_manifest(folder, record)
    write_report(folder, truth=truth_of(used))
    return result, folder


def truth_of(partitions: Any) -> dict[str, Any] | None:
    """Return the truth record of a simulated world, None for real data."""
    return next((one.meta.truth for one in partitions if one.meta.truth), None)


def show_needed(table: Any) -> None:
    """Print which horizons can pay at all, before anything is searched."""
    rows = [
        (
            format_duration_ns(row.horizon_ns),
            format_duration_ns(row.latency_ns),
            number(row.gross_sd_bps),
            number(row.cost_bps),
            number(row.needed_ic, 3) if row.possible else "impossible",
        )
        for row in table
    ]
    columns = ("horizon", "latency", "sd of the move (bps)", "cost (bps)", "needed IC")
    print_table("What a top-decile signal would need to pay its costs", columns, rows, right=columns[2:])


def show_cells(result: DiscoveryResult) -> None:
    """Print the strongest cell of every feature with its verdict."""
    rows = [
        (
            _where(cell),
            format_duration_ns(cell.horizon_ns),
            number(cell.gross_bps),
            number(cell.net_bps_best_side),
            number(cell.p_family, 4),
            SHORT_WORDS[cell.verdict.name],
        )
        for cell in sorted(result.best, key=lambda cell: cell.strength)
    ]
    columns = ("strongest cell of each feature", "over", "move", "net bps", "p", "verdict")
    title = f"{result.instrument}: {result.trials:,} cells, {result.fee_in_bps + result.fee_out_bps:g} bps of fees and the spread"
    typer.echo(
        "real: pays after cost; cost: real, but costs eat it; nothing: no different from the rest; too few: too little data"
    )
    print_table(title, columns, rows, right=("over", "move", "net bps", "p"))


def _where(cell: Cell) -> str:
    low, high = (None if value is None else f"{value:.{4 if abs(value) >= 1e3 else 2}g}" for value in (cell.lower, cell.upper))
    if low is not None and high is not None:
        return f"{cell.feature} {low} to {high}"
    if low is None and high is None:
        return f"{cell.feature} missing" if cell.bin == MISSING else cell.feature
    return f"{cell.feature} >= {low}" if high is None else f"{cell.feature} < {high}"
