"""Edges through the real engine, any number of them in one reading of the data; what each traded, and the market it traded in.

Engines that read the same features share them. Every engine sees the events in pieces cut at the instants when funding falls due,
so that each payment can be told from the others; how a run is cut changes nothing in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from msgspec.structs import replace
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_FUNDING, Stream
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import as_records
from edgesmith.domain.units import BPS, MONEY_SCALE
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.validation.maker_strategy import MakerStrategy
from edgesmith.edges.validation.market_watch import MarketSeen, MarketWatch
from edgesmith.edges.validation.trigger import EdgeStrategy, TriggerConfig
from edgesmith.edges.validation.trigger_strategy import TriggerStrategy
from edgesmith.errors import InputError
from edgesmith.evaluation.coded import WARMUP_NS
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay
from edgesmith.trading.backtest import clock_skew_ns, instruments_of, program_of, receive_time_known
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine, EngineConfig
from edgesmith.trading.execution import ExecutionConfig, QueueModel
from edgesmith.trading.risk import RiskConfig
from edgesmith.trading.trace import TRACE_NAME, TraceLevel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]

EQUITY = 10_000_000.0
QUEUES = {"taker": QueueModel.RISK_AVERSE, "maker_queue": QueueModel.RISK_AVERSE, "maker_touch": QueueModel.TOUCH}


class Task(NamedTuple):
    """An edge to replay, the latency of its orders, and the block length its market is measured on."""

    spec: EdgeSpec
    latency_ns: int
    block_ns: int


class Record(NamedTuple):
    """What one edge did: every entry it sent in order, and what came of it.

    `decided_ns` when an entry was sent; `entered_ns`, `left_ns` when we learned of the fills, 0 where there was none; `entry`,
    `leave` prices, NaN likewise; `funding_bps` paid while held, of the value at the entry. `mid_in`, `mid_out` are the mid prices
    a latency after the decision and a horizon later, of makers only. `spread_bps` is what both half spreads took of a trade.
    """

    instrument: Instrument
    market: MarketSeen
    decided_ns: Ints
    entered_ns: Ints
    left_ns: Ints
    entry: Floats
    leave: Floats
    funding_bps: Floats
    mid_in: Floats
    mid_out: Floats
    spread_bps: float
    knows_funding: bool


def replay_edges(
    partitions: Sequence[Partition],
    tasks: Sequence[Task],
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Trade every task on its own symbol, all in one reading of `partitions` for each set of symbols; records in their order.

    What lies up to `WARMUP_NS` before `start_ns` only warms up the features. Leaders are looked at and never traded.
    """
    groups: dict[frozenset[str], list[int]] = {}
    for at, task in enumerate(tasks):
        leader = task.spec.trigger.leader or task.spec.symbol
        groups.setdefault(frozenset({task.spec.symbol.upper(), leader.upper()}), []).append(at)
    records: dict[int, Record] = {}
    for done, (names, chosen) in enumerate(groups.items()):
        told = None if progress is None else partial(_share, progress, done, len(groups))
        found = _replayed(
            _of_symbols(partitions, tasks[chosen[0]].spec, names), [tasks[at] for at in chosen], start_ns, end_ns, told
        )
        records |= dict(zip(chosen, found, strict=True))
    return [records[at] for at in range(len(tasks))]


def _share(progress: Progress, group: int, groups: int, done: int, total: int) -> None:
    progress(group * total + done, groups * total)


def _of_symbols(partitions: Sequence[Partition], spec: EdgeSpec, names: frozenset[str]) -> list[Partition]:
    used = [one for one in partitions if one.key.venue == spec.venue and one.key.symbol in names]
    held = {one.key.symbol for one in used}
    if spec.symbol.upper() not in held:
        raise InputError(f"edge {spec.edge_id} trades {spec.instrument}, of which no data was given; choose days with it")
    if names - held:
        raise InputError(f"edge {spec.edge_id} follows {spec.trigger.leader}, of which no data was given; choose days with it")
    return used


