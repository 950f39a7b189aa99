"""Facts of the clock and the flow: how updates and orders come in bursts, how signs persist, how large orders are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.worlds.facts_book import percentiles
from edgesmith.worlds.observation import Observation

_TAIL_RATIO = 0.05
# About evenly spaced in the logarithm.
_EXPONENT_LAGS = (1, 2, 3, 5, 8, 13, 21, 34)
_PROXY_S = 5.0


def clock_facts(seen: Observation) -> dict[str, float]:
    """Measure rates, gaps between updates and how counts overdisperse."""
    gaps_ms = np.diff(seen.quote_ns) / NS_PER_MS
    p50, p90, p99 = percentiles(gaps_ms, 50, 90, 99)
    order_ns = seen.trade_ns[seen.order_starts]
    fano = {
        f"fano_{name}": fano_factor(seen.quote_ns, step_s)
        for name, step_s in (("10_ms", 0.01), ("100_ms", 0.1), ("1_s", 1.0), ("10_s", 10.0))
    }
    stamped = seen.clock == "venue"
    return {
        "quotes_per_s": len(seen.quote_ns) / seen.span_s,
        "trades_per_s": len(seen.trade_ns) / seen.span_s,
        "quote_gap_ms_p50": p50,
        "quote_gap_ms_p90": p90,
        "quote_gap_ms_p99": p99,
        "quote_gap_cv": float(gaps_ms.std() / gaps_ms.mean()),
        "same_ms_quote_ratio": float((gaps_ms < 1.0).mean()) if stamped else float("nan"),
        "same_ms_trade_ratio": float((np.diff(seen.trade_ns) < NS_PER_MS).mean()) if stamped else float("nan"),
        **fano,
        "branching_proxy_quotes": _branching_proxy(seen.quote_ns),
        "branching_proxy_orders": _branching_proxy(order_ns),
    }


def fano_factor(instants_ns: NDArray[np.int64], step_s: float) -> float:
    """Return variance / mean of the counts in whole steps of `step_s`; 1 for a Poisson clock."""
    steps = (instants_ns - instants_ns[0]) // round(step_s * NS_PER_S)
    whole = int(steps[-1])
    if whole < 2:
        return float("nan")
    counts = np.bincount(steps[steps < whole], minlength=whole)
    return float(counts.var() / counts.mean())


def _branching_proxy(instants_ns: NDArray[np.int64]) -> float:
    fano = fano_factor(instants_ns, _PROXY_S)
    return 1.0 - 1.0 / fano**0.5 if fano > 0.0 else float("nan")


def order_facts(seen: Observation) -> dict[str, float]:
    """Measure aggressive orders: how many, of how many fills, of what sizes."""
    fills = np.diff(np.r_[seen.order_starts, len(seen.trade_ns)])
    p50, p90, p99 = percentiles(seen.trade_qty, 50, 90, 99)
    order_p50, order_p90, order_p99 = percentiles(seen.order_qty, 50, 90, 99)
    return {
        "orders_per_s": len(fills) / seen.span_s,
        "fills_per_order_mean": float(fills.mean()),
        "fills_per_order_p99": percentiles(fills, 99)[0],
        "fill_qty_p50": p50,
        "fill_qty_p90": p90,
        "fill_qty_p99": p99,
        "order_qty_p50": order_p50,
        "order_qty_p90": order_p90,
        "order_qty_p99": order_p99,
        "order_fano_1_s": fano_factor(seen.trade_ns[seen.order_starts], 1.0),
        "order_tail_hill": hill(seen.order_qty),
    }


def hill(sizes: NDArray[np.float64]) -> float:
    """Return Hill's estimate of the tail exponent from the largest twentieth of `sizes`."""
    ordered = np.sort(sizes)[::-1]
    count = int(len(ordered) * _TAIL_RATIO)
    excess = float(np.log(ordered[:count] / ordered[count]).mean()) if count >= 2 else 0.0
    return 1.0 / excess if excess > 0.0 else float("nan")


def sign_facts(seen: Observation) -> dict[str, float]:
    """Measure how long the signs of fills and of orders persist."""
    fills = seen.trade_side.astype(np.float64)
    orders = fills[seen.order_starts]
    lags = np.array(_EXPONENT_LAGS)
    near = np.array([autocorrelation(orders, lag) for lag in _EXPONENT_LAGS])
    positive = near > 0.0
    exponent = float("nan")
    if positive.sum() >= 3:
        exponent = -float(np.polyfit(np.log(lags[positive]), np.log(near[positive]), 1)[0])
    return {
        **{f"fill_sign_acf_lag_{lag}": autocorrelation(fills, lag) for lag in (1, 10, 50, 200)},
        **{f"order_sign_acf_lag_{lag}": autocorrelation(orders, lag) for lag in (1, 10, 50)},
        "order_sign_exponent": exponent,
    }


def autocorrelation(values: NDArray[np.float64], lag: int) -> float:
    """Return the correlation of a sequence with itself `lag` steps on; NaN where it is too short or constant."""
    if len(values) <= lag + 1:
        return float("nan")
    centered = values - values.mean()
    power = float(centered @ centered)
    return float(centered[:-lag] @ centered[lag:]) / power if power > 0.0 else float("nan")
