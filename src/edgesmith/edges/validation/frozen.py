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

from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO
from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.units import BPS, NS_PER_DAY
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.validation.trigger_strategy import TriggerConfig, TriggerStrategy
from edgesmith.errors import InputError
from edgesmith.evaluation.coded import WARMUP_NS
from edgesmith.evaluation.impact import Capacity, DisplayedSize, ImpactMeter, capacity, kept_bps
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
# Quote currencies of which one is a dollar, near enough for a ranking.
DOLLARS = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI"})


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

    def only(self, chosen: NDArray[np.bool_]) -> Trades:
        """Return those of `chosen`."""
        return Trades(self.ts_ns[chosen], self.gross_bps[chosen], self.fees_bps[chosen])


class Frozen(NamedTuple):
    """What the replay found.

    `hit_ratio` is counted; `spread_bps` is what both half spreads took of a trade on average; `days` are (day number since the
    epoch, trades, mean net bps). `slope_bps` and `shown_qty` are what the capacity follows from, `unit_usd` is what one unit of
    quantity is worth, None where the quote currency is no dollar.
    """

    trades: Trades
    net_bps: Interval
    hit_ratio: float
    spread_bps: float
    trades_per_day: float
    days: tuple[tuple[int, int, float], ...]
    positive_days_ratio: float
    without_best_day_bps: float
    capacity: Capacity
    slope_bps: Interval
    shown_qty: float
    unit_usd: float | None

    def usd_per_day(self, net_bps: float, usd_max: float) -> float | None:
        """Return what a net result of `net_bps` at the smallest size earns a day at the size that earns most, up to `usd_max`.

        A larger size keeps less of every trade; None where the value of a trade in dollars is not known.
        """
        if self.unit_usd is None or not self.unit_usd > 0.0:
            return None
        sized = capacity(net_bps, self.slope_bps, self.shown_qty, self.unit_usd) if net_bps > 0.0 else self.capacity
        qty = min(sized.capped_qty, usd_max / self.unit_usd)
        return kept_bps(net_bps, self.slope_bps, qty) * BPS * qty * self.unit_usd * self.trades_per_day + 0.0


class _Market(NamedTuple):
    # What a replay needs to know of the market besides its own trades; `gaps` are (last quote before, first after).
    slope_bps: Interval
    shown_qty: float
    span_ns: int
    price: float
    gaps: NDArray[np.int64]


def why_not_replayed(spec: EdgeSpec, instrument: Instrument) -> str | None:
    """Return why `spec` cannot be traded by a replay; None when it can."""
    if spec.entry != "taker":
        return "enters as a maker, and only takers are replayed"
    if spec.side < 0 and instrument.kind is ContractKind.SPOT:
        return f"sells {spec.instrument} short, and a spot market sells only what is held"
    return None


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
    """Trade `spec` on its symbol's `partitions`; `latency_ns` overrules the spec's, blocks of `block_ns` give the interval.

    Where the spec has a leader, its partitions must be among them: it is looked at and never traded. What lies in `partitions`
    up to `WARMUP_NS` before `start_ns` only warms up the features.
    """
    used = [one for one in partitions if (one.key.venue, one.key.symbol) == (spec.venue, spec.symbol.upper())]
    if not used:
        raise InputError(f"edge {spec.edge_id} trades {spec.instrument}, of which no data was given; choose days with it")
    replay = Replay(used, start_ns=start_ns, end_ns=end_ns)
    instrument = instruments_of(used, replay.instruments)[0]
    if reason := why_not_replayed(spec, instrument):
        raise InputError(f"edge {spec.edge_id} {reason}")
    market = _market(replay, spec, block_ns, seed)
    chosen_ns = spec.latency_ns if latency_ns is None else latency_ns
    trades, spread_bps = _trades(
        used + _led_by(partitions, spec), spec, instrument, chosen_ns, market.gaps, start_ns, end_ns, progress
    )
    net, days = _interval(trades, block_ns, seed), _by_day(trades)
    count = len(trades.ts_ns)
    return Frozen(
        trades=trades,
        net_bps=net,
        hit_ratio=float((trades.net_bps > 0).mean()) if count else float("nan"),
        spread_bps=spread_bps,
        trades_per_day=count * NS_PER_DAY / market.span_ns if market.span_ns else 0.0,
        days=days,
        positive_days_ratio=float(np.mean([mean > 0 for _, _, mean in days])) if days else float("nan"),
        without_best_day_bps=_without_best_day(days),
        capacity=capacity(net.mean if count else 0.0, market.slope_bps, market.shown_qty, _unit_value(instrument, market.price)),
        slope_bps=market.slope_bps,
        shown_qty=market.shown_qty,
        unit_usd=_unit_value(instrument, market.price) if _quoted_in_dollars(instrument) else None,
    )


