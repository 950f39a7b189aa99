"""Takes events through a compiled strategy: the whole chunk in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError
from edgesmith.trading.engine import Engine
from edgesmith.trading.enter import chunk_entry, live_entry
from edgesmith.trading.entry import compile_decide
from edgesmith.trading.state import MAX_FEATURES, MAX_PARAMS, STOP_CHUNK_END
from edgesmith.trading.strategy import CompiledStrategy


class CompiledDriver:
    """Runs a `CompiledStrategy` inside the event loop.

    `live` is for events that come one at a time: each is through 25 us sooner, and starting takes a second to compile.
    """

    def __init__(self, strategy: CompiledStrategy, *, live: bool = False) -> None:
        self._strategy = strategy
        self._live = live
        if type(strategy).decide is CompiledStrategy.decide:
            CompiledStrategy.decide(None)
        self.decide = compile_decide(strategy.name, type(strategy).decide)

    def start(self, engine: Engine) -> None:
        """Hand the strategy its parameters, and prepare to enter compiled code."""
        params = self._strategy.params()
        if len(params) > MAX_PARAMS or engine.run["feature_count"][0] > MAX_FEATURES:
            raise InputError(
                f"strategy '{self._strategy.name}' has {len(params)} params and {int(engine.run['feature_count'][0])} features, "
                f"at most {MAX_PARAMS} and {MAX_FEATURES} fit"
            )
        engine.views["params"][:, : len(params)] = params
        strategy, level = self._strategy, engine.config.trace
        if level.number and engine.recorder.begin_trace(strategy.trace_columns, strategy.trace_codes):
            engine.views["trace_level"] = level.number
        engine.run["decide_kinds"] = sum(1 << int(stream) for stream in self._strategy.streams)
        self._enter = (live_entry if self._live else chunk_entry)(engine, self.decide)

    def funnel(self, engine: Engine) -> dict[str, Any] | None:
        """Return where the strategy's decisions ended, over all instruments; None where it does not count them."""
        return self._strategy.funnel(np.asarray(engine.views)["memory"].sum(axis=0))

    def feed(self, engine: Engine, events: NDArray[Any], features: NDArray[np.float64]) -> None:
        """Process every event of a chunk."""
        while self._enter(events, features) != STOP_CHUNK_END:
            engine.handle_stop(events)

    def stop(self, engine: Engine) -> None:
        """Nothing to tell: a compiled strategy has no last word."""
        engine.run["decide_kinds"] = 0
