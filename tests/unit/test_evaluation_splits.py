"""No label of a training block may touch a judged block, whatever the judged blocks are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesmith.errors import InputError
from edgesmith.evaluation.splits import Blocks, anchored, combinatorial, part_of, path_folds, purged, rolling

LENGTH_NS = 60


@st.composite
def axes(draw: st.DrawFn) -> Blocks:
    keys = sorted(draw(st.sets(st.integers(0, 200), min_size=12, max_size=60)))
    return Blocks(np.array(keys, np.int64), LENGTH_NS, draw(st.integers(0, 200)), draw(st.integers(0, 300)))


@settings(max_examples=200, deadline=None)
@given(axes(), st.data())
def test_t07_no_training_label_touches_a_judged_block(blocks: Blocks, data: st.DataObject) -> None:
    """Trap T7: also labels that start before the test and end inside, and tests in several pieces."""
    test = np.array(data.draw(st.lists(st.booleans(), min_size=len(blocks.keys), max_size=len(blocks.keys))))
    train = purged(blocks, test)
    start = blocks.keys * LENGTH_NS
    for i in np.flatnonzero(train):
        for j in np.flatnonzero(test):
            if i < j:
                assert start[i] + LENGTH_NS + blocks.reach_ns <= start[j]
            else:
                assert start[i] >= start[j] + LENGTH_NS + blocks.reach_ns + blocks.embargo_ns


@settings(max_examples=50, deadline=None)
@given(axes())
def test_nothing_is_dropped_that_touches_nothing(blocks: Blocks) -> None:
    test = np.zeros(len(blocks.keys), bool)
    test[len(test) // 2] = True
    start = blocks.keys * LENGTH_NS
    at = int(start[len(test) // 2])
    far = (start + LENGTH_NS + blocks.reach_ns <= at) | (start >= at + LENGTH_NS + blocks.reach_ns + blocks.embargo_ns)
    assert np.array_equal(purged(blocks, test), far)


def test_walk_forward_learns_only_from_the_past() -> None:
    blocks = Blocks(np.arange(100, dtype=np.int64), LENGTH_NS, 90, 120)
    for folds in (anchored(blocks, 4), rolling(blocks, 4)):
        assert len(folds) == 4
        assert np.array_equal(sum(fold.test.astype(int) for fold in folds), np.arange(100) >= 20)
        for fold in folds:
            assert np.flatnonzero(fold.train).max() < np.flatnonzero(fold.test).min() - 1
    # Two blocks end too close to the test; anchored learns from all before, rolling from one part.
    assert [int(fold.train.sum()) for fold in anchored(blocks, 4)] == [18, 38, 58, 78]
    assert [int(fold.train.sum()) for fold in rolling(blocks, 4)] == [18, 18, 18, 18]


def test_paths_judge_every_part_once_and_use_every_judgment_once() -> None:
    paths = path_folds(10, 2)
    assert paths.shape == (9, 10)
    blocks = Blocks(np.arange(40, dtype=np.int64), LENGTH_NS, 0, 0)
    folds = list(combinatorial(blocks))
    part = part_of(blocks, 10)
    used = set()
    for path in paths:
        for group, fold in enumerate(path):
            assert folds[fold].test[part == group].all()
            used.add((group, int(fold)))
    assert len(used) == 90


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(InputError, match="4 blocks for 10 parts"):
        part_of(Blocks(np.arange(4, dtype=np.int64), LENGTH_NS, 0, 0), 10)
