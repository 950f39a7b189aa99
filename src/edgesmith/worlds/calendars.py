"""When a planted edge works: it may fade, end, turn around, work on one day or in some hours of the day only."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR
from edgesmith.errors import InputError

_HOURS_PER_DAY = 24


class Calendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The strength of an edge over time, days counted from the first of the world.

    Full strength halves every `half_life_days` (0: it does not fade); from day `end_day` on it is `after_end_ratio` of what it
    was (0 dead, -1 reversed); if given, it works on day `only_day` alone, and only in the UTC `hours`.
    """

    half_life_days: float = 0.0
    end_day: int | None = None
    after_end_ratio: float = 0.0
    only_day: int | None = None
    hours: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.half_life_days) and self.half_life_days >= 0.0):
            raise InputError(f"calendar: half_life_days was {self.half_life_days}, expected >= 0")
        if not -1.0 <= self.after_end_ratio <= 1.0:
            raise InputError(f"calendar: after_end_ratio was {self.after_end_ratio}, expected -1..1")
        if any(day is not None and day < 0 for day in (self.end_day, self.only_day)):
            raise InputError(f"calendar: end_day {self.end_day} and only_day {self.only_day}, expected >= 0")
        if any(not 0 <= hour < _HOURS_PER_DAY for hour in self.hours):
            raise InputError(f"calendar: hours were {self.hours}, expected 0..23")

    def strengths(self, instants_ns: NDArray[np.int64], start_ns: int) -> NDArray[np.float64]:
        """Return the strength at each instant, -1..1, in a world that starts at `start_ns`."""
        days = (instants_ns - start_ns) / NS_PER_DAY
        strength = np.exp2(-days / self.half_life_days) if self.half_life_days else np.ones(len(days))
        if self.end_day is not None:
            strength = np.where(days >= self.end_day, self.after_end_ratio * strength, strength)
        if self.only_day is not None:
            strength = np.where(np.floor(days) == self.only_day, strength, 0.0)
        if self.hours:
            strength = np.where(np.isin(instants_ns % NS_PER_DAY // NS_PER_HOUR, self.hours), strength, 0.0)
        return strength
