"""Takes events through a compiled strategy: the whole chunk in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError
from edgesmith.trading.engine import Engine
from edgesmith.trading.entry import advance, compile_decide
from edgesmith.trading.state import MAX_FEATURES, MAX_PARAMS, STOP_CHUNK_END
from edgesmith.trading.strategy import CompiledStrategy


class CompiledDriver:
    """Runs a `CompiledStrategy` inside the event loop."""

    def __init__(self, strategy: CompiledStrategy) -> None:
        self._strategy = strategy
        if type(strategy).decide is CompiledStrategy.decide:
            CompiledStrategy.decide(None)
        self._decide = compile_decide(strategy.name, type(strategy).decide)
        self._advance = advance()

    def start(self, engine: Engine) -> None:
        """Hand the strategy its parameters."""
        params = self._strategy.params()
        if len(params) > MAX_PARAMS or engine.run["feature_count"][0] > MAX_FEATURES:
            raise InputError(
                f"strategy '{self._strategy.name}' has {len(params)} params and {int(engine.run['feature_count'][0])} features, "
                f"at most {MAX_PARAMS} and {MAX_FEATURES} fit"
            )
        engine.views["params"][:, : len(params)] = params
        engine.run["decide_kinds"] = sum(1 << int(stream) for stream in self._strategy.streams)

    def feed(self, engine: Engine, events: NDArray[Any], features: NDArray[np.float64]) -> None:
        """Process every event of a chunk."""
        recorder, curves = engine.recorder, engine.curves
        while True:
            self._advance(
                engine.run, engine.books, engine.views, events, features, len(events),
                recorder.fills, recorder.decisions, curves.equity, curves.prices, self._decide,
            )  # fmt: skip
            if int(engine.run["stop_reason"][0]) == STOP_CHUNK_END:
                return
            engine.handle_stop(events)

    def stop(self, engine: Engine) -> None:
        """Nothing to tell: a compiled strategy has no last word."""
        engine.run["decide_kinds"] = 0

