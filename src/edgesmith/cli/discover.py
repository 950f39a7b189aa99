"""`edgesmith discover`: which cells of which features predict, and whether that pays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
    RegistryOption,
    RunsOption,
    StartOption,
    VenueOption,
    WorkersOption,
    choose,
)
from edgesmith.cli.universe import Searched, members_of, show_searched
from edgesmith.domain.units import NS_PER_MS, NS_PER_S, format_duration_ns
from edgesmith.errors import EdgesmithError, InputError

if TYPE_CHECKING:
    from edgesmith.edges.discovery.result import Cell, DiscoveryResult
    from edgesmith.edges.trials import DataUse
    from edgesmith.evaluation.sources import LakeSource
    from edgesmith.features.program import Program
    from edgesmith.features.regime_model import RegimeModel
    from edgesmith.lake.catalog import Partition

# Bin code of missing values.
MISSING = 255
SHORT_WORDS = {
    "CANDIDATE": "real",
    "REJECT_COST": "cost",
    "REJECT_NULL": "nothing",
    "INSUFFICIENT": "too few",
}
DEFAULT_SETS = ["stationary"]
LEADER_SET = "cross"
ListOption = list[str] | None
# Conjunctions shown in the table.
DEEP_ROWS = 12


def discover_command(
    symbol: Annotated[str | None, typer.Option("--symbol", help="Symbol such as BTCUSDT.")] = None,
    universe: Annotated[
        Path | None, typer.Option("--universe", metavar="FILE", help="Of `universe build`: search every member on its days.")
    ] = None,
    venue: VenueOption = "binance",
    market: MarketOption = None,
    date: DateOption = None,
    start: StartOption = None,
    end: EndOption = None,
    part: Annotated[float, typer.Option("--part", help="Search only the first part, such as 0.6; validate on the rest.")] = 1.0,
    sets: Annotated[list[str], typer.Option("--set", help="Feature set or feature; repeat for several.")] = DEFAULT_SETS,
    depth: Annotated[int, typer.Option("--depth", help="Conditions of a trigger: 1, pairs (2) or triples (3).")] = 1,
    horizon: Annotated[
        ListOption, typer.Option("--horizon", "--horizons", help="Horizons in seconds, such as 1,5,60; ten by default.")
    ] = None,
    latency: Annotated[
        ListOption, typer.Option("--latency", "--latencies", help="Reaction latencies in ms, such as 0,50; six by default.")
    ] = None,
    cost_tier: Annotated[
        str | None, typer.Option("--cost-tier", help="Fees by name, such as vip0_taker; the instrument's taker fee by default.")
    ] = None,
    fee_bps: Annotated[float | None, typer.Option("--fee-bps", help="Fee per side, in place of a tier.")] = None,
    regimes: Annotated[
        Path | None, typer.Option("--regimes", metavar="MODEL", help="Regime model of `regimes fit`: also search by regime.")
    ] = None,
    leader: Annotated[str | None, typer.Option("--leader", help="Symbol of the same venue whose moves may lead.")] = None,
    grid: Annotated[float, typer.Option("--grid", help="Milliseconds between decisions, 10 at least.")] = 100.0,
    quantiles: Annotated[
        str | None, typer.Option("--quantiles", help="Where bins are cut, such as 0.002,0.02,0.5,0.98,0.998; at most 15.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the sign flips.")] = 1,
    workers: WorkersOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for edges, with cost and latency inside the target and every look counted; goes on where a killed search ended."""
    config = discovery_config(
        horizon, latency, fee_bps, seed, depth=depth, cost_tier=cost_tier, grid_ms=grid, quantiles=quantiles
    )
    search = Search([], program_of_sets(sets), config, runs, symbol=symbol or "", lake=lake, workers=workers, part=part)
    search = search._replace(registry=registry, regimes=_model(regimes), leader=leader, quiet=as_json)
    if universe is not None:
        if symbol or date or regimes or leader:
            raise InputError("--universe was given together with --symbol, --date, --regimes or --leader; give --universe alone")
        search_universe(universe, search, start, end)
        return
    if symbol is None:
        raise InputError("neither --symbol nor --universe was given; give one of them")
    if leader is not None and leader.upper() == symbol.upper():
        raise InputError(f"--leader was {leader}, the symbol itself; give another symbol of the venue")
    symbols = [symbol] if leader is None else [symbol, leader]
    search = search._replace(partitions=choose(lake, venue, market, symbols, date, start, end))
    result, folder = run_discovery(search)
    if as_json:
        print_json(result)
        return
    show_cells(result)
    typer.echo(f"{result.sentence}\nreport: {folder}/report.html")


