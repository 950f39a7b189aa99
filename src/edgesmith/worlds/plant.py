"""The shift layer: plants edges of exactly known size on a finished tape, simulated or real, without an artificial message.

A plant looks at an observable that no shift of prices can change (an imbalance, a flow of trades, the spread) at regular decision
instants of the receive clock. Where it lies in the plant's region, `shift_bps` are scheduled with some probability, to be posted
by natural updates after a delay, over a window. Whatever the draws of a tape sum to is taken back by as many opposite shifts
at uniformly random instants, so the offset is zero at both ends, the unconditional drift is exactly zero, and each piece
of a world stands alone.

Sizes, spreads, times and the number of messages are untouched, unless a plant says that the book changes while it fires. The
expected offset, given the tape, is computed beside the drawn one: that is the truth, with overlaps between shifts and late
postings in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import as_records
from edgesmith.domain.units import BPS, NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.worlds.bridge import Grid
from edgesmith.worlds.calendars import Calendar
from edgesmith.worlds.random import child_key, uniforms_at
from edgesmith.worlds.regions import SETTLE_NS, Region, decisions, is_shift_invariant, signs_at, values_at
from edgesmith.worlds.shifts import dress_quotes, post_shifts, shift_prices

_LABEL_DRAW, _LABEL_TAKE_BACK, _LABEL_DIRECTION = 1, 2, 3


class Plant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edge to plant: where, which way, how much, how often.

    Every `every_ms` on the receive clock, inside the region (with `onset`: when it is entered), `shift_bps` towards `side` (the
    other way in the mirror image; 0: either way with equal odds) are scheduled with `probability_ratio` times the strength of
    the `calendar`. They fall due from `delay_ms` after the decision, evenly over `window_ms`, and wait at most `patience_ms` more
    for an update that changes the mid price anyway.

    Parameters
    ----------
    balanced
        Thin out the decisions so that each sign of the first feature meets each sign of the region equally often: with a region
        whose sign is a product, no feature says anything alone.
    by_leader
        The region is one of the leader's tape.
    widen_bps, touch_qty_max
        While in the region, quotes are this much wider in all, around the same mid price (trades follow), and sizes at the touch
        are cut to this.
    """

    region: Region
    side: int
    shift_bps: float
    probability_ratio: float
    every_ms: int = 1_000
    delay_ms: int = 100
    window_ms: int = 5_000
    patience_ms: int = 20_000
    onset: bool = False
    balanced: bool = False
    by_leader: bool = False
    calendar: Calendar = Calendar()
    widen_bps: float = 0.0
    touch_qty_max: float = 0.0

    def __post_init__(self) -> None:
        name = f"plant on {self.region.feature}"
        if self.side not in (1, 0, -1):
            raise InputError(f"{name}: side was {self.side}, expected 1, -1 or 0")
        if not 0.0 <= self.probability_ratio <= 1.0:
            raise InputError(f"{name}: probability_ratio was {self.probability_ratio}, expected 0..1")
        if not 0.0 < self.shift_bps <= 1_000.0:
            raise InputError(f"{name}: shift_bps was {self.shift_bps}, expected above 0 and at most 1000")
        if min(self.every_ms, self.window_ms) < 1 or min(self.delay_ms, self.patience_ms) < 0:
            raise InputError(
                f"{name}: every_ms, window_ms, delay_ms, patience_ms were {self.every_ms}, {self.window_ms}, {self.delay_ms}, "
                f"{self.patience_ms}; expected the first two >= 1, the others >= 0"
            )
        if min(self.widen_bps, self.touch_qty_max) < 0.0:
            raise InputError(f"{name}: widen_bps and touch_qty_max were {self.widen_bps} and {self.touch_qty_max}, expected >= 0")
        if not self.by_leader and not all(map(is_shift_invariant, self.region.specs)):
            raise InputError(
                f"{name}: its value changes when prices are shifted, so its truth would not be known; "
                "expected a feature of sizes, sides and counts, or the spread"
            )

    @property
    def posted_within_ns(self) -> int:
        """Return the time from a decision to the end of its posting."""
        return (self.delay_ms + self.window_ms + self.patience_ms) * NS_PER_MS


@dataclass(frozen=True)
class PlantedTape:
    """A tape with its plants, and what was added to it.

    Attributes
    ----------
    events : EVENT array
        The tape with shifted prices.
    offset_ticks, expected_ticks : arrays of shape (n,)
        The offset of each event, and its expectation over the plants' draws given the base tape.
    scheduled, taken_back, late, late_ticks : int
        Shifts drawn; shifts that take back; drawn or taking back with a remainder posted after their window; its ticks.
    """

    events: NDArray[Any]
    offset_ticks: NDArray[np.int64]
    expected_ticks: NDArray[np.float64]
    scheduled: int
    taken_back: int
    late: int
    late_ticks: int


