"""Slow twin of the shift layer's arithmetic: every shift looked at anew for every event."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def posted_offsets(
    events: NDArray[Any], starts_ns: NDArray[Any], multiples: NDArray[Any], shift_ticks: int, window_ns: int, patience_ns: int
) -> NDArray[np.float64]:
    """Return the offset at each event in ticks, shift by shift.

    A shift has posted, at a quote: all of it once start + window + patience has come; else what had fallen due at the last
    quote that changed the mid price (that one included).
    """
    out = np.zeros(len(events))
    quotes = np.flatnonzero(events["kind"] == 0)
    mid = events["bid_price"][quotes] + events["ask_price"][quotes]
    moves = np.r_[True, np.diff(mid) != 0]
    now = events["ts_recv"][quotes]
    last_move_ns = np.maximum.accumulate(np.where(moves, now, 0))
    for start, multiple in zip(starts_ns, multiples, strict=True):
        due = np.floor(shift_ticks * np.clip((last_move_ns - start) / window_ns, 0.0, 1.0))
        due = np.where(start + window_ns + patience_ns <= now, shift_ticks, due)
        at_quote = np.zeros(len(events))
        at_quote[quotes] = due
        last_quote = np.maximum.accumulate(np.where(events["kind"] == 0, np.arange(len(events)), -1))
        out += multiple * np.where(last_quote >= 0, at_quote[np.maximum(last_quote, 0)], 0.0)
    return out
