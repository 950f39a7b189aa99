"""What a feed does to a tape on its way to the recorder: bursts, skew, gaps, reconnects, duplicates, crossed snapshots, lateness.

A feed is a layer over a finished tape. Everything it does is a function of its key and of the instant, in cells of time, so
hours can be made alone, and it reports what it did.

A lake refuses part of it, as an import does: crossed quotes, and rows it already holds. So there are two results: `events`, what
a lake may hold, with changed receive stamps and with gaps; and `raw`, the rows in order of arrival as a recorder would see them,
for those who test the border. What is in `raw` only is counted all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO, KIND_TRADE
from edgesmith.domain.records import as_records, joined, taken
from edgesmith.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.worlds.random import child_key, uniforms_at

_LABEL_BURST, _LABEL_GAP, _LABEL_LATE, _LABEL_SKEW = 1, 2, 3, 4
_BURST_CELL_NS = NS_PER_S
_GAP_CELL_NS = NS_PER_MINUTE
_SKEW_KNOT_NS = 10 * NS_PER_MINUTE


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How bad a feed is.

    Parameters
    ----------
    skew_ms, skew_wander_ms
        Receiving clock against the venue's: constant part, and how far it wanders around it within tens of minutes.
    burst_ratio, burst_ms
        Chance that the stream stalls in a second, and the mean time it stalls for; what was held comes out in order, at once.
    gap_ratio, gap_ms_max
        Chance that the connection breaks in a minute, and the longest time nothing is received; what was sent is lost.
    late_ratio, late_ms_max
        Share of trades that arrive on their own, much later than what was sent after them.
    replayed_rows
        Rows that a new connection sends a second time; before them comes one crossed snapshot, of a bid and an ask that never
        stood together.
    """

    skew_ms: float = 0.0
    skew_wander_ms: float = 0.0
    burst_ratio: float = 0.0
    burst_ms: float = 50.0
    gap_ratio: float = 0.0
    gap_ms_max: float = 10_000.0
    late_ratio: float = 0.0
    late_ms_max: float = 2_000.0
    replayed_rows: int = 0

    def __post_init__(self) -> None:
        for name in ("burst_ratio", "gap_ratio", "late_ratio"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"feed {name} was {getattr(self, name)}, expected 0..1")
        for name in ("skew_wander_ms", "burst_ms", "late_ms_max", "replayed_rows"):
            if not 0 <= getattr(self, name) < 60_000:
                raise InputError(f"feed {name} was {getattr(self, name)}, expected >= 0 and below 60000")
        if not 0.0 < self.gap_ms_max <= 30_000.0:
            raise InputError(f"feed gap_ms_max was {self.gap_ms_max}, expected above 0 and at most 30000")
        if not abs(self.skew_ms) < 60_000.0:
            raise InputError(f"feed skew_ms was {self.skew_ms}, expected within a minute")


FEEDS: dict[str, Feed] = {
    "off": Feed(),
    "mild": Feed(skew_ms=2.0, skew_wander_ms=1.0, burst_ratio=0.01, gap_ratio=0.01, late_ratio=0.0005, replayed_rows=5),
    "hostile": Feed(
        skew_ms=-1_270.0,
        skew_wander_ms=20.0,
        burst_ratio=0.05,
        burst_ms=250.0,
        gap_ratio=0.2,
        late_ratio=0.01,
        replayed_rows=50,
    ),
}


def find_feed(level: str) -> Feed:
    """Return the feed called `level`."""
    if level not in FEEDS:
        raise UnknownNameError("feed", level, FEEDS)
    return FEEDS[level]


class FeedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed did: rows held back by bursts, late trades, rows lost in `gaps` [start, end) on the venue clock.

    `duplicates` and `crossed` were sent by new connections and stop at the border of a lake.
    """

    delayed: int = 0
    late: int = 0
    lost: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: int = 0
    crossed: int = 0

    def __add__(self, other: FeedRecord) -> FeedRecord:
        """Return what was done in two pieces that follow each other."""
        return FeedRecord(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


@dataclass(frozen=True)
class Received:
    """A tape after its feed: `events`, what a lake may hold, in venue order; `resent`, what it refuses; and what was done."""

    events: NDArray[Any]
    resent: NDArray[Any]
    record: FeedRecord

    @property
    def raw(self) -> NDArray[Any]:
        """Return all rows in order of arrival, as a recorder sees them."""
        rows = joined([self.events, self.resent])
        return taken(rows, np.argsort(rows["ts_recv"], kind="stable"))


def receive(tape: NDArray[Any], feed: Feed, key: np.uint64) -> Received:
    """Return `tape`, in venue order with an ideal feed's receive stamps, as it comes through `feed`."""
    if feed == FEEDS["off"] or not len(tape):
        return Received(tape, tape[:0], FeedRecord())
    events = as_records(tape.copy())
    sent_ns = events["ts_event"].copy()
    gaps = _gaps(sent_ns, feed, child_key(key, _LABEL_GAP))
    held_ns = _held_ns(sent_ns, feed, child_key(key, _LABEL_BURST))
    late_ns = _late_ns(events, feed, child_key(key, _LABEL_LATE))
    _stamp_arrival(events, held_ns + _skew_ns(sent_ns, feed, child_key(key, _LABEL_SKEW)))
    events["ts_recv"] += late_ns
    lost = np.zeros(len(events), bool)
    for start_ns, end_ns in gaps:
        lost |= (sent_ns >= start_ns) & (sent_ns < end_ns)
    kept = taken(events, np.flatnonzero(~lost))
    extra = [_after_reconnect(kept, end_ns, feed) for _, end_ns in gaps if feed.replayed_rows]
    duplicates = sum(max(len(part) - 1, 0) for part in extra)
    record = FeedRecord(
        delayed=int((held_ns > 0)[~lost].sum()),
        late=int((late_ns > 0)[~lost].sum()),
        lost=int(lost.sum()),
        gaps=tuple(gaps),
        duplicates=duplicates,
        crossed=sum(len(part) > 0 for part in extra),
    )
    return Received(kept, joined([kept[:0], *extra]), record)


