"""The two forms of a strategy, one contract: market in, intents out.

A *compiled* strategy gives a function `decide(view) -> target` that runs inside the event loop. A *Python* strategy gets
`on_*` calls for the wake-ups it asked for. Both see only what had been received, and both go through the same risk and venue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import Event, Stream
from edgesmith.domain.fills import Bar, Fill
from edgesmith.domain.orders import Reason
from edgesmith.errors import InputError, StrategyError, UnknownNameError
from edgesmith.features.operator import FeatureSpec
from edgesmith.trading.trace import TraceColumn

if TYPE_CHECKING:
    from edgesmith.trading.context import Context

ALL_STREAMS = tuple(Stream)
# Bars shorter than this would wake Python more often than events do.
BAR_NS_MIN = 1_000_000


class StrategyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every strategy's configuration; derive, and give each field a range."""


class Strategy:
    """What both forms share: a name, a configuration, the features it reads.

    `features` are names, (name, params) pairs or specs of the feature catalog; their values come in this order. `presets` are
    named settings that a user may start from with the setting `preset`.
    """

    name: ClassVar[str] = ""
    Config: ClassVar[type[StrategyConfig]] = StrategyConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, config: StrategyConfig | None = None) -> None:
        self.config: Any = self.Config() if config is None else config

    @property
    def features(self) -> tuple[str | tuple[str, Mapping[str, float]] | FeatureSpec, ...]:
        """Return the features this strategy reads; none by default."""
        return ()

    @property
    def resolved(self) -> dict[str, Any]:
        """Return what the configuration turned into with the files it names; part of what a run is named by."""
        return {}

    @property
    def fitted_ns(self) -> tuple[int, int] | None:
        """Return the first and last instant of the data it was fitted on; None where it was not."""
        return None


class CompiledStrategy(Strategy):
    """A strategy whose decision is compiled into the event loop.

    `decide(view)` reads the record `trading.state.VIEW` (quote, trade, position, `features`, `params`), keeps what it needs in
    `view.memory` (zeros at the start, one per instrument), and returns the position it wants, in quantity units and signed;
    NaN keeps what there is. Limit orders are written to `view.intent_*`.
    """

    streams: ClassVar[tuple[Stream, ...]] = ALL_STREAMS

    @staticmethod
    def decide(view: Any) -> float:
        """Return the position wanted."""
        raise StrategyError("a compiled strategy was given no decide(view), expected a static method that returns a position")

    # What each `view.trace_code` is called, and says.
    trace_codes: ClassVar[Mapping[int, tuple[str, str]]] = {}

    def params(self) -> tuple[float, ...]:
        """Return the numbers `decide` finds in `view.params`, in order."""
        return ()

    @property
    def trace_columns(self) -> tuple[TraceColumn, ...]:
        """Return what the numbers in `view.trace` are; none where the strategy cannot be traced."""
        return ()

    def funnel(self, memory: NDArray[np.float64]) -> dict[str, Any] | None:
        """Return where decisions ended, from the sum of `view.memory` over all instruments; None where it is not counted."""
        return None


class PythonStrategy(Strategy):
    """A strategy in plain Python, woken only for what it subscribed to.

    `streams` wake `on_event`; a `bar_ns` above 0 wakes `on_bar` at the end of every bar in which a quote came.
    """

    streams: ClassVar[tuple[Stream, ...]] = ()
    bar_ns: ClassVar[int] = 0

    def on_start(self, ctx: Context) -> None:
        """Prepare; called once before the first event."""

    def on_event(self, event: Event, ctx: Context) -> None:
        """See one market event."""

    def on_bar(self, bar: Bar, ctx: Context) -> None:
        """See one finished bar."""

    def on_fill(self, fill: Fill, ctx: Context) -> None:
        """Learn of an execution of ours."""

    def on_order_end(self, order_id: int, reason: Reason, ctx: Context) -> None:
        """Learn that an order ended without its full fill."""

    def on_stop(self, ctx: Context) -> None:
        """Finish; called once after the last event, no orders are taken any more."""


def configure(strategy: type[Strategy], settings: Mapping[str, Any]) -> Strategy:
    """Build a strategy from its class and settings as a user types them; strict, unknown or out-of-range settings fail."""
    chosen = dict(settings)
    if strategy.presets and "preset" in chosen:
        if chosen["preset"] not in strategy.presets:
            raise UnknownNameError(f"preset of strategy {strategy.name}", str(chosen["preset"]), strategy.presets)
        chosen = {**strategy.presets[chosen["preset"]], **chosen}
    try:
        config = msgspec.convert(chosen, strategy.Config, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(strategy.Config)) or "none"
        raise InputError(f"strategy '{strategy.name}': {error}; its settings are: {known}") from None
    return strategy(config)