def discovery_config(
    horizons_s: ListOption,
    latencies_ms: ListOption,
    fee_bps: float | None,
    seed: int,
    *,
    depth: int = 1,
    cost_tier: str | None = None,
    grid_ms: float = 100.0,
    quantiles: str | None = None,
) -> Any:
    """Return the discovery configuration command line options mean."""
    from edgesmith.edges.discovery.config import DiscoveryConfig

    options: dict[str, Any] = {
        "seed": seed,
        "fee_in_bps": fee_bps,
        "fee_out_bps": fee_bps,
        "depth": depth,
        "cost_tier": cost_tier,
        "grid_ns": round(grid_ms * NS_PER_MS),
    }
    if fee_bps is not None and cost_tier is not None:
        raise InputError("--fee-bps was given together with --cost-tier; give one or the other")
    if horizons_s:
        options["horizons_ns"] = _durations("--horizon", horizons_s, NS_PER_S, positive=True)
    if latencies_ms:
        options["latencies_ns"] = _durations("--latency", latencies_ms, NS_PER_MS, positive=False)
    if quantiles is not None:
        try:
            options["quantiles"] = tuple(float(text) for text in quantiles.split(","))
        except ValueError:
            raise InputError(f"--quantiles was '{quantiles}', expected numbers between 0 and 1 with commas between") from None
    return DiscoveryConfig(**options)


def _durations(option: str, texts: list[str], unit_ns: int, *, positive: bool) -> tuple[int, ...]:
    found = []
    for text in ",".join(texts).split(","):
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0.0 <= value < 1e6 or (positive and value == 0.0):
            raise InputError(f"{option} was '{text}', expected {'above 0' if positive else '0 or more'} and below 1,000,000")
        found.append(round(value * unit_ns))
    return tuple(sorted(set(found)))


class Search(NamedTuple):
    """One search from the command line; `part` of the data is searched, the rest never read.

    `data` is what the ledger is told was looked at; by default what `looked_at` says.
    """

    partitions: list[Partition]
    program: Program
    config: Any
    runs: Path
    symbol: str
    lake: Path | None = None
    workers: int | None = None
    part: float = 1.0
    registry: str | None = None
    regimes: RegimeModel | None = None
    leader: str | None = None
    quiet: bool = False
    data: tuple[DataUse, ...] | None = None


def run_discovery(search: Search) -> tuple[DiscoveryResult, Path]:
    """Search with a progress bar, count the trials, keep the candidates, write result and report; returns result and folder."""
    from edgesmith.edges.discovery.pipeline import Workplace, discover
    from edgesmith.edges.trials import LEDGER_NAME, TrialLedger, data_uses
    from edgesmith.lake.replay import Replay
    from edgesmith.trading.backtest import data_identity, instruments_of
    from edgesmith.trading.manifest import discovery_manifest, write_manifest
    from edgesmith.trading.report import write_report

    program, led = _with_axes(search)
    source, index, first_ns, last_ns = _reach(search, program)
    used = list(source.partitions)
    instrument = instruments_of(used, source.instruments)[index]
    search.runs.mkdir(parents=True, exist_ok=True)
    with progress("discovery") as advance:
        result = discover(
            source,
            instrument,
            program,
            search.config,
            ledger=TrialLedger(search.runs / LEDGER_NAME),
            data=search.data or data_uses(used, first_ns, last_ns),
            regimes=search.regimes,
            always=led,
            first_ns=first_ns,
            last_ns=last_ns,
            workplace=Workplace(
                lake=search.lake,
                workers=search.workers,
                progress=lambda stage, done, total: advance(done, total, stage),
                on_survey=(lambda _: None) if search.quiet else show_needed,
            ),
        )
    identity = data_identity(Replay(used), used, first_ns, last_ns if search.part < 1.0 else None)
    record = discovery_manifest(identity, [instrument], program.names, search.config, result.trial_hash)
    folder = search.runs / record["run_id"]
    folder.mkdir(exist_ok=True)
    result.save(folder)
    write_manifest(folder, record)
    write_report(folder, truth=truth_of([one for one in used if one.key.symbol.upper() == search.symbol.upper()]))
    _register(search, program, result, led)
    return result, folder


