"""Several markets that hang together: each hears its own moves at once and those of others after a lag, compiled.

Base tapes of the markets are independent. The price of a linked one is its own path, scaled, and delayed copies of the paths of
others (one of them may be a market nobody sees, a factor they share): in logs, `own_share` x own + sum of share x source. Where
two markets have the same shares in the same paths, one coin on two venues, their prices cannot part for longer than the
lags.

A source's moves are netted over short cells, and each cell travels with a lag of its own (lognormal). A large move is quoted at
once, an update of the touch in prices alone; a small one waits for the next quote update of the own tape. Otherwise spreads,
sizes and times stay those of the own base tape. All moves of an hour arrive within it: hours stand alone and join without
a seam.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.events import EVENT, KIND_BBO
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import as_records, records
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.worlds.bridge import Grid
from edgesmith.worlds.random import child_key, normal_at
from edgesmith.worlds.shifts import shift_prices

# The name of the market nobody sees.
FACTOR = "FACTOR"
CELL_NS = 10 * NS_PER_MS
LAG_NS_MAX = 2 * NS_PER_S
# A copied move of this size does not wait for the own tape.
_QUOTED_AT_ONCE_RATIO = 0.2e-4
# Whatever is under way this long before the end of an hour arrives now.
_LAST_CALL_NS = 250 * NS_PER_MS
_LAG_LOG_SD_MAX = 3.0


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A copy of another market's path.

    Parameters
    ----------
    source
        Symbol of a market of the same world, or `FACTOR`.
    share
        Part of the source's log return that arrives.
    lag_median_ms, lag_log_sd
        How long it takes; the wait for the next quote update comes on top.
    """

    source: str
    share: float
    lag_median_ms: float
    lag_log_sd: float = 0.8

    def __post_init__(self) -> None:
        name = f"link to {self.source or 'nothing'}"
        if not self.source:
            raise InputError(f"{name}: expected the symbol of a market of the world, or '{FACTOR}'")
        if not 0.0 < abs(self.share) <= 2.0:
            raise InputError(f"{name}: share was {self.share}, expected within -2..2 and not 0")
        if not (0.0 <= self.lag_median_ms * NS_PER_MS <= LAG_NS_MAX and 0.0 <= self.lag_log_sd <= _LAG_LOG_SD_MAX):
            raise InputError(
                f"{name}: lag_median_ms and lag_log_sd were {self.lag_median_ms} and {self.lag_log_sd}, expected "
                f"0..{LAG_NS_MAX // NS_PER_MS} and 0..{_LAG_LOG_SD_MAX:g}"
            )


class Source(msgspec.Struct, frozen=True):
    """What a link copies in one hour: the base tape, and how far (in logs) the market had come since hour 0."""

    link: Link
    tape: NDArray[Any]
    log_path: float


def hung_together(
    own: NDArray[Any],
    sources: Sequence[Source],
    *,
    own_share: float,
    own_log_path: float,
    opening: int,
    start_ns: int,
    stamp_ns: int,
    instrument: Instrument,
    key: np.uint64,
) -> NDArray[Any]:
    """Return the hour `own`, which starts at `start_ns`, with prices that follow those of `sources`, in venue order as before.

    `opening` is the bid in ticks that hour 0 opened at; `stamp_ns` what stamps are multiples of; `key` keys the lags.
    """
    arriving = [_arrivals(item, start_ns, child_key(key, number)) for number, item in enumerate(sources)]
    due_ns, steps = (np.concatenate(parts) for parts in zip(*arriving, strict=True))
    order = np.argsort(due_ns, kind="stable")
    log_path = own_share * own_log_path + sum(item.link.share * item.log_path for item in sources)
    grid = Grid.of(instrument.tick_size)
    events, offset_ticks = records(EVENT, len(own) + len(due_ns)), np.zeros(len(own) + len(due_ns), np.int64)
    count = _follow(
        as_records(own),
        due_ns[order],
        steps[order],
        own_share,
        opening * math.exp(log_path),
        stamp_ns,
        grid.denominator / grid.numerator,
        events,
        offset_ticks,
    )
    events, offset_ticks = events[:count], offset_ticks[:count]
    shift_prices(events, offset_ticks, grid.numerator, grid.denominator)
    return events


