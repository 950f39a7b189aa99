"""An edge entered as a taker: in at an onset, out when the horizon is over, counted from the decision, or earlier; compiled."""

from __future__ import annotations

import math
from typing import Any

from edgesmith.edges.validation.trigger import (
    DECIDED,
    HORIZON_NS,
    IN_TRADE,
    PLACE,
    QTY,
    SIDE,
    EdgeStrategy,
    begins,
    ends_early,
    note_time,
    sets_stop,
    since_ns,
)


class TriggerStrategy(EdgeStrategy):
    """Takes at every onset at which nothing is held, and takes again to leave."""

    name = "edge"
    entries = ("taker",)

    @staticmethod
    def decide(view: Any) -> float:
        """Return the position wanted."""
        if view.instrument != view.params[PLACE]:
            return math.nan
        onset = begins(view)
        mid = (view.bid_price + view.ask_price) / 2.0
        if view.memory[IN_TRADE] > 0.0:
            if since_ns(view, DECIDED) < view.params[HORIZON_NS] and not ends_early(view, mid):
                return math.nan
            view.memory[IN_TRADE] = 0.0
            return 0.0
        if not onset or view.position_qty != 0.0 or view.pending_qty != 0.0 or not mid > 0.0 or not sets_stop(view, mid):
            return math.nan
        view.memory[IN_TRADE] = 1.0
        note_time(view, DECIDED)
        return view.params[SIDE] * view.params[QTY]
