"""Takes events through a Python strategy without crossing into compiled code on every event.

Nothing can change for the strategy between two of its own actions except by a report. So compiled code first runs ahead until
a report, a bar or the end of a window; Python then sees the events up to there. When the strategy acts at an event, the state
is put back to before the window and advanced again to exactly that event: the same bytes as one call per event.
"""

from __future__ import annotations

from operator import length_hint
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.fills import Bar, Fill, Position
from edgesmith.domain.orders import OrderIntent, OrderOrigin, OrderType, Reason, Side
from edgesmith.domain.units import MONEY_SCALE
from edgesmith.errors import HaltError, InputError
from edgesmith.trading.calls import call_cancel, call_deliver_reports, call_expected_lots, call_submit
from edgesmith.trading.context import Context
from edgesmith.trading.engine import Engine
from edgesmith.trading.enter import stepwise_entry
from edgesmith.trading.entry import idle
from edgesmith.trading.guards import ErrorGuard
from edgesmith.trading.kernel import DECISIONS_ROOM, FILLS_ROOM, LOTS_LIMIT
from edgesmith.trading.recorder import BUFFER_ROWS
from edgesmith.trading.risk import Approved, Refused
from edgesmith.trading.shown import SHOWN_EVENTS, shown_events
from edgesmith.trading.state import STOP_BAR, STOP_CHUNK_END, STOP_REPORT
from edgesmith.trading.strategy import BAR_NS_MIN, PythonStrategy

# Events compiled code runs ahead: short after an action, then doubling while the strategy stays quiet.
WINDOW_FIRST = 16
WINDOW_LAST = 8_192
# The fields of a bar, in the order of `Bar`.
BAR_FIELDS = ("bar_open", "bar_high", "bar_low", "bar_close", "bar_volume", "bar_trades")
# Fill, order, fill, order ... inside one instant: more than this is a loop.
SETTLE_ROUNDS_MAX = 100


