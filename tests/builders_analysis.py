"""Rows of features and labels for tests of analyses: pure chance, chance with traps, and a planted forecast."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders_discovery import HORIZON_ROWS, START_NS, WORLD_FEATURES, null_world
from edgesmith.canonical import canonical_json
from edgesmith.domain.units import NS_PER_S
from edgesmith.evaluation.analysis import AnalysisConfig, AnalysisRows, Source, analyze
from edgesmith.evaluation.analysis.coded import Coded, encode_rows
from edgesmith.evaluation.analysis.layout import lay_out
from edgesmith.evaluation.feature_report import FeatureReport
from edgesmith.features.operator import FeatureSpec

CONFIG = AnalysisConfig(horizon_ns=HORIZON_ROWS * NS_PER_S, latency_ns=0, grid_ns=NS_PER_S, flips=999)


def rows_of(columns: dict[str, Any], label: Any, *, step_ns: int = NS_PER_S, volatility: Any = None) -> AnalysisRows:
    """Return rows one step apart; columns are put in order of their names, as reading them does."""
    names = tuple(sorted(columns))
    values = np.stack([np.asarray(columns[name], np.float32) for name in names])
    known = np.asarray(label, np.float32)
    calm = np.abs(values[0]) if volatility is None else np.asarray(volatility, np.float32)
    ts_ns = START_NS + np.arange(len(known), dtype=np.int64) * step_ns
    return AnalysisRows(names, ts_ns, values, known, calm, 1.5, step_ns, 1)


def null_rows(seed: int, rows: int = 24_000) -> AnalysisRows:
    """Return overlapping, heavy-tailed labels and features that know everything but the future."""
    world = null_world(seed, rows)
    columns = {name: world.features[:, place] for place, name in enumerate(WORLD_FEATURES)}
    return rows_of(columns, world.gross_bps, volatility=world.features[:, 3])


def planted_rows(seed: int, rows: int = 24_000, weight: float = 0.6) -> AnalysisRows:
    """Return a null world whose `quick` feature says something about the label, and a noisy copy of it, `twin`."""
    world, rng = null_world(seed, rows), np.random.default_rng([seed, 1])
    columns = {name: world.features[:, place] for place, name in enumerate(WORLD_FEATURES)}
    columns["twin"] = columns["quick"] + 0.1 * rng.normal(size=rows)
    return rows_of(columns, world.gross_bps + weight * columns["quick"], volatility=world.features[:, 3])


def coded_of(rows: AnalysisRows, config: AnalysisConfig = CONFIG) -> Coded:
    return encode_rows(rows, lay_out(rows, config))


def report_of(rows: AnalysisRows, config: AnalysisConfig = CONFIG) -> FeatureReport:
    features = {name: FeatureSpec(name, name, (("window", 3),)) for name in rows.columns}
    return analyze(rows, features, config, Source("simulated:TEST", True, "data", "recipe"), volatility="volatility")


def bytes_of(report: FeatureReport) -> bytes:
    return canonical_json(report)
