"""EMA cross as a compiled strategy: `edgesmith backtest --strategy examples/ema_cross_compiled.py:EmaCross ...`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig

FAST, SLOW, SEEN = 0, 1, 2


class EmaCrossConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Spans in events."""

    fast_events: Annotated[int, Meta(ge=1)] = 300
    slow_events: Annotated[int, Meta(ge=2)] = 3000
    order_qty: Annotated[float, Meta(gt=0.0)] = 0.01


class EmaCross(CompiledStrategy):
    """Long while the fast average is above the slow one, short while it is below."""

    name = "ema_cross"
    Config = EmaCrossConfig

    def params(self):
        """Return the two decay weights, the warm-up and the size."""
        config = self.config
        return 2.0 / (config.fast_events + 1.0), 2.0 / (config.slow_events + 1.0), float(config.slow_events), config.order_qty

    @staticmethod
    def decide(view):
        """Return the position wanted; NaN while warming up."""
        mid = 0.5 * (view.bid_price + view.ask_price)
        seen = view.memory[SEEN]
        if not mid > 0.0:
            return np.nan
        view.memory[SEEN] = seen + 1.0
        if seen == 0.0:
            view.memory[FAST] = mid
            view.memory[SLOW] = mid
            return np.nan
        view.memory[FAST] += view.params[0] * (mid - view.memory[FAST])
        view.memory[SLOW] += view.params[1] * (mid - view.memory[SLOW])
        if seen < view.params[2] or view.memory[FAST] == view.memory[SLOW]:
            return np.nan
        return view.params[3] if view.memory[FAST] > view.memory[SLOW] else -view.params[3]
