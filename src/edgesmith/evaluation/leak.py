"""Does a column know the future: values must not change when what is received later is taken away, or turns violent.

A value that was known at an instant is a function of what had been received by then. So the tape is cut at some instants, once
with nothing behind the cut and once with prices behind it moved, and every value up to the cut must keep its bits. This finds
centered windows, statistics of the whole sample, smoothed states, joins on the wrong clock, bars stamped at their open and
labels used as features alike (traps T1-T8); it is a proof for the tape at hand, not a guess from results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO, KIND_TRADE

# (tape in receive order, last instant) -> rows (instants up to it, columns), instants fixed beforehand.
Columns = Callable[[NDArray[Any], int], NDArray[np.float64]]

VIOLENT_MOVE = 1.25


def leaking_columns(columns: Columns, tape: NDArray[Any], cuts_ns: Sequence[int]) -> tuple[int, ...]:
    """Return the places of the columns that know the future; empty when none does.

    Parameters
    ----------
    columns : computes the rows of all decision instants up to the one given
    tape : EVENT array in receive order
    cuts_ns : instants inside the tape; more cuts find rarer leaks
    """
    whole = columns(tape, int(tape["ts_recv"][-1]))
    leaking = np.zeros(whole.shape[1], np.bool_)
    for cut_ns in cuts_ns:
        past = tape["ts_recv"] <= cut_ns
        for known in (tape[past], _with_violent_future(tape, past)):
            early = columns(known, cut_ns)
            leaking |= (_bits(whole[: len(early)]) != _bits(early)).any(axis=0)
    return tuple(int(place) for place in np.flatnonzero(leaking))


def _bits(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    # One NaN is as good as another.
    bits: NDArray[np.int64] = np.where(np.isnan(rows), np.nan, rows).view(np.int64)
    return bits


def _with_violent_future(tape: NDArray[Any], past: NDArray[np.bool_]) -> NDArray[Any]:
    changed = tape.copy()
    for kind, names in ((KIND_BBO, ("bid_price", "ask_price")), (KIND_TRADE, ("price",))):
        chosen = ~past & (changed["kind"] == kind)
        for name in names:
            changed[name][chosen] *= VIOLENT_MOVE
    return changed
