"""Units and instants: nanoseconds UTC, basis points, integer money.

Money is int64 in 1e-8 of the settlement currency (`_e8`): sums are exact and the largest amount is 92 billion.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from edgesmith.errors import InputError

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
NS_PER_HOUR = 3_600 * NS_PER_S
NS_PER_DAY = 86_400 * NS_PER_S

MONEY_SCALE = 100_000_000
BPS = 1e-4

INT64_MAX = 2**63 - 1


def parse_date(text: str) -> date:
    """Parse `2024-08-08` or `20240808`."""
    for pattern in ("%Y-%m-%d", "%Y%m%d"):
        try:
            return datetime.strptime(text, pattern).date()
        except ValueError:
            continue
    raise InputError(f"date was '{text}', expected YYYY-MM-DD")


def date_of_ns(instant_ns: int) -> date:
    """Return the UTC date an instant falls on."""
    return date(1970, 1, 1) + timedelta(days=instant_ns // NS_PER_DAY)


def ns_of_date(day: date) -> int:
    """Return the instant a UTC date begins at."""
    return (day - date(1970, 1, 1)).days * NS_PER_DAY


def format_ns(instant_ns: int) -> str:
    """Format an instant as `2024-08-08 23:54:16.299000` (UTC, microseconds)."""
    moment = datetime.fromtimestamp(instant_ns // NS_PER_S, UTC) + timedelta(microseconds=(instant_ns % NS_PER_S) // 1_000)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def format_duration_ns(duration_ns: float) -> str:
    """Format a duration with the unit a person would use: `1.27 s`, `35 ms`, `2 h 05 m`."""
    sign, size_ns = ("-" if duration_ns < 0 else ""), abs(duration_ns)
    if size_ns >= NS_PER_HOUR:
        hours, rest_ns = divmod(int(size_ns), NS_PER_HOUR)
        return f"{sign}{hours} h {rest_ns // NS_PER_MINUTE:02d} m"
    if size_ns >= NS_PER_MINUTE:
        minutes, rest_ns = divmod(int(size_ns), NS_PER_MINUTE)
        return f"{sign}{minutes} m {rest_ns // NS_PER_S:02d} s"
    for unit_ns, unit in ((NS_PER_S, "s"), (NS_PER_MS, "ms"), (NS_PER_US, "us")):
        if size_ns >= unit_ns:
            return f"{sign}{size_ns / unit_ns:.3g} {unit}"
    return f"{sign}{size_ns:.0f} ns"