def _replayed(
    partitions: Sequence[Partition], tasks: Sequence[Task], start_ns: int | None, end_ns: int | None, progress: Progress | None
) -> list[Record]:
    replay = Replay(partitions, start_ns=None if start_ns is None else start_ns - WARMUP_NS, end_ns=end_ns)
    place = list(replay.instruments).index((tasks[0].spec.venue, tasks[0].spec.symbol.upper()))
    with tempfile.TemporaryDirectory(prefix="edgesmith-replay-") as folder:
        shared: dict[Any, _Shared] = {}
        desks = [
            _Desk(partitions, replay, task, place, Path(folder) / str(at), shared, start_ns) for at, task in enumerate(tasks)
        ]
        watches = {(task.block_ns, task.spec.gap_ns): MarketWatch(place, task.block_ns, task.spec.gap_ns) for task in tasks}
        due, done = _FundingDue(place), 0
        for events in replay.batches():
            warm = 0 if start_ns is None else int(np.searchsorted(events["ts_recv"], start_ns))
            for watch in watches.values():
                watch.feed(events[warm:])
            cuts = due.cuts(events)
            for one in shared.values():
                one.compute(events)
            for desk in desks:
                desk.feed(events, cuts)
            done += len(events)
            if progress is not None:
                progress(done, replay.events_total)
        if not done:
            raise InputError("the chosen range holds no events; `edgesmith lake ls` shows what the lake has")
        return [desk.record(watches[desk.task.block_ns, desk.task.spec.gap_ns].seen(desk.task.spec.side)) for desk in desks]


class _Shared:
    # One feature program for all engines that read the same features: the rows of a batch are computed once.
    def __init__(self, program: Program, instruments: int) -> None:
        self.program = program
        self.state = program.new_state(instruments)
        self.rows = np.empty((0, program.width))

    def compute(self, events: NDArray[Any]) -> None:
        if len(self.rows) < len(events):
            self.rows = np.empty((len(events), self.program.width))
        self.program.run(as_records(events), self.rows[: len(events)], self.state)


class _Given:
    # What an engine takes for its feature program: it is handed the rows of the piece it is about to see.
    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: Floats = np.empty((0, width))

    def new_state(self, instruments: int = 1) -> None:
        return None

    def run(self, events: NDArray[Any], out: Floats, state: Any) -> None:
        out[:] = self.rows


