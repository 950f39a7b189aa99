"""Time the 28 columns of the sets base, behavior and regime over 3.7 M seeded BBO events, as arrays and as a Parquet file.

Ours reads 64-byte event records and computes on one core; polars reads plain columns and has two threads. Both give the same
columns: the ranks differ where two values are within 1.1 %, which ours counts as equal.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "2")  # before polars is first imported

import statistics
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.bench_features import EVENTS, NAMES, SEED, by_polars, tape
from edgesmith.clock import monotonic_s
from edgesmith.evaluation.matrix_file import DayWriter, MatrixMeta
from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program
from edgesmith.lake.replay import BATCH_EVENTS

SETS = ("base", "behavior", "regime")
MORE = [spec.name for name in ("behavior", "regime") for spec in feature_set(name)]
CLOCKS = ("ts_event", "ts_recv", "seq")
GAP_NS_MEAN = 23_000_000


def quotes(events: int = EVENTS) -> NDArray[Any]:
    """Return the tape of the 15 features, received at irregular instants."""
    result = tape(events)
    result["ts_recv"] = np.cumsum(1 + np.random.default_rng(SEED).exponential(GAP_NS_MEAN, events).astype(np.int64))
    return result


def more_by_polars(columns: pl.DataFrame) -> pl.DataFrame:
    """Compute the 28 columns as expressions over whole columns."""
    c = pl.col
    mid = (c("bid") + c("ask")) / 2
    lazy = columns.lazy().with_columns(
        m=mid, s=c("ask") - c("bid"), lean=(c("bid_qty") - c("ask_qty")) / (c("bid_qty") + c("ask_qty"))
    )
    lazy = lazy.with_columns(move=c("m").diff(), r=c("m").pct_change(), fast=_ewm(c("m"), 10), slow=_ewm(c("m"), 30))
    lazy = lazy.with_columns(
        liquidity_pressure=_ewm(c("lean"), 10),
        up=c("move").clip(lower_bound=0).rolling_sum(20),
        down=(-c("move")).clip(lower_bound=0).rolling_sum(20),
        way=c("move").abs().rolling_sum(100),
        short=c("r").rolling_std(20, ddof=0),
        long=c("r").rolling_std(100, ddof=0),
        tight=_ewm(c("s"), 10),
        loose=_ewm(c("s"), 50),
        turn=0.5 - 0.5 * c("r").sign() * c("r").shift(1).sign(),
        rate=19e9 / c("ts").diff(19).clip(lower_bound=1),
    )
    lazy = lazy.with_columns(
        return_momentum=_or_zero((c("up") - c("down")) / (c("up") + c("down"))),
        spread_compression=((c("loose") - c("tight")) / c("loose")).clip(-1, 1),
        imbalance_acceleration=(100 * _ewm(c("liquidity_pressure").diff(), 5)).tanh(),
        micro_reversion=c("turn").rolling_mean(50),
        quote_intensity=c("rate").rolling_rank(200, method="max") / 200,
        volatility_ratio=pl.when(c("long") == 0).then(1.0).otherwise((c("short") / c("long")).clip(0, 5)),
        trend_strength=_or_zero(_trend(c("fast"), c("slow")) * 0.5 / c("long")).tanh(),
        spread_ratio=(c("s") / c("s").rolling_mean(100)).clip(0, 5),
        trend_efficiency=_or_zero(c("m").diff(100).abs() / c("way")),
        rank=c("short").rolling_rank(50, method="max") / 50,
    )
    steady = [
        weight * (1 - c(name).rolling_std(100, ddof=0).clip(upper_bound=1))
        for weight, name in ((0.4, "volatility_ratio"), (0.4, "trend_strength"), (0.2, "spread_ratio"))
    ]
    lazy = lazy.with_columns(
        behavior_divergence=(c("return_momentum") - c("liquidity_pressure")) / 2,
        regime_stability=steady[0] + steady[1] + steady[2],
        volatility_compression_score=0.4 * (2 - c("volatility_ratio")).clip(0, 1)
        + 0.15 * (c("spread_compression") + 1)
        + 0.3 * (1 - c("rank")),
    )
    base = by_polars(columns)
    return pl.concat([base, lazy.select(MORE).collect()], how="horizontal")


def _ewm(expression: pl.Expr, period: int) -> pl.Expr:
    return expression.ewm_mean(alpha=2 / (period + 1), adjust=False)


def _trend(fast: pl.Expr, slow: pl.Expr) -> pl.Expr:
    return 0.7 * (fast - slow) / slow + 0.3 * fast.pct_change(4)


def _or_zero(expression: pl.Expr) -> pl.Expr:
    return expression.fill_nan(0.0)


def _written(program: Program, events: NDArray[Any], folder: Path) -> None:
    meta = MatrixMeta(
        recipe="",
        program=program.program_id,
        features=(),
        columns=program.names,
        grid_ns=0,
        values="float32",
        data_fingerprint="",
        rows=0,
        simulated=True,
    )
    writer = DayWriter(folder / "day", date(2024, 8, 8), program.features, CLOCKS, "float32")
    state, buffer = program.new_state(), np.empty((BATCH_EVENTS, program.width))
    for begin in range(0, len(events), BATCH_EVENTS):
        batch = events[begin : begin + BATCH_EVENTS]
        program.run(batch, buffer[: len(batch)], state)
        writer.add([batch[name] for name in CLOCKS], buffer[: len(batch)])
    writer.finish(meta, state)


def _written_by_polars(frame: pl.DataFrame, folder: Path) -> None:
    found = more_by_polars(frame).with_columns(
        pl.exclude("mid_price", "spread", "ema", "atr", "microprice", "ema_slope").cast(pl.Float32)
    )
    pl.concat([frame.select("ts"), found], how="horizontal").write_parquet(
        folder / "polars.parquet", compression="zstd", compression_level=1
    )


def measure(repeats: int = 5, events: int = EVENTS) -> list[dict[str, Any]]:
    """Time each side `repeats` times, in turns, after one untimed run; check first that they agree."""
    tape_events = quotes(events)
    names = {"ts": "ts_recv", "bid": "bid_price", "bid_qty": "bid_qty", "ask": "ask_price", "ask_qty": "ask_qty"}
    frame = pl.DataFrame({name: np.ascontiguousarray(tape_events[field]) for name, field in names.items()})
    program = Program([spec for name in SETS for spec in feature_set(name)])
    assert list(program.names) == NAMES + MORE
    ours = np.empty((events, program.width))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers: dict[tuple[str, str], Callable[[], object]] = {
            ("28 columns in memory", "edgesmith"): lambda: program.run(tape_events, ours, program.new_state()),
            ("28 columns in memory", "polars, 2 threads"): lambda: more_by_polars(frame),
            ("28 columns as Parquet", "edgesmith"): lambda: _written(program, tape_events, folder),
            ("28 columns as Parquet", "polars, 2 threads"): lambda: _written_by_polars(frame, folder),
        }
        for peer in peers.values():
            peer()
        _agree(program.names, ours, more_by_polars(frame.head(50_000)).to_numpy())
        seconds: dict[tuple[str, str], list[float]] = {name: [] for name in peers}
        for _ in range(repeats):
            for key, peer in peers.items():
                started = monotonic_s()
                peer()
                seconds[key].append(monotonic_s() - started)
    return [_row(*key, taken, seconds[key[0], "edgesmith"], events) for key, taken in seconds.items()]


def _agree(names: tuple[str, ...], ours: NDArray[np.float64], polars: NDArray[np.float64]) -> None:
    for place, name in enumerate(names):
        ranked = name in ("quote_intensity", "volatility_compression_score")
        mine, theirs = ours[1_000 : len(polars), place], polars[1_000:, place]
        share = np.isclose(mine, theirs, rtol=1e-6, atol=0.1 if ranked else 1e-6).mean()
        assert share > 0.95, f"{name} agrees on only {share:.4f} of the rows"


def _row(work: str, peer: str, seconds: list[float], ours: list[float], events: int) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "work": work,
        "peer": peer,
        "events": events,
        "seconds": [round(value, 6) for value in seconds],
        "per_second_median": events / median,
        "ratio_to_ours": round(statistics.median(ours) / median, 3),
    }


def main() -> None:
    """Print one line per side."""
    for row in measure():
        rate, ratio = row["per_second_median"] / 1e6, row["ratio_to_ours"]
        print(f"{row['work']:<24} {row['peer']:<20} {rate:7.2f} M events/s {ratio:6.3f} x ours")


if __name__ == "__main__":
    main()
