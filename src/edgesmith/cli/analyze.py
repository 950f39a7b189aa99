"""`edgesmith features analyze`: what features are worth, before any strategy uses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.features import program_of_one
from edgesmith.cli.groups import grouped
from edgesmith.cli.output import number, print_json, print_table, progress
from edgesmith.cli.selection import DEFAULT_RUNS, JsonOption, RunsOption, Selection, grid_of, one_of
from edgesmith.domain.units import BPS, NS_PER_MS, NS_PER_S, format_duration_ns, format_ns
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.evaluation.feature_report import FeatureReport, FeatureScore
    from edgesmith.features.operator import FeatureSpec

DEFAULT_SETS = ["base"]
# What divides the rows into calm, usual and wild: slow enough that a regime outlasts a label. Computed beside the features.
REGIME_FEATURE, REGIME_WINDOW, REGIME_COLUMN = "volatility", 5_000, "volatility_of_5000_quotes"
MODELS = ("ridge", "xgboost")


@grouped
def analyze_command(
    data: Selection,
    sets: Annotated[list[str], typer.Option("--set", help="Feature set or feature; repeat for several.")] = DEFAULT_SETS,
    grid: Annotated[str, typer.Option("--grid", help="How often a decision is asked for, such as 100ms or 1s.")] = "100ms",
    horizon: Annotated[float, typer.Option("--horizon", help="How far the label looks, in seconds.")] = 5.0,
    latency: Annotated[float, typer.Option("--latency", help="Reaction latency in ms.")] = 50.0,
    held_out: Annotated[float, typer.Option("--held-out", help="Last part of the range nothing is fitted on.")] = 0.3,
    model: Annotated[str, typer.Option("--model", help="Model behind the importances: ridge or xgboost.")] = "ridge",
    seed: Annotated[int, typer.Option("--seed", help="Seed of permutations and sign flips.")] = 1,
    runs: RunsOption = DEFAULT_RUNS,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the report; one below --runs by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Rank features by importance, label correlation and stability; write features_report.json and an HTML report."""
    from edgesmith.evaluation.analysis import AnalysisConfig
    from edgesmith.evaluation.feature_report import REPORT_FILE
    from edgesmith.trading.report import write_feature_report

    one_of("--model", model, MODELS)
    config = AnalysisConfig(
        horizon_ns=_duration_ns("--horizon", horizon, NS_PER_S),
        latency_ns=_duration_ns("--latency", latency, NS_PER_MS),
        grid_ns=_grid_ns(grid),
        held_out_ratio=held_out,
        model=model,  # type: ignore[arg-type]
        seed=seed,
    )
    features = program_of_one(sets).features
    report = run_analysis(data.partitions(), features, config)
    folder = out or runs / _name_of(report, config)
    folder.mkdir(parents=True, exist_ok=True)
    report.save(folder)
    page = write_feature_report(report, folder)
    if as_json:
        print_json(report)
        return
    show_report(report)
    typer.echo(f"for strategies: {folder / REPORT_FILE}\nreport: {page}")


