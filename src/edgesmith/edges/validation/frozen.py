"""Frozen replay: the edge as it is written, traded through the real engine on data that discovery never touched.

Every trade is an onset of the trigger, one position at a time, filled by the simulated venue at the latency of the spec with its
fees, at the smallest quantity, and with the funding that falls due while it is held. Features are warmed up on what came before
the span. A trade during which data was lost counts no more than a label there, and a position still open at the end is no trade.
The promise of an edge is the lower end of this estimate, never what discovery saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.units import BPS, NS_PER_DAY
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.validation.maker_strategy import busy_ns
from edgesmith.edges.validation.replays import Progress, Record, Task, replay_edges
from edgesmith.errors import InputError
from edgesmith.evaluation.impact import Capacity, capacity, kept_bps
from edgesmith.evaluation.intervals import Interval, mean_interval
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay
from edgesmith.trading.backtest import instruments_of

Floats = NDArray[np.float64]

# Quote currencies of which one is a dollar, near enough for a ranking.
DOLLARS = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI"})


class Trades(NamedTuple):
    """Round trips in order: instant of the entry (ns), move to the side of the edge, fees, funding; bps of the entry price.

    The move is between the prices that were paid, so both half spreads are already taken off it. Funding that was received is
    negative.
    """

    ts_ns: NDArray[np.int64]
    gross_bps: Floats
    fees_bps: Floats
    funding_bps: Floats | float = 0.0

    @property
    def net_bps(self) -> Floats:
        """Return what each trade kept."""
        return self.gross_bps - self.fees_bps - self.funding_bps

    def only(self, chosen: NDArray[np.bool_]) -> Trades:
        """Return those of `chosen`."""
        funding = np.broadcast_to(self.funding_bps, self.gross_bps.shape)[chosen]
        return Trades(self.ts_ns[chosen], self.gross_bps[chosen], self.fees_bps[chosen], funding)


class Frozen(NamedTuple):
    """What the replay found.

    `hit_ratio` is counted; `spread_bps` is what both half spreads took of a trade on average; `days` are (day number since the
    epoch, trades, mean net bps). `slope_bps` and `shown_qty` are what the capacity follows from, `unit_usd` is what one unit of
    quantity is worth, None where the quote currency is no dollar. `funding_bps` is what a trade paid on average, None where a
    perpetual's funding was not among the data.
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
    funding_bps: float | None = None

    def usd_per_day(self, net_bps: float, usd_max: float) -> float | None:
        """Return what a net result of `net_bps` at the smallest size earns a day at the size that earns most, up to `usd_max`.

        A larger size keeps less of every trade; None where the value of a trade in dollars is not known.
        """
        if self.unit_usd is None or not self.unit_usd > 0.0:
            return None
        sized = capacity(net_bps, self.slope_bps, self.shown_qty, self.unit_usd) if net_bps > 0.0 else self.capacity
        qty = min(sized.capped_qty, usd_max / self.unit_usd)
        return kept_bps(net_bps, self.slope_bps, qty) * BPS * qty * self.unit_usd * self.trades_per_day + 0.0


def why_not_replayed(spec: EdgeSpec, instrument: Instrument) -> str | None:
    """Return why `spec` cannot be traded by a replay; None when it can."""
    if spec.side < 0 and instrument.kind is ContractKind.SPOT:
        return f"sells {spec.instrument} short, and a spot market sells only what is held"
    return None


