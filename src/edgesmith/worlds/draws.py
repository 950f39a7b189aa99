"""The running sequence of random numbers of one simulated hour, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgesmith.compiled import kernel
from edgesmith.worlds.random import bell_of, uniform_of, word_at


@kernel
def word(s: Any) -> np.uint64:
    """Return the next 64 random bits of the hour."""
    s.counter += np.uint64(1)
    return word_at(s.key, s.counter)


@kernel
def uniform(s: Any) -> float:
    """Return the next uniform number in (0, 1)."""
    return uniform_of(word(s))


@kernel
def lognormal(s: Any, median: float, log_sd: float) -> float:
    """Return the next lognormal number, its far tails cut."""
    return median * math.exp(log_sd * bell_of(word(s)))
