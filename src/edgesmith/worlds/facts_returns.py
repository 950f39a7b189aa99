"""Facts of returns: their size and shape by horizon, and what of them flow and imbalance explain or foretell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.worlds.facts_book import STRONG_IMBALANCE
from edgesmith.worlds.facts_flow import autocorrelation
from edgesmith.worlds.observation import Observation

_STEP_S = 0.1
_ABSOLUTE_LAGS = 10


def return_facts(seen: Observation) -> dict[str, float]:
    """Measure returns on grids: size, tails, memory, variance by horizon."""
    moves = {step_s: returns_bps(seen, step_s) for step_s in (0.1, 0.5, 1.0, 5.0)}
    sizes = {
        f"{fact}_{name}": measure(moves[step_s])
        for fact, measure in (("return_bps_sd", _sd), ("return_kurtosis", _excess_kurtosis))
        for name, step_s in (("100_ms", 0.1), ("1_s", 1.0), ("5_s", 5.0))
    }
    variance = {
        f"variance_bps2_per_s_{name}": _variance_per_s(seen, step_s)
        for name, step_s in (("100_ms", 0.1), ("1_s", 1.0), ("10_s", 10.0), ("30_s", 30.0))
    }
    absolute = np.abs(moves[1.0])
    return {
        **sizes,
        "return_zero_ratio_100_ms": float((moves[0.1] == 0.0).mean()),
        "return_acf_100_ms": autocorrelation(moves[0.1], 1),
        "return_acf_1_s": autocorrelation(moves[1.0], 1),
        "abs_return_acf_500_ms_lag_1": autocorrelation(np.abs(moves[0.5]), 1),
        "abs_return_acf_500_ms_lag_10": autocorrelation(np.abs(moves[0.5]), 10),
        "abs_return_acf_1_s_mean": float(np.mean([autocorrelation(absolute, lag) for lag in range(1, _ABSOLUTE_LAGS + 1)])),
        **variance,
    }


def returns_bps(seen: Observation, step_s: float) -> NDArray[np.float64]:
    """Return the log returns of the mid price between instants `step_s` apart."""
    return np.diff(seen.mid_bps[seen.quote_at(seen.grid_ns(step_s))])


def _variance_per_s(seen: Observation, horizon_s: float) -> float:
    # About zero, over windows that overlap: the signature plot needs every start.
    steps = round(horizon_s / _STEP_S)
    path = seen.mid_bps[seen.quote_at(seen.grid_ns(_STEP_S))]
    return float(((path[steps:] - path[:-steps]) ** 2).mean()) / horizon_s


def _sd(values: NDArray[np.float64]) -> float:
    return float(values.std())


def _excess_kurtosis(values: NDArray[np.float64]) -> float:
    variance = float(values.var())
    return float(((values - values.mean()) ** 4).mean()) / variance**2 - 3.0 if variance > 0.0 else float("nan")


def flow_return_facts(seen: Observation) -> dict[str, float]:
    """Measure how much of the return of a window the order flow and the trades of the same window explain."""
    changes = order_flow(seen)
    facts: dict[str, float] = {}
    for name, step_s in (("100_ms", 0.1), ("1_s", 1.0), ("5_s", 5.0)):
        moves = returns_bps(seen, step_s)
        flow, trades = _binned(seen.quote_ns, changes, seen, step_s), _binned(seen.trade_ns, _signed_qty(seen), seen, step_s)
        facts[f"flow_r2_{name}"] = correlation(flow, moves) ** 2
        facts[f"trade_r2_{name}"] = correlation(trades, moves) ** 2
        if step_s == 1.0:
            facts["flow_trade_r2_1_s"] = _r2_both(flow, trades, moves)
        if step_s < 5.0:
            facts[f"flow_next_return_corr_{name}"] = correlation(flow[:-1], moves[1:])
    return facts


def order_flow(seen: Observation) -> NDArray[np.float64]:
    """Return the order flow imbalance of each update after the first; 0 for the first (Cont, Kukanov, Stoikov 2014)."""
    out = np.zeros(len(seen.quote_ns))
    _order_flow(seen.bid_ticks, seen.ask_ticks, seen.bid_qty, seen.ask_qty, out)
    return out


@kernel
def _order_flow(bid: Any, ask: Any, bid_qty: Any, ask_qty: Any, out: Any) -> None:
    for i in range(1, len(out)):
        flow = 0.0
        if bid[i] >= bid[i - 1]:
            flow += bid_qty[i]
        if bid[i] <= bid[i - 1]:
            flow -= bid_qty[i - 1]
        if ask[i] <= ask[i - 1]:
            flow -= ask_qty[i]
        if ask[i] >= ask[i - 1]:
            flow += ask_qty[i - 1]
        out[i] = flow


def _signed_qty(seen: Observation) -> NDArray[np.float64]:
    return seen.trade_side * seen.trade_qty


def _binned(instants_ns: NDArray[np.int64], values: NDArray[np.float64], seen: Observation, step_s: float) -> NDArray[np.float64]:
    # What lies in (grid[k], grid[k + 1]], as the return over it does.
    grid_ns = seen.grid_ns(step_s)
    at = np.searchsorted(grid_ns, instants_ns, side="left") - 1
    inside = (at >= 0) & (at < len(grid_ns) - 1)
    return np.bincount(at[inside], weights=values[inside], minlength=len(grid_ns) - 1).astype(np.float64)


def correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return Pearson's correlation; NaN where one side is constant."""
    if len(left) < 3 or left.std() == 0.0 or right.std() == 0.0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def _r2_both(flow: NDArray[np.float64], trades: NDArray[np.float64], moves: NDArray[np.float64]) -> float:
    columns = np.column_stack([np.ones(len(moves)), flow, trades])
    left, *_ = np.linalg.lstsq(columns, moves, rcond=None)
    return 1.0 - float((moves - columns @ left).var() / moves.var()) if moves.var() > 0.0 else float("nan")


