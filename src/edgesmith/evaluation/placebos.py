"""Placebos of a coded panel: its prices and its codes put together so that one cannot know the other.

Nothing is read again and no label keeps its row: codes are moved in time, or the price path is turned over. What a method finds
in a placebo was never there, so it may be looked at as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.evaluation.coded import CodedDay, CodedPanel
from edgesmith.evaluation.decisions import GridDay
from edgesmith.worlds.random import child_key, root_key, uniforms_at

OTHER_DAYS, SHIFTED, REFLECTED = "other days", "shifted trigger", "reflected prices"
# The shortest block of any test, so that a test's block holds whole pieces of the path.
PIECE_NS = NS_PER_MINUTE
# A random shift is at least this part of the span away from where the codes belong.
SHIFT_SHARE_MIN = 0.125
DAYS_KEPT = 4
TRIES_PER_PLACEBO = 50
EPOCH = date(1970, 1, 1)


class Placebo(NamedTuple):
    """A panel in which nothing can be found, by what was done to it; `make` builds it, and what it keeps goes with it."""

    kind: str
    words: str
    make: Callable[[], CodedPanel]


class Move(NamedTuple):
    """Grid instants `begin` to `end` take the codes that belong `offset` instants later."""

    begin: int
    end: int
    offset: int


def on_other_days(panel: CodedPanel, days: Sequence[date]) -> CodedPanel:
    """Return the panel whose k-th day has the codes of `days[k]` at the same time of day; what either lacks is missing."""
    if len(days) != len(panel.days):
        raise InputError(f"{len(days)} days were given for a panel of {len(panel.days)}; give one for each")
    steps = NS_PER_DAY // panel.labels.grid_ns
    taken = dict(zip(panel.days, days, strict=True))

    def moves(day: date, grid: GridDay) -> list[Move]:
        offset = (taken[day].toordinal() - day.toordinal()) * steps
        return [Move(grid.first_index, grid.first_index + grid.rows, offset)]

    return _moved(panel, moves)


def shifted(panel: CodedPanel, shift_ns: int) -> CodedPanel:
    """Return the panel whose codes come `shift_ns` later; those that leave the span come in at its beginning."""
    step_ns = panel.labels.grid_ns
    first = -(-panel.first_ns // step_ns)
    count = panel.last_ns // step_ns - first + 1
    shift = shift_ns // step_ns % count

    def moves(_: date, grid: GridDay) -> list[Move]:
        begin, end = max(grid.first_index, first), min(grid.first_index + grid.rows, first + count)
        middle = min(max(begin, first + shift), end)
        return [Move(begin, middle, count - shift), Move(middle, end, -shift)]

    return _moved(panel, moves)


def reflected(panel: CodedPanel, seed: int, piece_ns: int = PIECE_NS) -> CodedPanel:
    """Return the panel whose price path is turned upside down in a random half of its pieces; codes and spreads stay.

    The path stays continuous, and after whatever the codes show the mean move is 0.
    """
    key = child_key(root_key(seed, 0), 1)
    latencies = sorted(set(panel.labels.latencies_ns))

    def open_day(day: date) -> CodedDay:
        own = panel.open_day(day)
        at_ns = (own.grid.first_index + np.arange(own.grid.mids.shape[1])) * panel.labels.grid_ns
        mids = np.empty_like(own.grid.mids)
        for place, latency_ns in enumerate(latencies):
            piece = (at_ns + latency_ns) // piece_ns
            mids[place] = _turned(own.grid.mids[place], piece, key)
        return own._replace(grid=own.grid._replace(mids=mids))

    return replace(panel, open_day=lru_cache(maxsize=DAYS_KEPT)(open_day))


def draw_placebos(panel: CodedPanel, count: int, seed: int) -> list[Placebo]:
    """Return up to `count` placebos of each kind; without a second day there are none of other days."""
    orders = _orders(panel.days, count, seed)
    found = [Placebo(OTHER_DAYS, _words(panel.days, order), partial(on_other_days, panel, order)) for order in orders]
    for shift_ns in shifts_of(panel, count, seed):
        found.append(Placebo(SHIFTED, f"{shift_ns / NS_PER_S:+,.0f} s", partial(shifted, panel, shift_ns)))
    found += [Placebo(REFLECTED, f"signs of seed {one}", partial(reflected, panel, one)) for one in range(seed, seed + count)]
    return found


def shifts_of(panel: CodedPanel, count: int, seed: int) -> list[int]:
    """Return `count` shifts: a day forward and back where the span allows it, then parts of the span."""
    span_ns = panel.last_ns - panel.first_ns
    whole = [NS_PER_DAY, -NS_PER_DAY] if span_ns >= 2 * NS_PER_DAY else []
    draw = np.random.Generator(np.random.PCG64([seed, 1]))
    shares = draw.uniform(SHIFT_SHARE_MIN, 1.0 - SHIFT_SHARE_MIN, max(0, count - len(whole)))
    return [*whole, *(int(share * span_ns) // NS_PER_S * NS_PER_S for share in shares)][:count]


def _orders(days: Sequence[date], count: int, seed: int) -> list[tuple[date, ...]]:
    # Orders of the days in which none stands at its own place.
    draw = np.random.Generator(np.random.PCG64([seed, 2]))
    found: dict[tuple[date, ...], None] = {}
    for _ in range(TRIES_PER_PLACEBO * count if len(days) > 1 else 0):
        order = tuple(days[place] for place in draw.permutation(len(days)))
        if all(one != other for one, other in zip(order, days, strict=True)):
            found[order] = None
        if len(found) == count:
            break
    return list(found)


def _words(days: Sequence[date], taken: Sequence[date]) -> str:
    apart = [f"{(other - one).days:+d}" for one, other in zip(days, taken, strict=True)]
    return f"{', '.join(apart[:4])}{', ...' if len(apart) > 4 else ''} days"


def _moved(panel: CodedPanel, moves: Callable[[date, GridDay], list[Move]]) -> CodedPanel:
    def open_day(day: date) -> CodedDay:
        own = panel.open_day(day)
        codes = np.zeros_like(own.codes)
        known = np.zeros(own.grid.rows, np.bool_)
        for move in moves(day, own.grid):
            _copy(panel, move, own.grid.first_index, codes, known)
        segment_last = own.grid.segment_last.copy()
        segment_last[: own.grid.rows][~known] = -1
        return CodedDay(own.grid._replace(segment_last=segment_last), codes)

    return replace(panel, open_day=lru_cache(maxsize=DAYS_KEPT)(open_day))


def _copy(panel: CodedPanel, move: Move, first_index: int, codes: NDArray[np.uint8], known: NDArray[np.bool_]) -> None:
    steps = NS_PER_DAY // panel.labels.grid_ns
    low, high = move.begin + move.offset, move.end + move.offset
    for number in range(low // steps, (high - 1) // steps + 1):
        day = date.fromordinal(EPOCH.toordinal() + number)
        if day not in panel.days:
            continue
        source = panel.open_day(day)
        begin, end = max(low, source.grid.first_index), min(high, source.grid.first_index + source.grid.rows)
        if begin < end:
            of = slice(begin - source.grid.first_index, end - source.grid.first_index)
            to = slice(begin - move.offset - first_index, end - move.offset - first_index)
            codes[:, to] = source.codes[:, of]
            known[to] = source.grid.segment_last[of] >= 0


def _turned(mids: NDArray[np.float64], piece: NDArray[np.int64], key: np.uint64) -> NDArray[np.float64]:
    # Each piece moves by as much of its first price as it did, up or down, from where the piece before ended.
    out = np.full_like(mids, np.nan)
    there = np.flatnonzero(np.isfinite(mids))
    if not len(there):
        return out
    path, starts = mids[there], np.flatnonzero(np.diff(piece[there], prepend=piece[there[0]] - 1))
    signs = np.where(uniforms_at(key, piece[there[starts]]) < 0.5, 1.0, -1.0)
    base, ends = path[np.maximum(starts - 1, 0)], path[np.append(starts[1:], len(path)) - 1]
    new_base = path[0] * np.cumprod(np.append(1.0, 1.0 + signs * (ends / base - 1.0)))[:-1]
    of = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(path))))
    out[there] = new_base[of] * (1.0 + signs[of] * (path / base[of] - 1.0))
    return out
