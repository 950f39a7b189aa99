"""What validation reads: the block moments of one trigger beside those of all rows, in bps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError
from edgesmith.evaluation.coded import CodedDay, CodedPanel
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


def grid_of(found: TriggerSums, latency_ns: int, horizon_ns: int) -> Floats:
    """Return the moments (blocks, cells, 6) of a grid of cells at one column, in bps."""
    column = found.columns.index((latency_ns, horizon_ns))
    return np.moveaxis(moments_bps(found.sums[:, :, column]), 0, 1)


def within_regimes(panel: CodedPanel, regimes: Sequence[int] | None) -> CodedPanel:
    """Return the panel with labels in `regimes` only; all of it where None."""
    if regimes is None:
        return panel
    if panel.regime_feature is None:
        raise InputError("the edge acts in some regimes only, but this panel has no regime feature; give the regime model")
    place = panel.place_of(panel.regime_feature)
    wanted = np.searchsorted(np.array(panel.bins[place].cuts), np.array(regimes, np.float64), "right")

    def open_day(day: date) -> CodedDay:
        found = panel.open_day(day)
        last = found.grid.segment_last.copy()
        # A row outside of any segment has no label.
        rows = found.codes.shape[1]
        last[:rows][~np.isin(found.codes[place], wanted)] = -1
        return found._replace(grid=found.grid._replace(segment_last=last))

    return replace(panel, open_day=open_day)
