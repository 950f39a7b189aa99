"""Build the JSON of a discovery result and of a world's truth, as a report is given them, without running a search."""

from __future__ import annotations

from typing import Any

import numpy as np

NS_PER_S = 1_000_000_000
START_NS = 1_723_161_256_000_000_000
FEATURES = ("imbalance", "microprice_shift", "spread", "trade_flow", "volatility_1m")
HORIZONS_NS = (NS_PER_S // 2, NS_PER_S, 5 * NS_PER_S, 30 * NS_PER_S)
MOVES_BPS = (0.9, 1.3, 3.1, 7.6)
CUTS = (-0.6, -0.2, 0.2, 0.6)
COST_BPS = 10.2
RANKS = ("CANDIDATE", "REJECT_COST", "REJECT_NULL", "INSUFFICIENT")


def build_discovery(*, found: bool = True, seed: int = 3) -> dict[str, Any]:
    """Return a search over five features; `found` gives `imbalance` an effect that pays at one horizon only."""
    rng = np.random.default_rng(seed)
    codes = range(len(CUTS) + 1)
    cells = [_cell(rng, feature, code, horizon_ns, found) for feature in FEATURES for code in codes for horizon_ns in HORIZONS_NS]
    best: dict[str, dict[str, Any]] = {}
    for cell in sorted(cells, key=lambda one: (RANKS.index(one["verdict"]), -abs(one["t_excess"]))):
        best.setdefault(cell["feature"], cell)
    return {
        "schema_version": 1,
        "instrument": "simulated:BTCUSDT",
        "simulated": True,
        "data_fingerprint": "c0ffee",
        "config": {"alpha": 0.05, "flips": 9_999, "power": 0.8},
        "fee_in_bps": 5.0,
        "fee_out_bps": 5.0,
        "edges_span": {
            "first_ns": START_NS,
            "test_first_ns": START_NS + 720 * NS_PER_S,
            "test_last_ns": START_NS + 3_600 * NS_PER_S,
        },
        "bins": [{"feature": feature, "cuts": list(CUTS)} for feature in FEATURES],
        "needed_ic": [_needed(*pair) for pair in zip(HORIZONS_NS, MOVES_BPS, strict=True)],
        "trials": len(cells),
        "trial_hash": "7a" * 32,
        "critical_t": 4.31,
        "counts": {rank: sum(cell["verdict"] == rank for cell in cells) for rank in RANKS},
        "cells": cells,
        "best": list(best.values()),
    }


def build_truth() -> dict[str, Any]:
    """Return the truth of the world that `build_discovery(found=True)` looks at."""
    region = {"feature": "imbalance", "low": 0.6, "high": 1e9, "mirrored": True, "params": {}}
    plant = {"region": region, "side": 1, "shift_bps": 28.0, "probability_ratio": 0.5, "every_ms": 1_000}
    numbers = {"gross_bps": 14.2, "cost_bps": COST_BPS, "planted_bps": 14.0, "basis": "plant"}
    where = {"feature": "imbalance", "low": 0.6, "high": 1e9, "mirrored": True, "params": {}}
    claims = [
        where | numbers | {"side": 1, "horizon_ms": 30_000, "verdict": "tradable"},
        where | numbers | {"side": 1, "horizon_ms": 1_000, "verdict": "real_but_cost", "gross_bps": 3.1},
        numbers | {"feature": "spread", "low": -1.0, "side": 1, "horizon_ms": 5_000, "verdict": "nothing", "gross_bps": 0.0},
    ]
    plants = [plant | {"delay_ms": 100, "window_ms": 29_900}]
    return {"recipe_version": 1, "summary": "one effect of known size", "seed": 7, "plants": plants, "claims": claims}


def _needed(horizon_ns: int, move_bps: float) -> dict[str, Any]:
    needed = COST_BPS / 1.755 / move_bps
    return {
        "horizon_ns": horizon_ns,
        "latency_ns": 50_000_000,
        "n": 28_000,
        "gross_sd_bps": move_bps,
        "cost_bps": COST_BPS,
        "needed_ic": needed,
        "possible": needed <= 1,
    }


def _cell(rng: np.random.Generator, feature: str, code: int, horizon_ns: int, found: bool) -> dict[str, Any]:
    verdict, t, gross = "REJECT_NULL", float(rng.normal(0, 1.2)), float(rng.normal(0, 0.3))
    if feature == "volatility_1m" and horizon_ns == HORIZONS_NS[-1]:
        verdict = "INSUFFICIENT"
    elif found and feature == "imbalance" and code == len(CUTS):
        pays = horizon_ns == HORIZONS_NS[-1]
        verdict, t, gross = ("CANDIDATE", 9.8, 14.3) if pays else ("REJECT_COST", 7.4, 3.2)
    real = verdict in ("CANDIDATE", "REJECT_COST")
    return {
        "feature": feature,
        "bin": code,
        "lower": CUTS[code - 1] if code else None,
        "upper": CUTS[code] if code < len(CUTS) else None,
        "text": f"{feature} in bin {code}",
        "horizon_ns": horizon_ns,
        "latency_ns": 50_000_000,
        "n": 5_600,
        "n_eff": 412.5,
        "blocks": 48,
        "blocks_effective": 37.2,
        "side": 1 if gross >= 0 else -1,
        "gross_bps": gross,
        "excess_bps": gross,
        "cost_bps": COST_BPS,
        "net_bps_best_side": abs(gross) - COST_BPS,
        "t_excess": t,
        "p_cell": 0.0001 if real else 0.4,
        "p_family": 0.0003 if real else 0.97,
        "q_value": 0.0004 if real else 0.9,
        "p_net": 0.0011 if verdict == "CANDIDATE" else 0.99,
        "p_net_family": 0.0021 if verdict == "CANDIDATE" else 0.99 if real else None,
        "mde_bps": None if verdict == "INSUFFICIENT" else 1.9,
        "verdict": verdict,
        "sentence": f"{verdict.lower()} by construction",
    }
