"""`edgesmith backtest`: a strategy over archived events, into a run with a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.groups import grouped
from edgesmith.cli.output import number, percent, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_RUNS, JsonOption, RunsOption, Selections, SettingsOption, one_of, settings_of
from edgesmith.domain.units import format_duration_ns

if TYPE_CHECKING:
    from edgesmith.trading.backtest import BacktestResult
    from edgesmith.trading.engine import EngineConfig


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How orders are executed and on what account."""

    execution: Annotated[str, typer.Option("--execution", help="honest (latency, queue) or instant (prior system).")] = "honest"
    no_risk: Annotated[bool, typer.Option("--no-risk", help="Switch the risk rules off.")] = False
    equity: Annotated[float, typer.Option("--equity", help="Starting equity, settlement currency.")] = 10_000.0

    def config(
        self, *, ordering: str = "strict", on_error: str = "fail_fast", seed: int = 0, trace: str = "decisions"
    ) -> EngineConfig:
        """Return the engine configuration these options mean."""
        from edgesmith.trading.engine import EngineConfig
        from edgesmith.trading.execution import execution_preset
        from edgesmith.trading.guards import ErrorPolicy, GuardConfig, OrderingMode
        from edgesmith.trading.risk import RiskConfig
        from edgesmith.trading.trace import TraceLevel

        guards = GuardConfig(
            ordering=OrderingMode(one_of("--ordering", ordering, OrderingMode)),
            errors=ErrorPolicy(one_of("--on-error", on_error, ErrorPolicy)),
        )
        return EngineConfig(
            execution=execution_preset(self.execution),
            risk=RiskConfig(enabled=not self.no_risk),
            guards=guards,
            equity_start=self.equity,
            seed=seed,
            trace=TraceLevel(one_of("--trace", trace, TraceLevel)),
        )


@grouped
def backtest_command(
    data: Selections,
    engine: EngineOptions,
    strategy: Annotated[str, typer.Option("--strategy", help="Registered name or path/to/file.py:ClassName.")] = "baseline",
    settings: SettingsOption = None,
    ordering: Annotated[str, typer.Option("--ordering", help="An event out of order: strict stops, warn counts.")] = "strict",
    on_error: Annotated[str, typer.Option("--on-error", help="A strategy raises: fail_fast, skip or quarantine.")] = "fail_fast",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the latency jitter.")] = 0,
    trace: Annotated[str, typer.Option("--trace", help="Write down decisions, refusals too, or off.")] = "decisions",
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Run a strategy over recorded or simulated events and write a report."""
    from edgesmith.strategies.registry import find_strategy
    from edgesmith.trading.strategy import configure

    chosen_strategy = configure(find_strategy(strategy), settings_of(settings))
    config = engine.config(ordering=ordering, on_error=on_error, seed=seed, trace=trace)
    partitions = data.partitions()
    result = run_backtest(partitions, chosen_strategy, config, runs)
    if as_json:
        print_json(result.manifest)
        return
    show_metrics(result.manifest)
    show_funnel(result.manifest)
    typer.echo(f"report: {result.folder}/report.html")


def run_backtest(partitions: Any, strategy: Any, config: Any, runs: Path) -> BacktestResult:
    """Run with a progress bar and write the report into the run's folder."""
    from edgesmith.trading.backtest import backtest
    from edgesmith.trading.report import write_report

    with progress(f"backtest {strategy.name}", "events") as advance:
        result = backtest(partitions, strategy, config, runs_root=runs, progress=advance)
    assert result.folder is not None
    write_report(result.folder)
    return result


def show_metrics(manifest: dict[str, Any]) -> None:
    """Print the numbers of a run a person asks for first."""
    metrics, result, currency = manifest["metrics"], manifest["result"], manifest["metrics"]["currency"]
    holding = metrics["holding_ns_mean"]
    rows = [
        ("events", f"{result['events']:,}"),
        ("fills / orders / refused", f"{metrics['fills']:,} / {metrics['orders']:,} / {metrics['refused']:,}"),
        (f"PnL net ({currency})", number(metrics["pnl_net"])),
        ("PnL before fees and funding", number(metrics["pnl_gross"])),
        ("fees / funding", f"{number(metrics['fees'])} / {number(metrics['funding'])}"),
        ("half-spread paid", number(metrics["spread_cost"])),
        ("return", percent(metrics["return_ratio"])),
        ("largest drawdown", percent(metrics["drawdown_ratio_max"])),
        ("round trips, won", f"{metrics['round_trips']:,}, {percent(metrics['win_ratio'], 1)}"),
        ("mean holding time", format_duration_ns(holding) if holding is not None else "-"),
        ("time in the market", percent(metrics["exposure_time_ratio"], 1)),
        ("open positions at the end", str(result["open_positions"])),
    ]
    simulated = "SIMULATED MARKET, " if manifest["data"]["simulated"] else ""
    print_table(f"{simulated}{manifest['strategy']['name']}, {manifest['run_id']}", ("", "value"), rows, right=("value",))


def show_funnel(manifest: dict[str, Any]) -> None:
    """Print where the strategy's decisions ended, where it counts them, and whether it was fitted on these data."""
    from edgesmith.trading.comparison import fit_warnings

    gate = manifest.get("gate")
    if gate is not None:
        rows = [("quotes", "", f"{gate['quotes']:,}", "")]
        rows += [("exits", name.removeprefix("exit_"), "", f"{count:,}") for name, count in gate["exits"].items() if count]
        rows += [
            ("stopped", step["reason"], f"{step['left']:,}", f"{step['stopped']:,}") for step in gate["steps"] if step["stopped"]
        ]
        rows.append(("entered", "", f"{gate['entered']:,}", ""))
        print_table("from quotes to entries", ("", "reason", "left", "stopped"), rows, right=("left", "stopped"))
    for warning in fit_warnings(manifest):
        typer.echo(warning)
