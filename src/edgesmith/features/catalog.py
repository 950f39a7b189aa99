"""The named sets of features, and the way to ask for one by name."""

from __future__ import annotations

from edgesmith.domain.units import format_duration_ns
from edgesmith.errors import UnknownNameError
from edgesmith.features import (  # noqa: F401 - importing registers their features
    behavior,
    flow,
    momentum,
    price,
    regime,
    slow,
    volatility,
)
from edgesmith.features.operator import Feature, FeatureSpec, find_feature, registered_features

MS = 1_000_000
S = 1_000 * MS
# Columns with a name of their own: a feature at other parameters than its defaults.
_COLUMNS: dict[str, FeatureSpec] = {}


def _at(name: str, *half_lives_ns: int) -> tuple[str, ...]:
    # The feature at several half-lives, as columns `<name>_<half-life>`.
    specs = [
        find_feature(name).spec(half_life_ns=half_life_ns).named(f"{name}_{format_duration_ns(half_life_ns).replace(' ', '')}")
        for half_life_ns in half_lives_ns
    ]
    _COLUMNS.update({spec.name: spec for spec in specs})
    return tuple(spec.name for spec in specs)


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
    # What a regime model is made of.
    "slow": ("mean_spread", "quote_rate", "path_efficiency"),
    "regime": ("volatility_ratio", "trend_strength", "spread_ratio", "trend_efficiency"),
    "flow": (
        "microprice",
        "imbalance_ema",
        "trade_flow_imbalance",
        "trade_activity",
        "queue_imbalance",
        *_at("order_flow_imbalance", 100 * MS, S, 10 * S, 60 * S),
        *_at("signed_volume", S, 10 * S),
        *_at("trade_sign_memory", S, 10 * S, 60 * S),
    ),
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
    """Return feature `name` with `params`, the rest at their defaults; or a set's column of that name."""
    if name in _COLUMNS and not params:
        return _COLUMNS[name]
    return find_feature(name).spec(**params)


def feature_set(name: str) -> list[FeatureSpec]:
    """Return the columns of a named set."""
    if name not in FEATURE_SETS:
        raise UnknownNameError("feature set", name, FEATURE_SETS)
    return [feature(member) for member in FEATURE_SETS[name]]


def features() -> tuple[Feature, ...]:
    """Return every registered feature."""
    return registered_features()


def columns() -> tuple[FeatureSpec, ...]:
    """Return every feature at its defaults, then the columns sets have of them at other parameters."""
    return (*(registered.spec() for registered in registered_features()), *_COLUMNS.values())
