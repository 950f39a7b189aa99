"""Quotes after a silence: between them and the ones before, data was lost. Compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO


@kernel
def flag_silences(events: NDArray[Any], latest_ns: NDArray[np.int64], silence_ns: int, by_receive: bool) -> None:
    """Set FLAG_AFTER_GAP on every quote more than `silence_ns` after the last one of its instrument, in place.

    Parameters
    ----------
    latest_ns : int64 (instruments,)
        Clock of the last quote of each so far, negative where there was none; updated.
    """
    for i in range(len(events)):
        ev = events[i]
        if ev.kind != KIND_BBO:
            continue
        now_ns = ev.ts_recv if by_receive else ev.ts_event
        before_ns = latest_ns[ev.instrument]
        if before_ns >= 0 and now_ns - before_ns > silence_ns:
            # By key: as an attribute, `flags` is numpy's own on plain records.
            ev["flags"] = ev["flags"] | FLAG_AFTER_GAP
        latest_ns[ev.instrument] = now_ns
