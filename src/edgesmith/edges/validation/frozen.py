"""Frozen replay: the edge as it is written, traded through the real engine on data that discovery never touched.

Every trade is an onset of the trigger, one position at a time, filled by the simulated venue at the latency of the spec with its
fees, at the smallest quantity. Features are warmed up on what came before the span. A trade during which data was lost counts no
more than a label there, and a position still open at the end is no trade. The promise of an edge is the lower end of this
estimate, never what discovery saw.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import BPS, NS_PER_DAY
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.validation.trigger_strategy import TriggerConfig, TriggerStrategy
from edgesmith.evaluation.impact import Capacity, DisplayedSize, ImpactMeter, capacity
from edgesmith.evaluation.intervals import Interval, mean_interval
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay
from edgesmith.trading.backtest import Progress, backtest, instruments_of
from edgesmith.trading.engine import EngineConfig
from edgesmith.trading.execution import ExecutionConfig
from edgesmith.trading.risk import RiskConfig
from edgesmith.trading.trace import TraceLevel

Floats = NDArray[np.float64]

EQUITY = 10_000_000.0


class Trades(NamedTuple):
    """Round trips in order: instant of the entry (ns), move to the side of the edge and fees, both bps of the entry price.

    The move is between the prices that were paid, so both half spreads are already taken off it.
    """

    ts_ns: NDArray[np.int64]
    gross_bps: Floats
    fees_bps: Floats

    @property
    def net_bps(self) -> Floats:
        """Return what each trade kept."""
        return self.gross_bps - self.fees_bps


class Frozen(NamedTuple):
    """What the replay found; `hit_ratio` is counted, `days` are (day number since the epoch, trades, mean net bps)."""

    trades: Trades
    net_bps: Interval
    hit_ratio: float
    trades_per_day: float
    days: tuple[tuple[int, int, float], ...]
    positive_days_ratio: float
    without_best_day_bps: float
    capacity: Capacity
    price: float


def frozen_replay(
    partitions: Sequence[Partition],
    spec: EdgeSpec,
    *,
    block_ns: int,
    seed: int,
    latency_ns: int | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress | None = None,
) -> Frozen:
    """Trade `spec` over `partitions` of its symbol; `latency_ns` overrules the spec's, blocks of `block_ns` give the interval."""
    replay = Replay(partitions, start_ns=start_ns, end_ns=end_ns)
    instrument = instruments_of(partitions, replay.instruments)[0]
    trades = _trades(
        partitions, spec, instrument, spec.latency_ns if latency_ns is None else latency_ns, start_ns, end_ns, progress
    )
    meter, shown, span_ns, price = _market(replay, spec.side, block_ns)
    net = _interval(trades, block_ns, seed)
    days = _by_day(trades)
    return Frozen(
        trades,
        net,
        float((trades.net_bps > 0).mean()) if len(trades.ts_ns) else float("nan"),
        len(trades.ts_ns) * NS_PER_DAY / span_ns if span_ns else 0.0,
        days,
        float(np.mean([mean > 0 for _, _, mean in days])) if days else float("nan"),
        _without_best_day(days),
        capacity(net.mean if len(trades.ts_ns) else 0.0, meter.slope_bps(seed), shown.median, price),
        price,
    )


def _trades(
    partitions: Sequence[Partition],
    spec: EdgeSpec,
    instrument: Instrument,
    latency_ns: int,
    start_ns: int | None,
    end_ns: int | None,
    progress: Progress | None,
) -> Trades:
    execution = ExecutionConfig(
        entry_latency_ns=latency_ns,
        response_latency_ns=0,
        jitter_ratio=0.0,
        taker_fee_ratio=0.0,
        maker_fee_ratio=0.0,
    )
    # Fees of the spec are taken off below: way in and way out may cost differently.
    config = EngineConfig(execution=execution, risk=RiskConfig(enabled=False), equity_start=EQUITY, seed=0, trace=TraceLevel.OFF)
    strategy = TriggerStrategy(TriggerConfig(spec=spec, qty=instrument.lot))
    with tempfile.TemporaryDirectory(prefix="edgesmith-frozen-") as folder:
        result = backtest(
            partitions, strategy, config, runs_root=Path(folder), start_ns=start_ns, end_ns=end_ns, progress=progress
        )
        assert result.folder is not None
        fills = pq.read_table(result.folder / "fills.parquet", columns=["ts_known", "side", "price"])
    price, known = fills["price"].to_numpy(), fills["ts_known"].to_numpy()
    # Smallest orders fill whole: entry and exit alternate; a position still open at the end is no trade.
    entry, leave = price[: len(price) // 2 * 2 : 2], price[1::2]
    gross = spec.side * (leave / entry - 1.0) / BPS
    return Trades(known[: len(price) // 2 * 2 : 2], gross, np.full(len(entry), spec.fee_in_bps + spec.fee_out_bps))


def _market(replay: Replay, side: int, block_ns: int) -> tuple[ImpactMeter, DisplayedSize, int, float]:
    meter, shown = ImpactMeter(0, block_ns), DisplayedSize(0, side)
    first_ns = last_ns = 0
    price = float("nan")
    for events in replay.batches():
        meter.feed(events)
        shown.feed(events)
        first_ns = first_ns or int(events["ts_recv"][0])
        last_ns = int(events["ts_recv"][-1])
        price = meter.last_mid
    return meter, shown, last_ns - first_ns, price


def _interval(trades: Trades, block_ns: int, seed: int) -> Interval:
    _, place = np.unique(trades.ts_ns // block_ns, return_inverse=True)
    return mean_interval(np.bincount(place).astype(np.float64), np.bincount(place, trades.net_bps).astype(np.float64), seed=seed)


def _by_day(trades: Trades) -> tuple[tuple[int, int, float], ...]:
    days, place, counts = np.unique(trades.ts_ns // NS_PER_DAY, return_inverse=True, return_counts=True)
    sums = np.bincount(place, trades.net_bps, len(days)) if len(days) else np.empty(0)
    return tuple((int(day), int(n), float(total / n)) for day, n, total in zip(days, counts, sums, strict=True))


def _without_best_day(days: Sequence[tuple[int, int, float]]) -> float:
    if len(days) < 2:
        return float("nan")
    best = max(days, key=lambda day: day[1] * day[2])
    rest = [day for day in days if day is not best]
    return sum(n * mean for _, n, mean in rest) / sum(n for _, n, _ in rest)
