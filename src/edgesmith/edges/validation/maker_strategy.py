"""An edge entered as a maker: a post-only order at the touch, asked back after the horizon; out as a taker; compiled.

The order is sent at the onset, at the best price of our side as we see it then, and waits for as long as the edge's horizon: of
what comes later the edge claims nothing. Once it is filled, the position is held for the horizon. An onset keeps the market for
itself until even an order filled at the last moment is out again, filled or not, so that the decisions are the same whatever the
venue fills, and two assumptions about fills can be compared decision by decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from edgesmith.compiled import kernel
from edgesmith.edges.validation.trigger import (
    DECIDED,
    ENDS_WITH_TRIGGER,
    HORIZON_NS,
    IN_TRADE,
    LATENCY_NS,
    ON,
    OWN_MEMORY,
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
from edgesmith.trading.trace import TraceColumn
from edgesmith.venues.simulated.state import SETTLE_NS

# Places in view.memory: the mid price after the event before, one latency after the decision and one horizon later; whether the
# order was asked back, is filled, is on its way out; how far the onset's time has come; when we learned of the fill, and when
# that stage of the onset's time began.
LAST_MID, MID_IN, MID_OUT, ASKED_BACK, FILLED, LEAVING, STAGE = (OWN_MEMORY + place for place in range(7))
FILLED_AT, STAGE_AT = OWN_MEMORY + 7, OWN_MEMORY + 9
OVER = 1


def busy_ns(horizon_ns: int, latency_ns: int) -> int:
    """Return how long an onset keeps the market for itself, where events follow closely.

    A horizon of waiting and one of holding, the latencies of three orders, and twice the time after which the venue gives up
    waiting for an event.
    """
    return 2 * horizon_ns + 3 * latency_ns + 2 * SETTLE_NS


@kernel
def is_over(view: Any) -> bool:
    """Take the onset's time past this event; True where even an order filled at the last moment must be out again.

    Each stage begins at an event, where it would be seen: when the order is asked back at the latest, and when it leaves.
    """
    horizon_ns, latency_ns = view.params[HORIZON_NS], view.params[LATENCY_NS]
    if view.memory[STAGE] == 0.0:
        if since_ns(view, DECIDED) >= horizon_ns:
            view.memory[STAGE] = 1.0
            note_time(view, STAGE_AT)
        return False
    if view.memory[STAGE] == 1.0:
        if since_ns(view, STAGE_AT) >= latency_ns + SETTLE_NS + horizon_ns:
            view.memory[STAGE] = 2.0
            note_time(view, STAGE_AT)
        return False
    return since_ns(view, STAGE_AT) >= latency_ns + SETTLE_NS


class MakerStrategy(EdgeStrategy):
    """Rests at the touch at every onset at which nothing is under way; writes down what the mid price did after each."""

    name = "edge_maker"
    entries = ("maker_touch", "maker_queue")
    trace_codes: ClassVar[Mapping[int, tuple[str, str]]] = {OVER: ("over", "the onset has had its time")}

    @property
    def trace_columns(self) -> tuple[TraceColumn, ...]:
        """Return the mid price a latency after the decision and a horizon later, NaN where there was none, and the fill."""
        return TraceColumn("mid_in"), TraceColumn("mid_out"), TraceColumn("filled")

    @staticmethod
    def decide(view: Any) -> float:
        """Return the position wanted: only the way out is one."""
        if view.instrument != view.params[PLACE]:
            return math.nan
        onset = begins(view)
        before, mid = view.memory[LAST_MID], (view.bid_price + view.ask_price) / 2.0
        view.memory[LAST_MID] = mid
        horizon_ns, latency_ns = view.params[HORIZON_NS], view.params[LATENCY_NS]
        if view.memory[IN_TRADE] > 0.0:
            passed_ns, over = since_ns(view, DECIDED), is_over(view)
            # The last quote received by then is the one before the first event after.
            if view.memory[MID_IN] == 0.0 and passed_ns > latency_ns:
                view.memory[MID_IN] = before
            if view.memory[MID_OUT] == 0.0 and passed_ns > latency_ns + horizon_ns:
                view.memory[MID_OUT] = before
            if view.position_qty != 0.0 and view.memory[FILLED] == 0.0:
                view.memory[FILLED] = 1.0
                note_time(view, FILLED_AT)
                sets_stop(view, mid)
            if view.memory[FILLED] > 0.0:
                if view.memory[LEAVING] == 0.0 and (since_ns(view, FILLED_AT) >= horizon_ns or ends_early(view, mid)):
                    view.memory[LEAVING] = 1.0
                    return 0.0
            elif view.memory[ASKED_BACK] == 0.0 and (
                passed_ns >= horizon_ns or (view.params[ENDS_WITH_TRIGGER] > 0.0 and view.memory[ON] == 0.0)
            ):
                view.memory[ASKED_BACK] = 1.0
                view.cancel_all = 1
            if not over or view.position_qty != 0.0 or view.pending_qty != 0.0:
                return math.nan
            view.memory[IN_TRADE] = 0.0
            view.trace_code = OVER
            view.trace[0], view.trace[1], view.trace[2] = view.memory[MID_IN], view.memory[MID_OUT], view.memory[FILLED]
        if not onset or view.position_qty != 0.0 or view.pending_qty != 0.0 or not mid > 0.0 or not sets_stop(view, mid):
            return math.nan
        for place in range(MID_IN, STAGE + 1):
            view.memory[place] = 0.0
        view.memory[IN_TRADE] = 1.0
        note_time(view, DECIDED)
        view.intents = 1
        view.intent_side[0] = 1 if view.params[SIDE] > 0.0 else -1
        view.intent_qty[0] = view.params[QTY]
        view.intent_price[0] = view.bid_price if view.params[SIDE] > 0.0 else view.ask_price
        view.intent_tif[0] = 0
        view.intent_post_only[0] = 1
        view.intent_reduce_only[0] = 0
        return math.nan
