"""A tape as measurements see it: quotes and trades on one clock, prices in ticks, fills grouped into orders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO, KIND_TRADE
from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import InputError

Clock = Literal["venue", "receive"]
QUOTES_MIN = 100
SPAN_S_MIN = 40.0


@dataclass(frozen=True)
class Observation:
    """Quotes (`quote_*`, one entry per update) and trades (`trade_*`, one per fill) of one instrument, each in time order.

    Parameters
    ----------
    clock
        What `quote_ns` and `trade_ns` are: venue stamps where quotes have them, receive stamps otherwise.
    latency_ns
        Receive minus venue stamp of the quotes; empty where quotes have no venue stamp.
    order_id
        Number of the aggressive order each fill belongs to: fills of one venue stamp and one side, next to each other.
    """

    clock: Clock
    tick: float
    quote_ns: NDArray[np.int64]
    bid_ticks: NDArray[np.int64]
    ask_ticks: NDArray[np.int64]
    bid_qty: NDArray[np.float64]
    ask_qty: NDArray[np.float64]
    trade_ns: NDArray[np.int64]
    trade_qty: NDArray[np.float64]
    trade_side: NDArray[np.int64]
    order_id: NDArray[np.int64]
    latency_ns: NDArray[np.int64]

    @classmethod
    def of(cls, events: NDArray[Any], tick: float, clock: Clock | None = None) -> Observation:
        """Observe an EVENT array of one instrument; without `clock`, a feed whose quotes lack a venue stamp is recognized."""
        quotes, trades = events[events["kind"] == KIND_BBO], events[events["kind"] == KIND_TRADE]
        if len(quotes) < QUOTES_MIN or not len(trades):
            raise InputError(
                f"the tape had {len(quotes)} quotes and {len(trades)} trades, expected at least {QUOTES_MIN} and 1: "
                "choose a longer span with both streams"
            )
        if len(np.unique(events["instrument"])) > 1:
            raise InputError("the tape held several instruments, expected one: choose one symbol")
        stamped = not np.array_equal(quotes["ts_event"], quotes["ts_recv"])
        chosen: Clock = clock if clock is not None else ("venue" if stamped else "receive")
        stamp = "ts_event" if chosen == "venue" else "ts_recv"
        quotes, trades = (part[np.lexsort((part["seq"], part[stamp]))] for part in (quotes, trades))
        span_s = float(quotes[stamp][-1] - quotes[stamp][0]) / NS_PER_S
        if span_s < SPAN_S_MIN:
            raise InputError(f"the tape spans {span_s:.1f} s, expected at least {SPAN_S_MIN:g} s")
        return cls(
            clock=chosen,
            tick=tick,
            quote_ns=quotes[stamp].copy(),
            bid_ticks=np.rint(quotes["bid_price"] / tick).astype(np.int64),
            ask_ticks=np.rint(quotes["ask_price"] / tick).astype(np.int64),
            bid_qty=quotes["bid_qty"].copy(),
            ask_qty=quotes["ask_qty"].copy(),
            trade_ns=trades[stamp].copy(),
            trade_qty=trades["qty"].copy(),
            trade_side=trades["side"].astype(np.int64),
            order_id=_order_ids(trades),
            latency_ns=(quotes["ts_recv"] - quotes["ts_event"]) if stamped else np.zeros(0, np.int64),
        )

    @property
    def span_s(self) -> float:
        """Return the seconds from the first quote to the last."""
        return float(self.quote_ns[-1] - self.quote_ns[0]) / NS_PER_S

    @cached_property
    def mid_half_ticks(self) -> NDArray[np.int64]:
        """Return bid + ask in ticks: the mid price in half-ticks."""
        return self.bid_ticks + self.ask_ticks

    @cached_property
    def mid_bps(self) -> NDArray[np.float64]:
        """Return 1e4 times the log of the mid price in half-ticks."""
        return 1e4 * np.log(self.mid_half_ticks)

    @cached_property
    def imbalance(self) -> NDArray[np.float64]:
        """Return (bid - ask) / (bid + ask) of the queues at the touch, 0 where both are empty."""
        total = self.bid_qty + self.ask_qty
        return np.divide(self.bid_qty - self.ask_qty, total, out=np.zeros_like(total), where=total > 0)

    @cached_property
    def held_s(self) -> NDArray[np.float64]:
        """Return how long each quote stood; the last one not at all."""
        return np.r_[np.diff(self.quote_ns), 0] / NS_PER_S

    @cached_property
    def order_starts(self) -> NDArray[np.intp]:
        """Return the position of the first fill of each order."""
        return np.flatnonzero(np.r_[True, np.diff(self.order_id) != 0])

    @cached_property
    def order_qty(self) -> NDArray[np.float64]:
        """Return the size of each order: the sum of its fills."""
        return np.add.reduceat(self.trade_qty, self.order_starts)

    def grid_ns(self, step_s: float) -> NDArray[np.int64]:
        """Return instants `step_s` apart from the first quote to the last."""
        step_ns = round(step_s * NS_PER_S)
        return np.arange(self.quote_ns[0], self.quote_ns[-1] + 1, step_ns, dtype=np.int64)

    def quote_at(self, instants_ns: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the position of the last quote at or before each instant; -1 before the first."""
        return np.searchsorted(self.quote_ns, instants_ns, side="right") - 1


def _order_ids(trades: NDArray[Any]) -> NDArray[np.int64]:
    apart = (np.diff(trades["ts_event"]) != 0) | (np.diff(trades["side"]) != 0)
    return np.r_[0, np.cumsum(apart)].astype(np.int64)
