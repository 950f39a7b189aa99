"""Rows together with what every analysis of them shares: codes, ranks, and how often each code occurs where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.analysis.codes import CODES, count_codes, cuts_of, encode, even_sample, levels_of, rank_table
from edgesmith.evaluation.analysis.layout import NO_REGIME, TRAIN, Layout
from edgesmith.evaluation.analysis.rows import AnalysisRows
from edgesmith.parallel import Progress, map_ordered


class Counts(NamedTuple):
    """How often each code occurs: int64 (3 parts, 256), (periods, 256), (4 regimes, 256)."""

    by_part: NDArray[np.int64]
    by_period: NDArray[np.int64]
    by_regime: NDArray[np.int64]


class Coded(NamedTuple):
    """Codes (columns + 1, rows) uint8, the label last; ranks are those of the train rows, as tables (columns + 1, 256)."""

    rows: AnalysisRows
    layout: Layout
    codes: NDArray[np.uint8]
    ranks: NDArray[np.float32]
    counts: tuple[Counts, ...]
    samples: tuple[NDArray[np.float32], ...]  # ascending train values of each column, the label's last
    levels: tuple[int, ...]

    @property
    def label(self) -> int:
        """Return the place of the label behind the columns."""
        return len(self.rows.columns)


def encode_rows(rows: AnalysisRows, layout: Layout, progress: Progress | None = None) -> Coded:
    """Cut, encode and count every column and the label, one thread a core."""
    width = len(rows.columns) + 1
    codes = np.empty((width, len(rows.ts_ns)), np.uint8)
    segments = layout.segments

    def one(place: int) -> tuple[Counts, NDArray[np.float32]]:
        values = rows.label if place == width - 1 else rows.values[place]
        sample = even_sample(values[layout.split.train])
        encode(values, cuts_of(sample), codes[place])
        counts = Counts(*(np.zeros((n, CODES), np.int64) for n in (3, len(layout.period_starts_ns), NO_REGIME + 1)))
        count_codes(codes[place], segments.starts, segments.parts, segments.periods, layout.regimes, *counts)
        return counts, sample

    found = list(map_ordered(one, range(width), workers=None, mode="threads", progress=progress))
    ranks = np.stack([rank_table(counts.by_part[TRAIN]) for counts, _ in found])
    counts, samples = zip(*found, strict=True)
    return Coded(rows, layout, codes, ranks, counts, samples, tuple(len(levels_of(sample)) for sample in samples))
