"""FeatureCorrelation: which features say the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis.coded import Coded
from edgesmith.evaluation.analysis.config import AnalysisConfig
from edgesmith.evaluation.analysis.moments import correlation_matrix
from edgesmith.evaluation.feature_report import Cluster, CorrelationSection

Floats = NDArray[np.float64]

DIGITS = 9
REDUNDANT_WITH = 5


def feature_correlation(
    coded: Coded, centers: Floats, scales: Floats, config: AnalysisConfig, strength: Mapping[str, float]
) -> CorrelationSection:
    """Correlate all pairs of features on train rows, by value (Pearson) and by rank (Spearman).

    `centers` and `scales` keep sums of squares small; `strength` decides which feature of a cluster is kept.
    """
    columns, train = coded.rows.columns, coded.layout.split.train
    values, codes, ranks = coded.rows.values[:, train], coded.codes[:-1, train], coded.ranks.astype(np.float64)

    def read_values(at: slice) -> Floats:
        return np.asarray((values[:, at] - centers[:, None]) / scales[:, None])

    def read_ranks(at: slice) -> Floats:
        return np.stack([np.take(table, code[at]) for table, code in zip(ranks, codes, strict=False)])

    rows = train.stop - train.start
    pearson, spearman = (correlation_matrix(len(columns), rows, read).round(DIGITS) for read in (read_values, read_ranks))
    return CorrelationSection(
        columns=columns,
        pearson=_table(pearson),
        spearman=_table(spearman),
        redundancy=tuple(_redundancy(np.delete(row, place)) for place, row in enumerate(np.abs(spearman))),
        pair_threshold=config.pair_threshold,
        pairs=_pairs(columns, spearman, config.pair_threshold),
        cluster_threshold=config.cluster_threshold,
        clusters=clusters_of(columns, spearman, config.cluster_threshold, strength),
    )


def clusters_of(columns: tuple[str, ...], matrix: Floats, threshold: float, strength: Mapping[str, float]) -> tuple[Cluster, ...]:
    """Group features greedily: the one with most neighbors at `threshold` takes them all, then the next among the rest."""
    near = np.abs(np.nan_to_num(matrix)) >= threshold
    np.fill_diagonal(near, True)
    free = np.ones(len(columns), bool)
    found = []
    while free.any():
        neighbors = (near & free).sum(axis=1) * free
        leader = min(range(len(columns)), key=lambda place: (-neighbors[place], columns[place]))
        members = np.flatnonzero(near[leader] & free)
        free[members] = False
        if len(members) > 1:
            names = sorted(columns[member] for member in members)
            kept = min(names, key=lambda name: (-strength[name], name))
            found.append(Cluster((columns[leader], *(name for name in names if name != columns[leader])), kept))
    return tuple(found)


def _table(matrix: Floats) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(float(value) if np.isfinite(value) else None for value in row) for row in matrix)


def _redundancy(others: Floats) -> float | None:
    known = np.sort(others[np.isfinite(others)])[::-1]
    return round(float(known[:REDUNDANT_WITH].mean()), DIGITS) if len(known) else None


def _pairs(columns: tuple[str, ...], matrix: Floats, threshold: float) -> tuple[tuple[str, str, float], ...]:
    found = [
        (columns[i], columns[j], float(matrix[i, j]))
        for i in range(len(columns))
        for j in range(i + 1, len(columns))
        if abs(matrix[i, j]) >= threshold
    ]
    return tuple(sorted(found, key=lambda pair: (-abs(pair[2]), pair[0], pair[1])))
