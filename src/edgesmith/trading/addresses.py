"""Arrays that compiled code finds by address: what never changes in a run is handed over once, as numbers."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.domain.records import JIT_DISABLED, as_records


def address(array: NDArray[Any]) -> int:
    """Return where `array` lies; valid as long as it is kept alive."""
    return int(array.ctypes.data)


def _address_as_pointer(_context: Any, _address: Any) -> Any:
    # What `carray` takes, made of the address of an array.
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_address_as_pointer)


@kernel
def _array_at(place, count, dtype):  # type: ignore[no-untyped-def]
    return carray(_pointer(place), (count,), dtype)


def _plain_array_at(place: int, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    raw: Any = (ctypes.c_byte * (int(count) * dtype.itemsize)).from_address(int(place))
    return as_records(np.frombuffer(raw, dtype))


# Return the `count` records of `dtype` at an address.
array_at: Any = _plain_array_at if JIT_DISABLED else _array_at
