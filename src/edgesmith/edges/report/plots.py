"""Geometry of a curve with its band, in pixels of an SVG: the template only writes it down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from edgesmith.edges.validation.curves import Point
from edgesmith.trading.report import formats

WIDTH, HEIGHT = 560, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 32, 12, 30


def band_plot(points: Sequence[Point], *, gross: bool, label: Callable[[int], str]) -> dict[str, Any] | None:
    """Place the net result (or the gross move, where `gross`) of every point with its 90 % band, equally spaced.

    None where no point has a number. Ends of the band that are not known are drawn at the value.
    """
    rows = [_values(point, gross) for point in points]
    known = [(at, row) for at, row in enumerate(rows) if row is not None]
    if not known:
        return None
    costs = [point.cost_bps for point in points if gross and point.cost_bps is not None]
    low = min([0.0, *(row[1] for _, row in known)])
    high = max([0.0, *(row[2] for _, row in known), *costs])
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin
    step = (WIDTH - LEFT - RIGHT) / max(1, len(points) - 1)

    def x(at: int) -> float:
        return round(LEFT + at * step, 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    upper = [f"{x(at)},{y(row[2])}" for at, row in known]
    lower = [f"{x(at)},{y(row[1])}" for at, row in reversed(known)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "zero": y(0.0),
        "band": " ".join(upper + lower),
        "line": " ".join(f"{x(at)},{y(row[0])}" for at, row in known),
        "cost": _cost_line(points, x, y) if gross else "",
        "ticks_y": [(y(value), formats.number(value, 1)) for value in _ticks(low, high)],
        "ticks_x": [(x(at), label(point.at)) for at, point in enumerate(points)],
        "dots": [{"x": x(at), "y": y(row[0]), "words": _words(points[at], row, label)} for at, row in known],
    }


def _values(point: Point, gross: bool) -> tuple[float, float, float] | None:
    if point.net_bps is None or point.cost_bps is None:
        return None
    shift = point.cost_bps if gross else 0.0
    value = point.net_bps + shift
    low = value if point.net_low_bps is None else point.net_low_bps + shift
    high = value if point.net_high_bps is None else point.net_high_bps + shift
    return value, low, high


def _cost_line(points: Sequence[Point], x: Callable[[int], float], y: Callable[[float], float]) -> str:
    return " ".join(f"{x(at)},{y(point.cost_bps)}" for at, point in enumerate(points) if point.cost_bps is not None)


def _words(point: Point, row: tuple[float, float, float], label: Callable[[int], str]) -> str:
    value, low, high = (formats.bps(one) for one in row)
    return f"{label(point.at)}: {value}, {low} to {high}, {formats.count(point.n)} rows"


def _ticks(low: float, high: float) -> list[float]:
    wanted = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(wanted))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= wanted)
    return [step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)]