def run_analysis(partitions: Any, features: tuple[FeatureSpec, ...], config: Any) -> FeatureReport:
    """Read the features of one instrument once, with a progress bar, and analyze them."""
    import msgspec

    from edgesmith.evaluation.analysis import Source, analyze, read_rows
    from edgesmith.evaluation.labels import LabelSpec
    from edgesmith.features.catalog import feature
    from edgesmith.features.program import Program
    from edgesmith.lake.replay import Replay
    from edgesmith.trading.backtest import data_identity, instruments_of

    asked = {spec.name: spec for spec in features}
    regime = feature(REGIME_FEATURE, window=REGIME_WINDOW).named(REGIME_COLUMN)
    program = Program([*asked.values(), regime])
    used = [one for one in partitions if one.key.stream in program.needs]
    replay = Replay(used)
    identity, instrument = data_identity(replay, used), instruments_of(used, replay.instruments)[0]
    fee_bps = instrument.taker_fee_ratio / BPS
    config = msgspec.structs.replace(config, fee_in_bps=fee_bps, fee_out_bps=fee_bps)
    spec = LabelSpec(
        horizons_ns=(config.horizon_ns,),
        latencies_ns=(config.latency_ns,),
        fee_in_bps=fee_bps,
        fee_out_bps=fee_bps,
        grid_ns=config.grid_ns,
    )
    with progress("reading features", "events") as advance:
        span_ns = (identity.first_ns, identity.last_ns)
        rows = read_rows(
            replay, 0, program, spec, columns=tuple(asked), volatility=REGIME_COLUMN, span_ns=span_ns, progress=advance
        )
    source = Source(instrument.name, instrument.simulated, replay.fingerprint, program.program_id)
    with progress("analyzing", "features") as advance:
        return analyze(
            rows, asked, config, source, volatility=REGIME_COLUMN, progress=lambda stage, done, total: advance(done, total)
        )


def show_report(report: FeatureReport) -> None:
    """Print the ranking and what to take from it."""
    from edgesmith.evaluation.feature_report import SHORT_WORDS, TOO_FEW_BLOCKS

    split, label = report.split, report.label
    typer.echo(
        f"{report.instrument}: {report.rows:,} decision times, one each {format_duration_ns(report.grid_ns)}; label: move over "
        f"{format_duration_ns(report.horizon_ns)} from {format_duration_ns(report.latency_ns)} after the decision\n"
        f"train: {split.train_rows:,} rows before {format_ns(split.split_ns)[:19]}, held out: {split.held_out_rows:,} after; "
        f"label {label.balance} ({label.up:,} up, {label.flat:,} flat, {label.down:,} down)"
    )
    correlations = {one.column: one for one in report.label_correlations}
    importances = {one.column: one for one in report.importance.features}
    rows = [
        (
            score.column,
            number(score.alpha),
            _signed(score.label_correlation),
            _interval(score),
            SHORT_WORDS.get(score.verdict, score.verdict),
            "-" if score.verdict == TOO_FEW_BLOCKS else f"{correlations[score.column].rows_effective:,.0f}",
            "-" if importances[score.column].verdict == TOO_FEW_BLOCKS else f"{score.importance * 1e4:,.1f}",
            number(score.stability),
        )
        for score in report.scores
    ]
    columns = ("feature", "alpha", "IC", "95 % interval", "verdict", "N_eff", "R2 lost", "stable")
    right = ("alpha", "IC", "95 % interval", "N_eff", "R2 lost", "stable")
    print_table("Features by alpha = 0.4 importance + 0.3 |IC| + 0.3 stability", columns, rows, right=right, whole=("verdict",))
    typer.echo(
        "IC: rank correlation with the label. N_eff: independent rows its overlapping rows are worth. R2 lost: out-of-sample R2\n"
        "lost when the feature is shuffled, in 0.0001. told alone: would be told from 0, had it been the only one looked at."
    )
    for sentence in report.findings:
        typer.echo(f"- {sentence}")


def _grid_ns(text: str) -> int:
    grid_ns = grid_of(text)
    if not grid_ns:
        raise InputError("--grid was 'event', expected a distance such as 100ms: rows at events would count busy moments more")
    return grid_ns


def _interval(score: FeatureScore) -> str:
    if score.correlation_low <= -1.0 and score.correlation_high >= 1.0:
        return "-"
    return f"{_signed(score.correlation_low)} to {_signed(score.correlation_high)}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _duration_ns(option: str, value: float, unit_ns: int) -> int:
    if not 0.0 <= value < 1e6:
        raise InputError(f"{option} was {value}, expected 0 or more and below 1,000,000")
    return round(value * unit_ns)


def _name_of(report: FeatureReport, config: Any) -> str:
    from edgesmith.canonical import short_hash

    return f"features_{short_hash([report.data_fingerprint, report.recipe, sorted(one.column for one in report.scores), config])}"
