"""The regime chooses how signals are read: high volatility, mean reversion; low, momentum; else balanced; compiled.

What a mode does to a signal is one multiplier per feature and mode:

- A *move* feature (odd under a mirrored market and made of prices alone: roc, ema_slope, rsi, ...) with a positive direction
  follows the move, with a negative one fades it. Following fits momentum, fading fits mean reversion, both fit balanced.
- A signal that fits keeps its strength. One that does not fit keeps `against_mode_ratio` of it where its direction was
  measured by a report: a mode may silence what was measured, not contradict it. The fallback's directions are no
  measurement, so there the mode decides: in mean reversion a rise is sold.
- Features of the book, of the flow of trades and of the state of the market do not depend on the mode.

The mode also scales the order size and how far from usual a value must be to speak. Penalties come on top: signals against a
strong trend, breakouts in a market without trend, and wide spreads count for less.
"""

from __future__ import annotations

from edgesmith.compiled import kernel
from edgesmith.features.operator import FeatureSpec, Mirror, Node
from edgesmith.strategies.v1.config import Mode, V1Config
from edgesmith.strategies.v1.layout import VOLATILITY_COLUMN, VOLATILITY_HIGH, VOLATILITY_LOW

MOMENTUM, BALANCED, MEAN_REVERSION = int(Mode.MOMENTUM), int(Mode.BALANCED), int(Mode.MEAN_REVERSION)
PRICES = frozenset({"bid_price", "ask_price", "price", "ts_recv"})


@kernel
def select_mode(view):  # type: ignore[no-untyped-def]
    """Return the mode of the market as it is."""
    ratio = view.features[VOLATILITY_COLUMN]
    if ratio > view.params[VOLATILITY_HIGH]:
        return MEAN_REVERSION
    return MOMENTUM if ratio < view.params[VOLATILITY_LOW] else BALANCED


def is_move(spec: FeatureSpec) -> bool:
    """Return whether a feature says which way the price went."""
    return spec.definition.mirror is Mirror.ODD and _fields(spec.node) <= PRICES


def _fields(node: Node) -> frozenset[str]:
    if node.operator is None:
        return frozenset({node.name})
    return frozenset().union(*(_fields(one) for one in node.inputs))


def multiplier(mode: Mode, *, move: bool, direction: int, measured: bool, config: V1Config) -> float:
    """Return what `mode` makes of the signal of one feature."""
    fits = mode is Mode.BALANCED or not move or (direction > 0) == (mode is Mode.MOMENTUM)
    if fits:
        return 1.0
    return config.against_mode_ratio if measured else -1.0
