"""Cut features into at most 16 bins, once, on data that is then never tested; compiled.

Cut points include the 2 % and the 0.2 % tails, so that rare extremes are cells of their own; a feature with fewer than 16
distinct values is cut between them. A missing value has its own code and is never dropped: data often goes missing exactly
when something happens.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel

BINS_MAX = 16
MISSING = 255

DEFAULT_QUANTILES = (0.002, 0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.98, 0.998)

# Fine bins, for the bounds of what has been found: a code still fits a byte. Each tail is cut in steps of a sixteenth of it.
FINE_BINS_MAX = 250
FINE_QUANTILE_MIN = 0.0005
FINE_STEPS = 112

# A quantile may move by this share of the sample when its cut point is rounded to a readable number.
ROUNDING_RATIO = 0.001
SAMPLE_ROWS = 1 << 17

# Rows whose values of one feature are held side by side while they are compared.
TILE_ROWS = 256

# Values closer than this share of the feature's range are one level.
LEVEL_GAP_RATIO = 1e-7


class FeatureBins(msgspec.Struct, frozen=True):
    """The bins of one feature: bin k holds the values x with `cuts[k-1] <= x < cuts[k]`."""

    name: str
    cuts: tuple[float, ...]

    @property
    def count(self) -> int:
        """Return the number of bins, the missing one not counted."""
        return len(self.cuts) + 1

    def bounds(self, code: int) -> tuple[float | None, float | None]:
        """Return the lower (inclusive) and upper (exclusive) bound of a bin; None where it is open."""
        if code == MISSING:
            return None, None
        lower = self.cuts[code - 1] if code > 0 else None
        return lower, self.cuts[code] if code < len(self.cuts) else None

    def text(self, code: int) -> str:
        """Return the bin as a condition, `imbalance >= 0.2 and imbalance < 0.4`."""
        return self.text_of(code, code)

    def text_of(self, first: int, last: int) -> str:
        """Return bins `first` to `last` as one condition."""
        if first == MISSING:
            return f"{self.name} is missing"
        lower, upper = self.bounds(first)[0], self.bounds(last)[1]
        parts = [f"{self.name} >= {lower!r}"] if lower is not None else []
        parts += [f"{self.name} < {upper!r}"] if upper is not None else []
        return " and ".join(parts) or f"{self.name} is present"


def sample_stride(rows: int) -> int:
    """Return how many grid steps apart rows are sampled so that about `SAMPLE_ROWS` of them are kept.

    A row belongs to the sample by its place on the clock, so the sample is the same however the data is split.
    """
    return max(1, rows // SAMPLE_ROWS)


def fit_bins(name: str, values: NDArray[np.float64], quantiles: tuple[float, ...] = DEFAULT_QUANTILES) -> FeatureBins:
    """Choose the cut points of a feature from a sample of its values; NaN and infinities are left out."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return FeatureBins(name, ())
    starts = _level_starts(ordered)
    if len(starts) < BINS_MAX:
        places, rooms = starts[1:], np.zeros(len(starts) - 1)
    else:
        shares = np.array(quantiles)
        places = starts[np.searchsorted(starts, (shares * len(ordered)).astype(np.int64), "right") - 1]
        rooms = np.minimum(ROUNDING_RATIO, np.minimum(shares, 1.0 - shares) / 8.0) * len(ordered)
    cuts = {_cut_before(int(at), ordered, int(room)) for at, room in zip(places, rooms, strict=True) if at > 0}
    return FeatureBins(name, tuple(sorted(cuts)))