class _Desk:
    # One edge in one engine.
    def __init__(
        self,
        partitions: Sequence[Partition],
        replay: Replay,
        task: Task,
        place: int,
        folder: Path,
        shared: dict[Any, _Shared],
        start_ns: int | None,
    ) -> None:
        self.task, self.place, self.folder = task, place, folder
        instruments = instruments_of(partitions, replay.instruments)
        self.instrument = instruments[place]
        self.strategy = _strategy(task, self.instrument, place, start_ns)
        self.knows_funding = any(
            one.key.stream is Stream.FUNDING and one.key.symbol == task.spec.symbol.upper() for one in partitions
        )
        key = tuple((name, tuple(sorted(params.items()))) for name, params in self.strategy.features)
        if key not in shared:
            program = program_of(self.strategy)
            assert program is not None, "an edge without a bound"
            shared[key] = _Shared(program, len(instruments))
        self.shared = shared[key]
        self.given = _Given(self.shared.program.width)
        folder.mkdir()
        execution = ExecutionConfig(
            entry_latency_ns=task.latency_ns,
            response_latency_ns=0,
            jitter_ratio=0.0,
            # Fees of the spec are taken off afterwards: way in and way out may cost differently.
            taker_fee_ratio=0.0,
            maker_fee_ratio=0.0,
            queue_model=QUEUES[task.spec.entry],
        )
        trace = TraceLevel.OFF if task.spec.entry == "taker" else TraceLevel.DECISIONS
        self.engine = Engine(
            instruments,
            EngineConfig(execution=execution, risk=RiskConfig(enabled=False), equity_start=EQUITY, seed=0, trace=trace),
            CompiledDriver(self.strategy),
            program=self.given,
            folder=folder,
            skew_ns=clock_skew_ns(partitions, replay.instruments, execution.feed_latency_ns),
            receive_time_known=receive_time_known(partitions),
        )
        self.payments: list[tuple[int, float]] = []

    def feed(self, events: NDArray[Any], cuts: Sequence[int]) -> None:
        for begin, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
            if begin == end:
                continue
            before = int(self.engine.run["funding_e8"][0])
            self.given.rows = self.shared.rows[begin:end]
            self.engine.feed(events[begin:end])
            paid = before - int(self.engine.run["funding_e8"][0])
            if paid:
                # Entry and exit alternate: half of the fills, rounded down, are trades that were over before.
                self.payments.append((int(self.engine.run["fills"][0]) // 2, paid / MONEY_SCALE))

    def record(self, market: MarketSeen) -> Record:
        self.engine.finish()
        fills = pq.read_table(self.folder / "fills.parquet", columns=["ts_known", "order_id", "side", "price", "notional"])
        sent = pq.read_table(self.folder / "decisions.parquet", columns=["ts", "order_id", "side"])
        entries = (sent["side"].to_numpy() == self.task.spec.side) & (sent["order_id"].to_numpy() > 0)
        orders, decided = sent["order_id"].to_numpy()[entries], sent["ts"].to_numpy()[entries]
        count = len(orders)
        entered, left = np.zeros(count, np.int64), np.zeros(count, np.int64)
        entry, leave, funding = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count)
        # Smallest orders fill whole, so fills go in, out, in, out.
        known, price, order = (fills[name].to_numpy() for name in ("ts_known", "price", "order_id"))
        assert (fills["side"].to_numpy()[::2] == self.task.spec.side).all(), "entries and exits do not alternate"
        of_trade = np.searchsorted(orders, order[::2])
        entered[of_trade], entry[of_trade] = known[::2], price[::2]
        done = of_trade[: len(known) // 2]
        left[done], leave[done] = known[1::2], price[1::2]
        values = fills["notional"].to_numpy()[::2]
        for trade, amount in self.payments:
            if trade < len(values):
                funding[of_trade[trade]] += amount / values[trade] / BPS
        run = self.engine.run[0]
        turnover = float(run["turnover_e8"])
        spread_bps = 2.0 * float(run["spread_cost_e8"]) / turnover / BPS if turnover else 0.0
        mids = self._mids(count)
        return Record(
            self.instrument, market, decided, entered, left, entry, leave, funding, *mids, spread_bps, self.knows_funding
        )

    def _mids(self, count: int) -> tuple[Floats, Floats]:
        mids = np.full((2, count), np.nan)
        path = self.folder / TRACE_NAME
        if path.is_file():
            rows = pq.read_table(path, columns=["mid_in", "mid_out"])
            for at, name in enumerate(("mid_in", "mid_out")):
                mids[at, : rows.num_rows] = rows[name].to_numpy()
        return np.where(mids[0] > 0.0, mids[0], np.nan), np.where(mids[1] > 0.0, mids[1], np.nan)


def _strategy(task: Task, instrument: Instrument, place: int, start_ns: int | None) -> EdgeStrategy:
    # The strategy counts its own waiting in latencies, so it is told the one its orders really have.
    spec = replace(task.spec, latency_ns=task.latency_ns)
    config = TriggerConfig(spec=spec, qty=instrument.lot, begin_ns=start_ns or 0, place=place)
    return TriggerStrategy(config) if spec.entry == "taker" else MakerStrategy(config)


class _FundingDue:
    # Where a batch must be cut so that a payment of funding has a piece of its own: before and after the first event at or after
    # an announced instant. A cut too many does no harm.
    def __init__(self, place: int) -> None:
        self._place = place
        self._pending: set[int] = set()

    def cuts(self, events: NDArray[Any]) -> list[int]:
        mine = events["instrument"] == self._place
        told = np.flatnonzero(mine & (events["kind"] == KIND_FUNDING))
        if not len(told) and not self._pending:
            return []
        at_ns = np.where(mine, events["ts_event"], -1)
        found: set[int] = set()
        for due in self._pending | {int(one) for one in events["next_funding_ts"][told]}:
            hits = np.flatnonzero(at_ns >= due)
            late = told[events["next_funding_ts"][told] == due]
            if len(hits):
                self._pending.discard(due)
                # Announced when it was due already: it is paid with the next event.
                found |= {int(hits[0]), int(hits[0]) + 1, *(int(one) + 1 for one in late), *(int(one) + 2 for one in late)}
            else:
                self._pending.add(due)
        return sorted(at for at in found if 0 < at < len(events))
