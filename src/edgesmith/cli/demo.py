"""`edgesmith demo`: the main job from nothing to one report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.backtest import EngineOptions, run_backtest, show_metrics
from edgesmith.cli.discover import Search, discovery_config, run_discovery, show_cells, truth_of
from edgesmith.cli.features import program_of_sets
from edgesmith.cli.output import console, progress
from edgesmith.cli.selection import DEFAULT_LAKE, DEFAULT_RUNS, LakeOption, RunsOption
from edgesmith.cli.warm import engine_compiling
from edgesmith.errors import DataError, InputError

if TYPE_CHECKING:
    from edgesmith.edges.discovery.result import DiscoveryResult
    from edgesmith.edges.edge import EdgeSpec
    from edgesmith.evaluation.matrix_file import MatrixFile
    from edgesmith.features.program import Program
    from edgesmith.lake.catalog import Partition

SCENARIO = "demo"
SETS = ["stationary"]
# Horizons the demo world has enough independent blocks for.
HORIZONS_S = ["0.5,1,5,10"]
LATENCIES_MS = ["50"]
# The rest is what candidates are validated on; both parts need enough independent blocks.
PART = 0.6
HOURS = 12
# Lines of a capture looked at to see what it is a capture of.
IDENTIFY_LINES = 2_000


def demo_command(
    data: Annotated[Path | None, typer.Option("--data", help="A Binance capture instead of a simulated market.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulated market.")] = 1,
    hours: Annotated[int, typer.Option("--hours", min=1, help="Hours to simulate.")] = HOURS,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Simulate a market (or import DATA), compute features, search for edges, validate them, run a strategy, write reports."""
    from edgesmith.strategies.baseline import Baseline
    from edgesmith.trading.report import write_report

    say = partial(console().print, soft_wrap=True)
    with engine_compiling():
        partitions = _simulated(lake, seed, hours) if data is None else _captured(lake, data)
        say(f"[bold]1 data[/]       {_describe(partitions)}")
        program = program_of_sets(SETS)
        files = _computed(lake, partitions, program)
        rows = sum(file.rows for file in files)
        state = "computed" if any(file.computed for file in files) else "already there"
        say(f"[bold]2 features[/]   {program.width} features over {rows:,} events, {state}: {files[0].path.parent.parent}")
        search = Search(partitions, program, discovery_config(HORIZONS_S, LATENCIES_MS, None, 1), runs, partitions[0].key.symbol)
        found, folder = run_discovery(search._replace(lake=lake, part=PART))
        show_cells(found)
        say(f"[bold]3 discovery[/]  {found.sentence}")
        _validated(folder, found, partitions, lake, runs, say)
    config = EngineOptions().config()
    result = run_backtest(partitions, Baseline(), config, runs)
    assert result.folder is not None
    show_metrics(result.manifest)
    found.save(result.folder)
    report = write_report(result.folder, truth=truth_of(partitions))
    say(f"[bold]5 report[/]     {report}")


def _validated(
    folder: Path, found: DiscoveryResult, partitions: list[Partition], lake: Path, runs: Path, say: Callable[[str], None]
) -> None:
    from edgesmith.cli.edges import open_registry
    from edgesmith.cli.validate import Asked, run_validation, show_cards
    from edgesmith.edges.validation.gates import Gates
    from edgesmith.edges.validation.pipeline import ValidationConfig

    if not found.counts.get("CANDIDATE"):
        say("[bold]4 validation[/] nothing to validate: the search found no candidates")
        return
    truth = truth_of(partitions)
    asked = Asked(folder, runs, lake, open_registry(None, runs), truths=None if truth is None else partial(_truth, truth))
    # Hours instead of weeks: what a proof would ask for on real data is scaled down.
    cards, pages = run_validation(asked, ValidationConfig(gates=Gates(days_min=1, onsets_min=100)))
    show_cards(cards)
    if truth is not None:
        for card in cards:
            say(f"  the truth about {card.spec.edge_id}: {_truth(truth, card.spec)}")
    say(f"[bold]4 validation[/] (bars for days and trades scaled down to hours) {pages}/report.html")


