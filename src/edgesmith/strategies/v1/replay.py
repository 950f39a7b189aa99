"""Decide again from one row of the trace: a trace that does not hold everything a decision needs would not give it back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesmith.domain.records import records
from edgesmith.domain.units import NS_PER_S
from edgesmith.strategies.v1 import layout
from edgesmith.strategies.v1.decision import TRACE_REFUSALS
from edgesmith.strategies.v1.layout import CODES
from edgesmith.strategies.v1.strategy import StrategyV1
from edgesmith.trading.entry import compile_decide
from edgesmith.trading.state import VIEW


def decide_again(strategy: StrategyV1, row: Mapping[str, Any], lot: float) -> tuple[str, float]:
    """Return the gate code and the position wanted (NaN: no change) that `strategy` arrives at from a trace row's numbers."""
    views = records(VIEW)
    view = views[0]
    _restore(view, strategy, row, lot)
    wanted = float(compile_decide(strategy.name, type(strategy).decide)(view))
    return CODES[int(view["trace_code"])][0] if int(view["trace_code"]) else "not traced", wanted


def _restore(view: Any, strategy: StrategyV1, row: Mapping[str, Any], lot: float) -> None:
    params, memory, ts = strategy.params(), view["memory"], int(row["ts"])
    view["ts"], view["lot"], view["trace_level"] = ts, lot, TRACE_REFUSALS
    view["bid_price"], view["ask_price"] = row["bid_price"], row["ask_price"]
    view["position_qty"] = memory[layout.HELD_QTY] = row["held_qty"]
    view["params"][: len(params)] = params
    view["features"][: layout.FIRST_COLUMN] = row["volatility_ratio"], row["trend_strength"], row["spread_ratio"]
    since_fill, held = row["since_fill_ns"], row["held_ns"]
    memory[layout.HAS_FILL] = math.isfinite(since_fill)
    if math.isfinite(since_fill):
        memory[layout.FILL_S], memory[layout.FILL_NS] = divmod(ts - int(since_fill), NS_PER_S)
    memory[layout.OPENED_S], memory[layout.OPENED_NS] = divmod(ts - int(held), NS_PER_S)
    for place, one in enumerate(strategy.selection.features):
        view["features"][layout.FIRST_COLUMN + place] = row[f"value_{one.spec.name}"]
        memory[layout.MEANS + place] = row[f"center_{one.spec.name}"]
        memory[layout.VARIANCES + place] = np.square(row[f"scale_{one.spec.name}"])
        memory[layout.SEEN + place] = row[f"seen_{one.spec.name}"]
