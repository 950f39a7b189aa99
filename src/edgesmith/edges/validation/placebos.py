"""Placebos of an edge: its trigger on data in which it cannot know what follows. All of them must show nothing.

The trigger is shifted by a day to either side, or by a third of the span where there are no two days, and the price path is
turned over piece by piece, twice. An edge that "works" there owes its numbers to the way they are computed, not to what it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, format_duration_ns
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.validation.sums import edge_sums
from edgesmith.evaluation.coded import CodedPanel
from edgesmith.evaluation.placebos import REFLECTED, SHIFTED, Placebo, reflected, shifted
from edgesmith.evaluation.significance import sign_flip
from edgesmith.features.text import parse_feature

# A trigger that reads the clock holds at the same time on the next day, and at the next funding 8 hours later.
CLOCK_FEATURES = frozenset({"minute_of_day", "funding_due"})
CLOCK_SHIFT_NS = 11 * NS_PER_HOUR
REFLECTIONS = 2


class PlaceboTest(msgspec.Struct, frozen=True, kw_only=True):
    """What an edge showed in one placebo: rows, the excess of its rows over the others in bps, and p; None if untestable."""

    name: str
    n: int
    blocks: int
    excess_bps: float | None
    p: float | None


class Tested(NamedTuple):
    """A candidate and the block length it is judged on."""

    spec: EdgeSpec
    block_ns: int


def placebo_tests(
    tested: Sequence[Tested], panel: CodedPanel, *, blocks_min: int, flips: int, seed: int
) -> list[tuple[PlaceboTest, ...]]:
    """Return the placebos of each candidate, tested to either side on the blocks of the candidate itself."""
    found: list[list[PlaceboTest]] = [[] for _ in tested]
    for clock in (False, True):
        chosen = [at for at, one in enumerate(tested) if reads_clock(one.spec) is clock]
        for placebo in _placebos(panel, seed, clock=clock) if chosen else ():
            rows = _tests(placebo, [tested[at] for at in chosen], blocks_min, flips, seed)
            for at, row in zip(chosen, rows, strict=True):
                found[at].append(row)
    return [tuple(rows) for rows in found]


def smallest_p(tests: Sequence[PlaceboTest]) -> float | None:
    """Return the smallest p times the number of placebos that could be tested, at most 1; None where none could."""
    known = [one.p for one in tests if one.p is not None]
    return min(1.0, min(known) * len(known)) if known else None


def reads_clock(spec: EdgeSpec) -> bool:
    """Tell whether the trigger depends on the time of day itself."""
    return any(parse_feature(bound.feature).feature in CLOCK_FEATURES for bound in spec.trigger.bounds)


def _placebos(panel: CodedPanel, seed: int, *, clock: bool) -> list[Placebo]:
    span_ns = panel.last_ns - panel.first_ns
    apart_ns = span_ns // 3
    if span_ns >= 2 * NS_PER_DAY:
        apart_ns = CLOCK_SHIFT_NS if clock else NS_PER_DAY
    words = format_duration_ns(apart_ns)
    return [
        Placebo(SHIFTED, f"trigger {words} later", partial(shifted, panel, apart_ns)),
        Placebo(SHIFTED, f"trigger {words} earlier", partial(shifted, panel, -apart_ns)),
        *(Placebo(REFLECTED, f"{REFLECTED}, {k + 1}", partial(reflected, panel, seed + k)) for k in range(REFLECTIONS)),
    ]


def _tests(placebo: Placebo, tested: Sequence[Tested], blocks_min: int, flips: int, seed: int) -> list[PlaceboTest]:
    panel = placebo.make()
    numbers: dict[int, tuple[int, int, float]] = {}
    psis: list[NDArray[np.float64]] = []
    for block_ns in sorted({one.block_ns for one in tested}):
        chosen = [at for at, one in enumerate(tested) if one.block_ns == block_ns]
        pairs = sorted({(tested[at].spec.latency_ns, tested[at].spec.horizon_ns) for at in chosen})
        sums = panel.trigger_sums([tested[at].spec.trigger for at in chosen], block_ns=block_ns, columns=pairs)
        for at, one in zip(chosen, map(edge_sums, sums), strict=True):
            column = one.column(tested[at].spec.latency_ns, tested[at].spec.horizon_ns)
            influence = one.excess_of(column)
            numbers[at] = int(one.rows(column).sum()), int(influence.blocks[0]), float(influence.excess[0])
            psis.append(influence.psi)
    order = list(numbers)
    p = dict(zip(order, sign_flip(list(enumerate(psis)), flips=flips, seed=seed).p_cell, strict=True))
    rows = []
    for at in range(len(tested)):
        n, blocks, excess = numbers[at]
        enough = blocks >= blocks_min
        rows.append(
            PlaceboTest(
                name=placebo.words, n=n, blocks=blocks, excess_bps=excess if enough else None, p=float(p[at]) if enough else None
            )
        )
    return rows
