"""Geometry of the plots on a feature page, in pixels of an SVG: the template only writes it down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgesmith.evaluation.feature_report import CorrelationSection, StabilitySection
from edgesmith.trading.report import formats

ROW = 20
NAME_WIDTH = 190
PLOT_WIDTH = 560
CELL_MAX, CELL_MIN = 26, 13
HEATMAP_WIDTH = 900
# PSI from which a cell has its full color.
PSI_FULL = 0.5

IntervalRow = tuple[str, float | None, float | None, float | None, str]


def interval_plot(rows: Sequence[IntervalRow], *, decimals: int) -> dict[str, Any]:
    """Place one dot with its interval per row (name, value, low, high, words) around a common zero."""
    known = [value for row in rows for value in row[1:4] if value is not None]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    margin = 0.05 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(NAME_WIDTH + (value - low) / (high - low) * PLOT_WIDTH, 1)

    return {
        "width": NAME_WIDTH + PLOT_WIDTH + 70,
        "height": ROW * len(rows) + 24,
        "zero": place(0.0),
        "left": NAME_WIDTH,
        "right": NAME_WIDTH + PLOT_WIDTH,
        "ticks": [(place(value), formats.number(value, decimals)) for value in _ticks(low, high)],
        "rows": [
            {
                "name": name,
                "y": ROW * at + ROW / 2,
                "x": None if value is None else place(value),
                "span": None if start is None or stop is None else (place(start), place(stop)),
                "text": formats.number(value, decimals, signed=True),
                "apart": start is not None and stop is not None and (start > 0.0 or stop < 0.0),
                "words": "{}: {}, {} to {}: {}".format(
                    name, *(formats.number(one, decimals, signed=True) for one in (value, start, stop)), words
                ),
            }
            for at, (name, value, start, stop, words) in enumerate(rows)
        ],
    }


def correlation_heatmap(section: CorrelationSection) -> dict[str, Any]:
    """Place a square for each pair: rank correlation below the diagonal, by value above it."""
    columns, count = section.columns, len(section.columns)
    cell = max(CELL_MIN, min(CELL_MAX, HEATMAP_WIDTH // max(1, count)))
    squares = []
    for i in range(count):
        for j in range(count):
            if i != j:
                kind, value = ("rank", section.spearman[i][j]) if j < i else ("value", section.pearson[i][j])
                words = f"{columns[i]} and {columns[j]}, by {kind}: {formats.number(value, 3, signed=True)}"
                squares.append(_square(NAME_WIDTH + j * cell, i * cell, value, words))
    return _grid(list(columns), cell, count, squares)


def drift_heatmap(section: StabilitySection, order: Sequence[str]) -> dict[str, Any]:
    """Place a square for each feature and period, then for each regime, the darker the further from the train rows."""
    by_column = {one.column: one for one in section.features}
    periods = len(section.period_starts_ns)
    heads = [f"{formats.instant(start)} UTC" for start in section.period_starts_ns] + list(section.regimes)
    cell = max(CELL_MIN, min(CELL_MAX, (HEATMAP_WIDTH - 20) // max(1, len(heads))))
    squares = []
    for i, name in enumerate(order):
        one = by_column[name]
        for j, value in enumerate([*one.psi_by_period, *one.psi_by_regime]):
            x = NAME_WIDTH + j * cell + (12 if j >= periods else 0)
            share = None if value is None else value / PSI_FULL
            squares.append(_square(x, i * CELL_MIN * 1.4, share, f"{name}, {heads[j]}: PSI {formats.number(value, 3)}"))
    grid = _grid(list(order), cell, len(heads), squares)
    grid["row"] = CELL_MIN * 1.4
    grid["height"] = round(CELL_MIN * 1.4 * len(order) + 22, 1)
    # Room for the words below the regimes.
    grid["width"] += 60
    grid["regimes_at"] = NAME_WIDTH + periods * cell + 12
    grid["first"], grid["last"] = heads[0], heads[periods - 1]
    return grid


def memory_plot(lags_ns: Sequence[int], values: Sequence[float | None], horizon_ns: int) -> dict[str, Any]:
    """Place a bar for the autocorrelation at each lag; those within one horizon share part of their future."""
    width = PLOT_WIDTH / max(1, len(lags_ns))
    height, zero = 110, 90
    return {
        "width": PLOT_WIDTH,
        "height": height + 24,
        "zero": zero,
        "bars": [
            {
                "x": round(at * width + 4, 1),
                "width": round(width - 8, 1),
                "y": round(zero - max(0.0, value or 0.0) * (zero - 6), 1),
                "height": round(max(1.0, abs(value or 0.0) * (zero - 6)), 1),
                "overlapping": lag_ns < horizon_ns,
                "lag": formats.duration(lag_ns),
                "words": f"{formats.duration(lag_ns)} apart: {formats.number(value, 3, signed=True)}",
            }
            for at, (lag_ns, value) in enumerate(zip(lags_ns, values, strict=True))
        ],
    }


def _grid(names: list[str], cell: int, columns: int, squares: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "width": NAME_WIDTH + columns * cell + 2,
        "height": len(names) * cell + 4,
        "left": NAME_WIDTH,
        "cell": cell,
        "row": cell,
        "names": names,
        "squares": squares,
    }


def _square(x: float, y: float, value: float | None, words: str) -> dict[str, Any]:
    shade = 0.0 if value is None else round(min(1.0, abs(value)), 3)
    tone = "none" if value is None else "plus" if value >= 0 else "minus"
    return {"x": round(x, 1), "y": round(y, 1), "shade": shade, "tone": tone, "words": words}


def _ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10(high - low))
    step *= next((part for part in (0.2, 0.5, 1.0) if (high - low) / (step * part) <= 8), 2.0)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
