"""Block sums: everything the tests need, additive to the bit; compiled.

For each time block, cell and (latency, horizon) column the integer moments of the label. A *cell* is a set of rows: one bin of a
feature, the rows where a trigger holds, a place of a grid of codes. Blocks are aligned to the epoch and sums are int64, so the
sums of any shards merged in any order are the same bytes as one pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.labels import GG, MOMENTS

SUM_LIMIT = 1 << 62
# Conditions of a trigger: up to three features and a regime.
CONDITIONS_MAX = 4
# n, sum g and sum c of each block are what the tests need; sum g^2 is kept over all blocks.
TESTED_MOMENTS = 3

Ints = NDArray[np.int64]
Codes = NDArray[np.uint8]


class Cells(Protocol):
    """A way to divide rows into cells."""

    @property
    def count(self) -> int:
        """Return the number of cells."""
        ...

    def add(self, codes: Codes, labels: Ints, first: int, last: int, sums: Ints) -> None:
        """Add label columns `first` to `last` of every row to `sums` (cells, last - first).

        `codes` (features, rows), `labels` (rows, any).
        """
        ...


class SingleCells:
    """Every bin of every feature; cell f x slots + code, the missing value in the last slot."""

    def __init__(self, bins: tuple[FeatureBins, ...]) -> None:
        self.features = len(bins)
        self.slots = max(one.count for one in bins) + 1

    @property
    def count(self) -> int:
        """Return the number of cells, those no bin stands behind included."""
        return self.features * self.slots

    def add(self, codes: Codes, labels: Ints, first: int, last: int, sums: Ints) -> None:
        """Add rows to the bins they are in."""
        add_singles(codes, labels, first, last, self.slots, sums)


class GridCells:
    """The product grid of one to three features: cell (code_1 x slots_2 + code_2) x slots_3 + code_3."""

    def __init__(self, bins: tuple[FeatureBins, ...], chosen: tuple[int, ...]) -> None:
        if not 1 <= len(chosen) <= 3:
            raise InputError(f"a grid had {len(chosen)} features, expected 1 to 3")
        self._chosen = np.array(chosen, np.int64)
        self.shape = tuple(bins[index].count + 1 for index in chosen)
        self._slots = np.array(self.shape, np.int64)

    @property
    def count(self) -> int:
        """Return the number of places."""
        return int(np.prod(self._slots))

    def add(self, codes: Codes, labels: Ints, first: int, last: int, sums: Ints) -> None:
        """Add rows to the place their codes name."""
        add_grid(codes, self._chosen, self._slots, labels, first, last, sums)


class Condition(NamedTuple):
    """A feature, by its place, and the codes that satisfy it: bool (256,)."""

    feature: int
    holds: NDArray[np.bool_]


class TriggerCells:
    """The rows where each of several triggers holds; a row may be in many cells. A trigger without conditions is all rows."""

    def __init__(self, triggers: list[tuple[Condition, ...]]) -> None:
        self._features = np.zeros((len(triggers), CONDITIONS_MAX), np.int64)
        self._counts = np.array([len(one) for one in triggers], np.int64)
        self._holds = np.zeros((len(triggers), CONDITIONS_MAX, 256), np.uint8)
        for t, conditions in enumerate(triggers):
            if len(conditions) > CONDITIONS_MAX:
                raise InputError(f"a trigger had {len(conditions)} conditions, expected at most {CONDITIONS_MAX}")
            for c, condition in enumerate(conditions):
                self._features[t, c] = condition.feature
                self._holds[t, c] = condition.holds

    @property
    def count(self) -> int:
        """Return the number of triggers."""
        return len(self._counts)

    def add(self, codes: Codes, labels: Ints, first: int, last: int, sums: Ints) -> None:
        """Add rows to every trigger that holds."""
        add_triggers(codes, self._features, self._counts, self._holds, labels, first, last, sums)


class BlockSums(NamedTuple):
    """Sums of consecutive blocks `first_key`, `first_key` + 1, ... of one block length.

    `sums` int64 (blocks, cells, moments, columns): the first three or all six moments. `squares` int64 (cells, columns): sum g^2
    over all blocks.
    """

    first_key: int
    sums: Ints
    squares: Ints

    def add(self, part: BlockSums) -> None:
        """Add the sums of other rows of the same cells, whose blocks lie within these, in place."""
        at = part.first_key - self.first_key
        assert 0 <= at <= len(self.sums) - len(part.sums), "blocks outside those reserved"
        target = self.sums[at : at + len(part.sums)]
        target += part.sums
        self.squares[...] += part.squares
        if len(target) and max(int(target.max()), -int(target.min()), int(self.squares.max())) >= SUM_LIMIT:
            raise DataError("a merged sum was beyond 2^62; expected every row to be in one shard only")


class TriggerSums(NamedTuple):
    """What validation reads: the block sums of one trigger beside those of all rows.

    `keys` int64 (blocks,): instant // `block_ns`, ascending, only blocks with a label. `columns`: (latency_ns, horizon_ns).
    `sums` int64 (..., blocks, columns, 6): n, g, c, gg, gc, cc in the units of `labels` (`labels.moments_bps` converts), with a
    leading axis of cells if it came from `grid_sums`. `totals` (blocks, columns, 6): the same of all rows.
    """

    block_ns: int
    columns: tuple[tuple[int, int], ...]
    keys: Ints
    sums: Ints
    totals: Ints

    def merge(self, other: TriggerSums) -> TriggerSums:
        """Return the sums of both; they must be of the same trigger, in rows that only one of them has."""
        if (self.block_ns, self.columns, self.sums.shape[:-3]) != (other.block_ns, other.columns, other.sums.shape[:-3]):
            raise InputError("trigger sums of different columns or block lengths cannot be merged; compute them alike")
        return self._regrouped(np.concatenate([self.keys, other.keys]), other)

    def coarsened(self, block_ns: int) -> TriggerSums:
        """Return the sums of longer blocks, a multiple of these."""
        if block_ns % self.block_ns:
            raise InputError(f"block_ns was {block_ns}, expected a multiple of {self.block_ns}")
        keys = self.keys // (block_ns // self.block_ns)
        return self._regrouped(keys, None)._replace(block_ns=block_ns)

    def _regrouped(self, keys: Ints, other: TriggerSums | None) -> TriggerSums:
        wanted, place = np.unique(keys, return_inverse=True)
        sums = np.zeros((*self.sums.shape[:-3], len(wanted), *self.sums.shape[-2:]), np.int64)
        totals = np.zeros((len(wanted), *self.totals.shape[1:]), np.int64)
        parts = [(self, place[: len(self.keys)])] + ([(other, place[len(self.keys) :])] if other is not None else [])
        for part, at in parts:
            np.add.at(np.moveaxis(sums, -3, 0), at, np.moveaxis(part.sums, -3, 0))
            np.add.at(totals, at, part.totals)
        if totals.size and int(np.abs(totals).max()) >= SUM_LIMIT:
            raise DataError("a merged sum was beyond 2^62; expected every row to be in one shard only")
        return TriggerSums(self.block_ns, self.columns, wanted, sums, totals)


def reserve(first_key: int, blocks: int, cells: int, columns: int, moments: int = TESTED_MOMENTS) -> BlockSums:
    """Return zero sums for `blocks` blocks from `first_key` on."""
    return BlockSums(first_key, np.zeros((blocks, cells, moments, columns), np.int64), np.zeros((cells, columns), np.int64))


def add_rows(cells: Cells, keys: Ints, codes: Codes, labels: Ints, into: BlockSums) -> None:
    """Add rows in time order: block numbers (rows,), codes (features, rows), labels (rows, 6 x columns)."""
    _, _, moments, columns = into.sums.shape
    starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    for begin, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        block = into.sums[int(keys[begin]) - into.first_key].reshape(cells.count, moments * columns)
        cells.add(codes[:, begin:end], labels[begin:end], 0, moments * columns, block)
    cells.add(codes, labels, GG * columns, (GG + 1) * columns, into.squares)


@kernel
def add_singles(codes: Codes, labels: Ints, first: int, last: int, slots: int, sums: NDArray[Any]) -> None:
    """Add label columns of every row to cell f x slots + code of each feature f."""
    width = last - first
    # Tiles of rows stay in the fast cache while every feature reads them; codes come in runs, added four rows at a time.
    for low in range(0, codes.shape[1], 128):
        high = min(low + 128, codes.shape[1])
        for f in range(codes.shape[0]):
            i = low
            while i < high:
                code = codes[f, i]
                stop = i + 1
                while stop < high and codes[f, stop] == code:
                    stop += 1
                cell = sums[f * slots + (slots - 1 if code == MISSING else code)]
                while i + 3 < stop:
                    row_0, row_1 = labels[i, first:last], labels[i + 1, first:last]
                    row_2, row_3 = labels[i + 2, first:last], labels[i + 3, first:last]
                    for q in range(width):
                        cell[q] += (row_0[q] + row_1[q]) + (row_2[q] + row_3[q])
                    i += 4
                while i < stop:
                    row = labels[i, first:last]
                    for q in range(width):
                        cell[q] += row[q]
                    i += 1


@kernel
def add_grid(codes: Codes, chosen: Ints, slots: Ints, labels: Ints, first: int, last: int, sums: NDArray[Any]) -> None:
    """Add label columns of every row to the place of its codes in the product grid."""
    for i in range(codes.shape[1]):
        place = 0
        for d in range(chosen.shape[0]):
            code = codes[chosen[d], i]
            place = place * slots[d] + (slots[d] - 1 if code == MISSING else code)
        cell = sums[place]
        row = labels[i, first:last]
        for q in range(last - first):
            cell[q] += row[q]


@kernel
def add_triggers(
    codes: Codes, features: Ints, counts: Ints, holds: Codes, labels: Ints, first: int, last: int, sums: NDArray[Any]
) -> None:
    """Add label columns of every row to each trigger whose conditions all hold."""
    for t in range(counts.shape[0]):
        cell = sums[t]
        for i in range(codes.shape[1]):
            inside = True
            for c in range(counts[t]):
                if holds[t, c, codes[features[t, c], i]] == 0:
                    inside = False
                    break
            if inside:
                row = labels[i, first:last]
                for q in range(last - first):
                    cell[q] += row[q]


assert MOMENTS == 6 and GG == TESTED_MOMENTS
