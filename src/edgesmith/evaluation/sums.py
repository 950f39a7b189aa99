"""Block sums: everything the tests need, additive to the bit; compiled.

For each time block, cell and (latency, horizon) column the integer moments of the label. A *cell* is a set of rows: one bin of a
feature, or the rows where a trigger holds. Blocks are aligned to the epoch and sums are int64, so the sums of any shards merged
in any order are the same bytes as one pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel, wide_kernel
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.labels import GG, MOMENTS

SUM_LIMIT = 1 << 62
# Conditions of a trigger: up to three features and a regime.
CONDITIONS_MAX = 4
# n, sum g and sum c of each block are what the tests need; sum g^2 is kept over all blocks.
TESTED_MOMENTS = 3

# Rows whose running sums stay in the fast cache, and numbers added at once.
TILE_ROWS = 128
LANES = 8

Ints = NDArray[np.int64]
Codes = NDArray[np.uint8]
Places = NDArray[np.int32]


class Cells(Protocol):
    """A way to divide rows into cells, once or several times over."""

    @property
    def count(self) -> int:
        """Return the number of cells."""
        ...

    def places(self, codes: Codes) -> Places:
        """Return the cell of every row, -1 for none: int32 (divisions, rows), from codes (features, rows)."""
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

    def places(self, codes: Codes) -> Places:
        """Return the bin each row is in, one division a feature."""
        out = np.empty(codes.shape, np.int32)
        place_singles(codes, self.slots, out)
        return out


class Condition(NamedTuple):
    """A feature, by its place, and the codes that satisfy it: bool (256,)."""

    feature: int
    holds: NDArray[np.bool_]


class TriggerCells:
    """The rows where each of several triggers holds; a row may be in many cells. A trigger without conditions is all rows."""

    def __init__(self, triggers: list[tuple[Condition, ...]]) -> None:
        known: dict[tuple[int, bytes], int] = {}
        self._which = np.full((len(triggers), CONDITIONS_MAX), -1, np.int64)
        for t, conditions in enumerate(triggers):
            if len(conditions) > CONDITIONS_MAX:
                raise InputError(f"a trigger had {len(conditions)} conditions, expected at most {CONDITIONS_MAX}")
            for c, condition in enumerate(conditions):
                key = condition.feature, condition.holds.astype(np.uint8).tobytes()
                # Triggers share conditions: each is looked up once a row.
                self._which[t, c] = known.setdefault(key, len(known))
        self._features = np.array([feature for feature, _ in known], np.int64)
        self._holds = np.array([np.frombuffer(holds, np.uint8) for _, holds in known], np.uint8).reshape(-1, 256)

    @property
    def count(self) -> int:
        """Return the number of triggers."""
        return len(self._which)

    def of(self, trigger: int) -> tuple[Ints, Codes]:
        """Return the features of a trigger's conditions and the codes that satisfy each: (conditions,), (conditions, 256)."""
        which = self._which[trigger][self._which[trigger] >= 0]
        return self._features[which], self._holds[which]

    def places(self, codes: Codes) -> Places:
        """Return the trigger itself where it holds, one division a trigger."""
        held = np.empty((len(self._features), codes.shape[1]), np.uint8)
        out = np.empty((len(self._which), codes.shape[1]), np.int32)
        place_triggers(codes, self._features, self._holds, self._which, held, out)
        return out


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
    `sums` int64 (blocks, columns, 6): n, g, c, gg, gc, cc in the units of `labels` (`labels.moments_bps` converts). `totals`
    (blocks, columns, 6): the same of all rows.
    """

    block_ns: int
    columns: tuple[tuple[int, int], ...]
    keys: Ints
    sums: Ints
    totals: Ints

    def merge(self, other: TriggerSums) -> TriggerSums:
        """Return the sums of both; they must be of the same trigger, in rows that only one of them has."""
        if (self.block_ns, self.columns) != (other.block_ns, other.columns):
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
        sums = np.zeros((len(wanted), *self.sums.shape[1:]), np.int64)
        totals = np.zeros((len(wanted), *self.totals.shape[1:]), np.int64)
        parts = [(self, place[: len(self.keys)])] + ([(other, place[len(self.keys) :])] if other is not None else [])
        for part, at in parts:
            np.add.at(sums, at, part.sums)
            np.add.at(totals, at, part.totals)
        if totals.size and int(np.abs(totals).max()) >= SUM_LIMIT:
            raise DataError("a merged sum was beyond 2^62; expected every row to be in one shard only")
        return TriggerSums(self.block_ns, self.columns, wanted, sums, totals)


def reserve(first_key: int, blocks: int, cells: int, columns: int, moments: int = TESTED_MOMENTS) -> BlockSums:
    """Return zero sums for `blocks` blocks from `first_key` on."""
    return BlockSums(first_key, np.zeros((blocks, cells, moments, columns), np.int64), np.zeros((cells, columns), np.int64))


def add_rows(cells: Cells, keys: Ints, codes: Codes, labels: Ints, into: BlockSums) -> None:
    """Add rows in time order: block numbers (rows,), codes (features, rows), labels (rows, 6 x columns)."""
    _, count, moments, columns = into.sums.shape
    chunks = -(-max(moments, GG + 1) * columns // LANES)
    running = np.zeros((TILE_ROWS + 1, chunks, LANES), np.int64)
    added = np.zeros((count, chunks, LANES), np.int64)
    blocks = into.sums.reshape(-1, count, moments * columns)
    add_places(cells.places(codes), keys - into.first_key, labels, columns, running, added, blocks, into.squares)


@kernel
def place_singles(codes: Codes, slots: int, out: Places) -> None:
    """Write f x slots + code of each feature f and row."""
    for f in range(codes.shape[0]):
        for i in range(codes.shape[1]):
            code = codes[f, i]
            out[f, i] = f * slots + (slots - 1 if code == MISSING else code)


@kernel
def place_triggers(codes: Codes, features: Ints, holds: Codes, which: Ints, held: Codes, out: Places) -> None:
    """Write t where all conditions of trigger t hold, else -1; `held` (conditions, rows) is where each condition is noted."""
    for c in range(features.shape[0]):
        for i in range(codes.shape[1]):
            held[c, i] = holds[c, codes[features[c], i]]
    for t in range(which.shape[0]):
        for i in range(codes.shape[1]):
            out[t, i] = t
        for c in which[t]:
            if c >= 0:
                for i in range(codes.shape[1]):
                    out[t, i] = out[t, i] if held[c, i] == 1 else -1


@kernel
def add_places(
    places: Places, blocks: Ints, labels: Ints, columns: int, running: Ints, added: Ints, sums: NDArray[Any], squares: Ints
) -> None:
    """Add the labels of every row to its cell of every division, in its block: `sums` (blocks, cells, moments x columns).

    `running` (rows of a tile + 1, chunks, 8) and `added` (cells, chunks, 8) are room to work in, zeros at first.
    """
    lanes = running.shape[1] * LANES
    running_flat, added_flat = running.reshape((running.shape[0], lanes)), added.reshape((added.shape[0], lanes))
    low = 0
    for i in range(1, blocks.shape[0] + 1):
        if i == blocks.shape[0] or blocks[i] != blocks[low]:
            for begin in range(low, i, TILE_ROWS):
                end = min(begin + TILE_ROWS, i)
                _run(labels, begin, end, running_flat)
                for d in range(places.shape[0]):
                    _add_runs(places[d, begin:end], running, added)
            _flush(added_flat, columns, sums[blocks[low]], squares)
            low = i


@kernel
def _run(labels: Ints, begin: int, end: int, running: Ints) -> None:
    # running[i] is the sum of the tile's first i rows, so a run of rows costs one subtraction however long it is.
    width = min(labels.shape[1], running.shape[1])
    for i in range(end - begin):
        before, after, row = running[i], running[i + 1], labels[begin + i]
        for q in range(width):
            after[q] = before[q] + row[q]


@wide_kernel
def _add_runs(places: Places, running: Ints, added: Ints) -> None:
    i = 0
    while i < places.shape[0]:
        place, first = places[i], np.uint32(i)
        i += 1
        while i < places.shape[0] and places[i] == place:
            i += 1
        if place < 0:
            continue
        last, at = np.uint32(i), np.uint32(place)
        for chunk in range(running.shape[1]):
            k = np.uint32(chunk)
            # Eight lanes written out: one instruction each where the processor is wide enough.
            t, a, b = added[at, k], running[last, k], running[first, k]
            t_0, t_1, t_2, t_3 = t[0] + (a[0] - b[0]), t[1] + (a[1] - b[1]), t[2] + (a[2] - b[2]), t[3] + (a[3] - b[3])
            t_4, t_5, t_6, t_7 = t[4] + (a[4] - b[4]), t[5] + (a[5] - b[5]), t[6] + (a[6] - b[6]), t[7] + (a[7] - b[7])
            t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7] = t_0, t_1, t_2, t_3, t_4, t_5, t_6, t_7


@kernel
def _flush(added: Ints, columns: int, sums: Ints, squares: Ints) -> None:
    for cell in range(added.shape[0]):
        own, block, square = added[cell], sums[cell], squares[cell]
        for q in range(block.shape[0]):
            block[q] += own[q]
        for j in range(columns):
            square[j] += own[GG * columns + j]
        own[:] = 0


assert MOMENTS == 6 and GG == TESTED_MOMENTS