def imbalance_return_facts(seen: Observation) -> dict[str, float]:
    """Measure what the imbalance at an instant says of the return from then on; instants are 0.1 s apart."""
    instants_ns = seen.grid_ns(_STEP_S)
    now = seen.quote_at(instants_ns)
    imbalance = seen.imbalance[now]
    strong = np.abs(imbalance) > STRONG_IMBALANCE
    facts: dict[str, float] = {}
    for name, horizon_s in (("100_ms", 0.1), ("1_s", 1.0), ("5_s", 5.0), ("10_s", 10.0)):
        later_ns = instants_ns + round(horizon_s * NS_PER_S)
        inside = later_ns <= seen.quote_ns[-1]
        moves = seen.mid_bps[seen.quote_at(later_ns[inside])] - seen.mid_bps[now[inside]]
        facts[f"imbalance_return_corr_{name}"] = correlation(imbalance[inside], moves)
        earned = (np.sign(imbalance[inside]) * moves)[strong[inside]]
        facts[f"strong_imbalance_return_bps_{name}"] = float(earned.mean()) if len(earned) else float("nan")
    return facts


def response_facts(seen: Observation) -> dict[str, float]:
    """Measure how far the mid price goes with an aggressive order, from just before it."""
    starts = seen.order_starts
    order_ns, side = seen.trade_ns[starts], seen.trade_side[starts]
    before = np.searchsorted(seen.quote_ns, order_ns, side="left") - 1
    facts: dict[str, float] = {}
    for name, horizon_ms in (("10_ms", 10), ("100_ms", 100), ("1_s", 1_000), ("10_s", 10_000)):
        later_ns = order_ns + horizon_ms * NS_PER_MS
        inside = (before >= 0) & (later_ns <= seen.quote_ns[-1])
        moves = seen.mid_bps[seen.quote_at(later_ns[inside])] - seen.mid_bps[before[inside]]
        facts[f"response_bps_{name}"] = float((side[inside] * moves).mean()) if inside.any() else float("nan")
    return facts
