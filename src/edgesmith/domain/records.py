"""Allocate the record arrays compiled code works on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

JIT_DISABLED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def records(dtype: np.dtype[Any], count: int = 1) -> NDArray[Any]:
    """Return `count` zeroed records of `dtype`.

    Kernels read fields as attributes. Plain structured arrays pass into compiled code four times faster than
    `np.recarray`, but only the latter has attributes in plain Python, so that is what `NUMBA_DISABLE_JIT=1` gets.
    """
    return as_records(np.zeros(count, dtype))


def as_records(array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` in the form kernels take in this process, without a copy."""
    return array.view(np.recarray) if JIT_DISABLED else array


# NumPy concatenates a union dtype into one with its fields side by side, and takes rows of it field by field, 18 times
# slower; rows of plain bytes it copies as they are.


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the records of `arrays`, all of one dtype, end to end."""
    dtype = arrays[0].dtype
    return as_records(np.concatenate([array.view(_bytes_of(dtype)) for array in arrays]).view(_plain(dtype)))


def taken(array: NDArray[Any], positions: NDArray[np.intp]) -> NDArray[Any]:
    """Return a copy of the records at `positions`."""
    return as_records(array.view(_bytes_of(array.dtype)).take(positions).view(_plain(array.dtype)))


def _bytes_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype((np.void, dtype.itemsize))


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    # A recarray's dtype carries the record class; the same fields without it.
    return np.dtype((np.void, dtype))
