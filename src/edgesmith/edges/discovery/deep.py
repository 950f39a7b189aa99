"""Conjunctions of two and three conditions: chosen by a scan, tested block by block against the rest and against their parts.

A conjunction is real if it differs from the other rows and from each of its parts, or the part would be the edge. Its p-value is
the worst of these tests, bounded by the tail of the sign-flip distribution (`significance.flip_tail`: flips cannot resolve one in
a million), combined over latencies and horizons by Simes, and multiplied by the number of conjunctions looked at, chosen or not.

What cannot win is given up early: |T| is at most the square root of the number of blocks in which a trigger holds, so one with
fewer rows than the square of the critical value can never be found real, nor can anything that refines it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.judge import Judged, Outcome, bound_of, cell_of, mde_of, number
from edgesmith.edges.discovery.measure import Floats, GroupMeasures, column_cells, measure
from edgesmith.edges.discovery.result import Cell, DepthCount
from edgesmith.edges.discovery.screen import Conjunction, Part, Screened, codes_of, screen_pairs, screen_triples
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.coded import CodedPanel
from edgesmith.evaluation.labels import ColumnGroup, column_groups
from edgesmith.evaluation.screening import intervals_of
from edgesmith.evaluation.significance import (
    benjamini_hochberg,
    benjamini_yekutieli,
    excess_influence,
    flip_tail,
    simes,
    tail_critical,
)
from edgesmith.evaluation.sums import TESTED_MOMENTS, BlockSums, Condition, TriggerCells
from edgesmith.parallel import Progress


class DeepSearch(NamedTuple):
    """What was found below single conditions: the cells worth showing, what each depth cost, verdicts of all trials."""

    cells: tuple[Cell, ...]
    depths: tuple[DepthCount, ...]
    counts: Counter[Verdict]


class _Tested(NamedTuple):
    """Conjunctions with the block sums of theirs, of their parts and of all rows."""

    chosen: tuple[Conjunction, ...]
    groups: tuple[ColumnGroup, ...]
    sums: list[BlockSums]
    places: dict[Conjunction, int]  # () is all rows


def looks_of(panel: CodedPanel, config: DiscoveryConfig, always: Sequence[str]) -> list[int]:
    """Return how many pairs, then triples, a search looks at: known before the data is, and not changed by what it shows."""
    slots = sorted((int(intervals_of(one).sum()) for one in panel.bins), reverse=True)
    slots = slots[: config.features_max + len(set(always))]
    pairs = sum(one * other for one, other in combinations(slots, 2))
    return [pairs, config.beam * sum(slots)][: config.depth - 1]


def deep_search(
    panel: CodedPanel,
    singles: Judged,
    config: DiscoveryConfig,
    alpha: float,
    always: Sequence[str],
    workers: int | None,
    progress: Progress | None,
) -> DeepSearch:
    """Search pairs, then triples, at `alpha` over both."""
    cells: list[Cell] = []
    depths: list[DepthCount] = []
    counts: Counter[Verdict] = Counter()
    looks = looks_of(panel, config, always)
    features = _strongest(panel, singles, config, always)
    beam: tuple[Conjunction, ...] = ()
    for depth, looked in enumerate(looks, start=2):
        if not looked or len(features) < depth or (depth == 3 and not beam):
            continue
        share = alpha / len(looks)
        critical = tail_critical(share, looked)
        rows_min = max(config.blocks_min, ceil(critical**2))
        found = (
            screen_pairs(panel, features, singles.deviations_bps, rows_min, config.beam, progress)
            if depth == 2
            else screen_triples(panel, beam, features, singles.deviations_bps, rows_min, config.beam, progress)
        )
        beam = found.chosen
        tested = _tested_cells(panel, found, depth, looked, share, critical, config, workers, progress)
        shown = [one for one in tested if _is_found(one)] + _strongest_columns(tested)
        cells += sorted(shown, key=lambda cell: cell.strength)
        depths.append(_depth_count(depth, looked, found, panel, share, critical))
        counts.update(one.verdict for one in tested)
        columns = len(panel.labels.horizons_ns) * len(panel.labels.latencies_ns)
        counts[Verdict.INSUFFICIENT] += found.pruned * columns
        counts[Verdict.REJECT_NULL] += (looked - found.pruned) * columns - len(tested)
    return DeepSearch(tuple(cells), tuple(depths), counts)


def _depth_count(depth: int, looked: int, found: Screened, panel: CodedPanel, alpha: float, critical: float) -> DepthCount:
    columns = len(panel.labels.horizons_ns) * len(panel.labels.latencies_ns)
    return DepthCount(
        depth=depth,
        triggers=looked,
        pruned=found.pruned,
        tested=len(found.chosen),
        trials=looked * columns,
        alpha=alpha,
        critical_t=critical,
    )


def _is_found(cell: Cell) -> bool:
    return cell.verdict in (Verdict.CANDIDATE, Verdict.REJECT_COST)


def _strongest_columns(cells: list[Cell]) -> list[Cell]:
    # Of each trigger nothing was found for, the column that came closest.
    found = {cell.text for cell in cells if _is_found(cell)}
    first: dict[str, Cell] = {}
    for cell in sorted(cells, key=lambda cell: cell.strength):
        if cell.text not in found:
            first.setdefault(cell.text, cell)
    return list(first.values())


def _strongest(panel: CodedPanel, singles: Judged, config: DiscoveryConfig, always: Sequence[str]) -> list[int]:
    strength = dict.fromkeys(panel.features, 0.0)
    for cell in singles.cells:
        strength[cell.feature] = max(strength[cell.feature], abs(cell.t_excess or 0.0))
    ranked = sorted(panel.features, key=lambda name: (-strength[name], name))
    kept = set(ranked[: config.features_max]) | {name for name in always if name in strength}
    return [at for at, name in enumerate(panel.features) if name in kept]


def _tested_cells(
    panel: CodedPanel,
    found: Screened,
    depth: int,
    looked: int,
    alpha: float,
    critical: float,
    config: DiscoveryConfig,
    workers: int | None,
    progress: Progress | None,
) -> list[Cell]:
    if not found.chosen:
        return []
    tested = _sum_up(panel, found.chosen, progress)
    cells = np.array([tested.places[one] for one in found.chosen])
    everything = np.array([tested.places[()]])
    measured = [measure(one, group, cells, everything, config) for group, one in zip(tested.groups, tested.sums, strict=True)]
    p_excess = np.concatenate([flip_tail(_t_of(one)) for one in measured])
    against = [_gain(tested, at, one) for at, one in enumerate(measured)]
    p_gain, gains = np.concatenate([one[0] for one in against]), np.concatenate([one[1] for one in against])
    testable = np.concatenate([one.testable for one in measured])
    p_cell = np.where(testable, np.maximum(p_excess, p_gain), 1.0)
    count = len(found.chosen)
    within = simes(p_cell.reshape(-1, count).T)
    triggers = within.min(axis=1)
    p_family = np.where(testable, np.minimum(1.0, within.T.ravel() * looked), np.nan)
    columns = len(p_cell) // count
    outcome = Outcome(
        np.where(testable, p_cell, np.nan),
        p_family,
        np.tile(benjamini_hochberg(triggers, looked), columns),
        np.tile(benjamini_yekutieli(triggers, looked), columns),
        critical,
        alpha,
    )
    return _cells(panel, found.chosen, measured, outcome, gains, config)


def _cells(
    panel: CodedPanel,
    chosen: tuple[Conjunction, ...],
    measured: list[GroupMeasures],
    outcome: Outcome,
    gains: Floats,
    config: DiscoveryConfig,
) -> list[Cell]:
    built, offset = [], 0
    bounds = [tuple(bound_of(panel.bins[part.feature], *codes_of(panel, part)) for part in one) for one in chosen]
    texts = [" and ".join(panel.bins[part.feature].text_of(*codes_of(panel, part)) for part in one) for one in chosen]
    for group in measured:
        mde = mde_of(group, outcome.critical_t, config)
        for index in range(len(group.n)):
            at, column = index % len(chosen), group.group.columns[index // len(chosen)]
            gain = number(gains[offset + index])
            built.append(cell_of(bounds[at], texts[at], column, group, index, outcome, offset + index, mde, gain))
        offset += len(group.n)
    return built


def _sum_up(panel: CodedPanel, chosen: tuple[Conjunction, ...], progress: Progress | None) -> _Tested:
    wanted: dict[Conjunction, None] = dict.fromkeys(chosen)
    for one in chosen:
        wanted.update(dict.fromkeys(parts_of(one)))
    wanted[()] = None
    groups = column_groups(panel.labels, panel.last_ns - panel.first_ns)
    triggers = [tuple(_condition(panel, part) for part in one) for one in wanted]
    sums = panel.block_sums(TriggerCells(triggers), groups, moments=TESTED_MOMENTS, progress=progress)
    return _Tested(chosen, groups, sums, {one: at for at, one in enumerate(wanted)})


def parts_of(conjunction: Conjunction) -> list[Conjunction]:
    """Return the conjunctions with one condition less."""
    return list(combinations(conjunction, len(conjunction) - 1))


def _condition(panel: CodedPanel, part: Part) -> Condition:
    first, last = codes_of(panel, part)
    holds = np.zeros(256, np.bool_)
    holds[first : last + 1] = True
    return Condition(part.feature, holds)


def _t_of(measured: GroupMeasures) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nan_to_num(measured.excess_bps / measured.standard_error))


def _gain(tested: _Tested, at: int, measured: GroupMeasures) -> tuple[Floats, Floats]:
    """Return the worst p over the parts of "no more than the part", and the smallest gain over a part in bps, by column."""
    group, sums = tested.groups[at], tested.sums[at]
    count = len(tested.chosen)
    everything = np.array([tested.places[()]])
    worst, least = np.zeros(len(measured.n)), np.full(len(measured.n), np.inf)
    cells = np.array([tested.places[one] for one in tested.chosen])
    own = list(column_cells(sums, group, cells, everything))
    for which in range(len(tested.chosen[0])):
        parents = np.array([tested.places[parts_of(one)[which]] for one in tested.chosen])
        for column, (one, part) in enumerate(zip(own, column_cells(sums, group, parents, everything), strict=True)):
            span = slice(column * count, (column + 1) * count)
            excess = excess_influence(one.n, one.gross, part.n, part.gross)
            p, gain = _against(excess.excess, excess.standard_error * measured.widening[span], measured.side[span])
            worst[span], least[span] = np.maximum(worst[span], p), np.minimum(least[span], gain)
    return worst, least


def _against(excess: Floats, error: Floats, side: NDArray[np.float64]) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(excess / error)
    # More of the part's own effect is no gain if it points the other way.
    return np.where(t * side > 0, flip_tail(t), 1.0), np.where(np.isfinite(excess), excess * side, -np.inf)
