"""Single cells: test every bin of every feature as one family, and say what each number means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.decide import decide, sentence
from edgesmith.edges.discovery.measure import Floats, GroupMeasures, Mask, flip, measure
from edgesmith.edges.discovery.result import Cell, CellBound
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.labels import SQUARE_UNITS, ColumnGroup, N
from edgesmith.evaluation.significance import (
    Influence,
    benjamini_hochberg,
    benjamini_yekutieli,
    critical_value,
    detectable_effect,
    effective_cells,
    simes,
)
from edgesmith.evaluation.sums import BlockSums, SingleCells
from edgesmith.parallel import Progress

# A two-sided 90 % interval reaches this many standard errors.
INTERVAL_ERRORS = 1.645


class Place(NamedTuple):
    """Which bin of which feature a cell is."""

    feature: int
    code: int


class Outcome(NamedTuple):
    """Results of the tests over (columns x cells) of all groups, NaN where not tested; `q`, `q_any` are of the cell's trigger."""

    p_cell: Floats
    p_family: Floats
    q: Floats
    q_any: Floats
    critical_t: float
    alpha: float


class Judged(NamedTuple):
    """All cells by feature, bin, latency and horizon, the critical |T| of the family, and sd(g) of all rows by horizon.

    `effective` is how many independent cells the tested ones are worth.
    """

    cells: tuple[Cell, ...]
    critical_t: float
    deviations_bps: dict[int, float]
    effective: float


def places_of(bins: Sequence[FeatureBins]) -> tuple[Place, ...]:
    """Return every cell there is to look at, the missing ones too; known before a row is tested."""
    return tuple(Place(index, code) for index, one in enumerate(bins) for code in (*range(one.count), MISSING))


