"""How orders meet the market in a simulated run: latencies, queue, depth, fees."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.errors import UnknownNameError

LatencyNs = Annotated[int, Meta(ge=0, le=60 * NS_PER_S)]


class QueueModel(StrEnum):
    """How the place in the queue moves; the order of members is the code the venue uses."""

    RISK_AVERSE = "risk_averse"
    PROPORTIONAL = "proportional"
    TOUCH = "touch"


class DepthModel(StrEnum):
    """What a taker finds behind the touch; the order of members is the code the venue uses."""

    DISPLAYED = "displayed"
    TOUCH = "touch"


class ExecutionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Assumptions of the simulated venue; docs/adr/0004 states them as inequalities.

    `entry_latency_ns` is order to venue, `response_latency_ns` venue to us, each times 1 + an exponential of mean
    `jitter_ratio`. `feed_latency_ns` is the shortest time market data takes to reach us: added to it where nobody recorded a
    receive time, and told apart from the skew of the clocks by it where somebody did. Fee ratios of None are
    the instrument's own.
    """

    entry_latency_ns: LatencyNs = 20 * NS_PER_MS
    response_latency_ns: LatencyNs = 20 * NS_PER_MS
    feed_latency_ns: LatencyNs = 10 * NS_PER_MS
    jitter_ratio: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.25
    queue_model: QueueModel = QueueModel.RISK_AVERSE
    depth_model: DepthModel = DepthModel.DISPLAYED
    maker_fee_ratio: Annotated[float, Meta(ge=-0.01, le=0.01)] | None = None
    taker_fee_ratio: Annotated[float, Meta(ge=-0.01, le=0.01)] | None = None

    def with_fees(self, instrument: Instrument) -> Instrument:
        """Return `instrument` with this config's fees where it sets them."""
        maker = instrument.maker_fee_ratio if self.maker_fee_ratio is None else self.maker_fee_ratio
        taker = instrument.taker_fee_ratio if self.taker_fee_ratio is None else self.taker_fee_ratio
        return msgspec.structs.replace(instrument, maker_fee_ratio=maker, taker_fee_ratio=taker)


PRESETS: dict[str, ExecutionConfig] = {
    "honest": ExecutionConfig(),
    # The prior system: same-tick fill of any size at the touch, 4 bps on every fill.
    "instant": ExecutionConfig(
        entry_latency_ns=0,
        response_latency_ns=0,
        feed_latency_ns=0,
        jitter_ratio=0.0,
        depth_model=DepthModel.TOUCH,
        maker_fee_ratio=0.0004,
        taker_fee_ratio=0.0004,
    ),
}


def execution_preset(name: str) -> ExecutionConfig:
    """Return a named preset."""
    if name not in PRESETS:
        raise UnknownNameError("execution preset", name, PRESETS)
    return PRESETS[name]
