"""How often a condition over features held, and for how long at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from edgesmith.errors import InputError
from edgesmith.features.condition import Condition
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over the events that update a feature; times on the receive clock, ratios in [0, 1], None where undefined."""

    rows: int
    rows_held: int
    held_ratio: float | None
    onsets: int
    time_ratio: float | None
    stretch_ns_mean: float | None


def occurrence(
    partitions: Sequence[Partition],
    program: Program,
    condition: Condition,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Occurrence:
    """Follow `condition` over one instrument; rows in which a feature is not known yet are not counted."""
    replay = Replay([one for one in partitions if one.key.stream in program.needs])
    if len(replay.instruments) != 1:
        raise InputError(f"a condition was asked of {len(replay.instruments)} instruments at once, expected one")
    state = program.new_state()
    rows = held_rows = onsets = held_ns = done = 0
    before, first_ns, last_ns = False, 0, 0
    for events in replay.batches():
        matrix = np.empty((len(events), program.width))
        program.run(events, matrix, state)
        held = condition.evaluate(matrix)
        ts_recv = np.ascontiguousarray(events["ts_recv"])
        rows += int(np.count_nonzero(~np.isnan(matrix).any(axis=1)))
        held_rows += int(np.count_nonzero(held))
        onsets += int(np.count_nonzero(held & ~np.r_[before, held[:-1]]))
        # A stretch lasts until the first event at which the condition no longer holds.
        gaps_ns = np.diff(ts_recv, prepend=last_ns if done else ts_recv[0])
        held_ns += int(gaps_ns[np.r_[before, held[:-1]]].sum())
        first_ns = first_ns if done else int(ts_recv[0])
        before, last_ns = bool(held[-1]), int(ts_recv[-1])
        done += len(events)
        if progress is not None:
            progress(done, replay.events_total)
    span_ns = last_ns - first_ns
    return Occurrence(
        rows=rows,
        rows_held=held_rows,
        held_ratio=held_rows / rows if rows else None,
        onsets=onsets,
        time_ratio=held_ns / span_ns if span_ns else None,
        stretch_ns_mean=held_ns / onsets if onsets else None,
    )
