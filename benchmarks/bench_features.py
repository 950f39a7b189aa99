"""Time the 15 base features over 3.7 M seeded BBO events: ours, a loop fused by hand, polars on two threads.

All three write the same n x 15 float64 result from the same events in the same process; ours reads 64-byte event records,
the others plain columns, which is the easier input. Run as a script for a table; `measure` returns the rows.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "2")  # before polars is first imported

import statistics
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import polars as pl
from numpy.typing import NDArray

from edgesmith.clock import monotonic_s
from edgesmith.domain.events import EVENT
from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program

EVENTS = 3_700_000
SEED = 20240808
NAMES = [spec.name for spec in feature_set("base")]


def tape(events: int = EVENTS, seed: int = SEED) -> NDArray[Any]:
    """Return seeded BBO events: price steps of one tick on a third of them, spreads of mostly one tick, random sizes."""
    random = np.random.default_rng(seed)
    bid_ticks = 600_000 + np.cumsum(random.choice([-1, 0, 0, 0, 0, 1], events))
    spread_ticks = 1 + (random.random(events) < 0.05) * random.integers(1, 4, events)
    result = np.zeros(events, EVENT)
    result["ts_event"] = result["ts_recv"] = np.arange(events) * 1_000_000
    result["seq"] = np.arange(events)
    result["bid_price"] = bid_ticks * 0.1
    result["ask_price"] = (bid_ticks + spread_ticks) * 0.1
    result["bid_qty"] = random.integers(1, 2_000, events) * 0.001
    result["ask_qty"] = random.integers(1, 2_000, events) * 0.001
    return result


@numba.njit(nogil=True, error_model="numpy")
def _rebuilt(t: int, base: float, mids: Any, returns: Any, stds: Any, spreads: Any, changes: Any, ranges: Any) -> Any:
    r1 = r2 = m1 = m2 = gain = loss = wide = std_sum = spread_sum = 0.0
    for j in range(1, 101):
        q = (t - j) & 127
        std_sum += stds[q]
        spread_sum += spreads[q]
        if j <= 20:
            r1 += returns[q]
            r2 += returns[q] * returns[q]
            m1 += mids[q] - base
            m2 += (mids[q] - base) * (mids[q] - base)
        if j <= 14:
            gain += max(changes[q], 0.0)
            loss += max(-changes[q], 0.0)
            wide += ranges[q]
    return r1, r2, m1, m2, gain, loss, wide, std_sum, spread_sum


@numba.njit(nogil=True, error_model="numpy")
def fused_by_hand(bid: Any, bid_qty: Any, ask: Any, ask_qty: Any, out: Any) -> None:
    """Compute the 15 features as a specialist would write them once: one loop, locals, power-of-two rings, no NaN care."""
    mids, returns, stds, spreads = np.zeros(128), np.zeros(128), np.zeros(128), np.zeros(128)
    changes, ranges, emas = np.zeros(128), np.zeros(128), np.zeros(128)
    ema = fast = slow = pressure = before = base = 0.0
    r1 = r2 = m1 = m2 = gain = loss = wide = std_sum = spread_sum = 0.0
    moved = ups = downs = 0
    for t in range(bid.shape[0]):
        b, a, bq, aq = bid[t], ask[t], bid_qty[t], ask_qty[t]
        m, s, total = (b + a) / 2, a - b, bq + aq
        k, change = t & 127, m - before
        if t == 0:
            ema = fast = slow = before = base = m
            pressure = (bq - aq) / total
        change = m - before
        r = change / before
        ema += (m - ema) * (2 / 15)
        fast_before = fast
        fast += (m - fast) * (2 / 11)
        slow += (m - slow) * (2 / 31)
        pressure += ((bq - aq) / total - pressure) * (2 / 21)
        if t & 1023 == 0 and t > 300:
            base = m
            sums = _rebuilt(t, base, mids, returns, stds, spreads, changes, ranges)
            r1, r2, m1, m2, gain, loss, wide, std_sum, spread_sum = sums
        gone = returns[(t - 20) & 127]
        r1 += r - gone
        r2 += r * r - gone * gone
        moved += (r != 0) - (gone != 0)
        returns[k] = r
        gone = mids[(t - 20) & 127] - base if t >= 20 else 0.0
        m1 += m - base - gone
        m2 += (m - base) * (m - base) - gone * gone
        mids[k] = m
        gone = changes[(t - 14) & 127]
        gain += max(change, 0.0) - max(gone, 0.0)
        loss += max(-change, 0.0) - max(-gone, 0.0)
        ups += (change > 0) - (gone > 0)
        downs += (change < 0) - (gone < 0)
        changes[k] = change
        width = max(s, abs(change)) if t > 0 else 0.0
        wide += width - ranges[(t - 14) & 127]
        ranges[k] = width
        mean = r1 / 20
        std = np.sqrt(max(r2 / 20 - mean * mean, 0.0)) if moved > 0 and t >= 20 else 0.0
        std_sum += std - stds[(t - 100) & 127]
        stds[k] = std
        spread_sum += s - spreads[(t - 100) & 127]
        spreads[k] = s
        emas[k] = ema
        before = m
        strength = 100 - 100 / (1 + gain / loss) if ups > 0 and downs > 0 else 50.0 * (1 + (ups > 0) - (downs > 0))
        old = mids[(t - 10) & 127]
        wild = std / (std_sum / 100) if std_sum > 1e-300 else 1.0
        slope = (fast - fast_before) / fast_before
        trend = 1.0 if fast > slow and slope > 1e-6 else -1.0 if fast < slow and slope < -1e-6 else 0.0
        loose = s / (spread_sum / 100)
        loose = 0.0 if loose < 0.5 else 2.0 if loose > 2 else 1.0
        mean = m1 / 20
        band = np.sqrt(max(m2 / 20 - mean * mean, 0.0))
        place = min(max(0.5 + (m - base - mean) / (4 * band), 0.0), 1.0) if moved > 0 and band > 0 else 0.5
        out[t, 0], out[t, 1], out[t, 2], out[t, 3], out[t, 4] = m, s, r, std, ema
        out[t, 5], out[t, 6], out[t, 7] = strength, wide / 14, (m - old) / old * 100
        out[t, 8], out[t, 9], out[t, 10] = 0.0 if wild < 0.5 else 2.0 if wild > 2 else 1.0, trend, loose
        out[t, 11], out[t, 12] = (b * aq + a * bq) / total, pressure
        out[t, 13], out[t, 14] = (ema - emas[(t - 5) & 127]) / 5, place
    for column, first in enumerate((0, 0, 1, 20, 13, 14, 14, 10, 119, 29, 99, 0, 19, 18, 19)):
        out[:first, column] = np.nan


def by_polars(columns: pl.DataFrame) -> pl.DataFrame:
    """Compute the 15 features as expressions over whole columns."""
    c = pl.col
    mid, total = (c("bid") + c("ask")) / 2, c("bid_qty") + c("ask_qty")
    imbalance = (c("bid_qty") - c("ask_qty")) / total
    lazy = columns.lazy().with_columns(mid_price=mid, spread=c("ask") - c("bid"))
    m = c("mid_price")
    lazy = lazy.with_columns(
        microprice=(c("bid") * c("ask_qty") + c("ask") * c("bid_qty")) / total,
        change=m.diff(),
        return_1=m.pct_change(),
        roc=m.pct_change(10) * 100,
        ema=_ewm(m, 14),
        fast=_ewm(m, 10),
        slow=_ewm(m, 30),
        imbalance_ema=_ewm(imbalance, 20),
        spread_mean=c("spread").rolling_mean(100),
        mean=m.rolling_mean(20),
        std=m.rolling_std(20, ddof=0),
    )
    lazy = lazy.with_columns(
        volatility=c("return_1").rolling_std(20, ddof=0),
        gain=c("change").clip(lower_bound=0).rolling_sum(14),
        loss=(-c("change")).clip(lower_bound=0).rolling_sum(14),
        atr=pl.max_horizontal("spread", c("change").abs()).rolling_mean(14),
        ema_slope=(c("ema") - c("ema").shift(5)) / 5,
        slope=c("fast").pct_change(),
        bollinger_pos=(0.5 + (m - c("mean")) / (4 * c("std"))).clip(0, 1),
    )
    lazy = lazy.with_columns(
        rsi=100 * c("gain") / (c("gain") + c("loss")),
        regime_volatility=_label(c("volatility") / c("volatility").rolling_mean(100)),
        regime_spread=_label(c("spread") / c("spread_mean")),
        regime_trend=pl.when((c("fast") > c("slow")) & (c("slope") > 1e-6))
        .then(1.0)
        .when((c("fast") < c("slow")) & (c("slope") < -1e-6))
        .then(-1.0)
        .otherwise(0.0),
    )
    return lazy.select(NAMES).collect()


def _ewm(expression: pl.Expr, period: int) -> pl.Expr:
    return expression.ewm_mean(alpha=2 / (period + 1), adjust=False)


def _label(ratio: pl.Expr) -> pl.Expr:
    return pl.when(ratio < 0.5).then(0.0).when(ratio > 2).then(2.0).otherwise(1.0)


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Time each peer `repeats` times, in turns, after one untimed run; check first that all three agree."""
    events = tape()
    columns = {name: np.ascontiguousarray(events[name]) for name in ("bid_price", "bid_qty", "ask_price", "ask_qty")}
    frame = pl.DataFrame({name.removesuffix("_price"): column for name, column in columns.items()})
    program = Program(feature_set("base"))
    ours, fused = (np.empty((EVENTS, len(NAMES))) for _ in range(2))
    peers: dict[str, Callable[[], object]] = {
        "edgesmith": lambda: program.run(events, ours, program.new_state()),
        "fused by hand, numba": lambda: fused_by_hand(*columns.values(), fused),
        "polars, 2 threads": lambda: by_polars(frame),
    }
    for peer in peers.values():
        peer()
    _agree(ours, fused, by_polars(frame.head(50_000)).to_numpy())
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(repeats):
        for name, peer in peers.items():
            started = monotonic_s()
            peer()
            seconds[name].append(monotonic_s() - started)
    return [_row(name, taken, seconds["edgesmith"]) for name, taken in seconds.items()]


def _agree(ours: NDArray[np.float64], fused: NDArray[np.float64], polars: NDArray[np.float64]) -> None:
    # A label may differ where a ratio sits on its threshold, a rate where polars leaves residue in a flat window.
    for other in (fused, polars):
        mine, theirs = ours[1_000 : len(other)], other[1_000:]
        close = np.isclose(mine, theirs, rtol=1e-6, atol=1e-9).mean(axis=0)
        for name, share in zip(NAMES, close, strict=True):
            assert share > 0.95, f"{name} agrees on only {share:.4f} of the rows"


def _row(peer: str, seconds: list[float], ours: list[float]) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "work": "15 features, float64 matrix written",
        "peer": peer,
        "events": EVENTS,
        "seconds": [round(value, 6) for value in seconds],
        "per_second_median": EVENTS / median,
        "ratio_to_ours": round(statistics.median(ours) / median, 3),
    }


def main() -> None:
    """Print one line per peer."""
    for row in measure():
        print(f"{row['peer']:<24} {row['per_second_median'] / 1e6:7.2f} M events/s   {row['ratio_to_ours']:6.3f} x ours")


if __name__ == "__main__":
    main()
