"""Analysis of features: every module over 48 features and 3.2 M rows, beside polars and numpy put together by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Contestant, Options, Row, at_most_check, faster_check, race, same_check
from benchmarks.machine import peak_rss_mib
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.evaluation.analysis import AnalysisConfig, AnalysisRows, Source, analyze
from edgesmith.features.operator import FeatureSpec

TITLE = "analysis of 48 features, everything, two cores"
ROWS, QUICK_ROWS, FEATURES = 3_200_000, 100_000, 48
SECONDS_MAX, PEAK_MIB_MAX = 20.0, 1_536.0
STEP_NS, HORIZON_ROWS = 100 * NS_PER_MS, 50
CONFIG = AnalysisConfig(horizon_ns=HORIZON_ROWS * STEP_NS, latency_ns=0, grid_ns=STEP_NS)
# Written out for the peer, so that both do the same work.
REPEATS, BLOCK_ROWS = CONFIG.repeats, 1_000


def rows(options: Options) -> list[Row]:
    """Return ours and the peer; memory is that of the whole process, the rows included."""
    count = QUICK_ROWS if options.quick else ROWS
    work = {"count": count}
    values = count * FEATURES
    sides = [
        Contestant(who="edgesmith", prepare="benchmarks.bench_analysis:prepare", options=work, count=values, unit="values"),
        Contestant(
            who="polars and numpy",
            prepare="benchmarks.bench_analysis:prepare_peer",
            options=work,
            count=values,
            unit="values",
            note="correlations, label correlation, quantiles, PSI, ridge and its permutations; no intervals, periods or regimes",
        ),
    ]
    found = race(sides if options.peers else sides[:1], options.repeats)
    ours = found[0]
    if not ours.seconds:
        return found
    at_most_check(ours, "seconds", values / ours.rate, SECONDS_MAX, "s")
    at_most_check(ours, "peak MiB", ours.median_fact("process_mib"), PEAK_MIB_MAX, "MiB")
    for row in found[1:]:
        faster_check(row, 1.0)
        if row.seconds:
            same_check(row, "IC of the first feature", row.fact("ic"), ours.fact("ic"), tolerance=0.001)
    return found


def prepare(count: int) -> Callable[[], dict[str, Any]]:
    """Analyze once on few rows, which compiles, then hand out the work."""
    features = {name: FeatureSpec(name, name) for name in _names()}

    def work(of: AnalysisRows) -> dict[str, Any]:
        report = analyze(of, features, CONFIG, Source("simulated:BENCH", True, "", ""), volatility="f01")
        ic = next(one.spearman for one in report.label_correlations if one.column == "f00")
        return {"ic": ic, "process_mib": round(peak_rss_mib(), 1)}

    work(rows_of(20_000))
    data = rows_of(count)
    return lambda: work(data)


def prepare_peer(count: int) -> Callable[[], dict[str, Any]]:
    """Return the same figures as a careful user would get them from polars and numpy."""
    import polars as pl

    data = rows_of(count)
    frame = pl.DataFrame(dict(zip(data.columns, data.values, strict=True)) | {"label": data.label})
    return lambda: {"ic": _peer(frame, data), "process_mib": round(peak_rss_mib(), 1)}


def _peer(frame: Any, data: AnalysisRows) -> float:
    import polars as pl

    train_rows = int(len(frame) * (1 - CONFIG.held_out_ratio))
    train, held_out = frame.head(train_rows - HORIZON_ROWS).drop_nans(), frame.tail(len(frame) - train_rows).drop_nans()
    values = train.to_numpy().astype(np.float64)
    np.corrcoef(values, rowvar=False)
    ranks = np.corrcoef(train.select(pl.all().rank()).to_numpy(), rowvar=False)
    levels = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    frame.select([pl.col(name).quantile(level).alias(f"{name}_{level}") for name in frame.columns for level in levels])
    frame.select(
        [getattr(pl.col(name), what)().alias(f"{name}_{what}") for name in frame.columns for what in ("skew", "kurtosis")]
    )
    for name in data.columns:
        cuts = np.quantile(train[name], np.arange(0.1, 1.0, 0.1))
        for part in (train, held_out):
            np.bincount(np.searchsorted(cuts, part[name].to_numpy()), minlength=10)
    _permutations(values, held_out.to_numpy().astype(np.float64))
    return float(ranks[0, -1])


def _permutations(train: NDArray[np.float64], held_out: NDArray[np.float64]) -> None:
    x, y = train[:, :-1], train[:, -1]
    mean, sd = x.mean(axis=0), x.std(axis=0)
    z = (x - mean) / sd
    weights = np.linalg.solve(z.T @ z + 0.1 * len(z) * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    z, label = (held_out[:, :-1] - mean) / sd, held_out[:, -1] - y.mean()
    blocks = len(z) // BLOCK_ROWS
    draw = np.random.default_rng(1)
    for place in range(z.shape[1]):
        kept = z[:, place].copy()
        for _ in range(REPEATS):
            order = draw.permutation(blocks)
            z[: blocks * BLOCK_ROWS, place] = kept[: blocks * BLOCK_ROWS].reshape(blocks, BLOCK_ROWS)[order].reshape(-1)
            np.square(label - z @ weights).mean()
        z[:, place] = kept


def rows_of(count: int) -> AnalysisRows:
    """Return rows as a tape gives them: fast and slow features, few-valued ones, some values missing, one that forecasts."""
    draw = np.random.default_rng(1)
    values = np.empty((FEATURES, count), np.float32)
    for place, out in enumerate(values):
        draw.standard_normal(out=out, dtype=np.float32)
        if place % 3 == 1:
            np.cumsum(out, out=out)
        if place % 3 == 2:
            np.rint(2.0 * out, out=out)
        out[: 20 * place] = np.nan
    returns = draw.standard_normal(count + HORIZON_ROWS, dtype=np.float32)
    path = np.concatenate([[0.0], np.cumsum(returns, dtype=np.float64)])
    label = (path[HORIZON_ROWS : HORIZON_ROWS + count] - path[:count] + 0.5 * values[0]).astype(np.float32)
    label[-HORIZON_ROWS:] = np.nan
    ts_ns = 1_767_571_200 * NS_PER_S + np.arange(count, dtype=np.int64) * STEP_NS
    return AnalysisRows(_names(), ts_ns, values, label, np.abs(values[0]), 1.5, STEP_NS, 1)


def _names() -> tuple[str, ...]:
    return tuple(f"f{place:02d}" for place in range(FEATURES))
