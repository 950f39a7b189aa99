"""What validation reads: the block moments of one trigger beside those of all rows, in bps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.evaluation.labels import C, G, N, moments_bps
from edgesmith.evaluation.significance import Influence, excess_influence
from edgesmith.evaluation.sums import TriggerSums

Floats = NDArray[np.float64]


class EdgeSums(NamedTuple):
    """Moments per block: `cell` where the trigger held, `total` of every row; both (blocks, columns, 6), bps and bps^2.

    `keys` (blocks,) are block numbers (instant // `block_ns`), ascending; `columns` the (latency, horizon) pairs in ns.
    """

    keys: NDArray[np.int64]
    block_ns: int
    columns: tuple[tuple[int, int], ...]
    cell: Floats
    total: Floats

    def column(self, latency_ns: int, horizon_ns: int) -> int:
        """Return the place of a column."""
        return self.columns.index((latency_ns, horizon_ns))

    def rows(self, column: int) -> Floats:
        """Return the rows of the trigger per block."""
        return self.cell[:, column, N]

    def net(self, column: int, side: int) -> Floats:
        """Return the summed result per block of trading to `side`, after cost."""
        result: Floats = side * self.cell[:, column, G] - self.cell[:, column, C]
        return result

    def excess_of(self, column: int) -> Influence:
        """Return the influences of "rows of the trigger minus the others", gross."""
        cell, total = self.cell[:, [column]], self.total[:, [column]]
        return excess_influence(cell[..., N], cell[..., G], total[..., N], total[..., G])


def edge_sums(found: TriggerSums) -> EdgeSums:
    """Return the sums of one trigger, from fixed point to bps."""
    return EdgeSums(found.keys, found.block_ns, found.columns, moments_bps(found.sums), moments_bps(found.totals))
