"""A registry of 100,000 edges, each with evidence of two stages: list them all, and the best fifty, ranked."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.harness import Contestant, Options, Row, at_most_check, race
from benchmarks.tape import DATA
from edgesmith.edges.edge import Bound, EdgeEvidence, EdgeSpec, Trigger
from edgesmith.edges.registry import EdgeRegistry, sqlite_url
from edgesmith.edges.verdict import Verdict

TITLE = "registry of 100,000 edges, SQLite"
EDGES, QUICK_EDGES = 100_000, 2_000
PAGE = 50
BATCH = 10_000
LIST_S_MAX = 1.0


def rows(options: Options) -> list[Row]:
    """Time both listings."""
    count = QUICK_EDGES if options.quick else EDGES
    sides = [
        Contestant(
            who=f"edgesmith, {what}",
            prepare="benchmarks.bench_edges:prepare",
            options={"count": count, "limit": limit},
            count=count,
            unit="edges",
            ours=limit is not None,
        )
        for what, limit in (("all edges", None), (f"the best {PAGE}", PAGE))
    ]
    found = race(sides, options.repeats)
    for row in found:
        if row.seconds:
            at_most_check(row, "one listing", statistics.median(row.seconds), LIST_S_MAX, "s")
    return found


def prepare(count: int, limit: int | None) -> Callable[[], dict[str, Any]]:
    """Return the listing of a registry made for it."""
    folder = DATA / f"edges-{count}-{limit}"
    shutil.rmtree(folder, ignore_errors=True)
    registry = EdgeRegistry(sqlite_url(folder))
    specs = [_spec(number) for number in range(count)]
    for begin in range(0, count, BATCH):
        part = specs[begin : begin + BATCH]
        for stage in ("discovery", "validation"):
            registry.record([(one, _evidence(one, begin + at, stage)) for at, one in enumerate(part)])

    def run() -> dict[str, Any]:
        return {"rows": len(registry.list(limit=limit))}

    return run


def _spec(number: int) -> EdgeSpec:
    return EdgeSpec(
        venue="binance_usdm",
        symbol=("BTCUSDT", "ETHUSDT")[number % 2],
        trigger=Trigger(bounds=(Bound(feature="imbalance_ema(period=20)", low=number * 1e-6),)),
        side=1,
        horizon_ns=5_000_000_000,
        latency_ns=50_000_000,
        cost_tier="VIP0 taker/taker",
        fee_in_bps=5.0,
        fee_out_bps=5.0,
        grid_ns=100_000_000,
        gap_ns=30_000_000_000,
        features_hash="features",
        bins_hash="bins",
        code_sha256="code",
    )


def _evidence(spec: EdgeSpec, number: int, stage: str) -> EdgeEvidence:
    verdicts = list(Verdict)
    return EdgeEvidence(
        edge_id=spec.edge_id,
        stage=stage,
        data_fingerprint=stage,
        first_ns=0,
        last_ns=1,
        n=number,
        blocks=60,
        gross_bps=12.5,
        cost_bps=10.5,
        net_bps=2.0,
        net_low_bps=number * 1e-5,
        net_high_bps=3.5,
        p=0.001,
        q=0.01,
        e_value=None,
        trials_total=480,
        verdict=verdicts[number % len(verdicts)],
        sentence="a sentence as long as those that verdicts come with: 2.00 bps after 10.50 bps of cost",
    )
