"""What a replay must know of the market beside its own trades, taken from the events as they pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO
from edgesmith.evaluation.impact import DisplayedSize, ImpactMeter
from edgesmith.evaluation.intervals import Interval

SEED = 1


class MarketSeen(NamedTuple):
    """Impact slope, displayed size, length and last price of the span; `gaps` (rows, 2) are last quote before and first after."""

    slope_bps: Interval
    shown_qty: float
    span_ns: int
    price: float
    gaps: NDArray[np.int64]


class MarketWatch:
    """Watches the instrument at `place`: impact on blocks of `block_ns`, the sizes takers meet, gaps of more than `gap_ns`."""

    def __init__(self, place: int, block_ns: int, gap_ns: int) -> None:
        self._place, self._gap_ns = place, gap_ns
        self._meter = ImpactMeter(place, block_ns)
        self._shown = {side: DisplayedSize(place, side) for side in (1, -1)}
        self._first_ns = self._last_ns = self._quoted_ns = 0
        self._gaps = [np.empty((0, 2), np.int64)]

    def feed(self, events: NDArray[Any]) -> None:
        """Take a batch of events in receive order."""
        mine = events["instrument"] == self._place
        received_ns = np.ascontiguousarray(events["ts_recv"])[mine]
        if not len(received_ns):
            return
        self._meter.feed(events)
        for shown in self._shown.values():
            shown.feed(events)
        self._first_ns = self._first_ns or int(received_ns[0])
        self._last_ns = int(received_ns[-1])
        quotes = events["kind"][mine] == KIND_BBO
        if quotes.any():
            after = received_ns[quotes]
            before = np.r_[self._quoted_ns or after[0], after[:-1]]
            lost = (after - before > self._gap_ns) | ((events["flags"][mine][quotes] & FLAG_AFTER_GAP) != 0)
            self._gaps.append(np.stack([before[lost], after[lost]], axis=1))
            self._quoted_ns = int(after[-1])

    def seen(self, side: int) -> MarketSeen:
        """Return what an edge of `side` must know of all events so far."""
        span_ns = self._last_ns - self._first_ns
        gaps = np.concatenate(self._gaps)
        return MarketSeen(self._meter.slope_bps(SEED), self._shown[side].median, span_ns, self._meter.last_mid, gaps)
