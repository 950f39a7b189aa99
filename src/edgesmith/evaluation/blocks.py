"""Block sums: everything the tests need, in one pass, additive to the bit; compiled.

For each time block, feature, bin and (latency, horizon) the six integer moments of the label. Blocks are aligned to the epoch
and sums are int64, so merging the sums of any shards in any order gives the same bytes as one pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation.bins import MISSING, SLOTS
from edgesmith.evaluation.labels import MOMENTS, ColumnGroup

SUM_LIMIT = 1 << 62


class BlockSums:
    """The block sums of one column group; `add` takes rows, `merge` other sums.

    One block is an int64 array (features, 17 slots, columns, 6 moments); slot 16 is the missing value.
    """

    def __init__(self, group: ColumnGroup, features: tuple[str, ...]) -> None:
        self.group = group
        self.features = features
        self._blocks: dict[int, NDArray[np.int64]] = {}

    def add(self, ts_ns: NDArray[np.int64], codes: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Add rows in time order: instants, codes (rows, features), labels (rows, columns x 6)."""
        keys = ts_ns // self.group.block_ns
        starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
        for begin, end in zip(starts, [*starts[1:], len(keys)], strict=True):
            add_rows(codes[begin:end], labels[begin:end], self._block(int(keys[begin])))

    def merge(self, others: Iterable[BlockSums]) -> BlockSums:
        """Return the sums of this and `others` together."""
        merged = BlockSums(self.group, self.features)
        for one in (self, *others):
            if one.group != self.group or one.features != self.features:
                raise InputError("block sums of different features, labels or block lengths cannot be merged; compute them alike")
            for key, sums in one._blocks.items():
                total = merged._block(key)
                total += sums.reshape(total.shape)
                if np.any(np.abs(total) >= SUM_LIMIT):
                    raise DataError(f"block {key}: a merged sum was beyond 2^62; expected every row to be in one shard only")
        return merged

    @property
    def keys(self) -> NDArray[np.int64]:
        """Return the numbers (instant // block length) of the blocks that hold a label, ascending."""
        return np.array(sorted(key for key, sums in self._blocks.items() if sums[..., 0::MOMENTS].any()), np.int64)

    def stacked(self) -> NDArray[np.int64]:
        """Return all blocks as int64 (blocks, features, slots, columns, moments), ascending in time."""
        shape = (len(self.features), SLOTS, len(self.group.columns), MOMENTS)
        keys = self.keys
        stacked = np.empty((len(keys), *shape), np.int64)
        for out, key in zip(stacked, keys, strict=True):
            out[...] = self._blocks[int(key)].reshape(shape)
        return stacked

    def _block(self, key: int) -> NDArray[np.int64]:
        found = self._blocks.get(key)
        if found is None:
            found = np.zeros((len(self.features), SLOTS, len(self.group.columns) * MOMENTS), np.int64)
            self._blocks[key] = found
        return found


@kernel
def add_rows(codes: NDArray[np.uint8], labels: NDArray[np.int64], sums: NDArray[Any]) -> None:
    """Add the moments of every row to the slots its codes name: `sums` (features, slots, columns x 6)."""
    width = labels.shape[1]
    for i in range(codes.shape[0]):
        for f in range(codes.shape[1]):
            slot = codes[i, f]
            cell = sums[f, SLOTS - 1 if slot == MISSING else slot]
            for q in range(width):
                cell[q] += labels[i, q]
