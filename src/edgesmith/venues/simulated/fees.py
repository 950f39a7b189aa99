"""Fees and contract values of the simulated venue; compiled, integer money."""

from __future__ import annotations

import numpy as np

from edgesmith.compiled import kernel


@kernel
def value_e8(book, lots, ticks):  # type: ignore[no-untyped-def]
    """Return the worth of `lots` (signed) at `ticks`, 1e-8 settlement currency.

    Linear and spot: lots * ticks * tick * lot. Inverse: -lots * lot * contract_value / price, rounded to 1e-8 as venues do.
    """
    if book.value_e8 != 0:
        return lots * ticks * book.value_e8
    return np.int64(np.rint(-lots * book.inverse_e8 / ticks))


@kernel
def mark_value_e8(book, lots, double_ticks):  # type: ignore[no-untyped-def]
    """Return the worth of `lots` at half of `double_ticks` (bid + ask); the odd half unit is rounded down."""
    if book.value_e8 != 0:
        return (lots * double_ticks * book.value_e8) >> 1
    return np.int64(np.rint(-2.0 * lots * book.inverse_e8 / double_ticks))


@kernel
def fee_e8(value, ratio):  # type: ignore[no-untyped-def]
    """Return the fee on a traded `value` (any sign), rounded to the nearest 1e-8; negative is a rebate."""
    return np.int64(np.rint(abs(value) * ratio))
