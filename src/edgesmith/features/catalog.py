"""The named sets of features, and the way to ask for one by name."""

from __future__ import annotations

from edgesmith.errors import UnknownNameError
from edgesmith.features import behavior, flow, momentum, price, regime, volatility  # noqa: F401 - importing registers their features
from edgesmith.features.operator import Feature, FeatureSpec, find_feature, registered_features

FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "base": (
        "mid_price",
        "spread",
        "return_1",
        "volatility",
        "ema",
        "rsi",
        "atr",
        "roc",
        "regime_volatility",
        "regime_trend",
        "regime_spread",
        "microprice",
        "imbalance_ema",
        "ema_slope",
        "bollinger_pos",
    ),
    "behavior": (
        "liquidity_pressure",
        "return_momentum",
        "regime_stability",
        "spread_compression",
        "imbalance_acceleration",
        "micro_reversion",
        "quote_intensity",
        "behavior_divergence",
        "volatility_compression_score",
    ),
    "regime": ("volatility_ratio", "trend_strength", "spread_ratio", "trend_efficiency"),
    "flow": ("microprice", "imbalance_ema", "trade_flow_imbalance", "trade_activity"),
    # Features without a price level: their past values say something about their next ones.
    "stationary": (
        "spread",
        "return_1",
        "volatility",
        "rsi",
        "atr",
        "roc",
        "regime_volatility",
        "regime_trend",
        "regime_spread",
        "imbalance_ema",
        "ema_slope",
        "bollinger_pos",
        "trade_flow_imbalance",
    ),
}


def feature(name: str, **params: object) -> FeatureSpec:
    """Return feature `name` with `params`, the rest at their defaults."""
    return find_feature(name).spec(**params)


def feature_set(name: str) -> list[FeatureSpec]:
    """Return the features of a named set, all at their defaults."""
    if name not in FEATURE_SETS:
        raise UnknownNameError("feature set", name, FEATURE_SETS)
    return [feature(member) for member in FEATURE_SETS[name]]


def features() -> tuple[Feature, ...]:
    """Return every registered feature."""
    return registered_features()
