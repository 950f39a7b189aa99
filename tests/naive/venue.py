"""A simulated venue, its risk rules and its run, written from docs/adr/0004 to be read, not to be fast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgesmith.domain.events import Stream
from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.orders import OrderOrigin, OrderType, Reason, Side, TimeInForce
from edgesmith.trading.execution import DepthModel, ExecutionConfig, QueueModel
from edgesmith.trading.risk import RiskConfig
from naive.ledger import NaiveLedger, value_e8

MASK = 2**64 - 1
DAY_NS = 86_400 * 10**9
SETTLE_NS = 10**9
SLOTS, SLOTS_FOR_EXITS, LEVELS = 64, 8, 20
NEVER = 2**63 - 1


def jitter_ns(base: int, ratio: float, seed: int, order_id: int, leg: int) -> int:
    """Base latency times 1 + an exponential draw that only depends on seed, order and leg (splitmix64)."""
    if ratio == 0.0 or base == 0:
        return base
    word = (seed * 0x9E3779B97F4A7C15 + order_id * 4 + leg) & MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    uniform = (((word ^ (word >> 31)) >> 11) + 0.5) / 2**53
    return base + int(-math.log(uniform) * ratio * base)


@dataclass
class Book:
    bid: int = 0
    ask: int = 0
    bid_lots: float = 0.0
    ask_lots: float = 0.0
    known: bool = False
    mark_ticks: float = 0.0
    sold_at_bid: float = 0.0
    bought_at_ask: float = 0.0
    venue_lots: int = 0
    funding: tuple[int, float] | None = None
    funding_paid: int = 0
    exit_order: int = 0


@dataclass
class Order:
    order_id: int
    place: int
    side: int
    lots: int
    is_limit: bool
    price: int
    ioc: bool
    post_only: bool
    reduce_only: bool
    origin: OrderOrigin
    arrive: int
    approved: int = 0
    cancel: int = NEVER
    rested: int = 0
    state: str = "in flight"
    filled: int = 0
    known: int = 0
    ahead: float = 0.0


@dataclass
class Report:
    order: Order
    due: int
    matched_ts: int
    lots: int
    price: int
    maker: bool
    last: bool


class NaiveRun:
    """One run; call `on_event`, then `submit` and `cancel` as the strategy wishes, then `settle`."""

    def __init__(
        self,
        instruments: list[Instrument],
        execution: ExecutionConfig,
        risk: RiskConfig,
        *,
        equity_start: float,
        seed: int,
        feed_latency_ns: int = 0,
    ) -> None:
        self.instruments = [execution.with_fees(instrument) for instrument in instruments]
        self.execution, self.risk, self.seed, self.feed_latency_ns = execution, risk, seed, feed_latency_ns
        self.start_e8 = round(equity_start * 1e8)
        self.ledger = NaiveLedger(self.instruments, self.start_e8)
        self.books = [Book() for _ in instruments]
        self.slots: list[Order | None] = [None] * SLOTS
        self.reports: list[Report] = []
        self.fills: list[tuple[Any, ...]] = []
        self.refused: dict[Reason, int] = {}
        self.now = self.events = self.sent = self.last_due = self.forced_exits = 0
        self.last_fill_event = -NEVER
        self.day = -1
        self.day_start_net = 0
        self.locked = False

    # The market comes in.

    def on_event(self, event: dict[str, Any]) -> None:
        place, kind = event["instrument"], Stream(event["kind"])
        book, instrument = self.books[place], self.instruments[place]
        self.now = max(event["ts_recv"] + self.feed_latency_ns, self.now)
        if self.now // DAY_NS != self.day:
            self.day, self.day_start_net, self.locked = self.now // DAY_NS, self._net(), False
        venue_ts = min(event["ts_event"], self.now)
        self._arrivals(place, venue_ts)
        if book.funding and event["ts_event"] >= book.funding[0]:
            self._pay_funding(place)
        if kind is Stream.BBO:
            self._quote(place, venue_ts, event, instrument)
        elif kind is Stream.TRADE:
            self._trade(place, venue_ts, event, instrument)
        elif kind is Stream.MARK_PRICE:
            book.mark_ticks = event["mark_price"] / instrument.tick
        elif kind is Stream.FUNDING:
            self._announce(book, event)
        self.events += 1
        self._observe()
        self.settle()
        self._exits(place)
        self.settle()

    def _quote(self, place: int, ts: int, event: dict[str, Any], instrument: Instrument) -> None:
        book, lot = self.books[place], instrument.lot
        before = (book.bid, book.ask, book.bid_lots, book.ask_lots)
        book.bid, book.ask = round(event["bid_price"] / instrument.tick), round(event["ask_price"] / instrument.tick)
        book.bid_lots, book.ask_lots, book.known = event["bid_qty"] * (1.0 / lot), event["ask_qty"] * (1.0 / lot), True
        for order in self._resting(place, ts):
            buys = order.side > 0
            own, opposite = (book.bid, book.ask) if buys else (book.ask, book.bid)
            shown, traded = (book.bid_lots, book.sold_at_bid) if buys else (book.ask_lots, book.bought_at_ask)
            own_before, shown_before = (before[0], before[2]) if buys else (before[1], before[3])
            if (opposite - order.price) * order.side <= 0:
                self._fill_resting(order, ts, order.lots - order.filled)
            elif (order.price - own) * order.side > 0:
                order.ahead = 0.0
            elif own == order.price:
                proportional = self.execution.queue_model is QueueModel.PROPORTIONAL
                if proportional and own_before == own and shown_before > 0 and order.ahead < 1e18:
                    gone = max(shown_before - shown - traded, 0.0)
                    order.ahead -= gone * min(order.ahead / shown_before, 1.0)
                order.ahead = min(order.ahead, shown)
        book.sold_at_bid = book.bought_at_ask = 0.0

    def _trade(self, place: int, ts: int, event: dict[str, Any], instrument: Instrument) -> None:
        book = self.books[place]
        price, lots = round(event["price"] / instrument.tick), event["qty"] * (1.0 / instrument.lot)
        if any(order and order.state == "resting" and order.place == place for order in self.slots):
            if price == book.bid:
                book.sold_at_bid += lots
            elif price == book.ask:
                book.bought_at_ask += lots
        used = 0.0
        for order in self._resting(place, ts):
            if order.side == event["side"]:
                continue
            left = order.lots - order.filled
            no_queue = order.price == price and self.execution.queue_model is QueueModel.TOUCH
            if (order.price - price) * order.side > 0 or no_queue:
                self._fill_resting(order, ts, left)
            elif order.price == price:
                reach = lots - used - order.ahead
                order.ahead = max(order.ahead - (lots - used), 0.0)
                filled = min(int(max(reach, 0.0) + 1e-6), left)
                if filled:
                    used += filled
                    self._fill_resting(order, ts, filled)

    def _announce(self, book: Book, event: dict[str, Any]) -> None:
        due, rate = event["next_funding_ts"], event["funding_rate"]
        if due <= book.funding_paid:
            return
        if not book.funding_paid and not book.funding and due <= event["ts_event"]:
            book.funding_paid = due
            return
        book.funding = (due, rate)

    def _pay_funding(self, place: int) -> None:
        book = self.books[place]
        assert book.funding
        price = book.mark_ticks or 0.5 * (book.bid + book.ask)
        if book.venue_lots:
            self.ledger.pay_funding(place, book.venue_lots, book.funding[1], price)
        book.funding_paid, book.funding = book.funding[0], None

    # Orders meet it.

    def _resting(self, place: int, ts: int) -> list[Order]:
        return [o for o in self.slots if o and o.state == "resting" and o.place == place and o.rested <= ts]

    def _arrivals(self, place: int, venue_ts: int) -> None:
        while True:
            due = []
            for order in filter(None, self.slots):
                ts = min(order.arrive, order.cancel)
                if ts != NEVER and ts <= max(venue_ts if order.place == place else 0, self.now - SETTLE_NS):
                    due.append((ts, self.slots.index(order)))
            if not due:
                return
            ts, slot = min(due)
            order = self.slots[slot]
            assert order
            if order.arrive == ts:
                self._arrive(order, ts)
            else:
                order.cancel = NEVER
                if order.state == "resting":
                    self._end(order, ts)

    def _arrive(self, order: Order, ts: int) -> None:
        book, order.arrive = self.books[order.place], NEVER
        if order.reduce_only:
            order.lots = min(order.lots, max(-book.venue_lots * order.side, 0))
        opposite = book.ask if order.side > 0 else book.bid
        crosses = not order.is_limit or (order.price - opposite) * order.side >= 0
        if order.lots == 0 or (crosses and order.post_only):
            self._end(order, ts)
            return
        if crosses:
            self._take(order, ts, opposite)
        if order.filled == order.lots:
            return
        if not order.is_limit or order.ioc:
            self._end(order, ts)
            return
        order.state, order.rested = "resting", ts
        own, shown = (book.bid, book.bid_lots) if order.side > 0 else (book.ask, book.ask_lots)
        better = (order.price - own) * order.side
        order.ahead = 0.0 if better > 0 else shown if better == 0 else 1e18
        self._report(order, ts, 0, 0, False, False)

    def _take(self, order: Order, ts: int, touch: int) -> None:
        book = self.books[order.place]
        shown = max(int((book.ask_lots if order.side > 0 else book.bid_lots) + 1e-6), 1)
        for level in range(LEVELS):
            price, left = touch + level * order.side, order.lots - order.filled
            if left == 0 or price <= 0 or (order.is_limit and (order.price - price) * order.side < 0):
                return
            self._match(order, ts, left if self.execution.depth_model is DepthModel.TOUCH else min(left, shown), price, False)

    def _fill_resting(self, order: Order, ts: int, lots: int) -> None:
        if order.reduce_only:
            room = max(-self.books[order.place].venue_lots * order.side, 0)
            if room == 0:
                self._end(order, ts)
                return
            if room <= lots:
                order.lots, lots = order.filled + room, room
        self._match(order, ts, lots, order.price, True)

    def _match(self, order: Order, ts: int, lots: int, price: int, maker: bool) -> None:
        order.filled += lots
        self.books[order.place].venue_lots += order.side * lots
        if order.filled == order.lots:
            order.state = "done"
        self._report(order, ts, lots, price, maker, order.state == "done")

    def _end(self, order: Order, ts: int) -> None:
        order.state = "done"
        self._report(order, ts, 0, 0, False, True)

    def _report(self, order: Order, ts: int, lots: int, price: int, maker: bool, last: bool) -> None:
        due = ts + jitter_ns(self.execution.response_latency_ns, self.execution.jitter_ratio, self.seed, order.order_id, 1)
        self.last_due = max(due, self.last_due)
        self.reports.append(Report(order, self.last_due, ts, lots, price, maker, last))

    # We learn of it.

    def settle(self) -> None:
        """Learn every report that has reached us."""
        told = False
        while self.reports and self.reports[0].due <= self.now:
            report, told = self.reports.pop(0), True
            order = report.order
            if report.lots:
                order.known += report.lots
                self.ledger.fill(order.place, order.side, report.lots, report.price, report.maker, report.due)
                self.last_fill_event = self.events
                line = (order.order_id, order.place, order.side, report.lots, report.price, report.maker)
                self.fills.append((*line, report.matched_ts, report.due, self.ledger.lots(order.place), order.origin))
            if report.last:
                self.slots[self.slots.index(order)] = None
                if self.books[order.place].exit_order == order.order_id:
                    self.books[order.place].exit_order = 0
        if told:
            limit = round(self.risk.max_daily_loss_ratio * self.start_e8)
            if self.risk.enabled and limit and self._net() - self.day_start_net < -limit:
                self.locked = True
            self._observe()

    def _net(self) -> int:
        return round(self.ledger.realized_e8) - self.ledger.fees_e8 + self.ledger.funding_e8

    def _observe(self) -> None:
        self.ledger.observe({place: (book.bid, book.ask) for place, book in enumerate(self.books) if book.known})

    def _exits(self, place: int) -> None:
        book, held = self.books[place], self.ledger.lots(place)
        if not (self.risk.enabled and held) or book.exit_order:
            return
        gain, cost = self.ledger.unrealized(place, book.bid, book.ask), abs(self.ledger.cost[place])
        stop, take = round(-self.risk.stop_loss_ratio * float(cost)), round(self.risk.take_profit_ratio * float(cost))
        origin = None
        if self.risk.take_profit_ratio and gain >= take:
            origin = OrderOrigin.TAKE_PROFIT
        elif self.risk.stop_loss_ratio and gain <= stop:
            origin = OrderOrigin.STOP_LOSS
        if origin is not None:
            side = -1 if held > 0 else 1
            self.forced_exits += 1
            book.exit_order = self._send(place, side, abs(held), False, 0, False, False, True, origin)

    # What the strategy wants.

    def submit(
        self,
        place: int,
        side: int,
        lots: int,
        kind: OrderType,
        price: int = 0,
        tif: TimeInForce = TimeInForce.GTC,
        *,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> int:
        """Return the order id, or 0 when refused."""
        approved, reason = lots, Reason.NONE
        if not self.books[place].known:
            approved, reason = 0, Reason.NO_QUOTE
        elif not reduce_only:
            approved, reason = self._judge(place, side, lots)
        if approved and None not in self.slots[:-SLOTS_FOR_EXITS]:
            approved, reason = 0, Reason.MAX_OPEN_ORDERS
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
        if not approved:
            return 0
        is_limit, ioc = kind is OrderType.LIMIT, tif is TimeInForce.IOC
        return self._send(place, side, approved, is_limit, price, ioc, post_only, reduce_only, OrderOrigin.STRATEGY)

    def _send(
        self, place: int, side: int, lots: int, limit: bool, price: int, ioc: bool, post: bool, reduce: bool, origin: OrderOrigin
    ) -> int:
        self.sent += 1
        latency = jitter_ns(self.execution.entry_latency_ns, self.execution.jitter_ratio, self.seed, self.sent, 0)
        arrive = self.now + latency
        order = Order(self.sent, place, side, lots, limit, price, ioc, post, reduce, origin, arrive, approved=lots)
        self.slots[self.slots.index(None)] = order
        if self.execution.entry_latency_ns == 0:
            self._arrive(order, self.now)
        return order.order_id

    def cancel(self, order_id: int) -> None:
        for order in filter(None, self.slots):
            if order.order_id == order_id and order.state != "done" and order.cancel == NEVER:
                ratio = self.execution.jitter_ratio
                ts = self.now + jitter_ns(self.execution.entry_latency_ns, ratio, self.seed, order_id, 2)
                order.cancel = ts if order.arrive == NEVER else max(ts, order.arrive + 1)

    def _judge(self, place: int, side: int, lots: int) -> tuple[int, Reason]:
        exposed = self._exposed(place, side)
        reducing = min(lots, -exposed * side) if exposed * side < 0 else 0
        if reducing == lots:
            return lots, Reason.NONE
        reason = self._judge_entry(place, side * (lots - reducing), exposed + side * reducing)
        return (reducing, reason) if reason else (lots, Reason.NONE)

    def _exposed(self, place: int, side: int) -> int:
        """Position an order of `side` meets: open market orders fill, open limit orders only where they add to our side."""
        lots, exits = self.ledger.lots(place), 0
        for order in filter(None, self.slots):
            left = order.approved - order.known
            if order.place != place:
                continue
            if order.reduce_only:
                exits += left if order.side == side and not order.is_limit else 0
            elif not order.is_limit or order.side == side:
                lots += order.side * left
        return side * min(lots * side + exits, 0) if lots * side < 0 else lots

    def _judge_entry(self, place: int, lots: int, after_exit: int) -> Reason:
        risk, instrument, book = self.risk, self.instruments[place], self.books[place]
        if instrument.kind is ContractKind.SPOT and after_exit + lots < 0:
            return Reason.SHORT_NOT_ALLOWED
        if not risk.enabled:
            return Reason.NONE
        busy = {order.place for order in self.slots if order} | {p for p, held in self.ledger.position.items() if held}
        if len(busy - {place}) + (after_exit != 0) >= risk.max_positions:
            return Reason.MAX_POSITION
        if book.exit_order or self.events - self.last_fill_event < risk.cooldown_events:
            return Reason.COOLDOWN
        if self.locked:
            return Reason.DAILY_LOSS
        limit = round(risk.max_position_notional * 1e8)
        if limit and abs(value_e8(instrument, after_exit + lots, (book.bid + book.ask) // 2)) > limit:
            return Reason.MAX_NOTIONAL
        return Reason.NONE


def side_of(sign: int) -> Side:
    return Side.BUY if sign > 0 else Side.SELL
