"""The numbers of a run, all from the streamed state: exact, and the same whatever was kept on disk."""

from __future__ import annotations

import math
from typing import Any

from edgesmith.domain.orders import Reason
from edgesmith.domain.units import MONEY_SCALE
from edgesmith.trading.engine import Engine

# Fewer 1-minute equity changes than this say nothing about a ratio of mean to deviation.
MINUTES_MIN = 30


def run_metrics(engine: Engine) -> dict[str, Any]:
    """Return the metrics of a finished run; money in the settlement currency, `None` where a number would mean nothing."""
    run = engine.run[0]

    def money(name: str) -> float:
        return int(run[name]) / MONEY_SCALE

    start, end = money("equity_start_e8"), money("equity_e8")
    fees, funding = money("fees_e8"), money("funding_e8")
    fills, trips = int(run["fills"]), int(run["round_trips"])
    return {
        "currency": engine.instruments[0].settle,
        "equity_start": start,
        "equity_end": end,
        "pnl_net": end - start,
        "pnl_gross": end - start + fees - funding,
        "fees": fees,
        "funding": funding,
        "return_ratio": (end - start) / start,
        "drawdown_max": money("drawdown_max_e8"),
        "drawdown_ratio_max": float(run["drawdown_ratio_max"]),
        "fills": fills,
        "orders": int(run["orders_sent"]),
        "refused": int(run["refused"].sum()),
        "round_trips": trips,
        "wins": int(run["wins"]),
        "win_ratio": int(run["wins"]) / trips if trips else None,
        "pnl_per_round_trip": money("round_trip_pnl_e8") / trips if trips else None,
        "holding_ns_mean": int(run["holding_ns"]) / trips if trips else None,
        "exposure_time_ratio": _exposure_ratio(engine),
        "turnover_notional": money("turnover_e8"),
        "maker_fill_ratio": int(run["maker_fills"]) / fills if fills else None,
        "spread_cost": money("spread_cost_e8"),
        "slippage_bps_mean": float(run["slippage_sum_bps"]) / fills if fills else None,
        "sharpe_minute": _sharpe_minute(run),
    }


def risk_counters(engine: Engine) -> dict[str, int]:
    """Return what risk did: refusals by reason, forced exits, days locked."""
    run = engine.run[0]
    refused = {f"refused_{reason.name.lower()}": int(run["refused"][reason]) for reason in Reason if run["refused"][reason]}
    return {**refused, "forced_exits": int(run["forced_exits"]), "daily_loss_locks": int(run["daily_locks"])}


def _exposure_ratio(engine: Engine) -> float | None:
    run = engine.run[0]
    span = int(run["now"]) - engine.first_ns if engine.first_ns is not None else 0
    return int(run["exposure_ns"]) / span if span > 0 else None


def _sharpe_minute(run: Any) -> float | None:
    count = int(run["minute_count"])
    if count < MINUTES_MIN:
        return None
    mean = float(run["minute_sum"]) / count
    variance = float(run["minute_sum_squares"]) / count - mean * mean
    return mean / math.sqrt(variance) if variance > 0.0 else None
