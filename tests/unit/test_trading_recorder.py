"""What a run leaves on disk: columns, rows and hashes, whatever the size of the buffer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from builders_strategies import HONEST, TIGHT_RISK, Flip, Noise
from builders_tape import INSTANT, MS, T0, Scripted, bbo, engine_of, fills_of, instrument, play, random_script, random_tape, tape
from edgesmith.domain.instruments import ContractKind
from edgesmith.trading import recorder
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.metrics import run_metrics
from edgesmith.trading.python_driver import PythonDriver

FILL_COLUMNS = [
    *("ts_match", "ts_known", "fill_id", "order_id", "venue", "symbol", "side", "price", "qty"),
    *("is_maker", "fee", "realized_pnl", "position_qty", "origin", "notional"),
]
DECISION_COLUMNS = [
    *("ts", "event_index", "order_id", "venue", "symbol", "side", "order_type", "qty", "price", "origin", "outcome"),
]


def test_files_hold_every_fill_and_decision(tmp_path: Path) -> None:
    instruments = [instrument(symbol="A"), instrument(symbol="B")]
    engine = engine_of(CompiledDriver(Noise()), instruments, execution=HONEST, risk=TIGHT_RISK, folder=tmp_path)
    engine.feed(random_tape(7, 2_000, 2))
    lines = fills_of(engine)
    engine.finish()
    fills, decisions = pq.read_table(tmp_path / "fills.parquet"), pq.read_table(tmp_path / "decisions.parquet")
    assert fills.column_names == FILL_COLUMNS
    assert decisions.column_names == DECISION_COLUMNS
    assert fills["fill_id"].to_pylist() == list(range(1, len(lines) + 1))
    assert fills["symbol"].to_pylist() == [("A", "B")[place] for place in lines["instrument"]]
    assert fills["price"].to_pylist() == [round(int(ticks) * 0.1, 1) for ticks in lines["price_ticks"]]
    assert np.allclose(fills["qty"].to_numpy(), lines["lots"] / 1_000)
    assert np.allclose(fills["notional"].to_numpy(), fills["price"].to_numpy() * fills["qty"].to_numpy())
    assert fills["fee"].to_pylist() == (lines["fee_e8"] / 1e8).tolist()
    assert {"strategy", "stop_loss"} <= set(fills["origin"].to_pylist())
    assert {"approved", "cooldown"} <= set(decisions["outcome"].to_pylist())
    market = [kind == "market" for kind in decisions["order_type"].to_pylist()]
    assert [price is None for price in decisions["price"].to_pylist()] == market
    orders = [order for order in decisions["order_id"].to_pylist() if order]
    assert orders == list(range(1, int(engine.run[0]["orders_sent"]) + 1))
    assert set(fills["order_id"].to_pylist()) <= set(orders)


def test_inverse_fills_are_worth_coin(tmp_path: Path) -> None:
    engine = engine_of(
        PythonDriver(Scripted({1: [("market", 0, 1, 20, False)]})), [instrument(ContractKind.INVERSE)], folder=tmp_path
    )
    engine.feed(tape([bbo(T0 + place * MS, 2000.0, 2000.1, 50.0, 50.0) for place in range(4)]))
    engine.finish()
    assert pq.read_table(tmp_path / "fills.parquet")["notional"].to_pylist() == [pytest.approx(20 * 100 / 2000.1)]


@pytest.mark.parametrize("form", ["compiled", "python"])
def test_full_buffers_change_neither_hashes_nor_files(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer of the smallest size is written out again and again in the middle of the tape."""
    from edgesmith.trading import python_driver

    found = []
    for rows in (recorder.BUFFER_ROWS, 1_100):
        monkeypatch.setattr(recorder, "BUFFER_ROWS", rows)
        monkeypatch.setattr(python_driver, "BUFFER_ROWS", rows)
        folder = tmp_path / str(rows)
        folder.mkdir()
        driver: Any = CompiledDriver(Flip())
        if form == "python":
            driver = PythonDriver(Scripted(random_script(2, 3_000, 1, rate=0.9)))
        engine = engine_of(driver, execution=INSTANT, folder=folder)
        engine.feed(random_tape(2, 3_000))
        engine.finish()
        assert int(engine.run[0]["fills"]) > 1_500
        told = driver._strategy.told if form == "python" else []
        fills = pq.read_table(folder / "fills.parquet")
        found.append((engine.recorder.fills_hash, engine.recorder.decision_hash, engine.state_hash, fills.to_pylist(), told))
    assert found[0] == found[1]