def _arrivals(item: Source, start_ns: int, key: np.uint64) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    link, cells = item.link, NS_PER_HOUR // CELL_NS
    due_ns, steps = np.zeros(cells, np.int64), np.zeros(cells)
    with np.errstate(over="ignore"):
        count = _travel(as_records(item.tape), start_ns, key, link.share, link.lag_median_ms, link.lag_log_sd, due_ns, steps)
    return due_ns[:count], steps[:count]


@kernel
def _travel(
    tape: NDArray[Any],
    start_ns: int,
    key: np.uint64,
    share: float,
    lag_median_ms: float,
    lag_log_sd: float,
    due_ns: NDArray[np.int64],
    steps: NDArray[np.float64],
) -> int:
    # Write the netted move of each cell that has one, and when it arrives; return how many there are.
    count = 0
    last_call_ns = start_ns + NS_PER_HOUR - _LAST_CALL_NS
    cell, known, mid = -1, -1.0, -1.0
    for i in range(len(tape) + 1):
        ends = i == len(tape)
        if not ends and tape[i].kind != KIND_BBO:
            continue
        now = -1 if ends else (tape[i].ts_event - start_ns) // CELL_NS
        if now != cell and cell >= 0 and mid != known:
            left_ns = start_ns + (cell + 1) * CELL_NS
            lag_ns = lag_median_ms * math.exp(lag_log_sd * normal_at(key, np.uint64(left_ns // CELL_NS))) * NS_PER_MS
            due_ns[count] = max(min(left_ns + int(min(lag_ns, float(LAG_NS_MAX))), last_call_ns), min(left_ns, last_call_ns))
            steps[count] = share * math.log(mid / known)
            known = mid
            count += 1
        if not ends:
            cell = now
            mid = tape[i].bid_price + tape[i].ask_price
            if known < 0.0:
                known = mid
    return count


@kernel
def _follow(
    own: NDArray[Any],
    due_ns: NDArray[np.int64],
    steps: NDArray[np.float64],
    own_share: float,
    level: float,
    stamp_ns: int,
    scale: float,
    out: NDArray[Any],
    offset_ticks: NDArray[np.int64],
) -> int:
    # `level` is the price in ticks the hour opens at. An offset holds until an own move or an arrival calls for another.
    arrived, log_copied, offset, count, quotes = 0, 0.0, 0, 0, 0
    opening, mid, last = -1.0, -1.0, -1
    for i in range(len(own)):
        stale = False
        while arrived < len(due_ns) and due_ns[arrived] <= own[i].ts_event:
            log_copied += steps[arrived]
            stale = True
            wanted = _offset(level, own_share, mid, opening, log_copied) if last >= 0 else offset
            if due_ns[arrived] < own[i].ts_event and abs(wanted - offset) > _QUOTED_AT_ONCE_RATIO * level:
                offset = wanted
                _quote_again(own, i, out, last, count, due_ns[arrived] // stamp_ns * stamp_ns, quotes)
                last = count
                offset_ticks[count] = offset
                count += 1
                quotes += 1
            arrived += 1
        out[count] = own[i]
        if own[i].kind == KIND_BBO:
            before = mid
            mid = math.floor((own[i].bid_price + own[i].ask_price) * scale + 0.5)
            if opening < 0.0:
                opening = mid
            if stale or mid != before:
                offset = _offset(level, own_share, mid, opening, log_copied)
            out[count].seq = quotes
            quotes += 1
            last = count
        offset_ticks[count] = offset
        count += 1
    return count


@kernel
def _offset(level: float, own_share: float, mid: float, opening: float, log_copied: float) -> int:
    # `mid` and `opening` are bid + ask, in ticks.
    return math.floor(level * math.exp(own_share * math.log(mid / opening) + log_copied) - 0.5 * mid + 0.5)


@kernel
def _quote_again(own: NDArray[Any], i: int, out: NDArray[Any], last: int, at: int, instant_ns: int, seq: int) -> None:
    # The touch as it stood, at `instant_ns`; it is received between the quotes before and after it.
    out[at] = out[last]
    row = out[at]
    row.ts_recv = max(out[last].ts_recv + 1, instant_ns + out[last].ts_recv - out[last].ts_event)
    while i < len(own) and own[i].kind != KIND_BBO:
        i += 1
    if i < len(own):
        row.ts_recv = min(row.ts_recv, own[i].ts_recv - 1)
    row.ts_event = instant_ns
    row.seq = seq
