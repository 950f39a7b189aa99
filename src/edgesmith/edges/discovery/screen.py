"""Which conjunctions are worth testing: one scan of every pair, one of every refinement of the best pairs.

A conjunction is interesting for what it adds to its parts, so cells are ranked by how far their mean lies beyond the better of
their parts, in standard errors of independent rows. The ranking only chooses what is tested block by block; every cell of the
scan counts as a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY
from edgesmith.evaluation.coded import CodedPanel, Piece
from edgesmith.evaluation.labels import SUM_UNITS, ColumnGroup
from edgesmith.evaluation.screening import (
    COLUMNS_MAX,
    INTERVALS,
    LANES,
    SLOTS,
    add_pairs,
    add_refinements,
    codes_of_interval,
    intervals_of,
    merge_codes,
    merged,
    over_intervals,
    pack_labels,
)
from edgesmith.parallel import Progress, map_ordered

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Part(NamedTuple):
    """An interval of a feature: its place, and the place of the interval in `screening.INTERVALS`."""

    feature: int
    interval: int


Conjunction = tuple[Part, ...]
# Adds rows: merged codes (features, rows), packed labels (rows, 8), sums.
Into = Callable[[NDArray[np.uint8], Ints, Ints], None]


class Screened(NamedTuple):
    """The conjunctions chosen, best first, and how many were too rare to ever be found real."""

    chosen: tuple[Conjunction, ...]
    pruned: int


def screening_groups(panel: CodedPanel) -> list[ColumnGroup]:
    """Return the columns a scan looks at: every horizon at the shortest latency, where an effect is largest."""
    spec, latency_ns = panel.labels, min(panel.labels.latencies_ns)
    groups = []
    for grid_ns in sorted({spec.grid_of(horizon) for horizon in spec.horizons_ns}):
        columns = [(latency_ns, horizon) for horizon in spec.horizons_ns if spec.grid_of(horizon) == grid_ns]
        for begin in range(0, len(columns), COLUMNS_MAX):
            groups.append(ColumnGroup(NS_PER_DAY, grid_ns, tuple(columns[begin : begin + COLUMNS_MAX])))
    return groups


def screen_pairs(
    panel: CodedPanel, features: Sequence[int], deviations: dict[int, float], rows_min: int, count: int, progress: Progress | None
) -> Screened:
    """Return the `count` best cells of all pairs of `features`; `deviations` is sd(g) in bps by horizon."""
    pairs = [(a, b) for at, a in enumerate(features) for b in features[at + 1 :]]
    left, right = np.array(pairs, np.int64).reshape(-1, 2).T
    groups = screening_groups(panel)
    shape = (len(pairs), SLOTS * SLOTS, LANES)
    work = partial(_scan, panel, groups, shape, partial(_into_pairs, np.ascontiguousarray(left), np.ascontiguousarray(right)))
    sums = _total(panel, work, [shape] * len(groups), progress)
    has = np.stack([intervals_of(one) for one in panel.bins])
    allowed = has[left][:, :, None] & has[right][:, None, :]
    scores, held = np.full(allowed.shape, -np.inf), np.zeros(allowed.shape, np.int64)
    for group, one in zip(groups, sums, strict=True):
        raw = one.reshape(len(pairs), SLOTS, SLOTS, LANES)
        table = over_intervals(over_intervals(raw, 1), 2)
        parts = [over_intervals(raw.sum(axis=2), 1)[:, :, None], over_intervals(raw.sum(axis=1), 1)[:, None, :]]
        gains = _gains(table, parts, raw.sum(axis=(1, 2), keepdims=True), group, deviations, rows_min)
        scores, held = np.maximum(scores, gains), np.maximum(held, table[..., 0])
    chosen, pruned = _best(np.where(allowed, scores, -np.inf), np.where(allowed, held, 0), rows_min, count)
    found = []
    for flat in chosen:
        p, a, b = np.unravel_index(flat, scores.shape)
        found.append((Part(int(left[p]), int(a)), Part(int(right[p]), int(b))))
    return Screened(tuple(found), pruned)


def screen_triples(
    panel: CodedPanel,
    beam: Sequence[Conjunction],
    features: Sequence[int],
    deviations: dict[int, float],
    rows_min: int,
    count: int,
    progress: Progress | None,
) -> Screened:
    """Return the `count` best refinements of the pairs in `beam` by a third feature."""
    groups = screening_groups(panel)
    width = len(panel.bins)
    shape = (len(beam), width, SLOTS, LANES)
    places = np.array([[part.feature for part in one] for one in beam], np.int64)
    slots = np.array([[INTERVALS[part.interval] for part in one] for one in beam], np.int64)
    work = partial(_scan, panel, groups, shape, partial(_into_refinements, places, slots))
    sums = _total(panel, work, [shape] * len(groups), progress)
    allowed = np.stack([intervals_of(one) for one in panel.bins])[None].repeat(len(beam), axis=0)
    allowed[:, [f for f in range(width) if f not in set(features)]] = False
    for b, one_beam in enumerate(beam):
        allowed[b, [part.feature for part in one_beam]] = False
    scores, held = np.full(allowed.shape, -np.inf), np.zeros(allowed.shape, np.int64)
    for group, one in zip(groups, sums, strict=True):
        pair, table = one.sum(axis=2, keepdims=True), over_intervals(one, 2)
        scores = np.maximum(scores, _gains(table, [pair], pair, group, deviations, rows_min))
        held = np.maximum(held, table[..., 0])
    chosen, pruned = _best(np.where(allowed, scores, -np.inf), np.where(allowed, held, 0), rows_min, allowed.size)
    found: dict[Conjunction, None] = {}
    for flat in chosen:
        b, f, interval = np.unravel_index(flat, scores.shape)
        # A triple can be reached from each of its pairs; it is one trigger.
        found.setdefault(tuple(sorted((*beam[b], Part(int(f), int(interval))))))
    return Screened(tuple(found)[:count], pruned)


def codes_of(panel: CodedPanel, part: Part) -> tuple[int, int]:
    """Return the first and last code of a part."""
    return codes_of_interval(panel.bins[part.feature], part.interval)


def _total(
    panel: CodedPanel, work: Callable[[Piece], list[Ints]], shapes: list[tuple[int, ...]], progress: Progress | None
) -> list[Ints]:
    totals = [np.zeros(shape, np.int64) for shape in shapes]
    for parts in map_ordered(work, list(panel.pieces()), workers=panel.workers, mode="threads", progress=progress):
        for total, part in zip(totals, parts, strict=True):
            total += part
    return totals


def _scan(panel: CodedPanel, groups: list[ColumnGroup], shape: tuple[int, ...], into: Into, piece: Piece) -> list[Ints]:
    day = panel.open_day(piece.day)
    tables = np.stack([merged(one) for one in panel.bins])
    parts = []
    for group in groups:
        sums = np.zeros(shape, np.int64)
        for rows, labels in panel.labeled(day, group, piece.begin, piece.end):
            codes = np.empty((len(tables), len(labels)), np.uint8)
            merge_codes(day.codes[:, rows], tables, codes)
            packed = np.empty((len(labels), LANES), np.int64)
            pack_labels(labels, len(group.columns), packed)
            into(codes, packed, sums)
        parts.append(sums)
    return parts


def _into_pairs(left: Ints, right: Ints, codes: NDArray[np.uint8], rows: Ints, sums: Ints) -> None:
    add_pairs(codes, left, right, rows, sums)


def _into_refinements(places: Ints, slots: Ints, codes: NDArray[np.uint8], rows: Ints, sums: Ints) -> None:
    add_refinements(codes, places, slots, rows, sums)


def _gains(
    table: Ints, parts: list[Ints], everything: Ints, group: ColumnGroup, deviations: dict[int, float], rows_min: int
) -> Floats:
    # How many standard errors a cell's mean lies beyond the better of its parts, in the better direction and column.
    n = table[..., 0]
    best = np.full(n.shape, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for at, (_, horizon_ns) in enumerate(group.columns):
            deviation = deviations.get(horizon_ns, 0.0)
            if not deviation > 0:
                continue
            pooled = everything[..., 1 + at] / everything[..., 0]
            mean = table[..., 1 + at] / n - pooled
            of_parts = [part[..., 1 + at] / part[..., 0] - pooled for part in parts]
            up = mean - np.maximum(0.0, np.maximum.reduce(np.broadcast_arrays(*of_parts)))
            down = -mean - np.maximum(0.0, np.maximum.reduce(np.broadcast_arrays(*(-one for one in of_parts))))
            independent = n * min(1.0, group.grid_ns / horizon_ns)
            score = np.maximum(up, down) / SUM_UNITS * np.sqrt(independent) / deviation
            best = np.maximum(best, np.where(n >= rows_min, np.nan_to_num(score, nan=-np.inf), -np.inf))
    return best


def _best(scores: Floats, held: Ints, rows_min: int, count: int) -> tuple[Ints, int]:
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")
    pruned = int(np.count_nonzero((held.ravel() > 0) & (held.ravel() < rows_min)))
    return order[: min(count, int(np.count_nonzero(flat > 0)))], pruned
