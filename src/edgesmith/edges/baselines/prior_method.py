"""The prior system's discovery and validation, as it was run: the baseline whose false promotions are printed beside ours.

Scanner: absolute thresholds and quantiles of nine features, all rows and four clusters, horizons of 10, 50 and 100 rows, kept
where the mean move is above 5 bps. Tester: accepted with three of four (Welch p, permutation, Sharpe ratio, regime), where a test
that was not run counts as passed. Validation: a weighted score on the file it was found in.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.baselines.textbook import welch

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

HORIZONS_ROWS = (10, 50, 100)
THRESHOLDS = (0.3, 0.5, 0.7)
QUANTILES = (0.1, 0.9)
SUPPORT_MIN = 30
RETURN_MIN = 0.0005
PATTERNS_MAX = 200
EVENTS_PER_YEAR = 7_200_000
SHARPE_MIN = 0.5
ALPHA = 0.05
CLUSTERS = 4


class Pattern(NamedTuple):
    """A condition on one feature (and one cluster, or any: -1) at one horizon."""

    name: str
    rows: Mask
    cluster: int
    horizon: int


class PriorOutcome(NamedTuple):
    """How many patterns were looked at, kept, accepted by the tester, and validated."""

    scanned: int
    kept: int
    accepted: tuple[str, ...]
    validated: tuple[str, ...]


def run_prior_method(
    names: tuple[str, ...], features: Floats, mid: Floats, clusters: NDArray[np.int64], *, return_min: float = RETURN_MIN
) -> PriorOutcome:
    """Run the prior method over event rows: features (rows, names), mid price (rows,), cluster of each row."""
    returns = {h: np.r_[(mid[h:] - mid[:-h]) / mid[:-h], np.full(h, np.nan)] for h in HORIZONS_ROWS}
    scanned = _threshold_patterns(names, features, clusters) + _quantile_patterns(names, features)
    kept = [one for one in scanned if _keeps(one, returns, return_min)]
    accepted = [one for one in kept if _accepts(one, returns, clusters, len(kept))]
    validated = [one for one in accepted if _score(one, returns, clusters) >= 0.5]
    return PriorOutcome(len(scanned), len(kept), tuple(map(_label, accepted)), tuple(map(_label, validated)))


def _label(pattern: Pattern) -> str:
    where = f" in cluster {pattern.cluster}" if pattern.cluster >= 0 else ""
    return f"{pattern.name}{where} @{pattern.horizon}"


def _threshold_patterns(names: tuple[str, ...], features: Floats, clusters: NDArray[np.int64]) -> list[Pattern]:
    found: list[Pattern] = []
    for column, name in enumerate(names):
        value = features[:, column]
        for threshold in THRESHOLDS:
            for text, rows in ((f"{name} > {threshold}", value > threshold), (f"{name} < -{threshold}", value < -threshold)):
                for horizon in HORIZONS_ROWS:
                    for cluster in range(-1, CLUSTERS):
                        inside = rows if cluster < 0 else rows & (clusters == cluster)
                        if inside.any() and len(found) < PATTERNS_MAX:
                            found.append(Pattern(text, inside, cluster, horizon))
    return found


def _quantile_patterns(names: tuple[str, ...], features: Floats) -> list[Pattern]:
    found: list[Pattern] = []
    for column, name in enumerate(names):
        value = features[:, column]
        low, high = np.nanquantile(value, QUANTILES)
        for text, rows in ((f"{name} < q10", value < low), (f"{name} > q90", value > high)):
            found.extend(Pattern(text, rows, -1, horizon) for horizon in HORIZONS_ROWS)
    return found


def _of(pattern: Pattern, returns: dict[int, Floats]) -> tuple[Mask, Floats]:
    y = returns[pattern.horizon]
    known = np.isfinite(y)
    return pattern.rows[known], y[known]


def _keeps(pattern: Pattern, returns: dict[int, Floats], return_min: float) -> bool:
    cell, y = _of(pattern, returns)
    return bool(cell.sum() >= SUPPORT_MIN and abs(y[cell].mean()) >= return_min)


def _sharpe(y: Floats) -> float:
    deviation = float(y.std()) if len(y) else 0.0
    return float(y.mean()) / deviation * math.sqrt(EVENTS_PER_YEAR) if deviation > 0 else 0.0


def _accepts(pattern: Pattern, returns: dict[int, Floats], clusters: NDArray[np.int64], survivors: int) -> bool:
    cell, y = _of(pattern, returns)
    # The permutation test was switched off by default in its long runs, and counts as passed then.
    passed = [welch(cell, y) < ALPHA / max(survivors, 1), True, _sharpe(y[cell]) >= SHARPE_MIN]
    passed.append(pattern.cluster < 0 or _sharpe(y[cell]) >= SHARPE_MIN)
    return sum(passed) / 4 >= 0.75


def _score(pattern: Pattern, returns: dict[int, Floats], clusters: NDArray[np.int64]) -> float:
    cell, y = _of(pattern, returns)
    cut = int(0.7 * len(y))
    inside, outside = _sharpe(y[:cut][cell[:cut]]), _sharpe(y[cut:][cell[cut:]])
    lost = (inside - outside) / abs(inside) if inside else 1.0
    held_out = np.mean([min(1.0, max(outside, 0.0) / 0.5), max(0.0, 1.0 - max(lost, 0.0) / 0.5), min(1.0, cell[cut:].sum() / 30)])
    windows = [_sharpe(y[at : at + 5_000][cell[at : at + 5_000]]) for at in range(0, max(len(y) - 5_000, 0) + 1, 1_000)]
    positive = float(np.mean([one > 0 for one in windows]))
    trend = float(np.polyfit(np.arange(len(windows)), windows, 1)[0]) if len(windows) > 1 else 0.0
    walk = np.mean([positive, 1.0 if trend >= -0.5 else 0.0, 1.0 / (1.0 + np.std(windows))])
    known = np.isfinite(returns[pattern.horizon])
    by_cluster = [_sharpe(y[cell & (clusters[known] == one)]) for one in range(CLUSTERS)]
    regime = min(1.0, max(float(np.mean(by_cluster)), 0.0) / 0.3) / 2.0
    # Its decay gate of -0.001 a window cannot be missed by returns of ticks.
    return float(0.30 * held_out + 0.25 * walk + 0.20 + 0.15 * regime + 0.10 * min(1.0, cell.sum() / 100))
