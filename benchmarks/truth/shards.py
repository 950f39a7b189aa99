"""The same bytes however the work is cut: pieces of the data, chunks of decisions, workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec

from benchmarks.truth.desk import Desk, desk_of
from edgesmith.canonical import canonical_json
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import Workplace, discover
from edgesmith.evaluation import coded, decisions
from edgesmith.evaluation.labels import column_groups
from edgesmith.evaluation.sums import TESTED_MOMENTS, SingleCells

CONFIG = DiscoveryConfig(
    horizons_ns=(NS_PER_S, 5 * NS_PER_S), latencies_ns=(0, 50 * NS_PER_MS), grid_ns=500 * NS_PER_MS, flips=499, depth=2
)
# Pieces a day is summed in, workers, and decisions that are sampled and labeled at a time.
SHARDS = (1, 2, 7, 64)
CHUNKS = (8_192, 1_000, 64)
WORKERS_MAX = 8


class ShardRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world: the hashes of all block sums, and of the whole result, for each number of shards and size of chunks."""

    world: str
    seed: int
    sums: dict[str, str]
    results: dict[str, str]

    @property
    def same(self) -> bool:
        """Return whether nothing changed a byte."""
        return len(set(self.sums.values())) == len(set(self.results.values())) == 1


def shard_row(job: tuple[str, int, int]) -> ShardRow:
    """Search a world again and again, cut in other ways."""
    world, seed, hours = job
    sums: dict[str, str] = {}
    results: dict[str, str] = {}
    with desk_of(world, seed, hours) as desk:
        rows = hours * NS_PER_HOUR // CONFIG.grid_ns
        for shards in SHARDS:
            with _cut(coded, "PIECE_ROWS", -(-rows // shards)):
                name = f"{shards} shards"
                sums[name], results[name] = _searched(desk, min(shards, WORKERS_MAX))
        for chunk in CHUNKS:
            with _cut(decisions, "CHUNK_ROWS", chunk), _cut(decisions, "LABEL_ROWS", chunk // 8):
                name = f"chunks of {chunk:,}"
                sums[name], results[name] = _searched(desk, 1)
    return ShardRow(world=world, seed=seed, sums=sums, results=results)


@contextmanager
def _cut(module: Any, name: str, value: int) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _searched(desk: Desk, workers: int) -> tuple[str, str]:
    # Hashes of the sums of all cells, and of the result. Days are coded anew each time.
    result = discover(desk.source, desk.instrument, desk.program, CONFIG, workplace=Workplace(workers=workers))
    span = result.edges_span
    panel = replace(desk.panel(result, CONFIG, span.test_first_ns, span.test_last_ns), workers=workers)
    found = panel.block_sums(SingleCells(panel.bins), column_groups(panel.labels, NS_PER_HOUR), moments=TESTED_MOMENTS)
    sums = b"".join(one.sums.tobytes() + one.squares.tobytes() for one in found)
    return sha256(sums).hexdigest(), sha256(canonical_json(result)).hexdigest()
