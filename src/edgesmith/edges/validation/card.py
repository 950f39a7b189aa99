"""The edge card: everything validation established about one edge, as a record that goes to JSON, registry and report."""

from __future__ import annotations

import msgspec

from edgesmith.edges.edge import EdgeEvidence, EdgeSpec
from edgesmith.edges.validation.curves import Point
from edgesmith.edges.validation.gates import Findings
from edgesmith.edges.validation.maker import MakerBounds
from edgesmith.edges.validation.noticing import Noticing
from edgesmith.edges.validation.placebos import PlaceboTest
from edgesmith.edges.verdict import Verdict


class HalfLifeRow(msgspec.Struct, frozen=True):
    """One half-life: response, latency or calendar; None where it cannot be identified, high_ns infinite becomes None."""

    kind: str
    value_ns: float | None
    low_ns: float | None
    high_ns: float | None

    def __post_init__(self) -> None:
        if self.high_ns == float("inf"):
            msgspec.structs.force_setattr(self, "high_ns", None)


class CostParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the cost of a trade is made of, bps of its entry; funding is None where a perpetual's was not among the data."""

    spread_bps: float
    fee_in_bps: float
    fee_out_bps: float
    funding_bps: float | None


class Walk(msgspec.Struct, frozen=True):
    """A walk forward: folds, how many had a profit, how many chose the edge's own cell, and the pooled net result."""

    folds: int
    positive_folds: int
    same_cell_folds: int
    net_bps: float | None
    net_low_bps: float | None
    net_high_bps: float | None


class EdgeCard(msgspec.Struct, frozen=True, kw_only=True):
    """What one validation found; bps per trade, `net_low_usd_per_day` ranks the survivors.

    `labeled` is what the labels of the grid say of the same rule, where every row counts, orders are free to overlap and nobody
    pays funding; `maker` bounds the edge entered as a maker, None where it is not real.
    """

    spec: EdgeSpec
    verdict: Verdict
    sentence: str
    findings: Findings
    first_ns: int
    last_ns: int
    trials: int
    net_high_bps: float | None
    hit_ratio: float | None
    trades_per_day: float
    capacity_qty: float | None
    capacity_usd: float | None
    net_low_usd_per_day: float | None
    sharpe_daily: float | None
    psr: float | None
    track_record_min_days: float | None
    cpcv_positive_ratio: float | None
    cpcv_path_net_bps: tuple[float, ...]
    anchored: Walk | None
    rolling: Walk | None
    latency_curve: tuple[Point, ...]
    response_curve: tuple[Point, ...]
    by_day: tuple[Point, ...]
    by_hour: tuple[Point, ...]
    by_regime: tuple[Point, ...]
    half_lives: tuple[HalfLifeRow, ...]
    placebos: tuple[PlaceboTest, ...]
    cost_parts: CostParts
    labeled: Point
    maker: MakerBounds | None = None
    noticing: Noticing | None = None

    def evidence(self, data_fingerprint: str) -> EdgeEvidence:
        """Return the card as evidence for the registry."""
        found = self.findings
        details = msgspec.to_builtins(self)
        for name in ("spec", "verdict", "sentence", "findings", "first_ns", "last_ns"):
            del details[name]
        lives = {f"half_life_{row.kind}_ns": row.value_ns for row in self.half_lives}
        return EdgeEvidence(
            edge_id=self.spec.edge_id,
            stage="validation",
            data_fingerprint=data_fingerprint,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            n=found.onsets,
            blocks=found.blocks,
            gross_bps=found.gross_bps,
            cost_bps=found.cost_bps,
            net_bps=found.net_bps,
            net_low_bps=found.net_low_bps,
            net_high_bps=self.net_high_bps,
            p=found.p_net,
            q=None,
            e_value=None,
            trials_total=self.trials,
            verdict=self.verdict.value,
            sentence=self.sentence,
            details={**details, **lives, "findings": msgspec.to_builtins(found)},
        )
