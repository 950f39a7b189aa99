"""Shards, chunks, batches and the order of features change no bit of the result (traps T21, T22)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders_discovery import (
    GROUP,
    START_NS,
    WORLD_FEATURES,
    QuoteProgram,
    TapeReplay,
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
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation import panel as panel_module
from edgesmith.evaluation.blocks import BlockSums
from edgesmith.evaluation.labels import MOMENTS, ColumnGroup

CONFIG = DiscoveryConfig(horizons_ns=(NS_PER_S, 20 * NS_PER_S), flips=499, latencies_ns=(0, 50_000_000))


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 5_999), max_size=9), order=st.randoms(use_true_random=False))
def test_t22_sums_of_shards_merge_to_the_same_bits(cuts: list[int], order: st.random.Random) -> None:  # type: ignore[name-defined]
    world = null_world(1, rows=6_000)
    bins, _, _ = sums_of(world)
    codes, labels = codes_of(world.features, bins), labels_of(world)
    ts_ns = START_NS + np.arange(6_000, dtype=np.int64) * NS_PER_S
    whole = BlockSums(GROUP, WORLD_FEATURES)
    whole.add(ts_ns, codes, labels)
    edges = [0, *sorted(set(cuts)), 6_000]
    shards = []
    for begin, end in itertools.pairwise(edges):
        shard = BlockSums(GROUP, WORLD_FEATURES)
        shard.add(ts_ns[begin:end], codes[begin:end], labels[begin:end])
        shards.append(shard)
    order.shuffle(shards)
    merged = shards[0].merge(shards[1:])
    np.testing.assert_array_equal(merged.keys, whole.keys)
    assert merged.stacked().tobytes() == whole.stacked().tobytes()


def test_block_sums_equal_plain_sums() -> None:
    world = null_world(2, rows=3_000)
    bins, _, _ = sums_of(world)
    codes, labels = codes_of(world.features, bins), labels_of(world)
    ts_ns = START_NS + np.arange(3_000, dtype=np.int64) * NS_PER_S
    sums = BlockSums(GROUP, WORLD_FEATURES)
    sums.add(ts_ns, codes, labels)
    stacked = sums.stacked()
    for b, key in enumerate(sums.keys):
        rows = ts_ns // GROUP.block_ns == key
        for f in range(len(WORLD_FEATURES)):
            for code in range(12):
                wanted = labels[rows & (codes[:, f] == code)].sum(axis=0)
                np.testing.assert_array_equal(stacked[b, f, code, 0], wanted)
    assert len(sums.keys) == len(np.unique(ts_ns // GROUP.block_ns))


def test_unlike_or_overflowing_sums_do_not_merge() -> None:
    one = BlockSums(GROUP, ("a",))
    with pytest.raises(InputError, match="compute them alike"):
        one.merge([BlockSums(GROUP, ("b",))])
    with pytest.raises(InputError, match="compute them alike"):
        one.merge([BlockSums(ColumnGroup(60 * NS_PER_S, NS_PER_S, GROUP.columns), ("a",))])
    huge = BlockSums(GROUP, ("a",))
    huge.add(np.array([START_NS]), np.zeros((1, 1), np.uint8), np.full((1, MOMENTS), 3 << 60, np.int64))
    with pytest.raises(DataError, match="2\\^62"):
        huge.merge([huge])


def test_t21_t22_result_is_the_same_bytes_for_any_batch_chunk_and_feature_order(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = planted_tape(1, effect_bps=6.0, minutes=50)
    tape["instrument"][::17] = 0

    def outcome(batch_events: int, names: tuple[str, ...] = ("imbalance", "spread", "bid_size")) -> bytes:
        return canonical_json(discover(TapeReplay(tape, batch_events), instrument(0.0001), QuoteProgram(names), CONFIG))

    whole = outcome(1 << 20)
    assert b'"CANDIDATE"' in whole
    assert outcome(997) == whole
    assert outcome(65_536, ("spread", "bid_size", "imbalance")) == whole
    monkeypatch.setattr(panel_module, "CHUNK_ROWS", 64)
    assert outcome(5_000) == whole
