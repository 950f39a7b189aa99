"""Edges and evidence for tests of the registry, the ledgers and the vault."""

from __future__ import annotations

from typing import Any

from edgesmith.edges.edge import Bound, EdgeEvidence, EdgeSpec, Trigger


def spec(**change: Any) -> EdgeSpec:
    """Return an edge: buy AUSDT for 5 s when the imbalance is high."""
    fields: dict[str, Any] = {
        "venue": "simulated",
        "symbol": "AUSDT",
        "trigger": Trigger(bounds=(Bound(feature="imbalance()", low=0.5),)),
        "side": 1,
        "horizon_ns": 5_000_000_000,
        "latency_ns": 50_000_000,
        "cost_tier": "VIP0 taker/taker",
        "fee_in_bps": 5.0,
        "fee_out_bps": 5.0,
        "grid_ns": 100_000_000,
        "gap_ns": 30_000_000_000,
        "features_hash": "features",
        "bins_hash": "bins",
        "code_sha256": "code",
    }
    return EdgeSpec(**(fields | change))


def evidence(edge_id: str = "edge_000000000000", **change: Any) -> EdgeEvidence:
    """Return what a discovery might have found about an edge."""
    fields: dict[str, Any] = {
        "edge_id": edge_id,
        "stage": "discovery",
        "data_fingerprint": "data",
        "first_ns": 1_723_075_200_000_000_000,
        "last_ns": 1_723_078_800_000_000_000,
        "n": 1_234,
        "blocks": 60,
        "gross_bps": 12.5,
        "cost_bps": 10.5,
        "net_bps": 2.0,
        "net_low_bps": 0.5,
        "net_high_bps": 3.5,
        "p": 0.001,
        "q": 0.01,
        "e_value": None,
        "trials_total": 480,
        "verdict": "CANDIDATE",
        "sentence": "real",
    }
    return EdgeEvidence(**(fields | change))


# Findings of an edge against which nothing can be said.
GOOD: dict[str, Any] = {
    "onsets": 500,
    "days": 12,
    "blocks": 300,
    "blocks_effective": 120.0,
    "trade_blocks": 200,
    "trade_blocks_effective": 90.0,
    "p_excess": 0.001,
    "p_net": 0.001,
    "gross_bps": 16.0,
    "cost_bps": 10.0,
    "net_bps": 6.0,
    "net_low_bps": 4.0,
    "stressed_latency_ns": 100_000_000,
    "stressed_net_low_bps": 2.0,
    "break_even_fee_bps": 7.0,
    "walk_forward_low_bps": 3.0,
    "pbo": 0.05,
    "dsr": 0.99,
    "positive_days_ratio": 0.9,
    "without_best_day_bps": 5.0,
    "best_day_low_bps": 6.0,
    "early_low_bps": 4.0,
    "late_low_bps": 3.0,
    "late_high_bps": 8.0,
    "mde_bps": 2.0,
    "placebo_p": 0.4,
}
