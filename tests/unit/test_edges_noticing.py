"""What a card says about the end of an edge: in the blocks of its own trades, and not of an edge that keeps nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MINUTE
from edgesmith.edges.validation.frozen import Trades
from edgesmith.edges.validation.noticing import WATCHED_BLOCKS, Noticing, noticing

BLOCK_NS = 5 * NS_PER_MINUTE


def trades(mean_bps: float, *, blocks: int = 2_000, block_ns: int = 30 * NS_PER_MINUTE, seed: int = 1) -> Trades:
    """Return one trade in the middle of each block, with t4 noise of deviation 10 bps."""
    draw = np.random.default_rng(seed)
    noise = draw.standard_t(4, blocks) / math.sqrt(2.0) * 10.0
    ts_ns = np.arange(blocks, dtype=np.int64) * block_ns + block_ns // 2
    return Trades(ts_ns, mean_bps + noise - noise.mean() + 5.0, np.full(blocks, 5.0))


def noticed(mean_bps: float, **change: int) -> Noticing:
    traded = trades(mean_bps, **change)
    found = noticing(traded, mean_bps, (0, int(traded.ts_ns[-1]) + 30 * NS_PER_MINUTE), BLOCK_NS, 1)
    assert found is not None
    return found


def test_the_delays_are_those_of_the_published_table() -> None:
    found = noticed(4.0)
    assert found.block_ns == 30 * NS_PER_MINUTE and found.blocks >= 2_000
    assert found.sharpe == pytest.approx(0.4, rel=0.15)
    assert found.died.stopped_blocks == pytest.approx(265, rel=0.25)
    assert found.turned.stopped_blocks == pytest.approx(69, rel=0.3)
    assert found.died.lost_bps == 0.0
    assert found.turned.lost_bps == pytest.approx(-found.turned.mean_bps * (found.turned.stopped_blocks or 0))
    assert found.turned.mean_bps == pytest.approx(-4.0, rel=0.05)


def test_what_ends_worse_is_noticed_sooner_and_a_warning_comes_first() -> None:
    found = noticed(3.0)
    for end in (found.died, found.turned):
        assert end.warned_blocks is not None and end.stopped_blocks is not None
        assert 0 < end.warned_blocks < end.stopped_blocks
    assert (found.turned.stopped_blocks or 0) < (found.died.stopped_blocks or 0)
    assert "blocks of 30 m" in found.sentence_of(found.died) and "lost" in found.sentence_of(found.turned)


def test_an_edge_that_keeps_little_of_its_noise_is_not_stopped_in_time() -> None:
    found = noticed(0.4)
    assert found.died.stopped_blocks is None and found.died.lost_bps is None
    assert f"more than {WATCHED_BLOCKS:,} blocks" in found.sentence_of(found.died)


def test_blocks_are_shorter_where_one_promises_too_much() -> None:
    # Six trades in half an hour: of blocks that long the promise would be 2.4 deviations.
    busy = noticed(10.0, block_ns=BLOCK_NS)
    assert busy.block_ns == BLOCK_NS
    assert noticed(3.0, block_ns=BLOCK_NS).block_ns == 30 * NS_PER_MINUTE


def test_blocks_without_a_trade_count() -> None:
    sparse = trades(8.0, blocks=200, block_ns=24 * NS_PER_HOUR)
    found = noticing(sparse, 8.0, (0, 200 * 24 * NS_PER_HOUR), BLOCK_NS, 1)
    assert found is not None and found.blocks == 200 * 48
    assert found.promise_bps < 8.0 / 48


def test_nothing_is_said_of_an_edge_that_keeps_nothing() -> None:
    span_ns = (0, 2_000 * 30 * NS_PER_MINUTE)
    assert noticing(trades(4.0), None, span_ns, BLOCK_NS, 1) is None
    assert noticing(trades(4.0), -0.5, span_ns, BLOCK_NS, 1) is None
    assert noticing(trades(4.0, blocks=5), 4.0, (0, 5 * BLOCK_NS), BLOCK_NS, 1) is None
    none = np.empty(0)
    assert noticing(Trades(none.astype(np.int64), none, none), 4.0, span_ns, BLOCK_NS, 1) is None
