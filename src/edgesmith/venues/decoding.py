"""Which decoder reads a venue's frames of a given day.

A venue changes its wire format on a date. The old decoder stays as it was, the new one is a new entry, so an archive of five
years ago decodes as it did then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from typing import Generic, TypeVar

from edgesmith.errors import InputError

DecoderT = TypeVar("DecoderT")


class DatedDecoders(Generic[DecoderT]):
    """The decoders of one feed in the order they were right.

    Parameters
    ----------
    feed
        What the decoders read, for messages.
    first
        The decoder of the earliest days.
    changes
        (first UTC date, decoder) of every later wire format, dates rising.
    """

    def __init__(self, feed: str, first: DecoderT, changes: Sequence[tuple[date, DecoderT]] = ()) -> None:
        self._since = [since for since, _ in changes]
        if any(later <= earlier for earlier, later in zip(self._since, self._since[1:], strict=False)):
            raise InputError(f"{feed}: the dates of its decoders were {self._since}, expected each later than the one before")
        self._decoders = (first, *(decoder for _, decoder in changes))

    def on(self, day: date) -> DecoderT:
        """Return the decoder for frames received on `day`."""
        return self._decoders[bisect_right(self._since, day)]
