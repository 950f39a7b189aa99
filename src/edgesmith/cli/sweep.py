"""`edgesmith sweep`: a compiled strategy under every combination of settings, over the same events."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.backtest import EngineOptions
from edgesmith.cli.groups import grouped
from edgesmith.cli.output import number, percent, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_RUNS, JsonOption, RunsOption, Selections
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.lake.catalog import Partition
    from edgesmith.trading.engine import EngineConfig
    from edgesmith.trading.strategy import Strategy

# A grid beyond this is a typo or a search, and a search has to count its trials.
COMBINATIONS_MAX = 10_000
ROWS_SHOWN = 20

OverOption = Annotated[list[str], typer.Option("--over", help="NAME=v1,v2,... or NAME=first:last:step; repeat for a grid.")]


@grouped
def sweep_command(
    data: Selections,
    engine: EngineOptions,
    over: OverOption,
    strategy: Annotated[str, typer.Option("--strategy", help="Registered name or path/to/file.py:ClassName.")] = "baseline",
    workers: Annotated[int, typer.Option("--workers", help="Threads.")] = 2,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Run a compiled strategy under every combination of settings; the best of many is no evidence, and the table says so."""
    from edgesmith.lake.replay import Replay
    from edgesmith.strategies.registry import find_strategy
    from edgesmith.trading.backtest import clock_skew_ns, instruments_of, receive_time_known
    from edgesmith.trading.strategy import CompiledStrategy, configure
    from edgesmith.trading.sweep import load_events, sweep

    chosen_class = find_strategy(strategy)
    if not issubclass(chosen_class, CompiledStrategy):
        raise InputError(f"strategy '{strategy}' is not compiled, expected a CompiledStrategy; run it with `edgesmith backtest`")
    grid = [dict(zip(_names(over), values, strict=True)) for values in itertools.product(*_values(over))]
    if len(grid) > COMBINATIONS_MAX:
        raise InputError(f"--over makes {len(grid):,} combinations, expected at most {COMBINATIONS_MAX:,}")
    strategies: list[Strategy] = [configure(chosen_class, settings) for settings in grid]
    config = engine.config()
    partitions = data.partitions()
    replay = Replay(partitions)
    looked = count_trials(runs, partitions, replay.fingerprint, strategies, config)
    with progress(f"sweep of {len(grid)}", "runs") as advance:
        found = sweep(
            load_events(replay),
            instruments_of(partitions, replay.instruments),
            chosen_class,
            [one.config for one in strategies],
            config,
            workers=workers,
            skew_ns=clock_skew_ns(partitions, replay.instruments, config.execution.feed_latency_ns),
            receive_time_known=receive_time_known(partitions),
            progress=advance,
        )
    if as_json:
        print_json([{"settings": settings, "metrics": metrics} for settings, metrics in zip(grid, found, strict=True)])
        return
    _show(grid, found)
    typer.echo(f"{looked:,} trials on this data so far, these included (`edgesmith trials`)")


def count_trials(
    runs: Path, partitions: Sequence[Partition], fingerprint: str, strategies: Sequence[Strategy], config: EngineConfig
) -> int:
    """Write runs down as trials before the first of them is seen, and return how many this data has had: a sweep is a search."""
    import msgspec

    from edgesmith.canonical import content_hash
    from edgesmith.edges.trials import LEDGER_NAME, TrialLedger, data_uses
    from edgesmith.trading.manifest import strategy_identity

    ledger, data = TrialLedger(runs / LEDGER_NAME), data_uses(partitions)
    cells = content_hash([[strategy_identity(one) for one in strategies], msgspec.to_builtins(config)])
    ledger.record(kind="sweep", data_fingerprint=fingerprint, cells_hash=cells, trials=len(strategies), data=data)
    return ledger.account(data).trials_total


def _show(grid: list[dict[str, str]], found: list[dict[str, Any]]) -> None:
    ranked = sorted(zip(grid, found, strict=True), key=lambda pair: -pair[1]["pnl_net"])
    rows = [
        (
            " ".join(f"{name}={value}" for name, value in settings.items()),
            f"{metrics['fills']:,}",
            number(metrics["pnl_net"]),
            number(metrics["fees"]),
            percent(metrics["drawdown_ratio_max"]),
            percent(metrics["win_ratio"], 1),
        )
        for settings, metrics in ranked[:ROWS_SHOWN]
    ]
    columns = ("settings", "fills", "PnL net", "fees", "drawdown", "won")
    print_table(f"best {len(rows)} of {len(grid):,} runs by net PnL", columns, rows, right=columns[1:])
    profitable = sum(1 for metrics in found if metrics["pnl_net"] > 0)
    typer.echo(
        f"{profitable:,} of {len(grid):,} made money; the best of many looks good by chance alone: confirm it on other days"
    )


def _names(over: Sequence[str]) -> list[str]:
    names = [pair.partition("=")[0].strip() for pair in over]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"--over named '{repeated}' twice, expected each setting once")
    return names


def _values(over: Sequence[str]) -> list[list[str]]:
    found = []
    for pair in over:
        name, _, text = pair.partition("=")
        if ":" in text:
            found.append(_range(pair, text))
        else:
            found.append([part.strip() for part in text.split(",")])
        if not name.strip() or not all(found[-1]):
            raise InputError(f"--over was '{pair}', expected NAME=v1,v2,... or NAME=first:last:step")
    return found


def _range(pair: str, text: str) -> list[str]:
    try:
        first, last, step = (float(part) for part in text.split(":"))
    except ValueError:
        raise InputError(f"--over was '{pair}', expected NAME=first:last:step such as fast_events=10:100:10") from None
    if not step > 0.0 or last < first or (last - first) / step >= COMBINATIONS_MAX:
        raise InputError(f"--over was '{pair}', expected first <= last, a step above 0 and at most {COMBINATIONS_MAX:,} values")
    count = int((last - first) / step + 1e-9) + 1
    return [f"{first + place * step:.12g}" for place in range(count)]
