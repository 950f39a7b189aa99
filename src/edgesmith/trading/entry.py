"""The compiled entry points of the engine, built on first use: importing this compiles nothing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.errors import NumbaError

from edgesmith.compiled import typed_kernel
from edgesmith.domain.events import EVENT
from edgesmith.domain.orders import DECISION, FILL
from edgesmith.domain.records import JIT_DISABLED
from edgesmith.errors import StrategyError
from edgesmith.trading import kernel as trading_kernel
from edgesmith.trading import lanes as trading_lanes
from edgesmith.trading.lanes import LANE, SEAT
from edgesmith.trading.state import BOOK, CURVE, PRICE_CURVE, RUN, TRACE, VIEW


def _array(dtype: np.dtype[Any]) -> Any:
    return types.Array(numba.from_dtype(dtype), 1, "C")


@functools.cache
def _decide_signature() -> Any:
    return types.float64(numba.from_dtype(VIEW))


def _idle(view: Any) -> float:
    return float(np.nan)


@functools.cache
def idle() -> Any:
    """Return the decision that never wants anything; Python strategies run on it."""
    return typed_kernel(_decide_signature(), _idle)


@functools.cache
def _advance_signature() -> Any:
    return types.void(
        _array(RUN), _array(BOOK), _array(VIEW), _array(EVENT), types.Array(types.float64, 2, "C"), types.int64,
        _array(FILL), _array(DECISION), _array(TRACE), _array(CURVE), _array(PRICE_CURVE),
        types.FunctionType(_decide_signature()),
    )  # fmt: skip


@functools.cache
def advance() -> Callable[..., None]:
    """Return `trading.kernel.advance`, compiled once for every strategy; the decision is passed in as a pointer."""
    if JIT_DISABLED:
        return trading_kernel.advance
    dispatcher: Any = trading_kernel.advance
    return typed_kernel(_advance_signature(), dispatcher.py_func)


@functools.cache
def advance_lanes() -> Callable[..., int]:
    """Return `trading.lanes.advance_lanes`, compiled once for every strategy; `advance` and the decision are passed in."""
    if JIT_DISABLED:
        return trading_lanes.advance_lanes
    signature = types.int64(
        _array(LANE), _array(SEAT), _array(EVENT), types.Array(types.float64, 2, "C"), types.int64, types.int64,
        types.FunctionType(_advance_signature()), types.FunctionType(_decide_signature()),
    )  # fmt: skip
    dispatcher: Any = trading_lanes.advance_lanes
    return typed_kernel(signature, dispatcher.py_func)


@functools.cache
def compile_decide(name: str, decide: Callable[..., float]) -> Any:
    """Compile a strategy's decision; StrategyError says in one line why it cannot be."""
    try:
        return typed_kernel(_decide_signature(), decide)
    except Exception as error:
        # Most come as NumbaError, but a field the view does not have is a KeyError, and so on.
        raise StrategyError(f"strategy '{name}' cannot be compiled: {_first_reason(error)} ({_place(decide)})") from None


def _place(function: Callable[..., Any]) -> str:
    return f"{Path(inspect.getsourcefile(function) or '?').name}:{function.__code__.co_firstlineno}"


def _first_reason(error: Exception) -> str:
    if not isinstance(error, NumbaError):
        return f"{type(error).__name__}: {error}"
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("Failed in", "-", "During:", "File "))]
    return lines[0][:200] if lines else type(error).__name__
