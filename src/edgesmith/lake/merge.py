"""Compiled: lay columns out as events, and merge sorted runs of events into one sequence."""

from __future__ import annotations

from typing import Any

from edgesmith.compiled import kernel


@kernel
def assemble(
    words: Any, ts_event: Any, ts_recv: Any, first_seq: int, tag: int, side: Any, first: Any, second: Any, third: Any, fourth: Any
) -> None:
    """Write events into `words`, a row of eight int64 each.

    `tag` is the fourth word without the side. The payload columns are viewed as int64; one the stream lacks is empty.
    """
    for i in range(len(ts_event)):
        words[i, 0] = ts_event[i]
        words[i, 1] = ts_recv[i]
        words[i, 2] = first_seq + i
        words[i, 3] = tag | ((int(side[i]) & 0xFF) << 8) if len(side) else tag
        words[i, 4] = first[i]
        words[i, 5] = second[i] if len(second) else 0
        words[i, 6] = third[i] if len(third) else 0
        words[i, 7] = fourth[i] if len(fourth) else 0


@kernel
def precedes(a: Any, b: Any, by_receive: bool) -> bool:
    """Return whether event `a` comes before event `b`: by one clock, then `ts_event`, `instrument`, `kind`, `seq`."""
    a_ns = a.ts_recv if by_receive else a.ts_event
    b_ns = b.ts_recv if by_receive else b.ts_event
    before: bool = a.seq < b.seq
    if a_ns != b_ns:
        before = a_ns < b_ns
    elif a.ts_event != b.ts_event:
        before = a.ts_event < b.ts_event
    elif a.instrument != b.instrument:
        before = a.instrument < b.instrument
    elif a.kind != b.kind:
        before = a.kind < b.kind
    return before


@kernel
def sift_down(heap: Any, size: int, root: int, pool: Any, heads: Any, by_receive: bool) -> None:
    """Restore the heap of runs below `root`, where the run with the earliest head is on top."""
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and precedes(pool[heads[heap[child + 1]]], pool[heads[heap[child]]], by_receive):
            child += 1
        if not precedes(pool[heads[heap[child]]], pool[heads[heap[root]]], by_receive):
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


@kernel
def merge_runs(pool: Any, heads: Any, ends: Any, heap: Any, out: Any, written: int, by_receive: bool) -> int:
    """Merge the runs `pool[heads[i]:ends[i]]` into `out[written:]` until either is used up.

    Advances `heads`; `heap` is scratch, one int64 per run. Returns how much of `out` is written now.
    """
    size = 0
    for run in range(len(heads)):
        if heads[run] < ends[run]:
            heap[size] = run
            size += 1
    for root in range(size // 2 - 1, -1, -1):
        sift_down(heap, size, root, pool, heads, by_receive)
    while size > 0 and written < len(out):
        run = heap[0]
        out[written] = pool[heads[run]]
        written += 1
        heads[run] += 1
        if heads[run] == ends[run]:
            size -= 1
            heap[0] = heap[size]
        sift_down(heap, size, 0, pool, heads, by_receive)
    return written
