"""`edgesmith tune`: how many features of a report StrategyV1 should read, chosen on train days, judged once on later ones."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.backtest import EngineOptions
from edgesmith.cli.groups import grouped
from edgesmith.cli.output import number, percent, print_json, print_table, progress
from edgesmith.cli.selection import (
    DEFAULT_LAKE,
    DEFAULT_RUNS,
    NEEDED,
    EndOption,
    JsonOption,
    LakeOption,
    MarketOption,
    RunsOption,
    SettingsOption,
    StartOption,
    SymbolsOption,
    VenueOption,
    choose,
    settings_of,
    venue_of,
)
from edgesmith.cli.sweep import count_trials
from edgesmith.domain.units import NS_PER_DAY, format_ns, ns_of_date, parse_date
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesmith.lake.catalog import Partition
    from edgesmith.strategies.v1.strategy import StrategyV1

ReportOption = Annotated[str, typer.Option("--report", help="A features_report.json, made on train days.")]
TrainEndOption = Annotated[str, typer.Option("--train-end", help="Last UTC day to choose on, YYYY-MM-DD; later days only judge.")]
TopOption = Annotated[str, typer.Option("--top-n", help="Numbers of features to try.")]
AlphaOption = Annotated[str, typer.Option("--alpha-min", help="Least alpha scores to try.")]


@grouped
def tune_command(
    symbol: SymbolsOption,
    report: ReportOption,
    engine: EngineOptions,
    train_end: TrainEndOption,
    top_n: TopOption = "1,2,3,5,7,10",
    alpha_min: AlphaOption = "0.2,0.4",
    venue: VenueOption = "binance",
    market: MarketOption = None,
    start: StartOption = None,
    end: EndOption = None,
    settings: SettingsOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Choose top_n and alpha_min of StrategyV1 on train days, count the trials, and judge the choice once on later days."""
    candidates = _candidates({**settings_of(settings), "report": report}, top_n, alpha_min, train_end)
    config = engine.config()
    train = choose(lake, venue, market, symbol, None, start, train_end)
    trials = {"train": count_trials(runs, train, _fingerprint(train), [one for _, one in candidates], config)}
    found = _run(train, [one for _, one in candidates], config)
    ranked = sorted(zip(candidates, found, strict=True), key=lambda pair: -pair[1]["pnl_net"])
    (chosen, strategy), _ = ranked[0]
    later = _later(lake, venue_of(venue, market), symbol, parse_date(train_end) + timedelta(days=1), end)
    if later:
        trials["later"] = count_trials(runs, later, _fingerprint(later), [strategy], config)
    judged = _run(later, [strategy], config)[0] if later else None
    if as_json:
        tried = [{"settings": pair[0], "metrics": metrics} for pair, metrics in ranked]
        print_json({"chosen": chosen, "trials": len(candidates), "trials_total": trials, "train": tried, "later": judged})
        return
    rows = [(_words(pair[0]), *_cells(metrics)) for pair, metrics in ranked]
    columns = ("settings", "fills", "PnL net", "fees", "drawdown", "won")
    print_table(f"on train days, {len(rows)} trials", columns, rows, right=columns[1:])
    looks = ", ".join(f"{count:,} on {days} days" for days, count in trials.items())
    typer.echo(f"chosen: {_words(chosen)}, the best of {len(candidates)}; trials on this data so far: {looks}")
    if judged is None:
        typer.echo(
            f"no later days to judge it on: the lake ends with {train_end}, and the best of many looks good by chance alone"
        )
        return
    print_table("the choice on later days, once", columns, [(_words(chosen), *_cells(judged))], right=columns[1:])


def _later(lake: Path, venue: str, symbols: Sequence[str], first: date, end: str | None) -> list[Partition]:
    """Return what the lake has after the train days; nothing where a symbol has no quotes there."""
    from edgesmith.lake.catalog import Catalog

    catalog, last = Catalog(lake), parse_date(end) if end is not None else None
    if not all(catalog.partitions(venue, NEEDED, symbol, first, last) for symbol in symbols):
        return []
    return [one for symbol in symbols for one in catalog.partitions(venue, None, symbol, first, last)]


def _candidates(base: dict[str, Any], top_n: str, alpha_min: str, train_end: str) -> list[tuple[dict[str, Any], StrategyV1]]:
    """Return settings and strategy of every selection that differs from those before it."""
    from edgesmith.strategies.v1.strategy import StrategyV1
    from edgesmith.trading.strategy import configure

    found: list[tuple[dict[str, Any], StrategyV1]] = []
    seen: set[str] = set()
    refused: InputError | None = None
    for top, alpha in itertools.product(top_n.split(","), alpha_min.split(",")):
        tried = {"top_n": top.strip(), "alpha_min": alpha.strip()}
        try:
            strategy = configure(StrategyV1, {**base, **tried})
        except InputError as error:
            # Too few features for the settings: no selection, no trial.
            refused = error
            continue
        assert isinstance(strategy, StrategyV1)
        _require_before(strategy, train_end)
        chosen = str([one.spec for one in strategy.selection.features])
        if chosen not in seen:
            seen.add(chosen)
            found.append((tried, strategy))
    if not found:
        raise refused or InputError("--top-n and --alpha-min named nothing to try, expected numbers such as 1,3,5")
    return found


def _require_before(strategy: StrategyV1, train_end: str) -> None:
    border = ns_of_date(parse_date(train_end)) + NS_PER_DAY
    if strategy.fitted_ns is not None and strategy.fitted_ns[1] >= border:
        raise InputError(
            f"the feature report looked at data until {format_ns(strategy.fitted_ns[1])}, after --train-end {train_end}: "
            "make it on train days, or later days cannot judge the choice"
        )


def _run(partitions: Sequence[Partition], strategies: Sequence[StrategyV1], config: Any) -> list[dict[str, Any]]:
    from edgesmith.lake.replay import Replay
    from edgesmith.strategies.v1.strategy import StrategyV1
    from edgesmith.trading.backtest import clock_skew_ns, instruments_of, receive_time_known
    from edgesmith.trading.sweep import load_events, sweep

    replay = Replay(partitions)
    with progress(f"{len(strategies)} selections", "runs") as advance:
        return sweep(
            load_events(replay),
            instruments_of(partitions, replay.instruments),
            StrategyV1,
            [one.config for one in strategies],
            config,
            skew_ns=clock_skew_ns(partitions, replay.instruments, config.execution.feed_latency_ns),
            receive_time_known=receive_time_known(partitions),
            progress=advance,
        )


def _fingerprint(partitions: Sequence[Partition]) -> str:
    from edgesmith.lake.replay import Replay

    return Replay(partitions).fingerprint


def _words(settings: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _cells(metrics: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{metrics['fills']:,}",
        number(metrics["pnl_net"]),
        number(metrics["fees"]),
        percent(metrics["drawdown_ratio_max"], 3),
        percent(metrics["win_ratio"], 1),
    )
