"""Arrays of one instrument and day, beside the data they were computed from: the same recipe is computed once.

Files: `<lake>/coded/recipe=<hash>/exchange=/symbol=/date=/<name>.npy` and `meta.json`. A day appears whole or not at all, so a
computation that was killed continues from the days that are done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import canonical_json
from edgesmith.lake.atomic import locked_folder, remove_leftovers, write_atomically, write_together

FOLDER = "coded"
META_NAME = "meta.json"


class DayMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What a day's arrays were computed from, and what they are."""

    recipe: str
    data_fingerprint: str
    numbers: dict[str, int]
    arrays: tuple[str, ...]


class Day(msgspec.Struct, frozen=True):
    """The arrays and numbers kept of one day."""

    arrays: dict[str, Any]
    numbers: dict[str, int]


class DayFiles:
    """The days of one recipe and instrument; with `lake` None they are kept in memory."""

    def __init__(self, lake: Path | None, recipe: str, venue: str, symbol: str) -> None:
        self._recipe = recipe
        self._memory: dict[date, tuple[str, Day]] = {}
        base = f"recipe={recipe}", f"exchange={venue}", f"symbol={symbol.lower()}"
        self.folder = None if lake is None else lake.joinpath(FOLDER, *base)

    def load(self, day: date, data_fingerprint: str) -> Day | None:
        """Return a day computed from exactly this data, its arrays mapped from disk; None where there is none."""
        if self.folder is None:
            fingerprint, kept = self._memory.get(day, ("", None))
            return kept if fingerprint == data_fingerprint else None
        folder = self._folder_of(day)
        try:
            meta = msgspec.json.decode((folder / META_NAME).read_bytes(), type=DayMeta)
            if (meta.recipe, meta.data_fingerprint) != (self._recipe, data_fingerprint):
                return None
            return Day({name: _mapped(folder / f"{name}.npy") for name in meta.arrays}, meta.numbers)
        except (OSError, ValueError, msgspec.DecodeError):
            return None

    def save(self, day: date, data_fingerprint: str, arrays: Mapping[str, NDArray[Any]], numbers: Mapping[str, int]) -> None:
        """Keep a day, in place of what was there."""
        if self.folder is None:
            self._memory[day] = data_fingerprint, Day(dict(arrays), dict(numbers))
            return
        folder = self._folder_of(day)
        meta = DayMeta(recipe=self._recipe, data_fingerprint=data_fingerprint, numbers=dict(numbers), arrays=tuple(arrays))
        with locked_folder(folder):
            remove_leftovers(folder)
            # The meta goes first and comes last, so a day that was interrupted is no day.
            (folder / META_NAME).unlink(missing_ok=True)
            write_together([(folder / f"{name}.npy", partial(_write, values)) for name, values in arrays.items()])
            write_atomically(folder / META_NAME, partial(_write_meta, meta))

    def _folder_of(self, day: date) -> Path:
        assert self.folder is not None
        return self.folder / f"date={day:%Y%m%d}"


def _write_meta(meta: DayMeta, path: Path) -> None:
    path.write_bytes(canonical_json(meta))


def _write(values: NDArray[Any], path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, values)


def _mapped(path: Path) -> NDArray[Any]:
    # Copy on write: read-only arrays are another type to the compiler.
    return np.asarray(np.load(path, mmap_mode="c" if path.stat().st_size else None, allow_pickle=False))
