"""Candidates as edges: what the registry keeps of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgesmith.canonical import short_hash
from edgesmith.edges.discovery.result import Cell, CellBound, DiscoveryResult
from edgesmith.edges.discovery.tails import USUAL_LATENCY_NS
from edgesmith.edges.edge import Bound, EdgeEvidence, EdgeSpec, Trigger
from edgesmith.evaluation.bins import MISSING
from edgesmith.evaluation.labels import COARSE_ABOVE_NS, COARSE_GRID_NS

STAGE = "discovery"


class Origin(NamedTuple):
    """What the names in a result stand for: feature names to the texts of their specs, hashes, the leader and its features."""

    texts: Mapping[str, str]
    features_hash: str
    code_sha256: str
    regime_feature: str | None = None
    regimes_hash: str | None = None
    leader: str | None = None
    leader_features: frozenset[str] = frozenset()


def candidates(result: DiscoveryResult, origin: Origin) -> list[tuple[EdgeSpec, EdgeEvidence]]:
    """Return the candidates of a search as edges, one for each trigger and side, the surest profit first.

    Of all latencies and horizons a trigger pays at, the edge takes the usual latency, or the longest it pays at, and there the
    horizon with the largest lower bound of profit. Cells that a refined trigger covers are left to it.
    """
    by_trigger: dict[tuple[str, int], list[Cell]] = {}
    for cell in result.candidates:
        by_trigger.setdefault((cell.text, cell.side), []).append(cell)
    chosen = sorted(
        (_preferred(cells) for cells in by_trigger.values()), key=lambda cell: (-(cell.onset_low_bps or 0.0), cell.text)
    )
    return [_edge(cell, result, origin) for cell in chosen]


def _preferred(cells: Sequence[Cell]) -> Cell:
    latencies = {cell.latency_ns for cell in cells}
    latency = USUAL_LATENCY_NS if USUAL_LATENCY_NS in latencies else max(latencies)
    return max(
        (cell for cell in cells if cell.latency_ns == latency), key=lambda cell: (cell.onset_low_bps or 0.0, -cell.horizon_ns)
    )


def _edge(cell: Cell, result: DiscoveryResult, origin: Origin) -> tuple[EdgeSpec, EdgeEvidence]:
    venue, symbol = result.instrument.split(":", 1)
    trigger = _trigger(cell, result, origin)
    spec = EdgeSpec(
        venue=venue,
        symbol=symbol,
        trigger=trigger,
        side=1 if cell.side > 0 else -1,
        horizon_ns=cell.horizon_ns,
        latency_ns=cell.latency_ns,
        cost_tier=result.cost_tier,
        fee_in_bps=result.fee_in_bps,
        fee_out_bps=result.fee_out_bps,
        grid_ns=result.config.grid_ns if cell.horizon_ns <= COARSE_ABOVE_NS else COARSE_GRID_NS,
        gap_ns=result.config.gap_ns,
        features_hash=origin.features_hash,
        bins_hash=short_hash(result.bins),
        regimes_hash=origin.regimes_hash if trigger.regimes is not None else None,
        code_sha256=origin.code_sha256,
    )
    return spec, _evidence(spec, cell, result)


def _trigger(cell: Cell, result: DiscoveryResult, origin: Origin) -> Trigger:
    regimes: tuple[int, ...] | None = None
    bounds = []
    for bound in cell.bounds:
        if bound.feature == origin.regime_feature and len(cell.bounds) > 1 and bound.first != MISSING:
            regimes = _regimes(bound, result)
        else:
            bounds.append(_bound(bound, origin))
    leads = any(bound.feature in origin.leader_features for bound in cell.bounds)
    return Trigger(bounds=tuple(bounds), regimes=regimes, leader=origin.leader if leads else None)


def _bound(bound: CellBound, origin: Origin) -> Bound:
    feature = origin.texts.get(bound.feature, bound.feature)
    return Bound(feature=feature, low=bound.lower, high=bound.upper, missing=bound.first == MISSING)


def _regimes(bound: CellBound, result: DiscoveryResult) -> tuple[int, ...]:
    # Regimes are numbered from 0 and cut half way between.
    cuts = next(one.cuts for one in result.bins if one.feature == bound.feature)
    low = 0.0 if bound.lower is None else bound.lower
    high = float(max(cuts, default=0.0)) + 1.0 if bound.upper is None else bound.upper
    return tuple(number for number in range(int(high) + 1) if low <= number < high)


def _evidence(spec: EdgeSpec, cell: Cell, result: DiscoveryResult) -> EdgeEvidence:
    return EdgeEvidence(
        edge_id=spec.edge_id,
        stage=STAGE,
        data_fingerprint=result.data_fingerprint,
        first_ns=result.edges_span.first_ns,
        last_ns=result.edges_span.test_last_ns,
        n=cell.onsets or 0,
        blocks=cell.blocks,
        gross_bps=cell.onset_gross_bps,
        cost_bps=cell.onset_cost_bps,
        net_bps=cell.onset_net_bps,
        net_low_bps=cell.onset_low_bps,
        net_high_bps=cell.onset_high_bps,
        p=cell.p_net_family,
        q=cell.q_value,
        e_value=None,
        trials_total=result.trials_total,
        verdict=cell.verdict.value,
        sentence=cell.sentence,
        details={
            "p_excess": cell.p_family,
            "q_any_dependence": cell.q_value_any,
            "excess_bps": cell.excess_bps,
            "gain_bps": cell.gain_bps,
            "rows": cell.n,
            "rows_net_bps": cell.net_bps_best_side,
            "rows_effective": cell.n_eff,
            "mde_bps": cell.mde_bps,
            "trials_of_run": result.trials,
            "trial_hash": result.trial_hash,
        },
    )
