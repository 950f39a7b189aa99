"""From block sums to the numbers of each cell: means, costs, block influences, effective sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.evaluation.labels import SQUARE_UNITS, SUM_UNITS, C, ColumnGroup, G, N
from edgesmith.evaluation.significance import (
    FlipResult,
    Influence,
    effective_rows,
    excess_influence,
    mean_influence,
    overlap_widening,
    sign_flip,
)
from edgesmith.evaluation.sums import BlockSums
from edgesmith.parallel import Progress

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class ColumnCells(NamedTuple):
    """Sums of all cells in one (latency, horizon) column, over the blocks that hold any label: float64 (blocks, cells), bps."""

    column: tuple[int, int]
    n: Floats
    gross: Floats
    cost: Floats
    n_all: Floats  # (blocks, 1)
    gross_all: Floats


class GroupMeasures(NamedTuple):
    """What is known of each cell of a column group; arrays over (columns x cells), column by column."""

    group: ColumnGroup
    psi: Floats  # (blocks, columns x cells)
    n: Floats
    n_eff: Floats
    blocks: NDArray[np.int64]
    blocks_effective: Floats
    blocks_by_rows: Floats
    gross_bps: Floats
    excess_bps: Floats
    standard_error: Floats  # of the excess, overlap of labels across blocks included
    cost_bps: Floats
    net_bps: Floats
    net_error: Floats
    side: Floats
    widening: Floats
    testable: Mask


def column_cells(
    sums: BlockSums, group: ColumnGroup, cells: NDArray[np.int64], everything: NDArray[np.int64]
) -> Iterator[ColumnCells]:
    """Yield, column by column, the sums of the chosen cells; those of `everything` together are all rows, each once."""
    held = sums.sums[:, everything, N].any(axis=(1, 2))
    for at, column in enumerate(group.columns):
        own = sums.sums[..., at][held]
        totals = own[:, everything].sum(axis=1).astype(np.float64)
        values = own[:, cells].astype(np.float64)
        yield ColumnCells(
            column,
            values[..., N],
            values[..., G] / SUM_UNITS,
            values[..., C] / SUM_UNITS,
            totals[:, N : N + 1],
            totals[:, G : G + 1] / SUM_UNITS,
        )


def measure(
    sums: BlockSums, group: ColumnGroup, cells: NDArray[np.int64], everything: NDArray[np.int64], config: DiscoveryConfig
) -> GroupMeasures:
    """Measure every chosen cell in every column of a group against the rest of the rows."""
    # The influences are most of the memory of a search: each column goes to its place at once.
    psi: Floats = np.empty((0, 0))
    parts: list[GroupMeasures] = []
    for at, one in enumerate(column_cells(sums, group, cells, everything)):
        part = _measured(one, sums.squares[:, at] / SQUARE_UNITS, group, cells, everything, config)
        if not parts:
            psi = np.empty((len(part.psi), len(cells) * len(group.columns)))
        psi[:, at * len(cells) : (at + 1) * len(cells)] = part.psi
        parts.append(part._replace(psi=psi))
    return GroupMeasures(
        group, psi, *(np.concatenate([part[at] for part in parts]) for at in range(2, len(GroupMeasures._fields)))
    )


def _measured(
    one: ColumnCells,
    squares: Floats,
    group: ColumnGroup,
    cells: NDArray[np.int64],
    everything: NDArray[np.int64],
    config: DiscoveryConfig,
) -> GroupMeasures:
    excess = excess_influence(one.n, one.gross, one.n_all, one.gross_all)
    side = np.where(excess.excess < 0, -1.0, 1.0)
    net = mean_influence(one.n, side * one.gross - one.cost)
    n, s, n_all, s_all = one.n.sum(axis=0), one.gross.sum(axis=0), one.n_all.sum(), one.gross_all.sum()
    n_eff = effective_rows(n, s, squares[cells], n_all, s_all, squares[everything].sum(), excess.standard_error)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost_bps = one.cost.sum(axis=0) / n
    widening = overlap_widening(one.column[1], group.block_ns)
    return GroupMeasures(
        group,
        excess.psi,
        n,
        n_eff,
        excess.blocks,
        excess.blocks_effective,
        excess.blocks_by_rows,
        excess.mean,
        excess.excess,
        excess.standard_error * widening,
        cost_bps,
        net.mean,
        np.sqrt((_centered(net, one.n) ** 2).sum(axis=0)) * widening,
        side,
        np.full(len(n), widening),
        (excess.blocks >= config.blocks_min) & (excess.blocks_effective >= config.blocks_effective_min),
    )


def _centered(net: Influence, n: Floats) -> Floats:
    # Influences about the estimate, not about zero: an interval must not widen because the mean is large.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n.sum(axis=0) > 0, n / n.sum(axis=0), 0.0)
    return net.psi - np.where(np.isfinite(net.mean), net.mean, 0.0) * share


def flip(
    groups: Sequence[ColumnGroup],
    psis: Sequence[Floats],
    widening: Floats,
    config: DiscoveryConfig,
    *,
    workers: int | None,
    progress: Progress | None = None,
) -> FlipResult:
    """Sign-flip the influences of all groups as one family."""
    families = [(group.block_ns + group.grid_ns, psi) for group, psi in zip(groups, psis, strict=True)]
    return sign_flip(families, flips=config.flips, seed=config.seed, widening=widening, workers=workers, progress=progress)