def plant_edges(
    events: NDArray[Any],
    plants: Sequence[Plant],
    *,
    instrument: Instrument,
    key: np.uint64,
    start_ns: int | None = None,
    leader: NDArray[Any] | None = None,
) -> PlantedTape:
    """Return `events`, one instrument in venue order, with `plants` added to a copy; without plants, as they are.

    `key` keys the draws (`worlds.random.root_key`, or derived from it): the same tape, plants and key give the same bytes.
    Calendars count from `start_ns`, by default the first event; `leader` is the tape that plants by a leader look at.
    """
    shifted = as_records(events.copy() if plants else events)
    offset_ticks, expected_ticks = np.zeros(len(events), np.int64), np.zeros(len(events), np.float64)
    late = np.zeros(2, np.int64)
    scheduled = taken_back = 0
    tick = Grid.of(instrument.tick_size)
    origin_ns = int(events["ts_event"][0]) if start_ns is None and len(events) else start_ns or 0
    for number, item in enumerate(plants):
        watched = _watched(item, leader)
        instants_ns, signs = decisions(
            events, item.region, item.every_ms * NS_PER_MS, item.posted_within_ns, onset=item.onset, watched=watched
        )
        if not len(instants_ns):
            continue
        chances = _chances(item, instants_ns, signs, origin_ns, events if watched is None else watched)
        drawn, back = _draws(child_key(key, number), instants_ns, chances, item)
        expected = chances if item.side else np.zeros(len(chances))
        post_shifts(
            as_records(events),
            instants_ns + item.delay_ms * NS_PER_MS,
            drawn - back,
            expected - expected.mean(),
            _ticks(item.shift_bps, "shift_bps", events, item, instrument),
            item.window_ms * NS_PER_MS,
            item.patience_ms * NS_PER_MS,
            offset_ticks,
            expected_ticks,
            late,
        )
        scheduled += int(np.abs(drawn).sum())
        taken_back += int(np.abs(back).sum())
    if scheduled:
        shift_prices(shifted, offset_ticks, tick.numerator, tick.denominator)
    for item in plants:
        _dress(shifted, events, item, instrument, _watched(item, leader))
    return PlantedTape(shifted, offset_ticks, expected_ticks, scheduled, taken_back, int(late[0]), int(late[1]))


def _watched(item: Plant, leader: NDArray[Any] | None) -> NDArray[Any] | None:
    if not item.by_leader:
        return None
    if leader is None:
        raise InputError(f"plant on {item.region.feature} looks at a leader, expected the leader's tape beside the events")
    return leader


def _chances(
    item: Plant, instants_ns: NDArray[np.int64], signs: NDArray[np.int64], start_ns: int, watched: NDArray[Any]
) -> NDArray[np.float64]:
    # The probability of a shift at each instant, signed by its direction; for plants of side 0 the sign has no meaning.
    chances = item.probability_ratio * signs * (item.side or 1) * item.calendar.strengths(instants_ns, start_ns)
    if item.balanced:
        first = item.region.signs(values_at(watched, item.region.spec, instants_ns))
        groups = [(signs == sign) & (first == own) for sign in (1, -1) for own in (1, -1)]
        fewest = min(int(group.sum()) for group in groups)
        for group in groups:
            chances[group] *= fewest / max(int(group.sum()), 1)
    return chances


def _draws(
    key: np.uint64, instants_ns: NDArray[np.int64], chances: NDArray[np.float64], item: Plant
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Signed multiples of the shift drawn at each instant, and those that take back their sum at random instants.
    counters = instants_ns // (item.every_ms * NS_PER_MS)
    happens = uniforms_at(child_key(key, _LABEL_DRAW), counters) < np.abs(chances)
    directions = np.sign(chances).astype(np.int64)
    if item.side == 0:
        directions = np.where(uniforms_at(child_key(key, _LABEL_DIRECTION), counters) < 0.5, 1, -1)
    drawn = np.where(happens, directions, 0)
    surplus = int(drawn.sum())
    back_key = child_key(key, _LABEL_TAKE_BACK, int(instants_ns[0]) // NS_PER_S)
    where = uniforms_at(back_key, np.arange(abs(surplus))) * len(instants_ns)
    back = np.bincount(where.astype(np.int64), minlength=len(instants_ns))
    return drawn, back * (1 if surplus > 0 else -1)


def _dress(
    shifted: NDArray[Any], events: NDArray[Any], item: Plant, instrument: Instrument, watched: NDArray[Any] | None
) -> None:
    at_quote = np.flatnonzero(events["kind"] == KIND_BBO)
    if not (item.widen_bps or item.touch_qty_max) or not len(at_quote):
        return
    received = events["ts_recv"][at_quote]
    fires = np.zeros(len(events), bool)
    fires[at_quote] = signs_at(events if watched is None else watched, item.region, received) != 0
    fires[at_quote[received < received[0] + SETTLE_NS]] = False
    half_ticks = _ticks(item.widen_bps / 2.0, "widen_bps / 2", events, item, instrument) if item.widen_bps else 0
    tick = Grid.of(instrument.tick_size)
    qty_max = item.touch_qty_max or math.inf
    dress_quotes(shifted, fires, half_ticks, qty_max, tick.numerator, tick.denominator)


def _ticks(size_bps: float, name: str, events: NDArray[Any], item: Plant, instrument: Instrument) -> int:
    first = int(np.argmax(events["kind"] == KIND_BBO))
    ticks = round(size_bps * BPS * float(events["bid_price"][first]) / instrument.tick)
    if ticks < 1:
        raise InputError(
            f"plant on {item.region.feature}: {name} was {size_bps}, expected at least one tick of {instrument.name}"
        )
    return ticks
