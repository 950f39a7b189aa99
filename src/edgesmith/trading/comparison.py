"""Runs side by side: the same data and the same costs, or no comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.canonical import short_hash
from edgesmith.domain.units import NS_PER_MINUTE
from edgesmith.errors import InputError
from edgesmith.evaluation.comparison import (
    LEVEL,
    RESAMPLES,
    block_length,
    interval_of,
    probability_above,
    resample,
    sharpe_of,
)
from edgesmith.trading.manifest import MANIFEST_NAME

RUNS_MAX = 6
# What must be equal, and what it is called.
SAME = {
    ("data", "fingerprint"): "data",
    ("instruments",): "instruments or their fees",
    ("execution",): "execution (latency, queue, fees)",
    ("equity_start",): "starting equity",
}


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run's figures; ratios are of the starting equity, `None` where a number would mean nothing.

    `sharpe` is per minute, not annualized. `cost_bps` is fees and half-spreads over the notional traded, `cost_share_ratio` the
    same over what was earned at mid prices.
    """

    run_id: str
    name: str
    strategy: str
    settings: dict[str, Any]
    in_sample: bool
    return_ratio: float
    return_low_ratio: float | None
    return_high_ratio: float | None
    sharpe: float | None
    sharpe_low: float | None
    sharpe_high: float | None
    drawdown_ratio_max: float
    turnover_ratio: float
    round_trips: int
    win_ratio: float | None
    cost_bps: float | None
    cost_share_ratio: float | None
    exposure_time_ratio: float | None


class Pair(msgspec.Struct, frozen=True):
    """The probability that the first run earns more than the second, and that its Sharpe ratio is larger."""

    first: str
    second: str
    earns_more: float
    sharpe_larger: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `edgesmith compare` says."""

    currency: str
    simulated: bool
    symbols: tuple[str, ...]
    first_ns: int
    last_ns: int
    events: int
    minutes: int
    block_minutes: int
    resamples: int
    level: float
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @property
    def comparison_id(self) -> str:
        """Return the name of the comparison: which runs, in which order."""
        return f"compare_{short_hash([run.run_id for run in self.runs])}"


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Compare finished backtests; InputError where they are not over the same data at the same costs."""
    if not 2 <= len(folders) <= RUNS_MAX:
        raise InputError(f"{len(folders)} runs were given to compare, expected 2 to {RUNS_MAX}")
    manifests = [_manifest(folder) for folder in folders]
    _require_same(manifests)
    names = _names(manifests)
    minutes = _minute_changes(folders, manifests)
    draws = resample(minutes, seed=int(short_hash([one["run_id"] for one in manifests])[:8], 16))
    first = manifests[0]
    pairs = [
        Pair(
            names[a],
            names[b],
            probability_above(draws.total[:, a], draws.total[:, b]),
            probability_above(draws.sharpe[:, a], draws.sharpe[:, b]),
        )
        for a in range(len(names))
        for b in range(a + 1, len(names))
        if draws is not None
    ]
    return Comparison(
        currency=first["metrics"]["currency"],
        simulated=first["data"]["simulated"],
        symbols=tuple(instrument["symbol"] for instrument in first["instruments"]),
        first_ns=first["data"]["first_ns"],
        last_ns=first["data"]["last_ns"],
        events=first["data"]["events"],
        minutes=len(minutes),
        block_minutes=block_length(len(minutes)),
        resamples=RESAMPLES,
        level=LEVEL,
        runs=tuple(
            _compared(
                manifest,
                names[place],
                minutes[:, place],
                None if draws is None else (draws.total[:, place], draws.sharpe[:, place]),
            )
            for place, manifest in enumerate(manifests)
        ),
        pairs=tuple(pairs),
        notes=_notes(manifests, names, len(minutes), draws is not None),
    )


def in_sample(manifest: Mapping[str, Any]) -> bool:
    """Return whether a run's strategy was fitted on data of the run."""
    resolved, data = manifest["strategy"].get("resolved", {}), manifest["data"]
    if "fitted_first_ns" not in resolved:
        return False
    return bool(resolved["fitted_first_ns"] <= data["last_ns"] and data["first_ns"] <= resolved["fitted_last_ns"])