class PythonDriver:
    """Runs a `PythonStrategy` on the same compiled step."""

    def __init__(self, strategy: PythonStrategy) -> None:
        self._strategy = strategy
        if strategy.bar_ns and strategy.bar_ns < BAR_NS_MIN:
            raise InputError(f"strategy '{strategy.name}': bar_ns was {strategy.bar_ns}, expected 0 or at least {BAR_NS_MIN}")

    def start(self, engine: Engine) -> None:
        """Subscribe the strategy and let it prepare."""
        self._engine = engine
        self.errors = ErrorGuard(engine.config.guards, self._strategy.name)
        self._run = engine.run[0]
        # As bytes: copying structured arrays goes field by field and is forty times slower.
        self._run_bytes = np.asarray(engine.run).view(np.uint8)
        self._books_bytes = np.asarray(engine.books).view(np.uint8)
        self._saved_run, self._saved_books = self._run_bytes.copy(), self._books_bytes.copy()
        self._known_books = self._saved_books.view(engine.books.dtype)
        self._known_now = self._saved_run.view(engine.run.dtype)["now"]
        self._enter = stepwise_entry(engine, idle())
        # Views of single fields: ten times faster to read than the record.
        self._at, self._why, self._due = engine.run["index"], engine.run["stop_reason"], engine.run["next_due"]
        self._bar_end, self._phase = engine.run["bar_end"], engine.run["phase"]
        self._now, self._ended = engine.run["now"], engine.run["ended_used"]
        self._bar_events = engine.books["bar_events"]
        self._bars = tuple(engine.books[name] for name in BAR_FIELDS)
        self._window = WINDOW_FIRST
        self._run["wake_reports"] = 1
        self._run["bar_ns"] = self._strategy.bar_ns
        self._ctx = Context(self, engine.instruments)
        self._events: NDArray[Any] = np.empty(0)
        self._features = np.empty((1, 0))
        self._nows: NDArray[np.int64] | None = None
        self._row_before = np.empty(0)
        self._index = -1
        self._ahead = False
        self._stopped = False
        self._acted = False
        self._seen_fills = 0
        self._call("on_start", self._strategy.on_start)

    def feed(self, engine: Engine, events: NDArray[Any], features: NDArray[np.float64]) -> None:
        """Process every event of a chunk."""
        if len(self._row_before) != features.shape[1]:
            self._row_before = np.full(features.shape[1], np.nan)
        self._events, self._features, self._nows = events, features, None
        count = len(events)
        if self._strategy.streams:
            for first in range(0, count, SHOWN_EVENTS):
                self._feed_shown(first, min(first + SHOWN_EVENTS, count))
        else:
            self._feed_unseen(count)
        self._index = count - 1
        # A copy: the engine writes the next chunk's rows into the same memory.
        self._row_before = self.feature_row().copy()

    def _feed_shown(self, first: int, last: int) -> None:
        shown = shown_events(self._events[first:last], self._strategy.streams)
        begin = first
        while begin < last:
            self._snapshot()
            self._step(min(last, begin + self._window))
            end, reason = int(self._at[0]), int(self._why[0])
            acted_at = self._show(shown, begin - first, end - first, begin)
            if acted_at >= 0:
                begin, self._window = acted_at + 1, WINDOW_FIRST
                self._settle()
                continue
            begin, self._window = end, min(self._window * 2, WINDOW_LAST)
            self._ahead = False
            self._react(reason, end)

    def _feed_unseen(self, count: int) -> None:
        # A strategy that sees no events can only act at a report or a bar.
        while int(self._at[0]) < count:
            self._step(count)
            self._react(int(self._why[0]), int(self._at[0]))

    def stop(self, engine: Engine) -> None:
        """Let the strategy finish; its orders are refused from here on."""
        self._stopped = True
        self._call("on_stop", self._strategy.on_stop)

    def funnel(self, engine: Engine) -> dict[str, Any] | None:
        """Return None: what a Python strategy decides against, only it knows."""
        return None

    def _step(self, stop: int) -> None:
        self._enter(self._events, self._features, stop)

    def _snapshot(self) -> None:
        self._saved_run[:] = self._run_bytes
        self._saved_books[:] = self._books_bytes
        self._ahead = True

    def _show(self, shown: list[Any], begin: int, end: int, first: int) -> int:
        """Show `shown[begin:end]`, the first being event `first`; returns the event at which the strategy acted, or -1."""
        on_event, ctx = self._strategy.on_event, self._ctx
        self._acted = False
        # Where the loop stands is what the iterator has left: asked for when needed, not noted at every event.
        self._showing = iter(shown[begin:end])
        self._show_end = first + end - begin
        for event in self._showing:
            if event is not None:
                try:
                    on_event(event, ctx)
                except Exception as error:
                    self.errors.contain(error, "on_event", self.now_ns(), event)
                if self._acted:
                    return self._index
        return -1

    def _place(self) -> int:
        return self._show_end - length_hint(self._showing) - 1 if self._ahead else self._index

    def _react(self, reason: int, end: int) -> None:
        if reason == STOP_CHUNK_END:
            return
        # Past phase 0 the event at `end` has been received; before it, only the one before has.
        self._index = end if self._phase[0] > 0 else end - 1
        if reason == STOP_REPORT:
            self._tell_reports()
            self._settle()
        elif reason == STOP_BAR:
            self._tell_bars()
            self._settle()
        else:
            self._engine.handle_stop(self._events)
            self._seen_fills = int(self._run["fills_used"])

    def _settle(self) -> None:
        """Deliver what fell due at this very instant (execution without latency), until nothing more does."""
        for _ in range(SETTLE_ROUNDS_MAX):
            if self._due[0] > self._now[0]:
                return
            call_deliver_reports(self._engine.run, self._engine.books, self._engine.recorder.fills)
            self._tell_reports()
            if int(self._run["fills_used"]) > BUFFER_ROWS - FILLS_ROOM:
                self._engine.recorder.flush(self._run)
                self._seen_fills = 0
        raise HaltError(f"strategy '{self._strategy.name}' answered its own fills {SETTLE_ROUNDS_MAX} times within one event")

    def _tell_reports(self) -> None:
        for line in self._engine.recorder.fills[self._seen_fills : int(self._run["fills_used"])]:
            self._seen_fills += 1
            self._call("on_fill", self._strategy.on_fill, self._fill(line))
        for place in range(int(self._ended[0])):
            order_id, reason = int(self._run["ended_id"][place]), Reason(int(self._run["ended_reason"][place]))
            self._call("on_order_end", self._strategy.on_order_end, order_id, reason)
        self._run["ended_used"] = 0

    def _tell_bars(self) -> None:
        closed, width = int(self._bar_end[0]), self._strategy.bar_ns
        for place in self._bar_events.nonzero()[0].tolist():
            bar = Bar(closed - width, closed, place, *(view.item(place) for view in self._bars))
            self._call("on_bar", self._strategy.on_bar, bar)
        self._bar_end[0] = 0

    def _call(self, hook: str, method: Any, *subjects: Any) -> None:
        try:
            method(*subjects, self._ctx)
        except Exception as error:
            self.errors.contain(error, hook, int(self._run["now"]), subjects[0] if subjects else None)

    def _fill(self, line: Any) -> Fill:
        instrument = self._engine.instruments[int(line["instrument"])]
        return Fill(
            ts_match=int(line["ts_match"]),
            ts_known=int(line["ts_known"]),
            fill_id=int(line["fill_id"]),
            order_id=int(line["order_id"]),
            instrument=int(line["instrument"]),
            side=Side(int(line["side"])),
            price=instrument.price(int(line["price_ticks"])),
            qty=instrument.qty(int(line["lots"])),
            is_maker=bool(line["is_maker"]),
            fee=int(line["fee_e8"]) / MONEY_SCALE,
            realized_pnl=int(line["realized_e8"]) / MONEY_SCALE,
            position_qty=instrument.qty(int(line["position_lots"])),
            origin=OrderOrigin(int(line["origin"])),
        )

    # What the context asks for.

    def now_ns(self) -> int:
        """Return our clock at the event being shown."""
        if not self._ahead:
            return int(self._run["now"])
        if self._nows is None:
            latency_ns = self._engine.books["feed_latency_ns"][self._events["instrument"]]
            self._nows = np.maximum.accumulate(self._events["ts_recv"] + latency_ns)
        return max(int(self._nows[self._place()]), int(self._known_now[0]))

    def feature_row(self) -> NDArray[np.float64]:
        """Return the feature row at the event being shown; at a bar, the row before the event that closed it."""
        place = self._place()
        return self._features[place] if place >= 0 and len(self._row_before) else self._row_before

    def position_qty(self, instrument: int) -> float:
        """Return the quantity we know we hold; it only changes with a report, where running ahead stops."""
        book = (self._known_books if self._ahead else self._engine.books)[instrument]
        return int(book["position_lots"]) * float(book["lot"])

    def equity(self) -> float:
        """Return equity at the event being shown."""
        self._catch_up()
        return int(self._run["equity_e8"]) / MONEY_SCALE

    def position(self, instrument: int) -> Position:
        """Return the position at the event being shown."""
        self._catch_up()
        book, what = self._engine.books[instrument], self._engine.instruments[instrument]
        lots, cost = int(book["position_lots"]), int(book["cost_e8"])
        pending = int(call_expected_lots(self._engine.books, instrument)) - lots
        entry = float("nan")
        if lots and int(book["value_e8"]):
            entry = cost / (lots * int(book["value_e8"])) * what.tick
        elif lots:
            entry = -lots * float(book["inverse_e8"]) / cost * what.tick
        return Position(
            qty=what.qty(lots),
            pending_qty=what.qty(pending),
            entry_price=entry,
            unrealized_pnl=(int(book["mark_value_e8"]) - cost) / MONEY_SCALE,
        )

    def submit(self, intent: OrderIntent) -> Approved | Refused:
        """Judge and send an intent at the event being shown."""
        if self._stopped:
            return Refused(Reason.RUN_ENDED)
        if not 0 <= intent.instrument < len(self._engine.instruments):
            raise InputError(f"instrument was {intent.instrument}, expected 0 to {len(self._engine.instruments) - 1}")
        instrument = self._engine.instruments[intent.instrument]
        lots = instrument.lots_floor(intent.qty) if intent.qty > 0 else 0
        is_limit = intent.order_type is OrderType.LIMIT
        if lots <= 0 or lots > LOTS_LIMIT or is_limit != (intent.price is not None):
            return Refused(Reason.QTY_ZERO if lots <= 0 else Reason.INVALID_INTENT)
        ticks = 0
        if intent.price is not None:
            try:
                ticks = instrument.ticks(intent.price)
            except InputError:
                return Refused(Reason.OFF_GRID)
        self._catch_up()
        if int(self._run["decisions_used"]) >= BUFFER_ROWS - 1:
            raise HaltError(f"strategy '{self._strategy.name}' made more than {DECISIONS_ROOM} decisions at one event")
        order_id, approved, reason = call_submit(
            self._engine.run, self._engine.books, self._engine.recorder.decisions, intent.instrument,
            int(intent.side), lots, int(intent.order_type), ticks, int(intent.time_in_force),
            int(intent.post_only), int(intent.reduce_only), int(OrderOrigin.STRATEGY),
        )  # fmt: skip
        self._acted = True
        return Approved(int(order_id), instrument.qty(int(approved))) if order_id else Refused(Reason(int(reason)))

    def cancel(self, order_id: int) -> bool:
        """Request the cancel of an open order."""
        self._catch_up()
        if not call_cancel(self._engine.run, order_id):
            return False
        self._acted = True
        return True

    def _catch_up(self) -> None:
        """Bring compiled state from wherever it ran ahead to exactly the event being shown."""
        if not self._ahead:
            return
        self._run_bytes[:] = self._saved_run
        self._books_bytes[:] = self._saved_books
        self._index = self._place()
        self._step(self._index + 1)
        self._ahead = False
        self._acted = True
