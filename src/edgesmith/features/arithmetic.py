"""Operators without memory that several families use; `features.generation` copies them into compiled kernels."""

from __future__ import annotations

import math

from edgesmith.features.operator import Operator


def finite(x: float) -> float:
    """Return x, or NaN where it is infinite; every number read off an event passes here."""
    return x if x - x == 0.0 else math.nan


def subtract(a: float, b: float) -> float:
    """Return a - b."""
    return a - b


def multiply(a: float, b: float) -> float:
    """Return a * b."""
    return a * b


def divide(a: float, b: float) -> float:
    """Return a / b."""
    return a / b


def relative_change(x: float, before: float) -> float:
    """Return (x - before) / before; NaN where `before` is not positive, which no price is."""
    return (x - before) / before if before > 0.0 else math.nan


def positive_part(x: float) -> float:
    """Return x where positive, 0 where not."""
    return 0.0 if x <= 0.0 else x


def negative_part(x: float) -> float:
    """Return -x where x is negative, 0 where not."""
    return 0.0 if x >= 0.0 else -x


def over(a: float, b: float) -> float:
    """Return a / b; NaN where b is not positive."""
    return a / b if b > 0.0 else math.nan


def magnitude(x: float) -> float:
    """Return the absolute value of x."""
    return abs(x)


def agreement(a: float, b: float, c: float) -> float:
    """Return 1 where all three are positive, -1 where all are negative, else 0."""
    total = a + b + c
    if total != total:
        return math.nan
    if a > 0.0 and b > 0.0 and c > 0.0:
        return 1.0
    return -1.0 if a < 0.0 and b < 0.0 and c < 0.0 else 0.0


SUBTRACT = Operator(subtract)
DIVIDE = Operator(divide)
MULTIPLY = Operator(multiply)
RELATIVE_CHANGE = Operator(relative_change)
POSITIVE_PART = Operator(positive_part)
NEGATIVE_PART = Operator(negative_part)
OVER = Operator(over)
MAGNITUDE = Operator(magnitude)
AGREEMENT = Operator(agreement)