def _cells(sent_ns: NDArray[np.int64], cell_ns: int) -> NDArray[np.int64]:
    return np.arange(int(sent_ns.min()) // cell_ns, int(sent_ns.max()) // cell_ns + 1)


def _gaps(sent_ns: NDArray[np.int64], feed: Feed, key: np.uint64) -> list[tuple[int, int]]:
    # One at most in each minute, and inside it.
    cells = _cells(sent_ns, _GAP_CELL_NS)
    cells = cells[uniforms_at(key, cells) < feed.gap_ratio]
    lengths = (uniforms_at(child_key(key, 1), cells) * feed.gap_ms_max * NS_PER_MS).astype(np.int64) + NS_PER_MS
    starts = cells * _GAP_CELL_NS + (uniforms_at(child_key(key, 2), cells) * (_GAP_CELL_NS - lengths)).astype(np.int64)
    return [(start, start + length) for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)]


def _held_ns(sent_ns: NDArray[np.int64], feed: Feed, key: np.uint64) -> NDArray[np.int64]:
    # A stall ends at one instant: until then everything sent since its start waits.
    cells = _cells(sent_ns, _BURST_CELL_NS)
    stalls = uniforms_at(key, cells) < feed.burst_ratio
    lengths = -np.log(uniforms_at(child_key(key, 1), cells)) * feed.burst_ms * NS_PER_MS
    lengths = np.where(stalls, np.minimum(lengths, _BURST_CELL_NS), 0.0).astype(np.int64)
    starts = cells * _BURST_CELL_NS
    at = sent_ns // _BURST_CELL_NS - cells[0]
    return np.maximum(starts[at] + lengths[at] - sent_ns, 0)


def _late_ns(events: NDArray[Any], feed: Feed, key: np.uint64) -> NDArray[np.int64]:
    out = np.zeros(len(events), np.int64)
    trades = np.flatnonzero(events["kind"] == KIND_TRADE)
    hour_key = child_key(key, int(events["ts_event"][0]) // (60 * _GAP_CELL_NS)) if len(trades) else key
    counters = events["seq"][trades].astype(np.int64)
    late = uniforms_at(hour_key, counters) < feed.late_ratio
    waits = uniforms_at(child_key(hour_key, 1), counters[late]) * feed.late_ms_max * NS_PER_MS
    out[trades[late]] = waits.astype(np.int64) + 50 * NS_PER_MS
    return out


def _stamp_arrival(events: NDArray[Any], added_ns: NDArray[np.int64]) -> None:
    # Within a stream nothing overtakes, and different instants stay different.
    for kind in np.unique(events["kind"]):
        rows = np.flatnonzero(events["kind"] == kind)
        received = events["ts_recv"][rows] + added_ns[rows]
        order = np.arange(len(rows))
        events["ts_recv"][rows] = np.maximum.accumulate(received - order) + order


def _skew_ns(sent_ns: NDArray[np.int64], feed: Feed, key: np.uint64) -> NDArray[np.int64]:
    knots = np.arange(int(sent_ns.min()) // _SKEW_KNOT_NS, int(sent_ns.max()) // _SKEW_KNOT_NS + 2)
    wander = (2.0 * uniforms_at(key, knots) - 1.0) * feed.skew_wander_ms
    first_ns = int(knots[0]) * _SKEW_KNOT_NS
    skew_ms = feed.skew_ms + np.interp(sent_ns - first_ns, (knots - knots[0]) * float(_SKEW_KNOT_NS), wander)
    return np.rint(skew_ms * NS_PER_MS).astype(np.int64)


def _after_reconnect(kept: NDArray[Any], end_ns: int, feed: Feed) -> NDArray[Any]:
    # A crossed snapshot, then the last rows before the gap again, all at the arrival of the first row after it.
    after = int(np.searchsorted(kept["ts_event"], end_ns))
    quotes = np.flatnonzero(kept["kind"][:after] == KIND_BBO)
    if after == len(kept) or not len(quotes):
        return kept[:0]
    replayed = kept[max(0, after - feed.replayed_rows) : after].copy()
    snapshot = kept[quotes[-1:]].copy()
    snapshot["bid_price"], snapshot["ask_price"] = snapshot["ask_price"], snapshot["bid_price"].copy()
    snapshot["ts_event"] = kept["ts_event"][after]
    extra = joined([snapshot, replayed])
    extra["ts_recv"] = kept["ts_recv"][after]
    return extra