def search_universe(path: Path, template: Search, start: str | None, end: str | None) -> None:
    """Search each member over the days it was a member, as `template` says, and print one table of all.

    Every look is told to the ledger as one at the data of all members: their error levels then share one budget, however many
    symbols there are.
    """
    from edgesmith.lake.universe import load_universe

    universe = load_universe(path)
    members = members_of(universe, template.lake or DEFAULT_LAKE, start, end)
    searches = [template._replace(symbol=one.symbol, partitions=one.partitions) for one in members]
    uses = [looked_at(search) for search in searches]
    found = []
    for place, (one, search) in enumerate(zip(members, searches, strict=True)):
        if not template.quiet:
            typer.echo(f"{one.symbol}: {len(one.days)} day{'s' * (len(one.days) != 1)}")
        # Its own data first, for whoever reads the ledger.
        data = tuple(use for own in (uses[place], *uses[:place], *uses[place + 1 :]) for use in own)
        try:
            found.append(Searched(one.symbol, one.days, *run_discovery(search._replace(data=data))))
        except EdgesmithError as error:
            found.append(Searched(one.symbol, one.days, failure=str(error)))
    show_searched(universe, found, as_json=template.quiet)


def looked_at(search: Search) -> tuple[DataUse, ...]:
    """Return what data a search looks at, for the ledger."""
    from edgesmith.edges.trials import data_uses

    source, _, first_ns, last_ns = _reach(search, _with_axes(search)[0])
    return data_uses(source.partitions, first_ns, last_ns)


def _reach(search: Search, program: Program) -> tuple[LakeSource, int, int, int]:
    # The data of the streams the program needs, the index of the symbol in it, and the part of its time that is read.
    from edgesmith.evaluation.sources import LakeSource, instrument_index

    source = LakeSource([one for one in search.partitions if one.key.stream in program.needs])
    index = instrument_index(source, source.partitions[0].key.venue, search.symbol)
    first_ns, last_ns = source.span(index)
    if not 0.05 <= search.part <= 1.0:
        raise InputError(f"--part was {search.part:g}, expected 0.05..1")
    return source, index, first_ns, first_ns + int(search.part * (last_ns - first_ns))


def _with_axes(search: Search) -> tuple[Program, tuple[str, ...]]:
    # Regime labels and the leader's features are further columns of the same program.
    from dataclasses import replace

    from edgesmith.features.catalog import feature_set
    from edgesmith.features.program import Program

    specs, led = list(search.program.features), []
    if search.leader is not None:
        known = sorted({(one.key.venue, one.key.symbol) for one in search.partitions})
        place = [symbol.upper() for _, symbol in known].index(search.leader.upper())
        for spec in feature_set(LEADER_SET):
            params = tuple((name, place if name == "leader" else value) for name, value in spec.params)
            led.append(replace(spec, params=params))
    if search.regimes is not None:
        specs.append(search.regimes.features()[0])
    names = {spec.name for spec in specs}
    specs += [spec for spec in led if spec.name not in names]
    return (Program(specs) if len(specs) > len(search.program.features) else search.program), tuple(spec.name for spec in led)


def _register(search: Search, program: Program, result: DiscoveryResult, led: tuple[str, ...]) -> None:
    from edgesmith.edges.discovery.candidates import Origin, candidates
    from edgesmith.edges.registry import EdgeRegistry, sqlite_url
    from edgesmith.trading.manifest import code_sha256

    origin = Origin(
        texts={spec.name: str(spec) for spec in program.features},
        features_hash=program.program_id,
        code_sha256=code_sha256(),
        regime_feature=None if search.regimes is None else search.regimes.features()[0].name,
        regimes_hash=None if search.regimes is None else search.regimes.model_id,
        leader=search.leader,
        leader_features=frozenset(led),
    )
    found = candidates(result, origin)
    if found:
        EdgeRegistry(search.registry or sqlite_url(search.runs)).record(found)


