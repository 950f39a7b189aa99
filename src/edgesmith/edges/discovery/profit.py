"""Does what is real pay: round trips entered when a trigger begins, one position at a time, against "no profit".

An edge is validated and traded at onsets, so that is where its profit is tested: of every real cell that gains a fair part of its
cost, and of the tails its features were refined to. All of them are one family; the share of the error is that of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.decide import paying_sentence
from edgesmith.edges.discovery.judge import Outcome, cell_of, mde_of
from edgesmith.edges.discovery.measure import Floats, GroupMeasures, measure
from edgesmith.edges.discovery.result import Cell, CellBound, Refinement
from edgesmith.edges.discovery.tails import (
    USUAL_LATENCY_NS,
    Refining,
    Subject,
    conditions_of_bounds,
    refine,
    tail_condition,
    tails_looked_at,
)
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.bins import coarse_codes
from edgesmith.evaluation.coded import CodedPanel
from edgesmith.evaluation.intervals import skewness_widening
from edgesmith.evaluation.labels import SUM_UNITS, ColumnGroup, column_groups
from edgesmith.evaluation.onsets import OnsetJob, OnsetSums, onset_sums
from edgesmith.evaluation.significance import flip_tail, mean_influence, sign_flip, tail_critical
from edgesmith.evaluation.sums import TESTED_MOMENTS, Condition, TriggerCells
from edgesmith.parallel import Progress

# A cell whose rows gain less than this part of their cost is not asked: no way to enter makes up for that.
ASKED_RATIO = 0.25
# The most cells that are asked, those that keep most first.
ASKED_MAX = 2_000
INTERVAL_ERRORS = 1.645

Keys = NDArray[np.int64]


class Profit(NamedTuple):
    """The cells with their last word, the refined triggers that pay, and what refining looked at."""

    cells: tuple[Cell, ...]
    refined: tuple[Cell, ...]
    refinement: Refinement


class Earned(NamedTuple):
    """Round trips of one trigger at one column: counts and results in bps by block."""

    block_ns: int
    n: Floats
    gross: Floats
    cost: Floats

    @property
    def net(self) -> Floats:
        """Return what was kept, by block."""
        return self.gross - self.cost


def judge_profit(
    panel: CodedPanel,
    cells: Sequence[Cell],
    config: DiscoveryConfig,
    alpha: float,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> Profit:
    """Ask the real ones among `cells` whether they pay, at `alpha` over all of them, and refine their bounds."""
    looked = tails_looked_at(panel)
    asked = _asked(cells)
    if not asked:
        return Profit(tuple(cells), (), Refinement(trials=looked, subjects=0, paying=0))
    fine = panel.finely()
    refinings = refine(fine, [cells[at] for at in asked], progress)
    earned = _earned(fine, [cells[at] for at in asked], refinings, progress)
    p_cell, p_family = _tested(earned, config, workers)
    out = list(cells)
    for number, at in enumerate(asked):
        out[at] = _with_profit(cells[at], earned[number], p_cell[number], p_family[number], alpha)
    rest = len(asked)
    kept = _kept(refinings, earned[rest:], p_family[rest:], alpha)
    refined = _refined_cells(panel, fine, [refinings[at] for at in kept], config, alpha)
    done: list[Cell] = []
    for at, cell in zip(kept, refined, strict=True):
        real = cell.p_family is not None and cell.p_family <= alpha
        if real and not any(_overlap(cell, other) for other in done):
            done.append(_with_profit(cell, earned[rest + at], p_cell[rest + at], p_family[rest + at], alpha))
    subjects = len({one.subject for one in refinings})
    return Profit(tuple(out), tuple(done), Refinement(trials=looked, subjects=subjects, paying=len(done)))


def _asked(cells: Sequence[Cell]) -> list[int]:
    asked = []
    for at, cell in enumerate(cells):
        if cell.verdict is not Verdict.REJECT_COST or cell.gross_bps is None or cell.cost_bps is None:
            continue
        if cell.side * cell.gross_bps >= ASKED_RATIO * cell.cost_bps:
            asked.append(at)
    if len(asked) > ASKED_MAX:
        asked.sort(key=lambda at: (-(cells[at].net_low_bps or 0.0), at))
        asked = sorted(asked[:ASKED_MAX])
    return asked


def _earned(fine: CodedPanel, asked: Sequence[Cell], refinings: Sequence[Refining], progress: Progress | None) -> list[Earned]:
    # Of each cell asked, then of each refining the choice of every fold on the data of that fold.
    triggers: dict[object, int] = {}
    conditions: list[tuple[Condition, ...]] = []

    def place(key: object, own: list[Condition]) -> int:
        if key not in triggers:
            triggers[key] = len(conditions)
            conditions.append(tuple(own))
        return triggers[key]

    jobs = []
    for cell in asked:
        at = place(cell.bounds, conditions_of_bounds(fine, cell.bounds))
        jobs.append(OnsetJob(at, (cell.latency_ns, cell.horizon_ns)))
    folds: list[list[int]] = []
    for one in refinings:
        folds.append([])
        for tail in one.by_fold:
            if tail is None:
                folds[-1].append(-1)
                continue
            folds[-1].append(len(jobs))
            own = [*conditions_of_bounds(fine, one.subject.others), tail_condition(fine, one.subject.feature, tail)]
            jobs.append(OnsetJob(place((one.subject.others, one.subject.feature, tail), own), one.column))
    sums = onset_sums(fine, conditions, jobs, progress)
    found = [_results(one.sums, one.block_ns, cell.side) for cell, one in zip(asked, sums, strict=False)]
    for one, places in zip(refinings, folds, strict=True):
        found.append(_held_out(fine, one.subject.side, places, sums))
    return found


def _results(sums: NDArray[np.int64], block_ns: int, side: int) -> Earned:
    moments = sums.astype(np.float64)
    return Earned(block_ns, moments[:, 0], side * moments[:, 1] / SUM_UNITS, moments[:, 2] / SUM_UNITS)


def _held_out(fine: CodedPanel, side: int, places: Sequence[int], sums: Sequence[OnsetSums]) -> Earned:
    known = [at for at in places if at >= 0]
    if not known:
        return Earned(0, np.zeros(0), np.zeros(0), np.zeros(0))
    first = sums[known[0]]
    fold = _fold_of(fine, first, len(places))
    pooled = np.zeros_like(first.sums)
    for number, at in enumerate(places):
        if at >= 0:
            pooled[fold == number] = sums[at].sums[fold == number]
    return _results(pooled, first.block_ns, side)


def _fold_of(fine: CodedPanel, sums: OnsetSums, folds: int) -> Keys:
    # As the tails count rows; a block that two folds share belongs to none.
    grid_ns = fine.labels.grid_ns
    first, last = fine.first_ns // grid_ns, fine.last_ns // grid_ns + 1
    per_block = sums.block_ns // grid_ns
    begin = (sums.first_key + np.arange(len(sums.sums))) * per_block
    low = np.clip(begin - first, 0, last - first - 1) * folds // (last - first)
    high = np.clip(begin + per_block - 1 - first, 0, last - first - 1) * folds // (last - first)
    return np.where(low == high, low, -1)


def _tested(earned: Sequence[Earned], config: DiscoveryConfig, workers: int | None) -> tuple[Floats, Floats]:
    p_cell, p_family = np.full(len(earned), np.nan), np.full(len(earned), np.nan)
    chosen: dict[int, list[int]] = {}
    influences = {}
    for at, one in enumerate(earned):
        if not one.n.any():
            continue
        influence = mean_influence(one.n[:, None], one.net[:, None])
        enough = influence.blocks[0] >= config.blocks_min and influence.blocks_effective[0] >= config.blocks_effective_min
        if enough:
            influences[at] = influence.psi
            chosen.setdefault(one.block_ns, []).append(at)
    if not chosen:
        return p_cell, p_family
    families = [(block_ns, np.concatenate([influences[at] for at in own], axis=1)) for block_ns, own in sorted(chosen.items())]
    order = [at for _, own in sorted(chosen.items()) for at in own]
    widening = np.array([skewness_widening(earned[at].n, earned[at].net) for at in order])
    found = sign_flip(families, flips=config.flips, seed=config.seed, one_sided=True, widening=widening, workers=workers)
    p_cell[order], p_family[order] = found.p_cell, found.p_family
    return p_cell, p_family


def _with_profit(cell: Cell, one: Earned, p_cell: float, p_family: float, alpha: float) -> Cell:
    count = float(one.n.sum())
    if count == 0:
        return cell
    gross, cost, net = (float(part.sum()) / count for part in (one.gross, one.cost, one.net))
    error = float(np.sqrt(((one.net - net * one.n) ** 2).sum())) / count
    known = bool(np.isfinite(p_family))
    verdict = Verdict.CANDIDATE if known and p_family <= alpha and net > 0.0 else Verdict.REJECT_COST
    return msgspec.structs.replace(
        cell,
        onsets=int(count),
        onset_gross_bps=gross,
        onset_cost_bps=cost,
        onset_net_bps=net,
        onset_low_bps=net - INTERVAL_ERRORS * error if known else None,
        onset_high_bps=net + INTERVAL_ERRORS * error if known else None,
        p_net=float(p_cell) if known else None,
        p_net_family=float(p_family) if known else None,
        verdict=verdict,
        sentence=paying_sentence(
            verdict, side=cell.side, horizon_ns=cell.horizon_ns, onsets=int(count), gross_bps=gross, cost_bps=cost,
            p=float(p_family) if known else None,
        ),
    )  # fmt: skip


def _kept(refinings: Sequence[Refining], earned: Sequence[Earned], p_family: Floats, alpha: float) -> list[int]:
    # Of each subject the column at the usual latency, or the longest it pays at, and there the one that earns most; best first.
    paying: dict[Subject, list[int]] = {}
    for at, one in enumerate(refinings):
        if one.tail is not None and p_family[at] <= alpha and earned[at].net.sum() > 0.0:
            paying.setdefault(one.subject, []).append(at)
    kept = []
    for own in paying.values():
        latencies = {refinings[at].column[0] for at in own}
        latency_ns = USUAL_LATENCY_NS if USUAL_LATENCY_NS in latencies else max(latencies)
        of_latency = [at for at in own if refinings[at].column[0] == latency_ns]
        kept.append(max(of_latency, key=lambda at: (float(earned[at].net.sum()), -refinings[at].column[1])))
    return sorted(kept, key=lambda at: (-float(earned[at].net.sum()), at))


def _overlap(cell: Cell, other: Cell) -> bool:
    # The same features to the same side with bins in common: what earned more speaks for both.
    theirs = {bound.feature: bound for bound in other.bounds}
    if cell.side != other.side or set(theirs) != {bound.feature for bound in cell.bounds}:
        return False
    return all(own.first <= theirs[own.feature].last and theirs[own.feature].first <= own.last for own in cell.bounds)


def _refined_cells(
    panel: CodedPanel, fine: CodedPanel, refinings: Sequence[Refining], config: DiscoveryConfig, alpha: float
) -> list[Cell]:
    """Return what the rows of the tails chosen say, against all others, as the search says it of its cells."""
    if not refinings:
        return []
    triggers = []
    for one in refinings:
        assert one.tail is not None
        triggers.append((*conditions_of_bounds(fine, one.subject.others), tail_condition(fine, one.subject.feature, one.tail)))
    used = {one.column for one in refinings}
    groups = [
        ColumnGroup(group.block_ns, group.grid_ns, tuple(one for one in group.columns if one in used))
        for group in column_groups(panel.labels, panel.last_ns - panel.first_ns)
    ]
    groups = [group for group in groups if group.columns]
    sums = fine.block_sums(TriggerCells([*triggers, ()]), groups, moments=TESTED_MOMENTS)
    cells = np.arange(len(triggers))
    measured = {
        column: (one, at * len(triggers))
        for group, part in zip(groups, sums, strict=True)
        for one in [measure(part, group, cells, np.array([len(triggers)]), config)]
        for at, column in enumerate(group.columns)
    }
    found = []
    for at, one in enumerate(refinings):
        group, offset = measured[one.column]
        found.append(_refined_cell(panel, fine, one, group, offset + at, config, alpha))
    return found


def _refined_cell(
    panel: CodedPanel,
    fine: CodedPanel,
    one: Refining,
    group: GroupMeasures,
    index: int,
    config: DiscoveryConfig,
    alpha: float,
) -> Cell:
    subject, tail = one.subject, one.tail
    assert tail is not None
    place = fine.place_of(subject.feature)
    bins = fine.bins[place]
    first, last = (0, tail.code - 1) if tail.below else (tail.code, bins.count - 1)
    coarse = coarse_codes(panel.bins[place], bins)
    own = CellBound(subject.feature, int(coarse[first]), int(coarse[last]), bins.bounds(first)[0], bins.bounds(last)[1])
    bounds = tuple(sorted((*subject.others, own), key=lambda bound: bound.feature))
    texts = {
        bound.feature: panel.bins[panel.place_of(bound.feature)].text_of(bound.first, bound.last) for bound in subject.others
    }
    texts[subject.feature] = bins.text_of(first, last)
    parent = min(one.cells, key=lambda cell: cell.strength)
    (p,) = flip_tail(np.array([group.excess_bps[index] / group.standard_error[index]]))
    same = bool(group.testable[index]) and int(group.side[index]) == subject.side
    # The family was won by the cell; here it is one of the tails of its subject.
    p_family = max(parent.p_family or 0.0, min(1.0, p * one.tails)) if same else 1.0
    critical = tail_critical(alpha, one.tails)
    p_cell, family, q, q_any = np.array([[p], [p_family], [parent.q_value], [parent.q_value_any]], np.float64)
    outcome = Outcome(p_cell, family, q, q_any, critical, alpha)
    return cell_of(
        bounds,
        " and ".join(texts[bound.feature] for bound in bounds),
        one.column,
        group,
        index,
        outcome,
        0,
        mde_of(group, critical, config),
    )
