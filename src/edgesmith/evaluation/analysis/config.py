"""What to analyze and how strictly."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError

ModelName = Literal["ridge", "xgboost"]


class AnalysisConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of an analysis; the same data, features and settings give the same report.

    Parameters
    ----------
    horizon_ns, latency_ns, grid_ns : the label, and how often it is asked for (1 s for horizons above 10 s)
    held_out_ratio : last part of the range that nothing is fitted on, 0.1..0.5
    embargo_ns : rows left out behind the split, beside those whose label crosses it; latency + horizon where None
    repeats : permutations of each feature, 2..100
    flips : sign flips behind each p-value, 199..99,999
    pair_threshold, cluster_threshold : absolute rank correlation from which features are a pair, and say the same
    fee_in_bps, fee_out_bps : for the cost a forecast would have to beat; never part of the label
    """

    horizon_ns: int = 5 * NS_PER_S
    latency_ns: int = 50 * NS_PER_MS
    grid_ns: int = 100 * NS_PER_MS
    held_out_ratio: float = 0.3
    embargo_ns: int | None = None
    model: ModelName = "ridge"
    repeats: int = 5
    flips: int = 1_999
    seed: int = 1
    pair_threshold: float = 0.8
    cluster_threshold: float = 0.9
    fee_in_bps: float = 0.0
    fee_out_bps: float = 0.0

    def __post_init__(self) -> None:
        _within("held_out_ratio", self.held_out_ratio, 0.1, 0.5)
        _within("repeats", self.repeats, 2, 100)
        _within("flips", self.flips, 199, 99_999)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("embargo_ns", self.embargo_ns or 0, 0, 2**62)
        _within("pair_threshold", self.pair_threshold, 0.1, 1.0)
        _within("cluster_threshold", self.cluster_threshold, 0.1, 1.0)

    @property
    def reach_ns(self) -> int:
        """Return how far a decision's label looks ahead."""
        return self.latency_ns + self.horizon_ns


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} was {value}, expected {low:g}..{high:g}")
