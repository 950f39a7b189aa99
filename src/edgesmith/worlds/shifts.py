"""The arithmetic of the shift layer, compiled: which offsets are posted with which event, realized and expected.

A scheduled shift has a start on the receive clock, falls due in whole ticks, evenly over a window, and is posted by quote
updates that change the mid price anyway. What is left when patience ends, some time after the window, goes out with the next
update, whatever that is, and is counted as late. Posting depends on the tape alone, not on whether the shift was drawn, so
the expected offset over all draws is carried along exactly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, KIND_MARK_PRICE, KIND_TRADE


@kernel
def post_shifts(
    events: NDArray[Any],
    starts_ns: NDArray[np.int64],
    drawn: NDArray[np.int64],
    expected: NDArray[np.float64],
    shift_ticks: int,
    window_ns: int,
    patience_ns: int,
    offset_ticks: NDArray[np.int64],
    expected_ticks: NDArray[np.float64],
    late: NDArray[np.int64],
) -> None:
    """Add to `offset_ticks` and `expected_ticks` what is posted by each event.

    Parameters
    ----------
    events : EVENT array of one instrument in venue order
    starts_ns : ascending; shift j falls due inside (starts_ns[j], starts_ns[j] + window_ns)
    drawn, expected : signed multiples of `shift_ticks` that shift j has, and has on average
    late : int64 array of shape (2,)
        Receives the number of drawn shifts with a remainder posted by an update that did not change the mid, and the ticks.
    """
    first, last = 0, 0  # shifts first..last-1 are under way
    done, done_expected = 0, 0.0
    offset, offset_expected = 0, 0.0
    mid_before, posted_ns = math.nan, 0
    for i in range(len(events)):
        row = events[i]
        if row.kind == KIND_BBO:
            mid = row.bid_price + row.ask_price
            now_ns = row.ts_recv
            moves = mid != mid_before
            mid_before = mid
            while last < len(starts_ns) and starts_ns[last] < now_ns:
                last += 1
            flushes = False
            while first < last and starts_ns[first] + window_ns + patience_ns <= now_ns:
                done += drawn[first] * shift_ticks
                done_expected += expected[first] * shift_ticks
                left = shift_ticks - _due_ticks(shift_ticks, starts_ns[first], window_ns, posted_ns)
                if left > 0 and not moves and (drawn[first] != 0 or expected[first] != 0.0):
                    flushes = True
                    late[0] += abs(drawn[first])
                    late[1] += abs(drawn[first]) * left
                first += 1
            if moves or flushes:
                # An update that posts late remainders only leaves the running shifts where they were.
                posted_ns = now_ns if moves else posted_ns
                offset, offset_expected = done, done_expected
                for j in range(first, last):
                    ticks = _due_ticks(shift_ticks, starts_ns[j], window_ns, posted_ns)
                    offset += drawn[j] * ticks
                    offset_expected += expected[j] * ticks
        offset_ticks[i] += offset
        expected_ticks[i] += offset_expected


@kernel
def _due_ticks(shift_ticks: int, start_ns: int, window_ns: int, now_ns: int) -> int:
    if now_ns <= start_ns:
        return 0
    return int(shift_ticks * min(1.0, (now_ns - start_ns) / window_ns))


@kernel
def shift_prices(events: NDArray[Any], offset_ticks: NDArray[np.int64], numerator: float, denominator: float) -> None:
    """Move every price of the tape by its offset, in place; nothing else changes."""
    scale = denominator / numerator
    for i in range(len(events)):
        row = events[i]
        offset = offset_ticks[i]
        if offset == 0:
            continue
        if row.kind == KIND_BBO:
            row.bid_price = (math.floor(row.bid_price * scale + 0.5) + offset) * numerator / denominator
            row.ask_price = (math.floor(row.ask_price * scale + 0.5) + offset) * numerator / denominator
        elif row.kind == KIND_TRADE:
            row.price = (math.floor(row.price * scale + 0.5) + offset) * numerator / denominator
        elif row.kind == KIND_MARK_PRICE:
            row.mark_price += offset * numerator / denominator
            row.index_price += offset * numerator / denominator


@kernel
def dress_quotes(
    events: NDArray[Any],
    fires: NDArray[np.bool_],
    half_ticks: int,
    qty_max: float,
    numerator: float,
    denominator: float,
) -> None:
    """Widen the quotes that `fires` marks by `half_ticks` on each side and cut their sizes to `qty_max`, in place.

    Trades after a widened quote print as much further from the mid price.
    """
    scale = denominator / numerator
    wide = False
    for i in range(len(events)):
        row = events[i]
        if row.kind == KIND_BBO:
            wide = fires[i]
            if wide:
                row.bid_price = (math.floor(row.bid_price * scale + 0.5) - half_ticks) * numerator / denominator
                row.ask_price = (math.floor(row.ask_price * scale + 0.5) + half_ticks) * numerator / denominator
                row.bid_qty = min(row.bid_qty, qty_max)
                row.ask_qty = min(row.ask_qty, qty_max)
        elif row.kind == KIND_TRADE and wide:
            row.price = (math.floor(row.price * scale + 0.5) + row.side * half_ticks) * numerator / denominator
