"""EMA cross as a Python strategy: `edgesmith backtest --strategy examples/ema_cross_python.py:EmaCross ...`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgesmith.domain.events import Bbo, Stream
from edgesmith.domain.orders import OrderOrigin
from edgesmith.trading.risk import Approved
from edgesmith.trading.strategy import PythonStrategy, StrategyConfig


class EmaCrossConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Spans in events."""

    fast_events: Annotated[int, Meta(ge=1)] = 300
    slow_events: Annotated[int, Meta(ge=2)] = 3000
    order_qty: Annotated[float, Meta(gt=0.0)] = 0.01


class EmaCross(PythonStrategy):
    """Long while the fast average is above the slow one, short while it is below."""

    name = "ema_cross_python"
    Config = EmaCrossConfig
    streams = (Stream.BBO, Stream.TRADE)

    def on_start(self, ctx):
        """Set the averages up."""
        self.fast_weight = 2.0 / (self.config.fast_events + 1.0)
        self.slow_weight = 2.0 / (self.config.slow_events + 1.0)
        self.warmup_events = self.config.slow_events
        self.mid = self.fast = self.slow = 0.0
        self.seen = 0
        self.wanted = 0.0

    def on_event(self, event, ctx):
        """Move the averages and flip the position when they cross."""
        if type(event) is Bbo:
            self.mid = 0.5 * (event.bid_price + event.ask_price)
        if self.mid == 0.0:
            return
        self.seen += 1
        if self.seen == 1:
            self.fast = self.slow = self.mid
            return
        self.fast += self.fast_weight * (self.mid - self.fast)
        self.slow += self.slow_weight * (self.mid - self.slow)
        if self.seen <= self.warmup_events or self.fast == self.slow:
            return
        target = self.config.order_qty if self.fast > self.slow else -self.config.order_qty
        if target != self.wanted:
            self.move_to(target, ctx)

    def on_fill(self, fill, ctx):
        """Fall in step with an exit that risk has forced."""
        if fill.origin is not OrderOrigin.STRATEGY:
            self.wanted = 0.0

    def move_to(self, target, ctx):
        """Order what is missing; what risk refuses is asked for again at the next event."""
        position = ctx.position()
        change = target - position.qty - position.pending_qty
        answer = ctx.buy(change) if change > 0.0 else ctx.sell(-change)
        if isinstance(answer, Approved):
            self.wanted = target
