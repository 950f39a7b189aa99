"""The strategy to beat: one-event momentum with a spread filter and a cooldown (the prior system's BaselineStrategy).

Differences to the prior one, each a defect there: a wide spread and the cooldown block entries, not exits; the position is the
ledger's, so a refused order cannot put the strategy out of step.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from edgesmith.domain.events import Stream
from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig

# Places in view.features, view.params and view.memory.
SPREAD, RETURN = 0, 1
MID = 2
QTY, THRESHOLD, SPREAD_MAX, COOLDOWN = 0, 1, 2, 3
EVENTS, LAST_ORDER, STARTED = 0, 1, 2


class BaselineConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`momentum_threshold_ratio` is compared with the one-event return; `cooldown_events` are quotes between orders."""

    order_qty: Annotated[float, Meta(gt=0.0)] = 0.01
    cooldown_events: Annotated[int, Meta(ge=0)] = 50
    momentum_threshold_ratio: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.0001
    spread_bps_max: Annotated[float, Meta(gt=0.0)] = 10.0


class Baseline(CompiledStrategy):
    """Enter with the last mid-price move when it is large, leave when it turns."""

    name = "baseline"
    Config = BaselineConfig
    streams = (Stream.BBO,)

    @property
    def features(self) -> tuple[str, ...]:
        """Return the features read."""
        return ("spread", "return_1", "mid_price")

    def params(self) -> tuple[float, ...]:
        """Return the configuration as numbers."""
        config = self.config
        return (config.order_qty, config.momentum_threshold_ratio, config.spread_bps_max * 1e-4, float(config.cooldown_events))

    @staticmethod
    def decide(view: Any) -> float:
        """Return the position wanted."""
        view.memory[EVENTS] += 1.0
        change = view.features[RETURN]
        threshold = view.params[THRESHOLD]
        held = view.position_qty + view.pending_qty
        if held > 0.0:
            if change < -threshold:
                view.memory[LAST_ORDER] = view.memory[EVENTS]
                view.memory[STARTED] = 1.0
                return 0.0
            return np.nan
        if held < 0.0:
            if change > threshold:
                view.memory[LAST_ORDER] = view.memory[EVENTS]
                view.memory[STARTED] = 1.0
                return 0.0
            return np.nan
        if not abs(change) > threshold or view.features[SPREAD] > view.params[SPREAD_MAX] * view.features[MID]:
            return np.nan
        if view.memory[STARTED] > 0.0 and view.memory[EVENTS] - view.memory[LAST_ORDER] < view.params[COOLDOWN]:
            return np.nan
        view.memory[LAST_ORDER] = view.memory[EVENTS]
        view.memory[STARTED] = 1.0
        return view.params[QTY] if change > 0.0 else -view.params[QTY]
