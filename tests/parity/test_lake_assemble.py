"""Laying columns out as events gives the same bytes compiled and as plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesmith.lake.merge import assemble


def assembled(function: Any, side: Any, columns: list[Any]) -> bytes:
    words = np.full((3, 8), -1, np.int64)
    clock = np.array([1, 2, 2**62])
    function(words, clock, clock + 5, 70, 1 | 9 << 32, side, *columns)
    return words.tobytes()


@pytest.mark.parametrize("side", [[-1, 0, 1], []])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_compiled_equals_plain(side: list[int], width: int) -> None:
    column = np.array([0.1, np.nan, -np.inf]).view(np.int64)
    columns = [column] * width + [np.zeros(0, np.int64)] * (4 - width)
    plain = getattr(assemble, "py_func", assemble)
    arguments = np.array(side, np.int8), columns
    assert assembled(assemble, *arguments) == assembled(plain, *arguments)
