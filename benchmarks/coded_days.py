"""Days of decisions as discovery finds them on disk: drawn, coded and written by a process of their own.

A random walk with a constant spread, and normal feature values that stay for some rows; bins are fitted to such values. Only
the search of these days is measured, so they must not be in the memory of the process that searches.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import ROOT
from benchmarks.tape import DATA
from edgesmith.canonical import short_hash
from edgesmith.domain.units import NS_PER_DAY, NS_PER_MS, date_of_ns
from edgesmith.evaluation.bins import (
    DEFAULT_QUANTILES,
    FeatureBins,
    coarse_codes,
    cut_matrix,
    encode_columns,
    fit_bins,
    fit_fine_bins,
)
from edgesmith.evaluation.coded import CodedDay, CodedPanel
from edgesmith.evaluation.day_files import DayFiles
from edgesmith.evaluation.decisions import GridDay
from edgesmith.evaluation.labels import LabelSpec

GRID_NS = 100 * NS_PER_MS
DAY_ROWS = NS_PER_DAY // GRID_NS
FIRST_DAY = 19_943
SAMPLE_ROWS = 100_000
PAIR_BINS = 10
# Rows from a decision to the end of each of the three moves of a pair scan.
MOVES_ROWS = (5, 10, 50)


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn: `rows` decisions in all, `stay_rows` with the same value of a feature, `tail_rows` of quotes after a day."""

    rows: int
    features: int
    latencies: int
    tail_rows: int
    stay_rows: int = 10
    # Equal bins without fine ones; the bins a search fits itself by default.
    equal_bins: int = 0
    version: int = 1

    @property
    def count(self) -> int:
        """Return the number of days."""
        return -(-self.rows // DAY_ROWS)

    @property
    def files(self) -> DayFiles:
        """Return where they are kept."""
        return DayFiles(DATA, short_hash(self), "generated", "BTCUSDT")

    def bins(self) -> tuple[tuple[FeatureBins, ...], tuple[FeatureBins, ...]]:
        """Return the bins of the features, and the fine ones."""
        if self.equal_bins:
            quantiles = tuple(at / self.equal_bins for at in range(1, self.equal_bins))
            return tuple(fit_bins(f"feature_{at:02d}", _sample(at), quantiles) for at in range(self.features)), ()
        bins = tuple(fit_bins(f"feature_{at:02d}", _sample(at), DEFAULT_QUANTILES) for at in range(self.features))
        return bins, tuple(fit_fine_bins(one, _sample(at)) for at, one in enumerate(bins))


def panel_of(days: Days, labels: LabelSpec, workers: int) -> CodedPanel:
    """Return the panel of days on disk; they are written by another process where they are missing."""
    files = days.files
    if any(files.load(date_of_ns((FIRST_DAY + at) * NS_PER_DAY), "") is None for at in range(days.count)):
        command = [sys.executable, "-m", "benchmarks.coded_days", msgspec.json.encode(days).decode()]
        subprocess.run(command, cwd=ROOT, check=True)
    bins, fine = days.bins()
    first_ns = FIRST_DAY * NS_PER_DAY
    return CodedPanel(
        bins=bins,
        labels=labels,
        first_ns=first_ns,
        last_ns=first_ns + days.rows * GRID_NS - 1,
        days=tuple(date_of_ns((FIRST_DAY + at) * NS_PER_DAY) for at in range(days.count)),
        open_day=partial(_open, files),
        texts={},
        workers=workers,
        fine=fine,
    )


def feature_rows(seed: int, rows: int, features: int, stay_rows: int) -> NDArray[np.float64]:
    """Return normal values (rows, features), each for `stay_rows` rows."""
    values = np.random.default_rng([seed, 1]).standard_normal((-(-rows // stay_rows), features))
    return np.repeat(values, stay_rows, axis=0)[:rows]


def write(days: Days) -> None:
    """Draw every day and write it."""
    for at in range(days.count):
        count = min(DAY_ROWS, days.rows - at * DAY_ROWS)
        size = count + days.tail_rows
        mid = 60_000.0 + np.cumsum(np.random.default_rng([at, 2]).normal(0.0, 2.0, size))
        bins, fine = days.bins()
        cuts, counts = cut_matrix(fine or bins)
        codes = np.empty((days.features, count), np.uint8)
        encode_columns(feature_rows(at, count, days.features, days.stay_rows), np.arange(days.features), cuts, counts, codes)
        arrays: dict[str, NDArray[Any]] = {
            "mids": np.repeat(mid[None], days.latencies, axis=0),
            "spreads": np.full((days.latencies, size), 0.1),
            "segment_last": np.full(size, size - 1, np.int32),
        }
        if fine:
            arrays["fine"] = codes
            codes = np.stack([coarse_codes(*pair)[row] for row, *pair in zip(codes, bins, fine, strict=True)])
        arrays["codes"] = codes
        numbers = {"first_index": (FIRST_DAY + at) * DAY_ROWS, "rows": count}
        days.files.save(date_of_ns((FIRST_DAY + at) * NS_PER_DAY), "", arrays, numbers)


def pair_days(rows: int, features: int) -> Days:
    """Return the days whose pairs are scanned: ten equal bins a feature, one latency."""
    return Days(rows=rows, features=features, latencies=1, tail_rows=MOVES_ROWS[-1], equal_bins=PAIR_BINS)


def bins_and_moves(rows: int, features: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the codes (features, rows) of those days and the moves (3, rows) that follow in bps, as plain arrays."""
    days = pair_days(rows, features)
    labels = LabelSpec(horizons_ns=tuple(at * GRID_NS for at in MOVES_ROWS), latencies_ns=(0,), fee_in_bps=0.0, fee_out_bps=0.0)
    panel = panel_of(days, labels, 1)
    opened = [panel.open_day(day) for day in panel.days]
    moves = [
        np.stack(
            [1e4 * (one.grid.mids[0, at : at + one.grid.rows] / one.grid.mids[0, : one.grid.rows] - 1.0) for at in MOVES_ROWS]
        )
        for one in opened
    ]
    return np.concatenate([one.codes for one in opened], axis=1), np.concatenate(moves, axis=1)


def _moves(mid: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    return np.stack([1e4 * (mid[at : at + rows] / mid[:rows] - 1.0) for at in MOVES_ROWS])


def _sample(feature: int) -> NDArray[np.float64]:
    return np.random.default_rng([feature, 3]).standard_normal(SAMPLE_ROWS)


def _open(files: DayFiles, day: Any) -> CodedDay:
    kept = files.load(day, "")
    assert kept is not None, f"the days in {DATA} were changed while they were used"
    arrays, numbers = kept.arrays, kept.numbers
    grid = GridDay(numbers["first_index"], numbers["rows"], arrays["mids"], arrays["spreads"], arrays["segment_last"])
    return CodedDay(grid, arrays["codes"], arrays.get("fine"))


if __name__ == "__main__":
    write(msgspec.json.decode(sys.argv[1], type=Days))
