"""Small simulated markets for tests of worlds."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.units import ns_of_date
from edgesmith.worlds.market import Market
from edgesmith.worlds.parameters import TapeParameters

START_DAY = date(2026, 1, 5)


def an_instrument(**changes: Any) -> Instrument:
    fields: dict[str, Any] = {
        "venue": "simulated",
        "symbol": "TEST1USDT",
        "kind": ContractKind.LINEAR,
        "tick_size": "0.1",
        "lot_size": "0.001",
        "settle": "USDT",
        "taker_fee_ratio": 0.00005,
        "simulated": True,
    }
    return Instrument(**(fields | changes))


def a_market(seed: int = 1, rate: float = 0.1, *, symbol_index: int = 0, **changes: Any) -> Market:
    return Market(
        instrument=an_instrument(),
        parameters=TapeParameters(**changes).at_rate(rate),
        seed=seed,
        start_ns=ns_of_date(START_DAY),
        symbol_index=symbol_index,
    )


def of_kind(events: NDArray[Any], kind: int) -> NDArray[Any]:
    return events[events["kind"] == kind]


def mid_at(events: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mid price last received at or before each instant."""
    quotes = of_kind(events, 0)
    at = np.searchsorted(quotes["ts_recv"], instants_ns, side="right") - 1
    return (quotes["bid_price"][at] + quotes["ask_price"][at]) / 2.0
