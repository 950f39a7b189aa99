"""Numbers for the charts: columns packed as base64 float64, fills thinned to what a page can carry."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_S

if TYPE_CHECKING:
    import pyarrow as pa

# A page of 2 MB opens at once; 10,000 fills are 0.5 MB of it and far more than a screen can show apart.
FILLS_MAX = 10_000
# Each price pane is about 0.2 MB and 300 pixels high.
PANES_MAX = 8


def packed(values: NDArray[Any]) -> str:
    """Encode numbers as base64 of little-endian float64; NaN means a gap."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode("ascii")


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column as numpy, nulls as NaN."""
    values: NDArray[Any] = table.column(name).to_numpy(zero_copy_only=False)
    return values


def curve_series(curve: pa.Table) -> dict[str, str]:
    """Pack the equity curve: time, equity with its range, drawdown below zero, position."""
    return {
        "t": packed(column(curve, "bucket_start_ns") / NS_PER_S),
        "close": packed(column(curve, "equity_close")),
        "min": packed(column(curve, "equity_min")),
        "max": packed(column(curve, "equity_max")),
        "drawdown": packed(-np.abs(column(curve, "drawdown_ratio_max").astype("f8")) * 100),
        "position": packed(column(curve, "position_notional_close")),
    }


def price_series(prices: pa.Table, instrument: int) -> dict[str, str]:
    """Pack the mid price of one instrument with its range."""
    mine = column(prices, "instrument") == instrument
    return {
        "t": packed(column(prices, "bucket_start_ns")[mine] / NS_PER_S),
        **{name: packed(column(prices, f"mid_{name}")[mine]) for name in ("close", "min", "max")},
    }


def fill_series(fills: pa.Table, venue: str, symbol: str) -> dict[str, Any]:
    """Pack the fills of one instrument, evenly thinned above `FILLS_MAX`; `total` counts them all."""
    import pyarrow.compute as pc

    mine = np.flatnonzero(pc.and_(pc.equal(fills["symbol"], symbol), pc.equal(fills["venue"], venue)).to_numpy())
    kept = mine[thinned(column(fills, "side")[mine], FILLS_MAX)]
    sources = {"t": column(fills, "ts_match") / NS_PER_S}
    sources |= {name: column(fills, name) for name in ("price", "side", "qty", "fee")}
    sources["maker"] = column(fills, "is_maker").astype("f8")
    return {"total": len(mine), "kept": len(kept), **{name: packed(values[kept]) for name, values in sources.items()}}


def thinned(sides: NDArray[Any], rows_max: int) -> NDArray[np.int64]:
    """Return about `rows_max` row numbers: every k-th buy and every k-th sell.

    The sides are counted apart because every k-th row of an alternating sequence would show one side only.
    """
    step = -(-len(sides) // rows_max) or 1
    return np.sort(np.concatenate([np.flatnonzero(sides > 0)[::step], np.flatnonzero(sides <= 0)[::step]]))
