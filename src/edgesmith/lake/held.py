"""Which days are held back from every reader and writer of a lake.

The note lies in the lake itself, so that no reader has to be told: a catalog does not list held days whatever happens to lie in
their folders, and nothing can be written there. `lake.vaulted` moves the days and writes the note.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec

from edgesmith.errors import CorruptDataError, DataError
from edgesmith.lake.schema import PartitionKey

VAULT_FOLDER = "vault"
HELD_NAME = "held.json"


class HeldSeries(msgspec.Struct, frozen=True, order=True):
    """Days of one instrument, both ends included; all of its streams."""

    venue: str
    symbol: str
    first_day: date
    last_day: date

    def covers(self, venue: str, symbol: str, day: date) -> bool:
        """Tell whether a day of an instrument is one of these."""
        return (self.venue, self.symbol) == (venue, symbol) and self.first_day <= day <= self.last_day


class Held(msgspec.Struct, frozen=True):
    """The days of one generation of the vault."""

    generation: int
    series: tuple[HeldSeries, ...]

    def covers(self, key: PartitionKey) -> bool:
        """Tell whether a partition is held back."""
        return any(one.covers(key.venue, key.symbol, key.day) for one in self.series)


def read_held(root: Path) -> Held | None:
    """Return what the lake at `root` holds back; None when nothing."""
    path = root / VAULT_FOLDER / HELD_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Held)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError as error:
        # Never "nothing held": a broken note must not open the vault.
        raise CorruptDataError(f"{path} is not a note of held days ({error}); `edgesmith vault ls` says how it must be") from None


def check_not_held(root: Path, key: PartitionKey) -> None:
    """Refuse a write into days that are held back."""
    held = read_held(root)
    if held is not None and held.covers(key):
        raise DataError(
            f"{key}: this day is in the vault (generation {held.generation}), where nothing may be added or changed; "
            "import other days, or into another lake root"
        )