def judge(
    bins: tuple[FeatureBins, ...],
    groups: Sequence[ColumnGroup],
    sums: Iterable[BlockSums],
    config: DiscoveryConfig,
    alpha: float | None = None,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> Judged:
    """Test every cell of every column group as one family at `alpha`, the config's by default.

    `sums` are taken one group at a time. The real ones are REJECT_COST until `profit.judge_profit` has asked whether they pay.
    """
    places, slots = places_of(bins), SingleCells(bins).slots
    cells = np.array([one.feature * slots + (slots - 1 if one.code == MISSING else one.code) for one in places])
    # Every feature has each row once, so the cells of the first are all rows.
    everything = np.arange(slots)
    measured: list[GroupMeasures] = []
    deviations: dict[int, float] = {}
    for columns, held in zip(groups, sums, strict=True):
        measured.append(measure(held, columns, cells, everything, config))
        deviations = _deviations(columns, held, everything) | deviations
    outcome = _test(measured, cells, config, config.alpha if alpha is None else alpha, workers, progress)
    found: list[Cell] = []
    offset = 0
    for group in measured:
        mde = mde_of(group, outcome.critical_t, config)
        for index in range(len(group.n)):
            column, place = group.group.columns[index // len(places)], places[index % len(places)]
            bound = bound_of(bins[place.feature], place.code, place.code)
            found.append(
                cell_of((bound,), bins[place.feature].text(place.code), column, group, index, outcome, offset + index, mde)
            )
        offset += len(group.n)
    ordered = sorted(found, key=lambda cell: (cell.feature, cell.bin, cell.latency_ns, cell.horizon_ns))
    effective = effective_cells(one.psi[:, one.testable] for one in measured)
    return Judged(tuple(ordered), outcome.critical_t, deviations, effective)


def _deviations(group: ColumnGroup, sums: BlockSums, everything: NDArray[np.int64]) -> dict[int, float]:
    # At the shortest latency that a horizon has; the drift within a horizon is next to nothing beside its variance.
    found: dict[int, float] = {}
    for at, (_, horizon_ns) in enumerate(group.columns):
        rows = int(sums.sums[:, everything, N, at].sum())
        square = float(sums.squares[everything, at].sum()) / SQUARE_UNITS
        found.setdefault(horizon_ns, float(np.sqrt(square / rows)) if rows else 0.0)
    return found


def bound_of(bins: FeatureBins, first: int, last: int) -> CellBound:
    """Return the condition that bins `first` to `last` of a feature are."""
    return CellBound(bins.name, first, last, bins.bounds(first)[0], bins.bounds(last)[1])


def mde_of(group: GroupMeasures, critical_t: float, config: DiscoveryConfig) -> Floats:
    """Return the smallest excess each cell would have been found with, at the power asked for."""
    as_influence = Influence(
        group.psi,
        group.gross_bps,
        group.excess_bps,
        group.standard_error,
        group.blocks,
        group.blocks_effective,
        group.blocks_by_rows,
    )
    return detectable_effect(as_influence, critical_t, NormalDist().inv_cdf(config.power))


def _test(
    measured: list[GroupMeasures],
    cells: NDArray[np.int64],
    config: DiscoveryConfig,
    alpha: float,
    workers: int | None,
    progress: Progress | None,
) -> Outcome:
    groups = [one.group for one in measured]
    testable = np.concatenate([one.testable for one in measured])
    widening = np.concatenate([one.widening for one in measured])
    psis = [one.psi if one.testable.all() else one.psi[:, one.testable] for one in measured]
    excess = flip(groups, psis, widening[testable], config, workers=workers, progress=progress)
    p_cell, p_family = spread(excess.p_cell, testable), spread(excess.p_family, testable)
    # Latencies and horizons are nested in a trigger: Simes within, false discoveries across.
    triggers = simes(np.nan_to_num(p_cell, nan=1.0).reshape(-1, len(cells)).T).min(axis=1)
    columns = len(p_cell) // len(cells)
    return Outcome(
        p_cell,
        p_family,
        np.tile(benjamini_hochberg(triggers), columns),
        np.tile(benjamini_yekutieli(triggers), columns),
        critical_value(excess, alpha),
        alpha,
    )


def spread(values: Floats, chosen: Mask) -> Floats:
    """Return values at their places among all, NaN elsewhere."""
    out = np.full(len(chosen), np.nan)
    out[chosen] = values
    return out


def cell_of(
    bounds: tuple[CellBound, ...],
    text: str,
    column: tuple[int, int],
    group: GroupMeasures,
    index: int,
    outcome: Outcome,
    at: int,
    mde: Floats,
    gain_bps: float | None = None,
) -> Cell:
    """Put the numbers of one cell together: `index` within its group, `at` within all groups."""
    latency_ns, horizon_ns = column
    testable, error = bool(group.testable[index]), group.standard_error[index]
    mde_bps = number(mde[index]) if testable else None
    p_family = float(outcome.p_family[at])
    net_bps, net_error = float(group.net_bps[index]), float(group.net_error[index])
    side, cost_bps = int(group.side[index]), float(group.cost_bps[index])
    alpha = outcome.alpha
    verdict = decide(testable=testable, p_family=p_family, mde_bps=mde_bps, alpha=alpha)
    alone = len(bounds) == 1
    return Cell(
        feature=" x ".join(bound.feature for bound in bounds),
        bin=bounds[0].first if alone else 0,
        lower=bounds[0].lower if alone else None,
        upper=bounds[0].upper if alone else None,
        bounds=bounds,
        text=text,
        horizon_ns=horizon_ns,
        latency_ns=latency_ns,
        n=int(group.n[index]),
        n_eff=number(group.n_eff[index]),
        blocks=int(group.blocks[index]),
        blocks_effective=float(group.blocks_effective[index]),
        side=side,
        gross_bps=number(group.gross_bps[index]),
        excess_bps=number(group.excess_bps[index]) if error > 0 else None,
        gain_bps=gain_bps,
        cost_bps=number(cost_bps),
        net_bps_best_side=number(net_bps),
        net_low_bps=number(net_bps - INTERVAL_ERRORS * net_error) if testable else None,
        net_high_bps=number(net_bps + INTERVAL_ERRORS * net_error) if testable else None,
        t_excess=number(group.excess_bps[index] / error) if error > 0 else None,
        p_cell=number(outcome.p_cell[at]),
        p_family=number(p_family),
        q_value=number(outcome.q[at]) if testable else None,
        q_value_any=number(outcome.q_any[at]) if testable else None,
        p_net=None,
        p_net_family=None,
        mde_bps=mde_bps,
        verdict=verdict,
        sentence=sentence(
            verdict,
            side=side,
            horizon_ns=horizon_ns,
            gross_bps=side * float(group.gross_bps[index]),
            cost_bps=cost_bps,
            mde_bps=mde_bps,
            blocks=int(group.blocks[index]),
            blocks_effective=float(group.blocks_effective[index]),
        ),
    )


def number(value: float) -> float | None:
    """Return a finite number, else None."""
    return float(value) if np.isfinite(value) else None