def _truth(truth: dict[str, Any], spec: EdgeSpec) -> str:
    from edgesmith.features.text import parse_feature
    from edgesmith.trading.report.discovery import truth_words

    known = [
        truth_words(parse_feature(bound.feature).name, bound.low, bound.high, spec.horizon_ns, truth)
        for bound in spec.trigger.bounds
    ]
    return "; ".join(dict.fromkeys(known))


def _computed(lake: Path, partitions: list[Partition], program: Program) -> list[MatrixFile]:
    from edgesmith.evaluation.matrix import compute_matrix

    with progress("features", "events") as advance:
        return compute_matrix(lake, partitions, program, progress=advance)


def _simulated(lake: Path, seed: int, hours: int) -> list[Partition]:
    from edgesmith.cli.world import make_world
    from edgesmith.lake.catalog import Catalog

    with progress("simulating a market", "hours") as advance:
        try:
            world = make_world(SCENARIO, seed=seed, root=lake, hours=hours, progress=advance)
        except DataError:
            # An earlier demo with another seed or version: a world can always be made again, so it makes room.
            _forget_world(lake)
            world = make_world(SCENARIO, seed=seed, root=lake, hours=hours, progress=advance)
    written = {(meta.key, meta.data_file) for meta in world.partitions}
    return [one for one in Catalog(lake).partitions("simulated") if (one.key, one.meta.data_file) in written]


def _forget_world(lake: Path) -> None:
    import shutil

    from edgesmith.lake.catalog import Catalog
    from edgesmith.worlds.scenarios import find_scenario

    for one in Catalog(lake).partitions("simulated", None, find_scenario(SCENARIO).symbol):
        shutil.rmtree(one.folder)


def _captured(lake: Path, path: Path) -> list[Partition]:
    from edgesmith.cli.lake import show_import
    from edgesmith.cli.selection import venue_of
    from edgesmith.lake.catalog import Catalog
    from edgesmith.lake.importers import import_files

    market, symbol = identify_capture(path)
    with progress("importing") as advance:
        report = import_files("binance-capture", [path], lake, market=market, symbol=symbol, progress=advance)
    show_import(report, as_json=False)
    touched = {one.partition for file in report.files for one in file.partitions}
    return [one for one in Catalog(lake).partitions(venue_of("binance", market)) if str(one.key) in touched]


def identify_capture(path: Path) -> tuple[str, str]:
    """Return (market, symbol) of a capture from its frames: the symbol named most, the market by the fields only it sends."""
    import gzip
    import re
    from collections import Counter

    if not path.is_file():
        raise InputError(f"data was '{path}', expected a Binance capture that exists (lines of `local_ns json`, .gz or plain)")
    symbols: Counter[str] = Counter()
    coin_margined = futures = False
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for _, line in zip(range(IDENTIFY_LINES), lines, strict=False):
                symbols.update(re.findall(r'"s":"([A-Z0-9_]+)"', line[:400]))
                coin_margined |= '"ps":"' in line
                futures |= '"e":"bookTicker"' in line
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"data was '{path}', expected a Binance capture; it cannot be read: {error}") from None
    if not symbols:
        raise InputError(f"data was '{path}', expected a Binance capture; its first {IDENTIFY_LINES:,} lines name no symbol")
    return "coinm" if coin_margined else "usdm" if futures else "spot", symbols.most_common(1)[0][0]


def _describe(partitions: list[Partition]) -> str:
    rows = sum(one.meta.rows for one in partitions)
    keys = sorted({(one.key.venue, one.key.symbol) for one in partitions})
    kind = "SIMULATED" if any(one.meta.simulated for one in partitions) else "real"
    return f"{kind}: {', '.join(f'{venue} {symbol}' for venue, symbol in keys)}, {rows:,} events in {len(partitions)} partitions"