def cautious(spec: EdgeSpec) -> EdgeSpec:
    """Return the edge a verdict may rest on: a maker is filled behind the whole queue, never when first touched."""
    return replace(spec, entry="maker_queue") if spec.entry == "maker_touch" else spec


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
    up to `WARMUP_NS` before `start_ns` only warms up the features. An edge entered as `maker_touch` is replayed as it says, which
    is more than a venue gives; `cautious` makes a `maker_queue` of it.
    """
    task = Task(spec, spec.latency_ns if latency_ns is None else latency_ns, block_ns)
    (found,) = frozen_replays(partitions, [task], seed=seed, start_ns=start_ns, end_ns=end_ns, progress=progress)
    return found


def frozen_replays(
    partitions: Sequence[Partition],
    tasks: Sequence[Task],
    *,
    seed: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress | None = None,
) -> list[Frozen]:
    """Return what `frozen_replay` returns for each task, from one reading of the data."""
    for spec in {task.spec.edge_id: task.spec for task in tasks}.values():
        _refuse(partitions, spec)
    records = replay_edges(partitions, tasks, start_ns=start_ns, end_ns=end_ns, progress=progress)
    return [_frozen(task, record, seed) for task, record in zip(tasks, records, strict=True)]


def _refuse(partitions: Sequence[Partition], spec: EdgeSpec) -> None:
    used = [one for one in partitions if (one.key.venue, one.key.symbol) == (spec.venue, spec.symbol.upper())]
    if not used:
        raise InputError(f"edge {spec.edge_id} trades {spec.instrument}, of which no data was given; choose days with it")
    if reason := why_not_replayed(spec, instruments_of(used, Replay(used).instruments)[0]):
        raise InputError(f"edge {spec.edge_id} {reason}")


def _frozen(task: Task, record: Record, seed: int) -> Frozen:
    market, instrument, trades = record.market, record.instrument, trades_of(task, record)
    net, days = _interval(trades, task.block_ns, seed), _by_day(trades)
    count = len(trades.ts_ns)
    owes = instrument.kind is not ContractKind.SPOT
    return Frozen(
        trades=trades,
        net_bps=net,
        hit_ratio=float((trades.net_bps > 0).mean()) if count else float("nan"),
        spread_bps=record.spread_bps,
        trades_per_day=count * NS_PER_DAY / market.span_ns if market.span_ns else 0.0,
        days=days,
        positive_days_ratio=float(np.mean([mean > 0 for _, _, mean in days])) if days else float("nan"),
        without_best_day_bps=_without_best_day(days),
        capacity=capacity(net.mean if count else 0.0, market.slope_bps, market.shown_qty, _unit_value(instrument, market.price)),
        slope_bps=market.slope_bps,
        shown_qty=market.shown_qty,
        unit_usd=_unit_value(instrument, market.price) if _quoted_in_dollars(instrument) else None,
        funding_bps=None if owes and not record.knows_funding else float(np.mean(trades.funding_bps)) if count else 0.0,
    )


def kept(task: Task, record: Record) -> NDArray[np.bool_]:
    """Tell which entries count: those that ran their course before the data ended, over no lost data.

    A maker's entry counts or not for the whole time its onset keeps the market, so that it does not depend on the fill.
    """
    ends_ns, whole = record.left_ns, record.left_ns > 0
    if task.spec.entry != "taker":
        ends_ns, whole = record.decided_ns + busy_ns(task.spec.horizon_ns, task.latency_ns), np.isfinite(record.mid_out)
    return whole & ~crosses_gap(record.decided_ns, ends_ns, record.market.gaps)


def trades_of(task: Task, record: Record) -> Trades:
    """Return the round trips among the entries that count."""
    spec, traded = task.spec, kept(task, record) & (record.left_ns > 0)
    gross = spec.side * (record.leave[traded] / record.entry[traded] - 1.0) / BPS
    fees = np.full(len(gross), spec.fee_in_bps + spec.fee_out_bps)
    return Trades(record.entered_ns[traded], gross, fees, record.funding_bps[traded])


def _unit_value(instrument: Instrument, price: float) -> float:
    # Of one unit of quantity, in the quote currency: an inverse contract is worth the same at every price.
    return float(instrument.contract_value) if instrument.kind is ContractKind.INVERSE else price


def _quoted_in_dollars(instrument: Instrument) -> bool:
    # Inverse contracts are made out in dollars and settled in a coin.
    return instrument.kind is ContractKind.INVERSE or instrument.settle in DOLLARS


def crosses_gap(decided_ns: NDArray[np.int64], left_ns: NDArray[np.int64], gaps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which spans meet lost data; `gaps` (rows, 2) are in order and do not overlap."""
    # A gap ends after the decision and begins before the way out.
    first = np.searchsorted(gaps[:, 1], decided_ns, "right")
    return first < np.searchsorted(gaps[:, 0], left_ns, "left")


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