def fit_fine_bins(coarse: FeatureBins, values: NDArray[np.float64]) -> FeatureBins:
    """Return bins of a feature that divide its `coarse` ones further, up to `FINE_BINS_MAX`, the tails most finely."""
    ordered = np.sort(values[np.isfinite(values)])
    starts = _level_starts(ordered) if len(ordered) else np.zeros(0, np.int64)
    if len(starts) < BINS_MAX:
        return coarse
    tail = np.geomspace(FINE_QUANTILE_MIN, 0.5, FINE_STEPS)
    picks = np.unique((np.r_[tail, 1.0 - tail[:-1]] * len(ordered)).astype(np.int64))
    places = np.unique(starts[np.searchsorted(starts, picks, "right") - 1])
    room = np.minimum(np.diff(places, prepend=0), np.diff(places, append=len(ordered)))
    cuts = {_cut_before(int(at), ordered, int(by) // 4) for at, by in zip(places, room, strict=True) if at > 0}
    fine = tuple(sorted(cuts | set(coarse.cuts)))
    assert len(fine) < FINE_BINS_MAX, "more fine bins than a byte holds"
    return FeatureBins(coarse.name, fine)


def coarse_codes(coarse: FeatureBins, fine: FeatureBins) -> NDArray[np.uint8]:
    """Return the coarse bin of each fine code (256,); the cuts of `coarse` are among those of `fine`."""
    table = np.full(256, MISSING, np.uint8)
    table[: fine.count] = np.searchsorted(np.array(coarse.cuts), np.array([-np.inf, *fine.cuts]), "right")
    return table


def _level_starts(ordered: NDArray[np.float64]) -> NDArray[np.int64]:
    # Values a rounding error apart (a spread of 0.1 computed from two prices) are one level.
    low, high = ordered[int(0.02 * len(ordered))], ordered[int(0.98 * len(ordered))]
    scale = high - low if high > low else ordered[-1] - ordered[0]
    return np.concatenate([[0], 1 + np.flatnonzero(np.diff(ordered) > LEVEL_GAP_RATIO * scale)]).astype(np.int64)


def _cut_before(place: int, ordered: NDArray[np.float64], tolerance: int) -> float:
    # The shortest decimal that leaves `place` values below it, give or take `tolerance`; half way between levels.
    below, above = float(ordered[place - 1]), float(ordered[place])
    middle = below + (above - below) / 2
    room = float(ordered[min(place + tolerance, len(ordered) - 1)] - ordered[max(place - 1 - tolerance, 0)]) / 4
    for digits in range(2, 17):
        rounded = float(f"{middle:.{digits}g}")
        near = int(np.searchsorted(ordered, rounded))
        if near > 0 and abs(near - place) <= tolerance and abs(rounded - middle) <= room:
            return rounded
    return middle if middle > below else above


def cut_matrix(bins: tuple[FeatureBins, ...]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the cut points (features, most cuts of any) and how many of them count for each feature."""
    cuts = np.zeros((len(bins), max((len(one.cuts) for one in bins), default=0)))
    for row, one in zip(cuts, bins, strict=True):
        row[: len(one.cuts)] = one.cuts
    return cuts, np.array([len(one.cuts) for one in bins], np.int64)


@kernel
def encode_columns(
    rows: NDArray[np.float64],
    columns: NDArray[np.int64],
    cuts: NDArray[np.float64],
    counts: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Write the bin code of feature f of every row, read from column `columns[f]`, into `out` (features, rows) uint8."""
    # Step by step for a tile of rows at once: a binary search without branches, wide where the processor is.
    values, code = np.empty(TILE_ROWS), np.empty(TILE_ROWS, np.int64)
    for low in range(0, rows.shape[0], TILE_ROWS):
        count = min(TILE_ROWS, rows.shape[0] - low)
        for f in range(columns.shape[0]):
            own, left = cuts[f], counts[f]
            for i in range(count):
                values[i] = rows[low + i, columns[f]]
                code[i] = 0
            while left > 0:
                half = (left + 1) // 2
                for i in range(count):
                    code[i] += half if values[i] >= own[np.uint64(code[i] + half - 1)] else 0
                left -= half
            for i in range(count):
                out[f, low + i] = MISSING if np.isnan(values[i]) else code[i]
