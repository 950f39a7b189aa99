"""Read blocks of comma-separated lines into typed columns, and tell the lines that do not fit.

A block is parsed in one go. Only when that fails are its lines looked at one by one, and the sound ones parsed again.
"""

from __future__ import annotations

import re

import polars as pl

_INTEGER = re.compile(rb"-?\d{1,19}")
_DECIMAL = re.compile(rb"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|")

Layout = dict[str, type[pl.DataType]]


class CsvBlock:
    """The sound rows of a block as a frame, the text of each, and the lines that are not rows of `layout`.

    Parameters
    ----------
    block
        Whole lines, each ended by a newline, without header.
    layout
        Column names and types: `pl.Int64`, `pl.Float64` or `pl.String`. An empty Float64 field is null, other fields may not
        be empty.
    """

    def __init__(self, block: bytes, layout: Layout) -> None:
        self._block = block.replace(b"\r\n", b"\n") if b"\r" in block else block
        self._lines: list[bytes] | None = None
        self.wrong: list[bytes] = []
        self.blank = 0
        frame = _parsed(self._block, layout)
        if frame is None:
            frame = self._sifted(layout)
        self.frame = frame

    def raw(self, row: int) -> bytes:
        """Return the text of a row of `frame`."""
        if self._lines is None:
            self._lines = self._block.split(b"\n")
        return self._lines[row]

    def _sifted(self, layout: Layout) -> pl.DataFrame:
        patterns = [_INTEGER if dtype == pl.Int64 else _DECIMAL if dtype == pl.Float64 else None for dtype in layout.values()]
        sound = []
        for line in self._block.split(b"\n")[:-1]:
            fields = line.split(b",")
            if not line.strip():
                self.blank += 1
            elif len(fields) == len(layout) and all(map(_fits, fields, patterns)):
                sound.append(line)
            else:
                self.wrong.append(line)
        self._lines = sound
        columns = list(zip(*(line.split(b",") for line in sound), strict=True)) or [()] * len(layout)
        return pl.DataFrame(
            {
                name: pl.Series(name, [_value(field, dtype) for field in column], dtype=dtype)
                for (name, dtype), column in zip(layout.items(), columns, strict=True)
            }
        )


def _parsed(block: bytes, layout: Layout) -> pl.DataFrame | None:
    try:
        frame = pl.read_csv(block, has_header=False, schema=layout, quote_char=None, raise_if_empty=False)
    except (pl.exceptions.PolarsError, OverflowError):
        return None
    gaps = sum(frame[name].null_count() for name, dtype in layout.items() if dtype != pl.Float64)
    if gaps or frame.height != block.count(b"\n") or _is_short(frame, block, layout):
        return None
    return frame


def _is_short(frame: pl.DataFrame, block: bytes, layout: Layout) -> bool:
    # A line with too few fields parses with nulls at its end, like a line with empty ones; counting commas tells them apart.
    has_gaps = any(frame[name].null_count() for name, dtype in layout.items() if dtype == pl.Float64)
    return has_gaps and block.count(b",") != frame.height * (len(layout) - 1)


def _fits(field: bytes, pattern: re.Pattern[bytes] | None) -> bool:
    if pattern is not None:
        return pattern.fullmatch(field) is not None and (pattern is not _INTEGER or abs(int(field)) < 2**63)
    try:
        return bool(field.decode())
    except UnicodeDecodeError:
        return False


def _value(field: bytes, dtype: type[pl.DataType]) -> int | float | str | None:
    if dtype == pl.Int64:
        return int(field)
    if dtype == pl.Float64:
        return float(field) if field else None
    return field.decode()
