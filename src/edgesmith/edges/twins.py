"""Near twins: edges that act at the same instants are one edge, whatever they are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesmith.domain.units import NS_PER_S
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.evaluator import Evaluator, Onsets
from edgesmith.errors import InputError
from edgesmith.lake.catalog import Partition

TWIN_JACCARD_RATIO = 0.8
# Onsets this close are one: otherwise another decision grid would make another edge.
TWIN_GRID_NS = NS_PER_S


def refuse_twin(spec: EdgeSpec, opened: Sequence[EdgeSpec], evaluator: Evaluator, outside: Sequence[Partition]) -> None:
    """Raise InputError where `spec` acts at the instants of an edge that was opened; `outside` holds the data of all of them."""
    others = [one for one in opened if one.instrument == spec.instrument]
    if not others:
        return
    own, *theirs = map(_instants, evaluator.onsets([spec, *others], outside))
    if not len(own):
        raise InputError(
            f"{spec.edge_id} never begins outside the vault, so nobody can tell whether it is the twin of an edge that was "
            "opened; import more days, or widen its trigger"
        )
    for other, instants in zip(others, theirs, strict=True):
        overlap = jaccard(own, instants)
        if overlap >= TWIN_JACCARD_RATIO or other.trigger == spec.trigger:
            raise InputError(
                f"{spec.edge_id} acts at the same instants as {other.edge_id} (Jaccard {overlap:.2f}, the limit is "
                f"{TWIN_JACCARD_RATIO}), which was opened already; the vault answers once for both"
            )


def jaccard(one: Onsets, other: Onsets) -> float:
    """Return the share of instants both have among those either has; 0 where neither has any."""
    union = len(np.union1d(one, other))
    return len(np.intersect1d(one, other)) / union if union else 0.0


def _instants(onsets: Onsets) -> Onsets:
    return np.unique(onsets // TWIN_GRID_NS)