def _model(path: Path | None) -> RegimeModel | None:
    from edgesmith.features.regime_model import load_model

    return None if path is None else load_model(path)


def truth_of(partitions: Any) -> dict[str, Any] | None:
    """Return the truth record of a simulated world, None for real data."""
    return next((one.meta.truth for one in partitions if one.meta.truth), None)


def show_needed(table: Any) -> None:
    """Print, before anything is searched, which horizons can pay at all and what could be detected there."""
    shortest = min(row.latency_ns for row in table)
    rows = [
        (
            format_duration_ns(row.horizon_ns),
            number(row.gross_sd_bps),
            number(row.cost_bps),
            number(row.needed_ic, 3) if row.possible else "impossible",
            number(row.mde_bps),
        )
        for row in table
        if row.latency_ns == shortest
    ]
    columns = ("horizon", "sd of the move (bps)", "cost (bps)", "needed IC", "detectable (bps)")
    print_table(
        "What a top-decile signal would need to pay its costs, and the effect it must have", columns, rows, right=columns[1:]
    )


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
        "real: pays after cost; cost: real, but costs eat it\nnothing: no different from the rest; too few: too little data"
    )
    print_table(title, columns, rows, right=("over", "move", "net bps", "p"))
    show_counted(result)
    deep = [cell for cell in result.cells if cell.depth > 1 and cell.verdict.name in ("CANDIDATE", "REJECT_COST")]
    if result.config.depth > 1:
        show_deep(sorted(deep, key=lambda cell: cell.strength), result)


def show_counted(result: DiscoveryResult) -> None:
    """Print what the cells tested are worth, the triggers on a list of false discoveries, and the bounds that were refined."""
    least: dict[str, tuple[float, float]] = {}
    for cell in result.cells:
        if cell.depth == 1 and cell.q_value is not None and cell.q_value_any is not None:
            least[cell.text] = cell.q_value, cell.q_value_any
    tested = sum(cell.depth == 1 and cell.p_cell is not None for cell in result.cells)
    listed = [sum(pair[at] <= result.config.alpha for pair in least.values()) for at in (0, 1)]
    if tested:
        typer.echo(
            f"{tested:,} single cells tested are worth {result.cells_effective:,.0f} independent ones\n"
            f"at a false discovery rate of {result.config.alpha:.0%} {listed[0]} of {len(least)} triggers differ (BH), "
            f"{listed[1]} however they depend (BY)"
        )
    rows = [
        (
            cell.text,
            "buy" if cell.side > 0 else "sell",
            format_duration_ns(cell.horizon_ns),
            f"{cell.onsets:,}",
            number(cell.onset_net_bps),
            number(cell.onset_low_bps),
            number(cell.p_net_family, 4),
        )
        for cell in result.refined
    ]
    if rows:
        columns = ("refined to what pays when it begins", "side", "over", "times", "net bps", "at least", "p")
        print_table("", columns, rows, right=columns[2:])


def show_deep(cells: list[Cell], result: DiscoveryResult) -> None:
    """Print how far each depth got, and the strongest column of each conjunction that is real."""
    for depth in result.depths:
        typer.echo(
            f"{depth.depth} condition(s): {depth.trials:,} cells looked at, {depth.tested:,} triggers tested block by block"
        )
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.text, cell)
    rows = [
        (
            cell.text,
            format_duration_ns(cell.horizon_ns),
            number(cell.gain_bps),
            number(cell.net_bps_best_side),
            SHORT_WORDS[cell.verdict.name],
        )
        for cell in list(first.values())[:DEEP_ROWS]
    ]
    if rows:
        columns = ("conjunction that is more than its parts", "over", "gain", "net bps", "verdict")
        print_table("", columns, rows, right=("over", "gain", "net bps"))


def _where(cell: Cell) -> str:
    low, high = (None if value is None else f"{value:.{4 if abs(value) >= 1e3 else 2}g}" for value in (cell.lower, cell.upper))
    if low is not None and high is not None:
        return f"{cell.feature} {low} to {high}"
    if low is None and high is None:
        return f"{cell.feature} missing" if cell.bin == MISSING else cell.feature
    return f"{cell.feature} >= {low}" if high is None else f"{cell.feature} < {high}"