def test_memory_does_not_grow_with_fills(tmp_path: Path) -> None:
    code = f"""
import json, resource
from pathlib import Path
import numpy as np
from builders_strategies import Flip
from builders_tape import INSTANT, T0, bbo, engine_of, tape
from edgesmith.trading.compiled_driver import CompiledDriver
engine = engine_of(CompiledDriver(Flip()), execution=INSTANT, folder=Path({str(tmp_path)!r}), equity_start=1e7)
events = tape([bbo(T0, 2000.0, 2000.1, 9.0, 9.0)] * 50_000)
peaks = []
for chunk in range(21):
    events["ts_recv"] = events["ts_event"] = T0 + (np.arange(50_000) + 50_000 * chunk) * 1_000_000
    engine.feed(events)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
engine.finish()
peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(json.dumps([int(engine.run[0]["fills"]), peaks[1], peaks[-1]]))
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2_000:]
    fills, early, late = json.loads(done.stdout)
    assert fills > 1_000_000
    assert late - early < 64, f"peak memory grew from {early} to {late} MB"
    assert pq.ParquetFile(tmp_path / "fills.parquet").metadata.num_rows == fills


def quotes(*mids: float) -> Any:
    return tape([bbo(T0 + place * 1_000 * MS, mid - 0.1, mid + 0.1, 50.0, 50.0) for place, mid in enumerate(mids)])


def test_metrics_count_shorts_partial_closes_and_time_in_the_market() -> None:
    # A short that wins in two parts, then a long that loses, then 3 s of a position still open.
    script = {
        1: [("market", 0, -1, 100, False)],
        2: [("market", 0, 1, 40, False)],
        3: [("market", 0, 1, 60, False)],
        5: [("market", 0, 1, 100, False)],
        6: [("market", 0, -1, 200, False)],
    }
    free = INSTANT.__class__(
        entry_latency_ns=0, response_latency_ns=0, feed_latency_ns=0, jitter_ratio=0.0, maker_fee_ratio=0.0, taker_fee_ratio=0.0
    )
    events = quotes(2000.0, 2000.0, 1990.0, 1980.0, 1980.0, 1980.0, 1970.0, 1970.0, 1970.0, 1960.0)
    engine = engine_of(PythonDriver(Scripted(script)), execution=free)
    engine.feed(events)
    engine.finish()
    found = run_metrics(engine)
    short = 0.04 * (1999.9 - 1990.1) + 0.06 * (1999.9 - 1980.1)
    long = 0.1 * (1969.9 - 1980.1)
    open_short = 0.1 * (1969.9 - 1960.0)
    assert (found["round_trips"], found["wins"], found["win_ratio"]) == (2, 1, 0.5)
    assert found["pnl_per_round_trip"] == pytest.approx((short + long) / 2)
    assert found["pnl_net"] == pytest.approx(short + long + open_short)
    assert found["pnl_gross"] == pytest.approx(found["pnl_net"])
    assert found["holding_ns_mean"] == (2 + 1) * 1e9 / 2
    assert found["exposure_time_ratio"] == pytest.approx((2 + 1 + 3) / 9)
    assert found["turnover_notional"] == pytest.approx(199.99 + 79.604 + 118.806 + 198.01 + 2 * 196.99)
    # Every market order pays half a spread of 0.2 on what it trades.
    assert found["spread_cost"] == pytest.approx(0.1 * 0.5)
    assert found["slippage_bps_mean"] == pytest.approx(0.1 / 1980 * 1e4, rel=0.02)
    assert found["maker_fill_ratio"] == 0.0


def test_metrics_of_fees_and_of_nothing() -> None:
    engine = play(random_tape(1, 300), {20: [("market", 0, 1, 5, False)], 60: [("market", 0, -1, 5, False)]})
    engine.finish()
    found = run_metrics(engine)
    assert found["pnl_gross"] == pytest.approx(found["pnl_net"] + found["fees"] - found["funding"])
    assert found["fees"] == pytest.approx(found["turnover_notional"] * 0.0004, rel=1e-6)
    nothing = run_metrics(play(random_tape(1, 300), {}))
    for name in ("win_ratio", "pnl_per_round_trip", "holding_ns_mean", "maker_fill_ratio", "slippage_bps_mean", "sharpe_minute"):
        assert nothing[name] is None, name
    assert nothing["exposure_time_ratio"] == 0.0


def test_turnover_beyond_int64_money_stays_right() -> None:
    """92 billion is where 1e-8 units overflow int64; a busy run trades more."""
    events = tape([bbo(T0 + place * MS, 2000.0, 2000.1, 9e6, 9e6) for place in range(40)])
    script = {place: [("market", 0, 1 if place % 2 else -1, 2_000_000_000, False)] for place in range(1, 31)}
    engine = play(events, script, equity_start=9e7)
    engine.finish()
    assert int(engine.run[0]["fills"]) == 30
    assert run_metrics(engine)["turnover_notional"] == pytest.approx(30 * 2e6 * 2000.05, rel=1e-4)
