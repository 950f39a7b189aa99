"""Bounds for what is real: of all tails of its features the one that earns most when it begins, judged where it was not chosen.

A cell of the search is a bin; what pays is often wider, or cut elsewhere. Every tail of each feature of a real cell is traded,
one position at a time, on three quarters of the data, and the best of them judged on the last, four times over: what is pooled is
the result of the choice, so a lucky tail gains nothing. The tail chosen on everything is what a candidate is made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_MS
from edgesmith.edges.discovery.result import Cell, CellBound
from edgesmith.evaluation.bins import MISSING
from edgesmith.evaluation.coded import CodedPanel, Column
from edgesmith.evaluation.labels import CC, GC, GG, SQUARE_UNITS, SUM_UNITS, C, G, N
from edgesmith.evaluation.onsets import TailJob, condition_of, tail_sums
from edgesmith.evaluation.sums import Condition, Ints
from edgesmith.parallel import Progress

# An edge is meant to be traded at this reaction time, or at the longest one it survives.
USUAL_LATENCY_NS = 50 * NS_PER_MS
FOLDS = 4
# Subjects times columns, the most promising: what is looked at is known before the data is.
JOBS_MAX = 24
HORIZONS_USUAL = 2
# Fewer round trips than these on what a tail is chosen from, and it is not chosen.
ONSETS_MIN = 30
# Standard errors by which a total is lowered before it is compared.
ERRORS = 1.645
# A feature must have bins on both sides of a tail worth the name.
BINS_MIN = 3


class Tail(NamedTuple):
    """Fine codes `code` and above, or those below it."""

    code: int
    below: bool


class Subject(NamedTuple):
    """What is refined: a feature, by its name, within other conditions, to one side."""

    feature: str
    others: tuple[CellBound, ...]
    side: int


class Refining(NamedTuple):
    """A subject at one column: its real cells, the tail chosen without each fold, that chosen on everything, out of how many."""

    subject: Subject
    column: Column
    cells: tuple[Cell, ...]
    by_fold: tuple[Tail | None, ...]
    tail: Tail | None
    tails: int


def tails_looked_at(panel: CodedPanel) -> int:
    """Return how many (tail, column) pairs refining looks at, at most: known before the data is."""
    counts = [one.count for one in panel.finely().bins if one.count >= BINS_MIN and one.name != panel.regime_feature]
    return JOBS_MAX * 2 * (max(counts) - 1) if counts else 0


def refine(fine: CodedPanel, cells: Sequence[Cell], progress: Progress | None = None) -> list[Refining]:
    """Choose tails for the real `cells`, the most promising subjects and columns first."""
    jobs = _jobs(fine, cells)
    if not jobs:
        return []
    work = [
        TailJob(tuple(conditions_of_bounds(fine, subject.others)), fine.place_of(subject.feature), column)
        for subject, column, _ in jobs
    ]
    found = []
    columns = Counter(subject for subject, _, _ in jobs)
    for (subject, column, own), one in zip(jobs, tail_sums(fine, work, FOLDS, progress), strict=True):
        low, high = _reach(fine, subject.feature, own)
        everything = one.sums.sum(axis=0)
        chosen = [_best(everything - part, subject.side, low, high) for part in one.sums]
        tails = 2 * (fine.bins[fine.place_of(subject.feature)].count - 1) * columns[subject]
        found.append(Refining(subject, column, own, tuple(chosen), _best(everything, subject.side, low, high), tails))
    return found


def conditions_of_bounds(fine: CodedPanel, bounds: Sequence[CellBound]) -> list[Condition]:
    """Return the conditions on fine codes that bounds of a cell are."""
    places = [fine.place_of(bound.feature) for bound in bounds]
    return [
        condition_of(place, fine.bins[place], bound.lower, bound.upper, bound.first == MISSING)
        for place, bound in zip(places, bounds, strict=True)
    ]


def tail_condition(fine: CodedPanel, feature: str, tail: Tail) -> Condition:
    """Return the condition on fine codes that a tail is."""
    place = fine.place_of(feature)
    holds = np.zeros(256, np.bool_)
    holds[slice(0, tail.code) if tail.below else slice(tail.code, fine.bins[place].count)] = True
    return Condition(place, holds)


def _jobs(fine: CodedPanel, cells: Sequence[Cell]) -> list[tuple[Subject, Column, tuple[Cell, ...]]]:
    grouped: dict[Subject, dict[Column, list[Cell]]] = {}
    for cell in cells:
        for at, bound in enumerate(cell.bounds):
            bins = fine.bins[fine.place_of(bound.feature)]
            if bound.feature == fine.regime_feature or bound.first == MISSING or bins.count < BINS_MIN:
                continue
            subject = Subject(bound.feature, (*cell.bounds[:at], *cell.bounds[at + 1 :]), cell.side)
            grouped.setdefault(subject, {}).setdefault((cell.latency_ns, cell.horizon_ns), []).append(cell)
    ranked = []
    for subject, columns in grouped.items():
        for turn, column in enumerate(_columns(columns)):
            ranked.append((turn > 0, -max(map(_promise, columns[column])), subject, column, tuple(columns[column])))
    ranked.sort(key=lambda one: (one[0], one[1], repr(one[2]), one[3]))
    return [one[2:] for one in ranked[:JOBS_MAX]]


def _columns(columns: dict[Column, list[Cell]]) -> list[Column]:
    # At the usual latency the most promising horizons, at each shorter one the most promising; of longer ones only the shortest.
    latencies = sorted({latency_ns for latency_ns, _ in columns})
    usual = max((one for one in latencies if one <= USUAL_LATENCY_NS), default=latencies[0])
    chosen = []
    for latency_ns in reversed([one for one in latencies if one <= usual]):
        own = sorted((one for one in columns if one[0] == latency_ns), key=lambda one: (-max(map(_promise, columns[one])), one))
        chosen += own[: HORIZONS_USUAL if latency_ns == usual else 1]
    return chosen


def _promise(cell: Cell) -> float:
    # The share of its cost that a cell surely earns.
    if cell.excess_bps is None or not cell.t_excess or not cell.cost_bps:
        return 0.0
    sure = cell.side * cell.excess_bps * (1.0 - ERRORS / abs(cell.t_excess))
    return sure / max(cell.cost_bps, 1e-3)


def _reach(fine: CodedPanel, feature: str, cells: Sequence[Cell]) -> tuple[int, int]:
    # The fine codes of the real cells: a tail must hold some of them.
    codes = []
    for cell in cells:
        (bound,) = (one for one in cell.bounds if one.feature == feature)
        (condition,) = conditions_of_bounds(fine, [bound])
        codes.append(np.flatnonzero(condition.holds))
    held = np.concatenate(codes)
    return int(held.min()), int(held.max())


def _best(sums: Ints, side: int, low: int, high: int) -> Tail | None:
    """Return the tail with the largest total result, less its error; None where no tail earned anything."""
    moments = sums.astype(np.float64)
    net = (side * moments[..., G] - moments[..., C]) / SUM_UNITS
    square = (moments[..., GG] - 2.0 * side * moments[..., GC] + moments[..., CC]) / SQUARE_UNITS
    code = np.arange(sums.shape[1])
    allowed: NDArray[np.bool_] = (moments[..., N] >= ONSETS_MIN) & (net > 0.0) & np.stack([code <= high, code > low])
    if not allowed.any():
        return None
    error = np.sqrt(np.maximum(square, 1e-12))
    # Where no total is surely above zero, the surest of them.
    score = net - ERRORS * error if ((net - ERRORS * error)[allowed] > 0.0).any() else net / error
    which, at = np.unravel_index(int(np.where(allowed, score, -np.inf).argmax()), score.shape)
    return Tail(int(at), bool(which == 1))
