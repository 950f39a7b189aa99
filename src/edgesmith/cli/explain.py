"""`edgesmith explain`: one decision of a run in words, from its trace, recomputed on the spot."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from edgesmith.cli.output import console, print_json, print_table
from edgesmith.cli.report import find_run
from edgesmith.cli.selection import DEFAULT_RUNS, JsonOption, RunsOption
from edgesmith.domain.units import NS_PER_US, format_duration_ns, format_ns
from edgesmith.errors import DataError, InputError

AtOption = Annotated[
    str, typer.Option("--at", help="When: ns since 1970, or 2026-01-05T03:04:05.678 (UTC). The last decision by then.")
]


def explain_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, a unique beginning of one, or a run folder.")],
    at: AtOption,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Explain the last decision of a traced run at or before a moment: what was seen, how it was weighed, what it led to."""
    folder = find_run(run, runs)
    row, orders = decision_at(folder, instant_of(at))
    manifest = _manifest(folder)
    again = _again(manifest, row)
    if as_json:
        print_json({"decision": _finite(row), "orders": orders, "recomputed": again})
        return
    features = _features(row)
    console().print(paragraph(row, orders), soft_wrap=True)
    columns = ("feature", "value", "center", "scale", "signal", "weight")
    print_table("", columns, [(name, *(f"{value:.5g}" for value in values)) for name, values in features], right=columns[1:])
    if again is not None:
        typer.echo(
            "recomputed from the trace: the same decision"
            if again
            else "recomputed from the trace: ANOTHER DECISION; report this"
        )


def instant_of(text: str) -> int:
    """Return the instant a user means, ns UTC."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text.replace(" ", "T"))
    except ValueError:
        raise InputError(f"--at was '{text}', expected ns since 1970 or a time such as 2026-01-05T03:04:05.678") from None
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * NS_PER_US + NS_PER_US - 1


def decision_at(folder: Path, instant_ns: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the last traced row at or before an instant, and the orders decided with it."""
    import polars as pl

    from edgesmith.trading.trace import TRACE_NAME

    path = folder / TRACE_NAME
    if not path.is_file():
        raise DataError(f"{path} does not exist: run a strategy that can be traced (v1), without --trace off")
    found = pl.scan_parquet(path).filter(pl.col("ts") <= instant_ns).tail(1).collect().to_dicts()
    if not found:
        first = pl.scan_parquet(path).select("ts").head(1).collect().to_series().to_list()
        when = f"the first is at {format_ns(first[0])}" if first else "the run decided nothing"
        raise InputError(f"--at was {format_ns(instant_ns)}, but no decision was traced by then; {when}")
    row = found[0]
    same = (pl.col("ts") == row["ts"]) & (pl.col("symbol") == row["symbol"]) & (pl.col("origin") == "strategy")
    orders = pl.scan_parquet(folder / "decisions.parquet").filter(same).collect().to_dicts()
    return row, orders


def paragraph(row: dict[str, Any], orders: list[dict[str, Any]]) -> str:
    """Return a decision as sentences."""
    spread_bps = 2e4 * (row["ask_price"] - row["bid_price"]) / (row["ask_price"] + row["bid_price"])
    held = f"held {row['held_qty']:+g} for {format_duration_ns(row['held_ns'])}" if row["held_qty"] else "held nothing"
    since = row["since_fill_ns"]
    last = "nothing had been filled yet" if not math.isfinite(since) else f"the last fill was {format_duration_ns(since)} ago"
    side = {1.0: "buy", -1.0: "sell", 0.0: "no side"}[row["side"]]
    return " ".join(
        [
            f"At [bold]{format_ns(row['ts'])}[/] (event {row['event_index']:,}) {row['symbol']} stood at",
            f"{row['bid_price']:g} / {row['ask_price']:g}, a spread of {spread_bps:.2f} bps, and the strategy {held}; {last}.",
            f"Volatility was {row['volatility_ratio']:.2f} times its usual, trend {row['trend_strength']:+.2f}, the spread",
            f"{row['spread_ratio']:.2f} times its usual: mode [bold]{row['mode'].replace('_', ' ')}[/].",
            f"{int(row['signals'])} features spoke, together {side} with a confidence of {row['confidence_raw']:.3f},",
            f"rescaled [bold]{row['confidence']:.3f}[/] (0.5 knows nothing, 1 is certain).",
            f"Outcome [bold]{row['gate']}[/]: {row['why']}{_wanted(row)}.{_orders(orders)}",
        ]
    )


def _wanted(row: dict[str, Any]) -> str:
    if row["qty"] != row["qty"]:
        return "; no order"
    return "; the position is closed" if row["qty"] == 0.0 else f"; the position wanted is {row['qty']:+g}"


def _orders(orders: list[dict[str, Any]]) -> str:
    if not orders:
        return ""
    told = ", ".join(
        f"{'buy' if one['side'] > 0 else 'sell'} {one['qty']:g}: {one['outcome'].replace('_', ' ')}" for one in orders
    )
    return f" Risk on the order: {told}."


def _features(row: dict[str, Any]) -> list[tuple[str, list[float]]]:
    names = [key.removeprefix("value_") for key in row if key.startswith("value_")]
    return [(name, [row[f"{what}_{name}"] for what in ("value", "center", "scale", "signal", "weight")]) for name in names]


def _manifest(folder: Path) -> dict[str, Any]:
    import msgspec

    manifest: dict[str, Any] = msgspec.json.decode((folder / "manifest.json").read_bytes())
    return manifest


def _again(manifest: dict[str, Any], row: dict[str, Any]) -> bool | None:
    """Tell whether the row gives its decision again; None where the strategy is no longer what the run had."""
    from edgesmith.strategies.v1.replay import decide_again
    from edgesmith.strategies.v1.strategy import StrategyV1
    from edgesmith.trading.strategy import configure

    if manifest["strategy"]["name"] != StrategyV1.name:
        return None
    try:
        strategy = configure(StrategyV1, manifest["strategy"]["config"])
    except InputError:
        # Its feature report was moved or deleted.
        return None
    assert isinstance(strategy, StrategyV1)
    if strategy.resolved != manifest["strategy"]["resolved"]:
        return None
    lot = next(float(one["lot_size"]) for one in manifest["instruments"] if one["symbol"] == row["symbol"])
    gate, qty = decide_again(strategy, row, lot)
    return gate == row["gate"] and (qty == row["qty"] or (qty != qty and row["qty"] != row["qty"]))


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
