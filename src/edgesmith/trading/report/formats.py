"""Numbers for people: one place that decides signs, decimals and what an unknown value looks like."""

from __future__ import annotations

import math
from typing import Any

from edgesmith.domain.units import format_duration_ns, format_ns

UNKNOWN = "\u2013"
MINUS = "\u2212"


def number(value: Any, decimals: int = 2, *, signed: bool = False) -> str:
    """Format a number with thousands separators, a true minus sign and `decimals` digits."""
    known = as_float(value)
    if known is None:
        return UNKNOWN
    text = f"{abs(known):,.{decimals}f}"
    if not text.strip("0.,"):
        return text
    return (MINUS if known < 0 else "+" if signed else "") + text


def money(value: Any, currency: str = "", *, signed: bool = False) -> str:
    """Format an amount with as many decimals as its size deserves: cents above 1, four digits below."""
    known = as_float(value)
    if known is None:
        return UNKNOWN
    size = abs(known)
    decimals = 2 if size >= 1 or size == 0 else min(8, 3 - math.floor(math.log10(size)))
    return f"{number(known, decimals, signed=signed)} {currency}".rstrip()


def rough_money(value: Any, currency: str = "") -> str:
    """Format an estimated amount by its first three digits: 29,693.75 is 29,700."""
    known = as_float(value)
    if known is None or known == 0:
        return money(value, currency)
    digits = 2 - math.floor(math.log10(abs(known)))
    return f"{number(round(known, digits), max(digits, 0))} {currency}".rstrip()


def count(value: Any) -> str:
    """Format a whole number."""
    return number(value, 0)


def percent(value: Any, decimals: int = 2, *, signed: bool = False) -> str:
    """Format a ratio as percent: 0.0123 becomes 1.23%; two digits stay visible below 0.01%."""
    known = as_float(value)
    if known is None:
        return UNKNOWN
    size = abs(known) * 100
    if 0 < size < 10.0**-decimals:
        decimals = min(8, 1 - math.floor(math.log10(size)))
    return number(known * 100, decimals, signed=signed) + "%"


def bps(value: Any, *, signed: bool = True) -> str:
    """Format basis points."""
    text = number(value, 2, signed=signed)
    return text if text == UNKNOWN else text + " bps"


def plain(value: Any, digits: int = 10) -> str:
    """Format a price or quantity without padding zeros: 61234.5, 0.012."""
    known = as_float(value)
    if known is None:
        return UNKNOWN
    text = f"{abs(known):,.{digits}f}".rstrip("0").rstrip(".")
    return (MINUS if known < 0 and text != "0" else "") + text


def instant(value: Any, *, short: bool = False) -> str:
    """Format nanoseconds UTC; `short` leaves out the year and keeps milliseconds."""
    known = as_int(value)
    if known is None:
        return UNKNOWN
    text = format_ns(known)
    return text[5:-3] if short else text[:-7]


def duration(value: Any) -> str:
    """Format a duration in nanoseconds with the unit a person would use."""
    known = as_float(value)
    return UNKNOWN if known is None else format_duration_ns(known).replace("-", MINUS)


def tone(value: Any) -> str:
    """Return the color class of a sign: `up`, `down` or nothing."""
    known = as_float(value)
    return "" if not known else "up" if known > 0 else "down"


def as_float(value: Any) -> float | None:
    """Return `value` as a finite float, or None where there is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def as_int(value: Any) -> int | None:
    """Return `value` as an int, or None where it is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
