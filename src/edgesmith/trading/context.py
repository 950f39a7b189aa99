"""What a Python strategy can see and do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.fills import Position
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.orders import OrderIntent, OrderType, Side, TimeInForce
from edgesmith.trading.risk import Approved, Refused


class Desk(Protocol):
    """What a context asks of whoever drives the strategy; the methods mean what they mean in `Context`."""

    def now_ns(self) -> int:
        """Return our clock."""
        ...

    def equity(self) -> float:
        """Return equity."""
        ...

    def feature_row(self) -> NDArray[np.float64]:
        """Return the feature row."""
        ...

    def position(self, instrument: int) -> Position:
        """Return a position."""
        ...

    def position_qty(self, instrument: int) -> float:
        """Return a position's quantity."""
        ...

    def submit(self, intent: OrderIntent) -> Approved | Refused:
        """Judge and send an intent."""
        ...

    def cancel(self, order_id: int) -> bool:
        """Request a cancel."""
        ...


class Context:
    """A strategy's view of its run. Everything is as of the event being shown, and nothing later."""

    def __init__(self, driver: Desk, instruments: Sequence[Instrument]) -> None:
        self._driver = driver
        self.instruments = tuple(instruments)

    @property
    def now_ns(self) -> int:
        """Return our clock at the event being shown."""
        return self._driver.now_ns()

    @property
    def equity(self) -> float:
        """Return cash plus the mark value of positions, settlement currency."""
        return self._driver.equity()

    @property
    def features(self) -> NDArray[np.float64]:
        """Return the feature row at the event being shown, in the strategy's order."""
        return self._driver.feature_row()

    def position(self, instrument: int = 0) -> Position:
        """Return what we know we hold."""
        return self._driver.position(instrument)

    def position_qty(self, instrument: int = 0) -> float:
        """Return the signed quantity we know we hold; much cheaper than `position`."""
        return self._driver.position_qty(instrument)

    def submit(self, intent: OrderIntent) -> Approved | Refused:
        """Put an intent through risk and send what is approved."""
        return self._driver.submit(intent)

    def buy(self, qty: float, instrument: int = 0) -> Approved | Refused:
        """Submit a market order to buy."""
        return self.submit(OrderIntent(instrument=instrument, side=Side.BUY, qty=qty))

    def sell(self, qty: float, instrument: int = 0) -> Approved | Refused:
        """Submit a market order to sell."""
        return self.submit(OrderIntent(instrument=instrument, side=Side.SELL, qty=qty))

    def limit(
        self,
        side: Side,
        qty: float,
        price: float,
        *,
        instrument: int = 0,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> Approved | Refused:
        """Submit a limit order."""
        return self.submit(
            OrderIntent(
                instrument=instrument,
                side=side,
                qty=qty,
                order_type=OrderType.LIMIT,
                price=price,
                time_in_force=time_in_force,
                post_only=post_only,
                reduce_only=reduce_only,
            )
        )

    def cancel(self, order_id: int) -> bool:
        """Ask the venue to cancel an order; False when it is not open any more."""
        return self._driver.cancel(order_id)
