"""Import raw Binance socket captures: each line is our receive time in nanoseconds, a space, and the frame's JSON.

A block of lines is first routed by how it begins, and every kind decoded in one go; only what that does not fit (other
wrappers, other symbols, anything wrong) is looked at line by line. Both ways give the same rows and the same counts. Depth
frames are recognized and counted but not parsed: nothing of them is stored.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import date_of_ns
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.lake.importers.intake import Intake
from edgesmith.lake.importers.series import Series
from edgesmith.lake.importers.sources import LineSource
from edgesmith.lake.importers.timestamps import is_plausible_ns
from edgesmith.lake.schema import ClockRecord
from edgesmith.venues.binance.decode import DECODERS, FrameFormat, FrameKind, MarketDecoder, wrapper_head
from edgesmith.venues.registry import venue_name

# 19 digits of nanoseconds (until 2286) and the space before the JSON.
_CLOCK_DIGITS = 19

_CLOCKS = msgspec.json.Decoder(list[int])
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError)


class CaptureImporter:
    """Reads captures of one symbol of one market."""

    def __init__(self, market: str | None, symbol: str | None) -> None:
        if market is None or symbol is None:
            raise InputError("a capture does not say its market and symbol; give both, such as --market usdm --symbol BTCUSDT")
        self._venue = venue_name("binance", market)
        if market not in DECODERS:
            raise UnknownNameError("market", market, DECODERS)
        self._decoders = DECODERS[market]
        self._symbol = symbol.upper()
        heads = {kind: b" " + wrapper_head(kind, self._symbol) for kind in FrameKind}
        self._quote_head = heads[FrameKind.BOOK_TICKER]
        self._trade_head = heads[FrameKind.TRADE]
        self._depth_head = heads[FrameKind.DEPTH]
        self._aggregate_head = heads[FrameKind.AGG_TRADE]
        self._others: Counter[str] = Counter()

    def period_ns(self, path: Path) -> None:
        """Return None: the name of a capture says nothing."""

    def read(self, source: LineSource, intake: Intake) -> None:
        """Give every line of `source` to `intake`."""
        self._others = Counter()
        for block in source:
            lines = block.split(b"\n")
            lines.pop()
            intake.lines += len(lines)
            self._take(lines, intake)
        if source.truncated:
            intake.tear(source.torn_line)
        if self._others:
            found = ", ".join(f"{symbol} ({count})" for symbol, count in self._others.most_common(5))
            intake.say(f"frames of other symbols than {self._symbol} were left: {found}")

    def _take(self, lines: list[bytes], intake: Intake) -> None:
        quotes, trades, aggregates, depth_count, rest = self._route(lines)
        slow = self._one_by_one(rest)
        fast = self._fast(lines, quotes, trades, aggregates)
        if fast is None or slow.groups.keys() & {group.kind for group in fast}:
            # Frames of one kind must stay in file order, so the whole block is read one by one.
            depth_count, fast, slow = 0, [], self._one_by_one(lines)
        intake.set_aside("depth_not_stored", depth_count)
        self._count(slow, intake)
        for group in (*fast, *slow.groups.values()):
            self._give(group, intake)

    def _route(self, lines: list[bytes]) -> tuple[list[bytes], list[bytes], list[bytes], int, list[bytes]]:
        quotes: list[bytes] = []
        trades: list[bytes] = []
        aggregates: list[bytes] = []
        rest: list[bytes] = []
        depth_count = 0
        quote_head, trade_head, depth_head, aggregate_head = (
            self._quote_head,
            self._trade_head,
            self._depth_head,
            self._aggregate_head,
        )
        for line in lines:
            if not line.endswith(b"}}"):
                rest.append(line)
            elif line.startswith(quote_head, _CLOCK_DIGITS):
                quotes.append(line)
            elif line.startswith(trade_head, _CLOCK_DIGITS):
                trades.append(line)
            elif line.startswith(depth_head, _CLOCK_DIGITS) and line[:_CLOCK_DIGITS].isdigit():
                depth_count += 1
            elif line.startswith(aggregate_head, _CLOCK_DIGITS):
                aggregates.append(line)
            else:
                rest.append(line)
        return quotes, trades, aggregates, depth_count, rest

    def _fast(self, lines: list[bytes], quotes: list[bytes], trades: list[bytes], aggregates: list[bytes]) -> list[_Group] | None:
        first, last = (self._decoders.on(date_of_ns(_clock(line) or 0)) for line in (lines[0], lines[-1]))
        if first is not last:
            return None
        groups = []
        for kind, routed, head in (
            (FrameKind.BOOK_TICKER, quotes, self._quote_head),
            (FrameKind.TRADE, trades, self._trade_head),
            (FrameKind.AGG_TRADE, aggregates, self._aggregate_head),
        ):
            if not routed:
                continue
            group = self._at_once(first, kind, routed, head)
            if group is None:
                return None
            groups.append(group)
        return groups

    def _at_once(self, decoder: MarketDecoder, kind: FrameKind, lines: list[bytes], head: bytes) -> _Group | None:
        form = decoder.formats[kind]
        start = _CLOCK_DIGITS + len(head)
        decode = form.decoder.decode
        try:
            frames = [decode(line[start:-1]) for line in lines]
            clocks = _CLOCKS.decode(b"[" + b",".join([line[:_CLOCK_DIGITS] for line in lines]) + b"]")
        except _NOT_JSON:
            return None
        if [frame.symbol for frame in frames].count(self._symbol) != len(frames):
            return None
        return _Group(kind, form, lines, frames, clocks)

    def _one_by_one(self, lines: list[bytes]) -> _Sorted:
        found = _Sorted()
        for line in lines:
            text = line.strip()
            clock = _clock(text)
            if not text:
                found.aside["blank_line"] += 1
            elif clock is None:
                found.wrong.append(("no_timestamp", line))
            elif not is_plausible_ns(clock):
                found.wrong.append(("unit_unclear", line))
            else:
                self._sort(self._decoders.on(date_of_ns(clock)), clock, text, line, found)
        return found

    def _sort(self, decoder: MarketDecoder, clock: int, text: bytes, line: bytes, found: _Sorted) -> None:
        try:
            kind, frame = decoder.decode(text.partition(b" ")[2])
        except msgspec.ValidationError:
            found.wrong.append(("invalid_frame", line))
        except _NOT_JSON:
            found.wrong.append(("corrupt_json", line))
        else:
            if kind is FrameKind.UNKNOWN:
                found.wrong.append(("unknown_stream", line))
            elif frame is None:
                found.aside["depth_not_stored" if kind is FrameKind.DEPTH else "control_frame"] += 1
            elif frame.symbol != self._symbol:
                found.others[frame.symbol] += 1
            else:
                found.group(kind, decoder.formats[kind]).append(line, frame, clock)

    def _count(self, found: _Sorted, intake: Intake) -> None:
        for reason, line in found.wrong:
            intake.reject(reason, line)
        for reason, count in found.aside.items():
            intake.set_aside(reason, count)
        intake.set_aside("other_symbol", found.others.total())
        self._others += found.others

    def _give(self, group: _Group, intake: Intake) -> None:
        columns = group.form.columns(group.frames)
        columns["ts_recv"] = _instants(group.clocks)
        if not group.form.has_venue_time:
            columns["ts_event"] = columns["ts_recv"]
        intake.add(self._series(group), columns, group.lines.__getitem__)

    def _series(self, group: _Group) -> Series:
        clock = ClockRecord("venue" if group.form.has_venue_time else "receive", "local")
        return Series(self._venue, self._symbol, group.kind.value, group.form.streams, clock, required=group.form.required)


class _Group:
    # Frames of one kind in file order.
    def __init__(
        self,
        kind: FrameKind,
        form: FrameFormat,
        lines: list[bytes] | None = None,
        frames: list[Any] | None = None,
        clocks: list[int] | None = None,
    ) -> None:
        self.kind = kind
        self.form = form
        self.lines = [] if lines is None else lines
        self.frames = [] if frames is None else frames
        self.clocks = [] if clocks is None else clocks

    def append(self, line: bytes, frame: Any, clock: int) -> None:
        self.lines.append(line)
        self.frames.append(frame)
        self.clocks.append(clock)


class _Sorted:
    # What looking at lines one by one found; counted only once it is known that it stands.
    def __init__(self) -> None:
        self.groups: dict[FrameKind, _Group] = {}
        self.wrong: list[tuple[str, bytes]] = []
        self.aside: Counter[str] = Counter()
        self.others: Counter[str] = Counter()

    def group(self, kind: FrameKind, form: FrameFormat) -> _Group:
        return self.groups.setdefault(kind, _Group(kind, form))


def _clock(text: bytes) -> int | None:
    digits = text.partition(b" ")[0]
    return int(digits) if digits.isdigit() and len(digits) <= _CLOCK_DIGITS else None


def _instants(clocks: list[int]) -> NDArray[np.int64]:
    # 19 digits can exceed int64; such a clock is in no plausible year and 0 is refused like it.
    try:
        return np.fromiter(clocks, np.int64, len(clocks))
    except OverflowError:
        return np.fromiter([clock if clock < 2**63 else 0 for clock in clocks], np.int64, len(clocks))
