"""The only source of now and of chance; everything else takes time, seeds and keys as arguments."""

from __future__ import annotations

import os
import time
from typing import Protocol


class Clock(Protocol):
    """What a component needs of time."""

    def now_ns(self) -> int:
        """Return the current instant in nanoseconds UTC."""
        ...

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Return once `now_ns()` has reached `instant_ns`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Return the machine's time in nanoseconds UTC."""
        return time.time_ns()

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Sleep until the machine's time has reached `instant_ns`."""
        remaining_ns = instant_ns - self.now_ns()
        if remaining_ns > 0:
            time.sleep(remaining_ns / 1e9)


class ManualClock:
    """A clock that moves only when told; for tests and replays without waiting."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the instant last set."""
        return self._now_ns

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Jump to `instant_ns`; never moves back."""
        self._now_ns = max(self._now_ns, instant_ns)


def monotonic_s() -> float:
    """Return seconds from an arbitrary start, for measuring durations only."""
    return time.perf_counter()


def unguessable(count: int) -> bytes:
    """Return `count` bytes that nobody can foresee, for keys that are kept from their users."""
    return os.urandom(count)
