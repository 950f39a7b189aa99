"""Curves and streamed statistics against the obvious: every event kept, then cut into buckets and minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from builders_tape import INSTANT, Scripted, bbo, engine_of, instrument, tape
from edgesmith.domain.units import NS_PER_MINUTE, NS_PER_S
from edgesmith.trading.metrics import run_metrics
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.state import MAX_CURVE

START = 1_723_161_240 * NS_PER_S


class Meter(Scripted):
    """Trades now and then and writes (instant, equity) down at every event and after every fill."""

    def on_event(self, event: Any, ctx: Any) -> None:
        super().on_event(event, ctx)
        self.told.append((ctx.now_ns, round(ctx.equity * 1e8)))

    def on_fill(self, fill: Any, ctx: Any) -> None:
        self.told.append((ctx.now_ns, round(ctx.equity * 1e8)))


def walk(seed: int, count: int, gap_ns: int, places: int = 1) -> tuple[Any, dict[int, Any]]:
    """Return a long sparse market without fees to pay at the touch, and a script that flips a position."""
    rng = np.random.default_rng(seed)
    ts = START + np.cumsum(rng.integers(1, gap_ns, count))
    mid = 20_000 + np.cumsum(rng.integers(-4, 5, count))
    rows = [bbo(int(ts[i]), (mid[i] - 1) / 10, (mid[i] + 1) / 10, 5.0, 5.0, instrument=int(i % places)) for i in range(count)]
    script = {i: [("market", 0, 1 if k % 2 else -1, 40, False)] for k, i in enumerate(range(places, count - 1, 150))}
    return tape(rows), script


def columns_of(path: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def curves_of(seed: int, count: int, gap_ns: int, folder: Path, places: int = 1) -> tuple[Any, Any, Meter, Any]:
    events, script = walk(seed, count, gap_ns, places)
    strategy = Meter(script)
    instruments = [instrument(symbol=f"S{place}") for place in range(places)]
    engine = engine_of(PythonDriver(strategy), instruments, execution=INSTANT, folder=folder)
    engine.feed(events)
    engine.finish()
    return engine, columns_of(folder / "curve.parquet"), strategy, events


@pytest.mark.parametrize(("count", "gap_ns"), [(1_200, 2 * NS_PER_S), (6_000, 5 * NS_PER_S), (4_500, 30 * NS_PER_S)])
def test_curves_equal_naive_buckets_however_often_they_merged(count: int, gap_ns: int, tmp_path: Path) -> None:
    engine, curve, strategy, _ = curves_of(3, count, gap_ns, tmp_path)
    width = int(engine.run[0]["curve_bucket_ns"])
    assert (width > NS_PER_S) == (count * gap_ns / 2 > MAX_CURVE * NS_PER_S)
    starts = curve["bucket_start_ns"]
    assert len(starts) <= MAX_CURVE
    assert (np.diff(starts) >= width).all(), "one row per bucket"
    peak = before = 10**12
    buckets: dict[int, list[tuple[int, float]]] = {}
    opens: dict[int, int] = {}
    for ts, equity in strategy.told:
        bucket = ts // width * width
        if bucket not in buckets:
            opens[bucket], buckets[bucket] = before, [(before, (peak - before) / peak)]
        peak = max(peak, equity)
        buckets[bucket].append((equity, (peak - equity) / peak))
        before = equity
    assert starts.tolist() == list(buckets)
    scale = 1e8
    assert curve["equity_open"].tolist() == [opens[start] / scale for start in buckets]
    assert curve["equity_close"].tolist() == [values[-1][0] / scale for values in buckets.values()]
    assert curve["equity_min"].tolist() == [min(value for value, _ in values) / scale for values in buckets.values()]
    assert curve["equity_max"].tolist() == [max(value for value, _ in values) / scale for values in buckets.values()]
    assert curve["drawdown_ratio_max"].tolist() == [max(ratio for _, ratio in values) for values in buckets.values()]
    assert curve["drawdown_ratio_max"].max() == float(engine.run[0]["drawdown_ratio_max"])


def test_a_merge_goes_on_filling_the_bucket_it_lands_in(tmp_path: Path) -> None:
    """One event a second from an odd second on: the first merge pairs the last closed bucket with the open one."""
    rows = [
        bbo(START + second * NS_PER_S, 2000.0 - second / 10, 2000.2 - second / 10, 9.0, 9.0)
        for second in range(1, MAX_CURVE + 30)
    ]
    engine = engine_of(PythonDriver(Scripted({1: [("market", 0, 1, 40, False)]})), execution=INSTANT, folder=tmp_path)
    engine.feed(tape(rows))
    engine.finish()
    assert int(engine.run[0]["curve_bucket_ns"]) == 2 * NS_PER_S
    for name in ("curve", "prices"):
        starts = columns_of(tmp_path / f"{name}.parquet")["bucket_start_ns"]
        assert np.diff(starts).tolist() == [2 * NS_PER_S] * (len(starts) - 1), name
    curve, prices = columns_of(tmp_path / "curve.parquet"), columns_of(tmp_path / "prices.parquet")
    # A falling market held long: every bucket opens at its best and closes at its worst, where the next begins.
    assert (curve["equity_max"][2:] == curve["equity_open"][2:]).all()
    assert (curve["equity_open"][1:] == curve["equity_close"][:-1]).all()
    assert np.allclose(prices["mid_open"][2:] - prices["mid_close"][2:], 0.2)


def test_price_curves_equal_naive_buckets(tmp_path: Path) -> None:
    engine, _, _, events = curves_of(5, 6_000, 5 * NS_PER_S, tmp_path, places=2)
    table = columns_of(tmp_path / "prices.parquet")
    width = int(engine.run[0]["curve_bucket_ns"])
    for place in range(2):
        chosen = table["instrument"] == place
        names = ("bucket_start_ns", "mid_open", "mid_min", "mid_max", "mid_close")
        mine = events[events["instrument"] == place]
        mids, buckets = 0.5 * (mine["bid_price"] + mine["ask_price"]), mine["ts_recv"] // width * width
        last = None
        for start, first, low, high, close in zip(*(table[name][chosen] for name in names), strict=True):
            seen = mids[buckets == start]
            # A bucket opens with the price it inherits.
            series = np.concatenate(([] if last is None else [last], seen))
            assert (first, close) == (series[0], series[-1])
            assert (low, high) == (series.min(), series.max())
            last = series[-1]


def test_minute_statistics_equal_numpy(tmp_path: Path) -> None:
    engine, _, strategy, _ = curves_of(7, 3_000, 40 * NS_PER_S, tmp_path)
    ts, equity = np.array([line[0] for line in strategy.told]), np.array([line[1] for line in strategy.told])
    ends = np.arange(ts[0] // NS_PER_MINUTE + 1, ts[-1] // NS_PER_MINUTE + 1) * NS_PER_MINUTE
    at = np.searchsorted(ts, ends, side="left") - 1
    changes = np.diff(np.concatenate(([10**12], equity[at]))).astype(float)
    assert int(engine.run[0]["minute_count"]) == len(changes)
    assert run_metrics(engine)["sharpe_minute"] == pytest.approx(changes.mean() / changes.std(), rel=1e-9)


def test_few_minutes_say_nothing(tmp_path: Path) -> None:
    engine, _, _, _ = curves_of(7, 100, NS_PER_S, tmp_path)
    assert run_metrics(engine)["sharpe_minute"] is None
