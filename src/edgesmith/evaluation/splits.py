"""Divide time into what is learned from and what is judged on, so that no label of one touches the other.

Data is divided in blocks of equal length, the unit of every test. A row of block k reads features from before its instant and
its label from `reach_ns` after it, so a training block is dropped when its labels run into a test block, or when it begins less
than `embargo_ns` after one: features still remember the test data then (Lopez de Prado 2018, chapters 7 and 12, by time
interval instead of by count, because ticks are not evenly spaced).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError

Mask = NDArray[np.bool_]


class Blocks(NamedTuple):
    """The time axis: ascending block numbers (instant // length), their length, and how far a row reads on either side."""

    keys: NDArray[np.int64]
    length_ns: int
    reach_ns: int
    embargo_ns: int


class Fold(NamedTuple):
    """Which blocks are learned from and which are judged on; boolean over blocks, never both."""

    train: Mask
    test: Mask


def purged(blocks: Blocks, test: Mask) -> Mask:
    """Return the blocks that may be learned from when `test` is judged on; test may be any set of blocks."""
    start = blocks.keys * blocks.length_ns
    end = start + blocks.length_ns
    allowed = ~test
    for first, last in _runs(test):
        labels_reach_in = end + blocks.reach_ns > start[first]
        begins_after = start >= end[last] + blocks.reach_ns + blocks.embargo_ns
        allowed &= ~labels_reach_in | begins_after
    return allowed


def anchored(blocks: Blocks, folds: int) -> list[Fold]:
    """Return walk-forward folds that learn from everything before the judged part; the first part is only learned from."""
    return [Fold(purged(blocks, test) & _before(test), test) for test in _parts(blocks, folds + 1)[1:]]


def rolling(blocks: Blocks, folds: int) -> list[Fold]:
    """Return walk-forward folds that learn from the one part before the judged part."""
    parts = _parts(blocks, folds + 1)
    return [Fold(purged(blocks, test) & train, test) for train, test in pairwise(parts)]


def combinatorial(blocks: Blocks, groups: int = 10, judged: int = 2) -> Iterator[Fold]:
    """Yield every choice of `judged` out of `groups` parts as the test: 45 folds of 10 choose 2, purged around each part."""
    parts = _parts(blocks, groups)
    if not 1 <= judged < groups:
        raise InputError(f"judged parts were {judged}, expected 1 to {groups - 1}")
    for chosen in combinations(range(groups), judged):
        test = np.logical_or.reduce([parts[index] for index in chosen])
        yield Fold(purged(blocks, test), test)


def path_folds(groups: int = 10, judged: int = 2) -> NDArray[np.int64]:
    """Return which fold of `combinatorial` judges each part on each path: int64 (paths, groups), 9 paths of 10 choose 2.

    Every part is judged by as many folds as there are paths; path p takes, for each part, the p-th of them.
    """
    by_part: list[list[int]] = [[] for _ in range(groups)]
    for fold, chosen in enumerate(combinations(range(groups), judged)):
        for part in chosen:
            by_part[part].append(fold)
    return np.array(by_part, np.int64).T


def part_of(blocks: Blocks, groups: int) -> NDArray[np.int64]:
    """Return the part, 0 to `groups` - 1, that each block lies in: contiguous, of equal numbers of blocks up to one."""
    count = len(blocks.keys)
    if count < groups:
        raise InputError(f"there were {count} blocks for {groups} parts, expected at least one block a part; use more data")
    return np.arange(count, dtype=np.int64) * groups // count


def _parts(blocks: Blocks, groups: int) -> list[Mask]:
    part = part_of(blocks, groups)
    return [part == index for index in range(groups)]


def _before(test: Mask) -> Mask:
    return np.arange(len(test)) < int(np.flatnonzero(test)[0])


def _runs(test: Mask) -> Iterator[tuple[int, int]]:
    # First and last block of each unbroken run of judged blocks.
    edges = np.flatnonzero(np.diff(np.r_[False, test, False].astype(np.int8)))
    for first, behind in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(behind) - 1
