"""Read a file of lines in bounded blocks, whatever wraps it: plain, gzip (also many members), or a zip with one file inside."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from edgesmith.errors import CorruptDataError

# Big enough that per-block costs vanish, small enough that a block and its lines find their memory again: 16 MiB takes a tenth
# more time, and its decoded frames four times the memory.
BLOCK_BYTES = 4 << 20
# A line beyond this is not a line of any format we read.
LINE_BYTES_MAX = 64 << 20

_READ_BYTES = 256 << 10
_GZIP_WINDOW = 31  # the largest window, gzip header expected

Progress = Callable[[int], None]


class LineSource:
    """The lines of one file as blocks that end with a line; `truncated` and `torn_line` are known after the last block.

    Raises CorruptDataError from the iteration when the bytes cannot be what they claim to be. A gzip stream that merely ends
    too early is read as far as it goes.
    """

    def __init__(self, path: Path, progress: Progress | None = None, block_bytes: int = BLOCK_BYTES) -> None:
        self.path = path
        self.truncated = False
        self.torn_line: bytes | None = None
        self._progress = progress
        self._block_bytes = block_bytes

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks of whole lines, each ended by a newline."""
        rest: list[bytes] = []
        rest_bytes = 0
        for piece in self._pieces():
            rest.append(piece)
            rest_bytes += len(piece)
            if rest_bytes < self._block_bytes:
                continue
            block, tail = _whole_lines(rest)
            if len(tail) > LINE_BYTES_MAX:
                raise CorruptDataError(
                    f"{self.path} has no newline in {len(tail)} bytes, expected lines; is it the right format?"
                )
            if block:
                yield block
            rest, rest_bytes = [tail], len(tail)
        block, tail = _whole_lines(rest)
        if block:
            yield block
        if tail and self.truncated:
            self.torn_line = tail
        elif tail:
            yield tail + b"\n"

    def _pieces(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic[:2] == b"\x1f\x8b":
                yield from self._gunzip(file)
            elif magic == b"PK\x03\x04":
                yield from self._unzip(file)
            else:
                yield from self._read(file)

    def _read(self, file: IO[bytes]) -> Iterator[bytes]:
        while chunk := file.read(_READ_BYTES):
            yield chunk
            if self._progress is not None:
                self._progress(file.tell())

    def _gunzip(self, file: IO[bytes]) -> Iterator[bytes]:
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        for chunk in self._read(file):
            data = chunk
            while data:
                if inflater.eof:
                    data = data.lstrip(b"\0")  # padding after a member is allowed
                    inflater = zlib.decompressobj(_GZIP_WINDOW) if data else inflater
                    continue
                try:
                    yield inflater.decompress(data, self._block_bytes)
                except zlib.error as error:
                    raise CorruptDataError(
                        f"{self.path} is damaged ({error}), expected sound gzip; nothing was stored: fetch the file again"
                    ) from None
                data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        self.truncated = not inflater.eof

    def _unzip(self, file: IO[bytes]) -> Iterator[bytes]:
        try:
            with zipfile.ZipFile(file) as archive:
                members = [name for name in archive.namelist() if not name.endswith("/")]
                if len(members) != 1:
                    raise CorruptDataError(f"{self.path} holds {len(members)} files, expected one; unpack it and import them")
                with archive.open(members[0]) as member:
                    while chunk := member.read(_READ_BYTES):
                        yield chunk
                        if self._progress is not None:
                            self._progress(file.tell())
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise CorruptDataError(
                f"{self.path} is damaged ({error}), expected a sound zip; nothing was stored: fetch the file again"
            ) from None


def _whole_lines(pieces: list[bytes]) -> tuple[bytes, bytes]:
    # The last piece nearly always holds a newline: cut there, the others are copied once.
    for place in range(len(pieces) - 1, -1, -1):
        cut = pieces[place].rfind(b"\n") + 1
        if cut:
            return b"".join([*pieces[:place], pieces[place][:cut]]), b"".join([pieces[place][cut:], *pieces[place + 1 :]])
    return b"", b"".join(pieces)
