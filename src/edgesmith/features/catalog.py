"""The named sets of features, and the way to ask for one by name."""

from __future__ import annotations

from edgesmith.domain.units import NS_PER_MS as MS
from edgesmith.domain.units import NS_PER_S as S
from edgesmith.errors import UnknownNameError
from edgesmith.features import (  # noqa: F401 - importing registers their features
    behavior,
    covariates,
    cross,
    flow,
    impact,
    intensity,
    liquidity,
    momentum,
    price,
    realized,
    regime,
    slow,
    timeframes,
    volatility,
)
from edgesmith.features.operator import Feature, FeatureSpec, find_feature, registered_features

# Columns with a name of their own: a feature at other parameters than its defaults.
_COLUMNS: dict[str, FeatureSpec] = {}


def _at(name: str, *durations_ns: int, of: str = "half_life_ns") -> tuple[str, ...]:
    # The feature at several durations, as columns `<name>_<duration>`.
    for duration_ns in durations_ns:
        text = f"{duration_ns // S}s" if duration_ns >= S else f"{duration_ns // MS}ms"
        _COLUMNS[f"{name}_{text}"] = find_feature(name).spec(**{of: duration_ns}).named(f"{name}_{text}")
    return tuple(column for column, spec in _COLUMNS.items() if spec.feature == name)


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
    "slow": ("realized_volatility", "realized_compression", "mean_spread", "quote_rate", "path_efficiency"),
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
        "buy_intensity",
        "sell_intensity",
        "excitation_ratio",
        "burst_ratio",
        "kyle_lambda",
        "order_flow_impact",
        "absorbed_flow",
        "vpin",
        "bid_absorption",
        "ask_absorption",
        "absorption_balance",
        "bid_refills",
        "ask_refills",
        "refill_balance",
        "spread_ticks",
        "wide_age",
        "spread_peak",
        *_at("realized_volatility", 10 * S, 60 * S),
        "jump_ratio",
    ),
    "timeframes": (
        *_at("trade_flow_shift", S, 4 * S, 16 * S),
        "trade_flow_agreement",
        *_at("order_flow_shift", S, 4 * S, 16 * S),
        "order_flow_agreement",
        *_at("queue_shift", S, 4 * S, 16 * S),
        "queue_agreement",
        *_at("trend_shift", S, 4 * S, 16 * S),
        "trend_agreement",
        *_at("realized_compression", 10 * S, 40 * S),
    ),
    "covariates": ("mark_basis", "index_basis", "funding_rate", "funding_due", "open_interest_change", "minute_of_day"),
    # Needs a second instrument in the run, at the place `leader`.
    "cross": (
        *_at("leader_return", 10 * MS, 50 * MS, 100 * MS, 500 * MS, of="window_ns"),
        "leader_basis",
        "leader_basis_score",
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