def fit_warnings(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what to know about a strategy's feature report before its result is believed."""
    found = []
    if in_sample(manifest):
        found.append("in sample: the feature report was made on data of this run; judge the strategy on other days")
    fitted = manifest["strategy"].get("resolved", {}).get("fitted_instrument")
    traded = [f"{one['venue']}:{one['symbol']}" for one in manifest["instruments"]]
    if fitted and any(name != fitted for name in traded):
        found.append(f"the feature report is of {fitted}, the run trades {', '.join(traded)}: medians and scales may not fit")
    return tuple(found)


def equity_curves(
    folders: Sequence[Path], manifests: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the instants any curve has a point at, and the equity (instants, runs), each held until its next point."""
    curves = [pq.read_table(folder / "curve.parquet", partitioning=None) for folder in folders]
    times = [curve.column("bucket_start_ns").to_numpy() for curve in curves]
    instants = np.unique(np.concatenate(times))
    equity = np.empty((len(instants), len(folders)))
    for place, (own, curve) in enumerate(zip(times, curves, strict=True)):
        closes = np.concatenate([[manifests[place]["equity_start"]], curve.column("equity_close").to_numpy()])
        equity[:, place] = closes[np.searchsorted(own, instants, side="right")]
    return instants, equity


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = msgspec.json.decode((folder / MANIFEST_NAME).read_bytes())
    if "metrics" not in manifest:
        raise InputError(f"run {manifest['run_id']} is a {manifest['kind']}, expected a backtest; compare takes backtests")
    return manifest


def _require_same(manifests: Sequence[Mapping[str, Any]]) -> None:
    first = manifests[0]
    for other in manifests[1:]:
        for path, name in SAME.items():
            if _at(first, path) != _at(other, path):
                raise InputError(
                    f"runs {first['run_id']} and {other['run_id']} differ in {name}, so their results cannot be compared; "
                    "run both over the same data at the same costs"
                )


def _at(manifest: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = manifest
    for key in path:
        value = value[key]
    return value


def _names(manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [_name(manifest["strategy"]) for manifest in manifests]
    short = [manifest["run_id"].removeprefix("run_")[:6] for manifest in manifests]
    return [name if names.count(name) == 1 else f"{name} {short[place]}" for place, name in enumerate(names)]


def _name(strategy: Mapping[str, Any]) -> str:
    preset = strategy["config"].get("preset")
    return f"{strategy['name']} {preset}" if preset else str(strategy["name"])


def _minute_changes(folders: Sequence[Path], manifests: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    instants, equity = equity_curves(folders, manifests)
    minute = instants // NS_PER_MINUTE
    # The last point of each minute; minutes without one had no event, and no change.
    last = np.append(np.flatnonzero(np.diff(minute)), len(minute) - 1)
    filled = np.searchsorted(minute[last], np.arange(minute[0], minute[-1] + 1), side="right") - 1
    start = np.array([[manifest["equity_start"] for manifest in manifests]], np.float64)
    closes = np.concatenate([start, equity[last][filled]])
    changes: NDArray[np.float64] = np.diff(closes, axis=0) / start
    # The last minute is not over; the run's own Sharpe ratio leaves it out too.
    return changes[:-1]


def _compared(
    manifest: Mapping[str, Any],
    name: str,
    changes: NDArray[np.float64],
    draws: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> ComparedRun:
    metrics = manifest["metrics"]
    costs = metrics["fees"] + metrics["spread_cost"]
    at_mid = metrics["pnl_gross"] + metrics["spread_cost"]
    low, high = interval_of(draws[0]) if draws else (None, None)
    sharpe_low, sharpe_high = interval_of(draws[1]) if draws else (None, None)
    return ComparedRun(
        run_id=manifest["run_id"],
        name=name,
        strategy=manifest["strategy"]["name"],
        settings=manifest["strategy"]["config"],
        in_sample=in_sample(manifest),
        return_ratio=metrics["return_ratio"],
        return_low_ratio=low,
        return_high_ratio=high,
        sharpe=sharpe_of(changes),
        sharpe_low=sharpe_low,
        sharpe_high=sharpe_high,
        drawdown_ratio_max=metrics["drawdown_ratio_max"],
        turnover_ratio=metrics["turnover_notional"] / metrics["equity_start"],
        round_trips=metrics["round_trips"],
        win_ratio=metrics["win_ratio"],
        cost_bps=costs / metrics["turnover_notional"] * 1e4 if metrics["turnover_notional"] else None,
        cost_share_ratio=costs / at_mid if at_mid > 0.0 else None,
        exposure_time_ratio=metrics["exposure_time_ratio"],
    )


def _notes(manifests: Sequence[Mapping[str, Any]], names: Sequence[str], minutes: int, resampled: bool) -> tuple[str, ...]:
    warned = zip(names, map(fit_warnings, manifests), strict=True)
    notes = [f"{name}: {warning}." for name, warnings in warned for warning in warnings]
    if not resampled:
        notes.append(f"The runs cover {minutes} minutes: too few to bound a Sharpe ratio or to say which run is better.")
    if any(manifest["risk"] != manifests[0]["risk"] for manifest in manifests):
        notes.append("The runs have different risk rules.")
    return tuple(notes)
