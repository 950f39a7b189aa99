"""What could have been chosen in place of an edge: other bounds of its own features, traded as the edge is.

For each feature of the trigger every bin and every tail that its cut points make, the other conditions as they are; entered when
they begin, one position at a time. The refit of every fold chooses among these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.discovery.result import Bins
from edgesmith.edges.edge import Bound, EdgeSpec
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import CodedPanel
from edgesmith.evaluation.labels import MOMENTS, SUM_UNITS, C, G, N
from edgesmith.evaluation.onsets import OnsetJob, onset_sums
from edgesmith.evaluation.sums import TriggerSums
from edgesmith.evaluation.triggers import conditions_of

Floats = NDArray[np.float64]


class Options(NamedTuple):
    """Results of the edge, which is the first, and of everything in its place.

    `grid` (blocks, options, 6): n, g and c of the round trips in bps, the squares are 0. `keys` (blocks,): block numbers; of an
    edge that acts in some regimes, the blocks in which one of those was.
    """

    grid: Floats
    keys: NDArray[np.int64]


class _Regimes(NamedTuple):
    regimes: tuple[int, ...] | None
    bounds: tuple[Bound, ...] = ()


def bins_with_bounds(bins: Sequence[Bins], specs: Sequence[EdgeSpec], texts: Mapping[str, str]) -> list[FeatureBins]:
    """Return the bins a search froze, cut also where edges with bounds of their own are; `texts` maps specs to feature names."""
    cuts = {one.feature: set(one.cuts) for one in bins}
    for spec in specs:
        for bound in spec.trigger.bounds:
            own = cuts.get(texts.get(bound.feature, bound.feature))
            if own is not None:
                own.update(edge for edge in (bound.low, bound.high) if edge is not None)
    return [FeatureBins(name, tuple(sorted(own))) for name, own in cuts.items()]


def option_results(spec: EdgeSpec, panel: CodedPanel, block_ns: int) -> Options:
    """Return what the edge and everything in its place earned, block by block."""
    pair = (spec.latency_ns, spec.horizon_ns)
    triggers = [spec.trigger]
    for at, bound in enumerate(spec.trigger.bounds):
        bins = panel.bins[panel.place_of(bound.feature)]
        for other in _in_place_of(bound, bins):
            bounds = (*spec.trigger.bounds[:at], other, *spec.trigger.bounds[at + 1 :])
            triggers.append(msgspec.structs.replace(spec.trigger, bounds=bounds))
    conditions = [conditions_of(one, panel.bins, panel.texts, panel.regime_feature) for one in triggers]
    found = onset_sums(panel, conditions, [OnsetJob(at, pair) for at in range(len(triggers))])
    (rows,) = panel.trigger_sums([_Regimes(spec.trigger.regimes)], block_ns=block_ns, columns=[pair])
    keys = _held(rows)
    assert found[0].block_ns == block_ns
    grid = np.zeros((len(keys), len(triggers), MOMENTS))
    for at, one in enumerate(found):
        grid[:, at, [N, G, C]] = one.sums[keys - one.first_key] / np.array([1.0, SUM_UNITS, SUM_UNITS])
    return Options(grid, keys)


def _in_place_of(bound: Bound, bins: FeatureBins) -> list[Bound]:
    if bound.missing:
        return []
    edges = (None, *bins.cuts, None)
    pairs = {(edges[at], edges[at + 1]) for at in range(bins.count)}
    pairs |= {(cut, None) for cut in bins.cuts} | {(None, cut) for cut in bins.cuts}
    order = sorted(pairs - {(bound.low, bound.high), (None, None)}, key=repr)
    return [Bound(feature=bound.feature, low=low, high=high) for low, high in order]


def _held(rows: TriggerSums) -> NDArray[np.int64]:
    return rows.keys[rows.sums[..., 0].any(axis=1)]