def _led_by(partitions: Sequence[Partition], spec: EdgeSpec) -> list[Partition]:
    if spec.trigger.leader is None:
        return []
    found = [one for one in partitions if (one.key.venue, one.key.symbol) == (spec.venue, spec.trigger.leader.upper())]
    if not found:
        raise InputError(f"edge {spec.edge_id} follows {spec.trigger.leader}, of which no data was given; choose days with it")
    return found


def _unit_value(instrument: Instrument, price: float) -> float:
    # Of one unit of quantity, in the quote currency: an inverse contract is worth the same at every price.
    return float(instrument.contract_value) if instrument.kind is ContractKind.INVERSE else price


def _quoted_in_dollars(instrument: Instrument) -> bool:
    # Inverse contracts are made out in dollars and settled in a coin.
    return instrument.kind is ContractKind.INVERSE or instrument.settle in DOLLARS


def _trades(
    partitions: Sequence[Partition],
    spec: EdgeSpec,
    instrument: Instrument,
    latency_ns: int,
    gaps: NDArray[np.int64],
    start_ns: int | None,
    end_ns: int | None,
    progress: Progress | None,
) -> tuple[Trades, float]:
    execution = ExecutionConfig(
        entry_latency_ns=latency_ns,
        response_latency_ns=0,
        jitter_ratio=0.0,
        taker_fee_ratio=0.0,
        maker_fee_ratio=0.0,
    )
    # Fees of the spec are taken off below: way in and way out may cost differently.
    config = EngineConfig(execution=execution, risk=RiskConfig(enabled=False), equity_start=EQUITY, seed=0, trace=TraceLevel.OFF)
    names = sorted({(one.key.venue, one.key.symbol) for one in partitions})
    place = names.index((spec.venue, spec.symbol.upper()))
    strategy = TriggerStrategy(TriggerConfig(spec=spec, qty=instrument.lot, begin_ns=start_ns or 0, place=place))
    warm_ns = None if start_ns is None else start_ns - WARMUP_NS
    with tempfile.TemporaryDirectory(prefix="edgesmith-frozen-") as folder:
        result = backtest(
            partitions, strategy, config, runs_root=Path(folder), start_ns=warm_ns, end_ns=end_ns, progress=progress
        )
        assert result.folder is not None
        fills = pq.read_table(result.folder / "fills.parquet", columns=["ts_known", "side", "price"])
    metrics = result.manifest["metrics"]
    turnover = metrics["turnover_notional"]
    price, known = fills["price"].to_numpy(), fills["ts_known"].to_numpy()
    # Smallest orders fill whole: entry and exit alternate; a position still open at the end is no trade.
    entered, left = known[: len(price) // 2 * 2 : 2], known[1::2]
    entry, leave = price[: len(price) // 2 * 2 : 2], price[1::2]
    kept = ~_crosses_gap(entered - latency_ns, left, gaps)
    gross = spec.side * (leave[kept] / entry[kept] - 1.0) / BPS
    fees = np.full(len(gross), spec.fee_in_bps + spec.fee_out_bps)
    return Trades(entered[kept], gross, fees), 2.0 * metrics["spread_cost"] / turnover / BPS if turnover else 0.0


def _crosses_gap(decided_ns: NDArray[np.int64], left_ns: NDArray[np.int64], gaps: NDArray[np.int64]) -> NDArray[np.bool_]:
    # A gap ends after the decision and begins before the way out; gaps are in order and do not overlap.
    first = np.searchsorted(gaps[:, 1], decided_ns, "right")
    return first < np.searchsorted(gaps[:, 0], left_ns, "left")


def _market(replay: Replay, spec: EdgeSpec, block_ns: int, seed: int) -> _Market:
    meter, shown = ImpactMeter(0, block_ns), DisplayedSize(0, spec.side)
    first_ns = last_ns = quoted_ns = 0
    gaps = [np.empty((0, 2), np.int64)]
    for events in replay.batches():
        meter.feed(events)
        shown.feed(events)
        first_ns = first_ns or int(events["ts_recv"][0])
        last_ns = int(events["ts_recv"][-1])
        quotes = events[events["kind"] == KIND_BBO]
        if len(quotes):
            after = quotes["ts_recv"].astype(np.int64)
            before = np.r_[quoted_ns or after[0], after[:-1]]
            lost = (after - before > spec.gap_ns) | ((quotes["flags"] & FLAG_AFTER_GAP) != 0)
            gaps.append(np.stack([before[lost], after[lost]], axis=1))
            quoted_ns = int(after[-1])
    return _Market(meter.slope_bps(seed), shown.median, last_ns - first_ns, meter.last_mid, np.concatenate(gaps))


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
