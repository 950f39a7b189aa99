"""Allocate the record arrays compiled code works on."""

from __future__ import annotations

import os
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
