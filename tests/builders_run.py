"""Build run folders as a backtest leaves them, small and seeded, without running one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

START_NS = 1_723_161_256_000_000_000
NS_PER_S = 1_000_000_000
EQUITY_START = 10_000.0
FEE_RATIO = 0.0005


def build_run(
    folder: Path,
    *,
    fills: int = 120,
    buckets: int = 800,
    span_ns: int = 3_600 * NS_PER_S,
    symbols: tuple[str, ...] = ("BTCUSDT",),
    venue: str = "simulated",
    simulated: bool = True,
    strategy: str = "baseline",
    refused: int = 30,
    seed: int = 7,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write manifest, fills, decisions, curve and prices of a made-up run; `changes` replaces manifest keys."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    starts = START_NS + (np.arange(buckets) * (span_ns // buckets))
    mids = {symbol: 60_000.0 * np.exp(np.cumsum(rng.normal(0, 2e-4, buckets))) for symbol in symbols}
    table = _fills(rng, fills, starts, mids, venue)
    pnl = np.cumsum(table["realized_pnl"] - table["fee"]) if fills else np.zeros(0)
    at = np.searchsorted(table["ts_match"], starts, side="right")
    equity = EQUITY_START + np.where(at > 0, np.concatenate([[0.0], pnl])[at], 0.0)
    drawdown = 1 - equity / np.maximum.accumulate(equity)
    _write(folder, "fills", table)
    _write(folder, "decisions", _decisions(rng, table, refused, venue))
    _write(folder, "curve", _curve(starts, equity, drawdown, table, at))
    _write(folder, "prices", _prices(starts, mids))
    manifest = _manifest(table, equity, drawdown, starts, span_ns, symbols, venue, simulated, strategy, refused)
    (folder / "manifest.json").write_text(json.dumps(manifest | dict(changes or {})))
    return folder


def _fills(
    rng: np.random.Generator, count: int, starts: NDArray[np.int64], mids: dict[str, NDArray[np.float64]], venue: str
) -> dict[str, Any]:
    names = np.array(list(mids))
    span = int(starts[-1] - starts[0])
    ts = starts[0] + np.sort(rng.integers(0, max(span, 1), count))
    bucket = np.searchsorted(starts, ts, side="right") - 1
    symbol = names[rng.integers(0, len(names), count)]
    side = np.where(np.arange(count) % 2 == 0, 1, -1).astype("i1")
    mid = np.array([mids[name][i] for name, i in zip(symbol, bucket, strict=True)], dtype="f8").reshape(count)
    price, qty = np.round(mid + side * 0.05, 1), np.full(count, 0.01)
    closing = np.arange(count) % 2 == 1
    realized = np.where(closing, np.round(rng.normal(0.12, 1.0, count), 4), 0.0)
    return {
        "ts_match": ts,
        "ts_known": ts + 5_000_000,
        "fill_id": np.arange(count),
        "order_id": np.arange(count),
        "venue": [venue] * count,
        "symbol": symbol.tolist(),
        "side": side,
        "price": price,
        "qty": qty,
        "is_maker": rng.random(count) < 0.3,
        "fee": price * qty * FEE_RATIO,
        "realized_pnl": realized,
        "position_qty": np.where(closing, 0.0, 0.01),
        "origin": ["strategy" if i % 7 else "stop_loss" for i in range(count)],
        "notional": price * qty,
    }


def _decisions(rng: np.random.Generator, fills: dict[str, Any], refused: int, venue: str) -> dict[str, Any]:
    count, symbol = len(fills["ts_match"]), (fills["symbol"] or ["BTCUSDT"])[0]
    no_ts = START_NS + rng.integers(0, 3_600 * NS_PER_S, refused)
    ts = np.concatenate([fills["ts_match"] - 20_000_000, no_ts])
    order = np.argsort(ts, kind="stable")
    outcome = ["approved"] * count + ["cooldown" if i % 3 else "max_position" for i in range(refused)]
    side = np.concatenate([fills["side"], np.ones(refused, "i1")])
    columns = {
        "ts": ts,
        "event_index": ts // 1_000_000 % 100_000,
        "order_id": np.arange(count + refused),
        "venue": [venue] * (count + refused),
        "symbol": [symbol] * (count + refused),
        "side": side,
        "order_type": ["market"] * (count + refused),
        "qty": np.full(count + refused, 0.01),
        "price": pa.nulls(count + refused, pa.float64()),
        "origin": ["strategy"] * (count + refused),
        "outcome": outcome,
    }
    return {name: pa.array(values).take(pa.array(order)) for name, values in columns.items()}


def _curve(
    starts: NDArray[np.int64],
    equity: NDArray[np.float64],
    drawdown: NDArray[np.float64],
    fills: dict[str, Any],
    at: NDArray[np.int64],
) -> dict[str, Any]:
    held = np.concatenate([[0.0], fills["position_qty"] * fills["price"]])
    return {
        "bucket_start_ns": starts,
        "equity_open": equity,
        "equity_min": equity - 0.4,
        "equity_max": equity + 0.4,
        "equity_close": equity,
        "drawdown_ratio_max": drawdown,
        "position_notional_close": held[at],
    }


def _prices(starts: NDArray[np.int64], mids: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    count = len(starts)
    mid = np.concatenate(list(mids.values()))
    return {
        "instrument": np.repeat(np.arange(len(mids), dtype="i4"), count),
        "bucket_start_ns": np.tile(starts, len(mids)),
        "mid_open": mid,
        "mid_min": mid - 4.0,
        "mid_max": mid + 4.0,
        "mid_close": mid,
    }


def _write(folder: Path, name: str, columns: dict[str, Any]) -> None:
    arrays = {
        key: pa.array(values, pa.string()) if isinstance(values, list) else pa.array(values) for key, values in columns.items()
    }
    pq.write_table(pa.table(arrays), folder / f"{name}.parquet")


def _manifest(
    fills: dict[str, Any],
    equity: NDArray[np.float64],
    drawdown: NDArray[np.float64],
    starts: NDArray[np.int64],
    span_ns: int,
    symbols: tuple[str, ...],
    venue: str,
    simulated: bool,
    strategy: str,
    refused: int,
) -> dict[str, Any]:
    count = len(fills["ts_match"])
    fees, gross = float(np.sum(fills["fee"])), float(np.sum(fills["realized_pnl"]))
    wins = int(np.sum(fills["realized_pnl"] > 0))
    trips = count // 2
    clock = {"event_clock": "venue", "recv_clock": "local", "skew_ns_min": -2_000_000, "skew_ns_p50": 35_000_000}
    return {
        "run_id": "3f9c1a7e5b2d4860",
        "kind": "backtest",
        "edgesmith_version": "0.1.0",
        "versions": {"python": "3.11.7", "numpy": "2.4.6", "numba": "0.68.1"},
        "data": {
            "fingerprint": "c0ffee" * 10 + "abcd",
            "partitions": [
                {
                    "venue": venue,
                    "symbol": name,
                    "stream": stream,
                    "day": "2024-08-08",
                    "rows": 51_234,
                    "clock": clock,
                    "content_sha256": "ab" * 32,
                }
                for name in symbols
                for stream in ("bbo", "trade")
            ],
            "events": 102_468,
            "first_ns": int(starts[0]),
            "last_ns": int(starts[0] + span_ns),
            "simulated": simulated,
        },
        "instruments": [{"venue": venue, "symbol": name, "tick_size": "0.1", "lot_size": "0.001"} for name in symbols],
        "strategy": {"name": strategy, "config": {"threshold": 0.6, "hold_ns": 5_000_000_000}, "source_sha256": "5e" * 32},
        "execution": {"preset": "honest", "order_latency_ns": 20_000_000, "queue": True},
        "risk": {"max_position_notional": 1_000.0, "cooldown_ns": 1_000_000_000},
        "seed": 7,
        "result": {
            "events": 102_468,
            "orders": count,
            "fills": count,
            "ended_reason": "end_of_data",
            "decision_hash": "d1" * 32,
            "fills_hash": "f1" * 32,
            "state_hash": "e1" * 32,
            "last_cursor": [int(starts[-1]), 51_233],
        },
        "metrics": {
            "currency": "USDT",
            "equity_start": EQUITY_START,
            "equity_end": float(equity[-1]),
            "pnl_net": gross - fees,
            "pnl_gross": gross,
            "fees": fees,
            "funding": 0.0,
            "return_ratio": (gross - fees) / EQUITY_START,
            "drawdown_ratio_max": float(drawdown.max()),
            "drawdown_max": float(drawdown.max() * EQUITY_START),
            "fills": count,
            "orders": count,
            "refused": refused,
            "round_trips": trips,
            "wins": wins,
            "win_ratio": wins / trips if trips else None,
            "pnl_per_round_trip": (gross - fees) / trips if trips else None,
            "holding_ns_mean": 12_300_000_000.0 if trips else None,
            "exposure_time_ratio": 0.42 if trips else 0.0,
            "turnover_notional": float(np.sum(fills["notional"])),
            "maker_fill_ratio": float(np.mean(fills["is_maker"])) if count else None,
            "spread_cost": count * 0.01 * 0.05,
            "slippage_bps_mean": 0.31 if count else None,
            "sharpe_minute": -0.112 if count else None,
        },
        "risk_counters": {"cooldown": refused},
        "guard_counters": {"late": 0},
    }
