"""How rows are divided: train and held out, blocks, periods, regimes. Boundaries are instants, so a division is a slice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, format_duration_ns
from edgesmith.errors import DataError
from edgesmith.evaluation.analysis.config import AnalysisConfig
from edgesmith.evaluation.analysis.rows import AnalysisRows
from edgesmith.evaluation.labels import block_length_ns

TRAIN, HELD_OUT, NEITHER = range(3)
REGIMES = ("calm", "usual", "wild")
NO_REGIME = len(REGIMES)

# From three days on a period is a day; below, the shortest of these that makes at most so many of them.
DAYS_MIN = 3
PERIODS_MAX = 12
PERIOD_LADDER_NS = (NS_PER_MINUTE, 5 * NS_PER_MINUTE, 30 * NS_PER_MINUTE, 2 * NS_PER_HOUR, 6 * NS_PER_HOUR, NS_PER_DAY)
ROWS_MIN = 100


class Split(NamedTuple):
    """Train and held-out rows as slices: a label that starts in `train` ends before `split_ns`."""

    split_ns: int
    embargo_ns: int
    train: slice
    held_out: slice


class Segments(NamedTuple):
    """Runs of rows of one block, one period and one part (train, held out, neither): all arrays (segments,)."""

    starts: NDArray[np.int64]  # one more than there are segments
    blocks: NDArray[np.int64]  # numbered from 0, over train and held out alike
    periods: NDArray[np.int64]
    parts: NDArray[np.int64]


class Layout(NamedTuple):
    """Every division of the rows; `regimes` is (rows,) uint8, `NO_REGIME` where volatility is missing."""

    split: Split
    block_ns: int
    period_ns: int
    period_starts_ns: NDArray[np.int64]
    segments: Segments
    regimes: NDArray[np.uint8]


def lay_out(rows: AnalysisRows, config: AnalysisConfig) -> Layout:
    """Divide the rows; raise DataError where there are too few to train on or to hold out."""
    split = split_rows(rows.ts_ns, config)
    span_ns = int(rows.ts_ns[-1] - rows.ts_ns[0])
    block_ns = block_length_ns(config.horizon_ns, span_ns)
    period_ns = _period_ns(span_ns)
    segments, period_starts_ns = _segments(rows.ts_ns, split, block_ns, period_ns)
    return Layout(split, block_ns, period_ns, period_starts_ns, segments, _regimes(rows.volatility, split.train))


def split_rows(ts_ns: NDArray[np.int64], config: AnalysisConfig) -> Split:
    """Hold out the last part of the time; drop the train rows whose label crosses into it and an embargo behind the split."""
    first_ns, last_ns = int(ts_ns[0]), int(ts_ns[-1])
    split_ns = last_ns - int(config.held_out_ratio * (last_ns - first_ns))
    embargo_ns = config.reach_ns if config.embargo_ns is None else config.embargo_ns
    train = slice(0, int(np.searchsorted(ts_ns, split_ns - config.reach_ns)))
    held_out = slice(int(np.searchsorted(ts_ns, split_ns + embargo_ns)), len(ts_ns))
    for name, part in (("train on", train), ("hold out", held_out)):
        if part.stop - part.start < ROWS_MIN:
            raise DataError(
                f"there were {max(0, part.stop - part.start)} decision times to {name} in "
                f"{format_duration_ns(last_ns - first_ns)}, expected at least {ROWS_MIN}: "
                "use a longer range or a shorter --horizon"
            )
    return Split(split_ns, embargo_ns, train, held_out)


def _period_ns(span_ns: int) -> int:
    if span_ns >= DAYS_MIN * NS_PER_DAY:
        return NS_PER_DAY
    return next((rung_ns for rung_ns in PERIOD_LADDER_NS if span_ns <= PERIODS_MAX * rung_ns), NS_PER_DAY)


def _segments(ts_ns: NDArray[np.int64], split: Split, block_ns: int, period_ns: int) -> tuple[Segments, NDArray[np.int64]]:
    parts = np.full(len(ts_ns), NEITHER, np.int64)
    parts[split.train], parts[split.held_out] = TRAIN, HELD_OUT
    blocks, periods = ts_ns // block_ns, ts_ns // period_ns
    new = (np.diff(blocks) != 0) | (np.diff(periods) != 0) | (np.diff(parts) != 0)
    begins = np.concatenate([[0], 1 + np.flatnonzero(new)])
    period_keys, period_of = np.unique(periods[begins], return_inverse=True)
    _, block_of = np.unique(blocks[begins], return_inverse=True)
    starts = np.append(begins, len(ts_ns)).astype(np.int64)
    return Segments(starts, block_of.astype(np.int64), period_of.astype(np.int64), parts[begins]), period_keys * period_ns


def _regimes(volatility: NDArray[np.float32], train: slice) -> NDArray[np.uint8]:
    # Thirds of the train rows, so that the future does not say what was calm.
    regimes = np.full(len(volatility), NO_REGIME, np.uint8)
    known = volatility[train][np.isfinite(volatility[train])]
    if len(known):
        cuts = np.quantile(known, (1 / 3, 2 / 3))
        present = np.isfinite(volatility)
        # A value that makes up a third by itself (no move at all) is calm.
        regimes[present] = np.searchsorted(cuts, volatility[present], side="left")
    return regimes
