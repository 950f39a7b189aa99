"""Counter-based random numbers, compiled: draw `counter` of `key` is a pure function, so any part of a world stands alone.

A key names a purpose (seed, symbol, hour, layer); counters number the draws. Keys and counters are mixed by the finalizer of
splitmix64, which passes the usual batteries when fed consecutive counters.

References
----------
Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators. Salmon et al. (2011), Parallel random numbers: as
easy as 1, 2, 3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_S11, _S16, _S27, _S30, _S31, _S32, _S48 = (np.uint64(shift) for shift in (11, 16, 27, 30, 31, 32, 48))
_LOW16 = np.uint64(0xFFFF)
_TWO_PI = 2.0 * math.pi
_BELL_SCALE = math.sqrt(3.0) / 65536.0


@kernel
def mixed(word: np.uint64) -> np.uint64:
    """Scramble 64 bits so that any changed bit changes half of the result."""
    word = (word ^ (word >> _S30)) * _MIX_A
    word = (word ^ (word >> _S27)) * _MIX_B
    return word ^ (word >> _S31)


@kernel
def derived_key(key: np.uint64, label: int) -> np.uint64:
    """Return the key of the part of `key` that `label` numbers."""
    return mixed(mixed(key + _GOLDEN) ^ (np.uint64(label) * _MIX_B + _GOLDEN))


@kernel
def word_at(key: np.uint64, counter: np.uint64) -> np.uint64:
    """Return 64 random bits."""
    return mixed(key + (counter + np.uint64(1)) * _GOLDEN)


@kernel
def uniform_of(word: np.uint64) -> float:
    """Map 64 random bits to (0, 1), both ends excluded."""
    return (float(word >> _S11) + 0.5) * 1.1102230246251565e-16


@kernel
def uniform_at(key: np.uint64, counter: np.uint64) -> float:
    """Return a uniform number in (0, 1)."""
    return uniform_of(word_at(key, counter))


@kernel
def bell_of(word: np.uint64) -> float:
    """Map 64 random bits to a sum of four uniforms, mean 0 and variance 1: a normal without tails, |z| < 3.47, and cheap."""
    total = float(word & _LOW16) + float((word >> _S16) & _LOW16) + float((word >> _S32) & _LOW16) + float(word >> _S48)
    return (total - 131070.0) * _BELL_SCALE


@kernel
def normal_at(key: np.uint64, counter: np.uint64) -> float:
    """Return a standard normal number (Box-Muller on two words of one counter)."""
    word = word_at(key, counter)
    radius = math.sqrt(-2.0 * math.log(uniform_of(word)))
    return radius * math.cos(_TWO_PI * uniform_of(mixed(word + _GOLDEN)))


@kernel
def noise_at(key: np.uint64, position: float) -> float:
    """Return smooth noise at `position` >= 0: normal numbers at the integers, variance 1 in between as well."""
    left = math.floor(position)
    weight = position - left
    a = normal_at(key, np.uint64(left))
    b = normal_at(key, np.uint64(left + 1.0))
    return (a * (1.0 - weight) + b * weight) / math.sqrt((1.0 - weight) ** 2 + weight**2)


def child_key(key: np.uint64, *labels: int) -> np.uint64:
    """Return the key `labels` lead to from `key`, one part inside the other."""
    with np.errstate(over="ignore"):
        for label in labels:
            key = np.uint64(derived_key(key, label))
    return key


def root_key(seed: int, symbol: int) -> np.uint64:
    """Return the key everything of one symbol of one world derives from."""
    return child_key(np.uint64(0), seed, symbol)


def uniforms_at(key: np.uint64, counters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the uniform numbers `counters` of `key`."""
    out = np.empty(len(counters))
    with np.errstate(over="ignore"):
        _fill_uniforms(key, counters, out)
    return out


@kernel
def _fill_uniforms(key: np.uint64, counters: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    for i in range(len(counters)):
        out[i] = uniform_at(key, np.uint64(counters[i]))
