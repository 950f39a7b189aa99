"""Shards, chunks, batches, workers and the order of features change no bit of the result (traps T21, T22)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders_discovery import (
    GROUP,
    START_NS,
    QuoteProgram,
    TapeSource,
    codes_of,
    instrument,
    labels_of,
    null_world,
    planted_tape,
    sums_of,
)
from edgesmith.canonical import canonical_json
from edgesmith.domain.units import NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import Workplace, discover
from edgesmith.errors import DataError
from edgesmith.evaluation import coded, decisions
from edgesmith.evaluation.sums import SingleCells, add_rows, reserve

CONFIG = DiscoveryConfig(horizons_ns=(NS_PER_S, 20 * NS_PER_S), flips=499, latencies_ns=(0, 50_000_000), depth=3, beam=6)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 5_999), max_size=9), order=st.randoms(use_true_random=False))
def test_t22_sums_of_shards_merge_to_the_same_bits(cuts: list[int], order: Any) -> None:
    world = null_world(1, rows=6_000)
    bins, _, _ = sums_of(world)
    codes, labels = np.ascontiguousarray(codes_of(world.features, bins).T), labels_of(world)
    keys = (START_NS + np.arange(6_000, dtype=np.int64) * NS_PER_S) // GROUP.block_ns
    cells = SingleCells(bins)
    whole = reserve(int(keys[0]), 20, cells.count, 1)
    add_rows(cells, keys, codes, labels, whole)
    shards = []
    for begin, end in itertools.pairwise([0, *sorted(set(cuts)), 6_000]):
        shard = reserve(int(keys[begin]), int(keys[end - 1] - keys[begin]) + 1, cells.count, 1)
        add_rows(cells, keys[begin:end], codes[:, begin:end], labels[begin:end], shard)
        shards.append(shard)
    order.shuffle(shards)
    merged = reserve(int(keys[0]), 20, cells.count, 1)
    for shard in shards:
        merged.add(shard)
    assert merged.sums.tobytes() == whole.sums.tobytes() and merged.squares.tobytes() == whole.squares.tobytes()


def test_block_sums_equal_plain_sums() -> None:
    world = null_world(2, rows=3_000)
    bins, sums, codes = sums_of(world, edges_ratio=0.1)
    keys, labels, slots = (START_NS // NS_PER_S + np.arange(3_000)) // 300, labels_of(world), SingleCells(bins).slots
    for b in range(len(sums.sums)):
        rows = (keys == sums.first_key + b) & (np.arange(3_000) >= 300)
        for f in range(len(bins)):
            for code in range(bins[f].count):
                wanted = labels[rows & (codes[:, f] == code)].sum(axis=0)
                np.testing.assert_array_equal(sums.sums[b, f * slots + code, :, 0], wanted[:3])
    for f in range(len(bins)):
        for code in range(bins[f].count):
            chosen = (codes[:, f] == code) & (np.arange(3_000) >= 300)
            assert sums.squares[f * slots + code, 0] == labels[chosen, 3].sum()


def test_sums_that_overflow_do_not_merge() -> None:
    huge = reserve(5, 1, 1, 1)
    huge.sums[...] = 3 << 60
    with pytest.raises(DataError, match="2\\^62"):
        huge.add(huge._replace(sums=huge.sums // 2))


def test_t21_t22_result_is_the_same_bytes_for_any_batch_chunk_worker_and_feature_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tape = planted_tape(1, effect_bps=6.0, minutes=50)
    tape["instrument"][::17] = 0

    def outcome(batch_events: int, names: tuple[str, ...] = ("imbalance", "spread", "bid_size"), **where: Any) -> bytes:
        source = TapeSource(tape, batch_events)
        return canonical_json(discover(source, instrument(0.0001), QuoteProgram(names), CONFIG, workplace=Workplace(**where)))

    whole = outcome(1 << 20)
    assert b'"CANDIDATE"' in whole and b" and " in whole
    assert outcome(997, workers=2) == whole
    assert outcome(65_536, ("spread", "bid_size", "imbalance"), lake=tmp_path) == whole
    monkeypatch.setattr(decisions, "CHUNK_ROWS", 64)
    monkeypatch.setattr(coded, "PIECE_ROWS", 3_001)
    monkeypatch.setattr(decisions, "LABEL_ROWS", 100)
    assert outcome(5_000, workers=7) == whole
