"""What a replay trades, worked out again in plain Python: ways in and out, funding, and the two bounds of a maker."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from builders import DAY, pick, put, random_columns
from builders_edges import spec
from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_MS, NS_PER_S, ns_of_date
from edgesmith.edges.edge import Bound, EdgeSpec, Exit, Trigger
from edgesmith.edges.validation.frozen import cautious, frozen_replay, frozen_replays, kept, trades_of
from edgesmith.edges.validation.maker import MakerBounds, as_maker, maker_bounds, maker_tasks
from edgesmith.edges.validation.replays import Record, Task, replay_edges
from edgesmith.edges.validation.trigger import VOLATILITY
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Catalog, Partition
from edgesmith.lake.replay import Replay
from edgesmith.trading.backtest import instruments_of

MINUTES, FUNDING_MINUTES, BLOCK_NS = 24, 3, 60 * NS_PER_S
LATENCY_NS, HORIZON_NS = 50 * NS_PER_MS, 2 * NS_PER_S
FIRST_NS = ns_of_date(DAY) + NS_PER_S


@pytest.fixture(scope="module")
def partitions(tmp_path_factory: pytest.TempPathFactory) -> list[Partition]:
    """Quotes and prints every 100 ms or so, marks, and a funding every three minutes."""
    root: Path = tmp_path_factory.mktemp("lake")
    count = MINUTES * 600
    for stream in (Stream.BBO, Stream.TRADE):
        columns = random_columns(stream, count, seed=5, step_ns_max=200 * NS_PER_MS)
        columns["ts_recv"] = columns["ts_event"] + 5 * NS_PER_MS
        if stream is Stream.BBO:
            quotes = columns
        else:
            # Prints happen at the touch of the last quote.
            at = np.maximum(np.searchsorted(quotes["ts_event"], columns["ts_event"]) - 1, 0)
            columns["price"] = np.where(columns["side"] > 0, quotes["ask_price"][at], quotes["bid_price"][at])
        put(root, stream, columns)
    slow = {"ts_event": FIRST_NS + np.arange(MINUTES * 60) * NS_PER_S + 300 * NS_PER_MS}
    slow["ts_recv"] = slow["ts_event"] + 5 * NS_PER_MS
    put(root, Stream.MARK_PRICE, slow | pick(random_columns(Stream.MARK_PRICE, MINUTES * 60), slice(None)) | slow)
    due = (slow["ts_event"] // (FUNDING_MINUTES * BLOCK_NS) + 1) * FUNDING_MINUTES * BLOCK_NS
    put(root, Stream.FUNDING, slow | {"funding_rate": 1e-4 * (1 + due // BLOCK_NS % 7), "next_funding_ts": due})
    return Catalog(root).partitions()


def edge(**change: Any) -> EdgeSpec:
    trigger = Trigger(bounds=(Bound(feature=str(feature("imbalance_ema", period=20)), low=0.08),))
    fields = {"venue": "binance_usdm", "symbol": "BTCUSDT", "trigger": trigger, "horizon_ns": HORIZON_NS}
    return spec(**(fields | {"latency_ns": LATENCY_NS, "fee_in_bps": 1.0, "fee_out_bps": 1.5} | change))


@pytest.fixture(scope="module")
def rows(partitions: list[Partition]) -> list[tuple[dict[str, Any], list[float]]]:
    """Every event with the two features after it."""
    program = Program([feature("imbalance_ema", period=20), feature(VOLATILITY[0], **VOLATILITY[1])])
    state, rows = program.new_state(1), []
    for events in Replay(partitions).batches():
        values = np.empty((len(events), 2))
        program.run(events, values, state)
        rows += [({n: e[n].item() for n in events.dtype.names}, v) for e, v in zip(events, values.tolist(), strict=True)]
    return rows


def worked_out(rows: list[tuple[dict[str, Any], list[float]]], edge: EdgeSpec) -> list[tuple[int, float, float]]:
    """Return (entered, move in bps, funding in bps) of every round trip of a taker, one event after the other."""
    book, position, decided, stop, reference = (0.0, 0.0), 0, None, math.inf, 0.0
    orders, owed, found = [], {}, []
    entry, entered, paid, mark = 0.0, 0, 0.0, 0.0
    on, on_at_grid, index = False, True, -1
    for event, (imbalance, volatility) in rows:
        now, stream = event["ts_recv"], Stream(event["kind"])
        # The smallest delay is 5 ms and half of the 10 ms assumed: clocks are 5 ms apart.
        venue_ns = min(event["ts_event"] - 5 * NS_PER_MS, now)
        while orders and (venue_ns >= orders[0][1] or now - NS_PER_S >= orders[0][1]):
            side, at_ns = orders.pop(0)
            price, position = book[1] if side > 0 else book[0], position + side
            if position:
                entry, entered, paid = price, at_ns, 0.0
            else:
                found.append((entered, edge.side * (price / entry - 1.0) * 1e4, paid))
        for due in [one for one in owed if event["ts_event"] >= one]:
            paid += position * owed.pop(due) * mark / (entry or 1.0) * 1e4
        if stream is Stream.BBO:
            book = (event["bid_price"], event["ask_price"])
        elif stream is Stream.MARK_PRICE:
            mark = event["mark_price"]
        elif stream is Stream.FUNDING:
            owed[event["next_funding_ts"]] = event["funding_rate"]
        if stream > Stream.TRADE:
            continue
        onset = False
        if index < 0:
            index = now // edge.grid_ns
        elif now // edge.grid_ns > index:
            onset, on_at_grid, index = on and not on_at_grid, on, now // edge.grid_ns
        on, mid = imbalance >= 0.08, sum(book) / 2.0
        if decided is not None:
            against = edge.side * (reference - mid) / reference
            over = now - decided >= edge.horizon_ns or (edge.exit.kind == "trigger_off" and not on)
            if over or (against > 0.0 and against >= stop):
                decided = None
                orders.append((-edge.side, now + edge.latency_ns))
        elif onset and position == 0 and not orders:
            if edge.exit.kind == "stop":
                stop = edge.exit.stop_volatility_units * volatility * math.sqrt(edge.horizon_ns / NS_PER_S) * 1e-4
            if stop == stop:
                decided, reference = now, mid
                orders.append((edge.side, now + edge.latency_ns))
    return found


@pytest.mark.parametrize(
    "leave",
    [Exit(), Exit(kind="trigger_off"), Exit(kind="stop", stop_volatility_units=0.7)],
    ids=lambda leave: leave.kind,
)
@pytest.mark.parametrize("side", [1, -1])
def test_every_trade_is_the_one_worked_out_by_hand(
    partitions: list[Partition], rows: list[tuple[dict[str, Any], list[float]]], leave: Exit, side: int
) -> None:
    one = edge(exit=leave, side=side)
    trades = frozen_replay(partitions, one, block_ns=BLOCK_NS, seed=1).trades
    expected = worked_out(rows, one)
    assert len(expected) > 25 and len(trades.ts_ns) in (len(expected), len(expected) - 1)
    hand = np.array(expected)[: len(trades.ts_ns)]
    assert trades.ts_ns.tolist() == [at for at, _, _ in expected][: len(trades.ts_ns)]
    assert trades.gross_bps == pytest.approx(hand[:, 1], abs=1e-9)
    assert trades.funding_bps == pytest.approx(hand[:, 2], rel=1e-4)
    assert np.count_nonzero(trades.funding_bps) >= 1
    assert trades.net_bps == pytest.approx(hand[:, 1] - 2.5 - hand[:, 2], abs=1e-3)


def test_ways_out_before_the_horizon_are_used(partitions: list[Partition]) -> None:
    leaves = [Exit(), Exit(kind="trigger_off"), Exit(kind="stop", stop_volatility_units=0.7)]
    records = replay_edges(partitions, [Task(edge(exit=leave), LATENCY_NS, BLOCK_NS) for leave in leaves])
    held = [float((one.left_ns - one.entered_ns)[one.left_ns > 0].mean()) for one in records]
    assert held[0] == pytest.approx(HORIZON_NS, rel=0.1) and max(held[1:]) < 0.95 * held[0]


def test_funding_is_paid_by_those_who_hold_and_only_known_where_it_is_in_the_data(partitions: list[Partition]) -> None:
    long, short = (edge(side=side, horizon_ns=60 * NS_PER_S, grid_ns=NS_PER_S) for side in (1, -1))
    found = frozen_replays(partitions, [Task(one, LATENCY_NS, BLOCK_NS) for one in (long, short)], seed=1)
    paid, received = (np.asarray(one.trades.funding_bps) for one in found)
    assert np.count_nonzero(paid) >= 3 and (paid >= 0.0).all() and paid == pytest.approx(-received, rel=1e-5)
    assert found[0].funding_bps == pytest.approx(paid.mean())
    without = [one for one in partitions if one.key.stream is not Stream.FUNDING]
    (blind,) = frozen_replays(without, [Task(long, LATENCY_NS, BLOCK_NS)], seed=1)
    assert blind.funding_bps is None and not np.any(blind.trades.funding_bps)


def test_several_edges_in_one_reading_trade_as_each_alone(partitions: list[Partition]) -> None:
    tasks = [Task(edge(side=side, entry=entry), LATENCY_NS, BLOCK_NS) for side in (1, -1) for entry in ("taker", "maker_queue")]
    together = replay_edges(partitions, tasks)
    for task, found in zip(tasks, together, strict=True):
        (alone,) = replay_edges(partitions, [task])
        assert trades_of(task, found).net_bps.tolist() == trades_of(task, alone).net_bps.tolist()
        assert found.market.slope_bps == alone.market.slope_bps


def bounds_of(partitions: list[Partition], one: EdgeSpec) -> tuple[list[Task], list[Record], MakerBounds]:
    (instrument,) = instruments_of(partitions, [(one.venue, one.symbol)])
    tasks = maker_tasks(one, instrument, BLOCK_NS)
    records = replay_edges(partitions, tasks)
    return tasks, records, maker_bounds(tasks, records, 1)


@pytest.mark.parametrize("leave", [Exit(), Exit(kind="trigger_off")], ids=lambda leave: leave.kind)
@pytest.mark.parametrize("side", [1, -1])
def test_what_fills_behind_the_queue_is_filled_sooner_when_touched(partitions: list[Partition], side: int, leave: Exit) -> None:
    tasks, (touch, queue), found = bounds_of(partitions, edge(side=side, exit=leave, latency_ns=20 * NS_PER_MS))
    assert touch.decided_ns.tolist() == queue.decided_ns.tolist()
    filled = queue.entered_ns > 0
    assert filled.any() and (touch.entered_ns[filled] > 0).all() and (touch.entered_ns > 0).sum() > filled.sum()
    assert (touch.entered_ns[filled] <= queue.entered_ns[filled]).all()
    assert (touch.entry[filled] == queue.entry[filled]).all()
    assert found.touch.decisions == found.queue.decisions and found.touch.fills > found.queue.fills > 0
    # A market that moves at random: who is filled is filled because the price came to him.
    assert found.touch.adverse_bps is not None and found.touch.adverse_bps > 0.0
    for bound, task, record in zip((found.touch, found.queue), tasks, (touch, queue), strict=True):
        net, count = trades_of(task, record).net_bps, int(kept(task, record).sum())
        assert bound.decision_bps == pytest.approx(net.sum() / count) and bound.net_bps == pytest.approx(net.mean())
        # Nobody enters above what the touch was when the order was sent, and the fee is a maker's.
        assert (task.spec.fee_in_bps, task.spec.fee_out_bps) == (0.0 if task.spec.fee_in_bps == 0.0 else 1.0, 1.5)


def test_orders_that_found_nobody_are_asked_back_after_the_horizon(partitions: list[Partition]) -> None:
    _, (_, queue), found = bounds_of(partitions, edge(latency_ns=20 * NS_PER_MS))
    waited = (queue.entered_ns - queue.decided_ns)[queue.entered_ns > 0]
    assert waited.max() <= HORIZON_NS + 2 * NS_PER_S and found.queue.fill_ratio is not None and found.queue.fill_ratio < 1.0
    # An onset keeps the market to itself whether it was filled or not.
    assert np.diff(queue.decided_ns).min() >= 2 * HORIZON_NS + 3 * 20 * NS_PER_MS


def test_a_verdict_rests_on_the_pessimistic_bound_and_on_a_makers_fee(partitions: list[Partition]) -> None:
    (instrument,) = instruments_of(partitions, [("binance_usdm", "BTCUSDT")])
    taker = edge(cost_tier="vip0_taker", fee_in_bps=5.0, fee_out_bps=5.0)
    maker = as_maker(taker, "maker_touch", instrument)
    assert (maker.cost_tier, maker.fee_in_bps, maker.fee_out_bps) == ("vip0_maker_taker", 2.0, 5.0)
    own = as_maker(edge(cost_tier="instrument_taker", fee_in_bps=5.0), "maker_queue", instrument)
    assert own.fee_in_bps == instrument.maker_fee_ratio * 1e4
    assert as_maker(maker, "maker_queue", instrument) == cautious(maker) == msgspec.structs.replace(maker, entry="maker_queue")
    assert cautious(taker) == taker and maker.edge_id != cautious(maker).edge_id
