"""Triggers in the terms of a coded panel: which codes of which features satisfy them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from edgesmith.errors import InputError
from edgesmith.evaluation.bins import MISSING, FeatureBins
from edgesmith.evaluation.sums import Condition


class BoundLike(Protocol):
    """An interval of a feature, low <= x < high, or its missing value."""

    @property
    def feature(self) -> str:
        """Return the name of the feature or the text of its spec."""
        ...

    @property
    def low(self) -> float | None:
        """Return the lower bound, None where open."""
        ...

    @property
    def high(self) -> float | None:
        """Return the upper bound, None where open."""
        ...

    @property
    def missing(self) -> bool:
        """Return whether the value must be missing."""
        ...


class TriggerLike(Protocol):
    """A conjunction of bounds, in some regimes."""

    @property
    def bounds(self) -> Sequence[BoundLike]:
        """Return the bounds, all of which must hold."""
        ...

    @property
    def regimes(self) -> Sequence[int] | None:
        """Return the regimes in which it holds, None for any."""
        ...


def conditions_of(
    trigger: TriggerLike, bins: Sequence[FeatureBins], texts: Mapping[str, str], regime_feature: str | None
) -> tuple[Condition, ...]:
    """Return the conditions on codes that a trigger means; its bounds must be cut points of the bins."""
    names = [one.name for one in bins]
    found = []
    for bound in trigger.bounds:
        name = texts.get(bound.feature, bound.feature)
        if name not in names:
            raise InputError(f"the trigger asked for '{bound.feature}', expected a feature of this panel: {', '.join(names)}")
        found.append(_condition(names.index(name), bins[names.index(name)], bound))
    if trigger.regimes is not None:
        if regime_feature is None or regime_feature not in names:
            raise InputError("the trigger named regimes, but this panel has no regime feature; build it with the regime model")
        place = names.index(regime_feature)
        holds = np.zeros(256, np.bool_)
        for regime in trigger.regimes:
            holds[int(np.searchsorted(np.array(bins[place].cuts), float(regime), "right"))] = True
        found.append(Condition(place, holds))
    return tuple(found)


def _condition(place: int, bins: FeatureBins, bound: BoundLike) -> Condition:
    holds = np.zeros(256, np.bool_)
    if bound.missing:
        holds[MISSING] = True
        return Condition(place, holds)
    for edge in (bound.low, bound.high):
        if edge is not None and edge not in bins.cuts:
            raise InputError(
                f"{bins.name}: the trigger is bounded at {edge!r}, which is not a cut point of this panel's bins "
                f"({', '.join(map(repr, bins.cuts))}); evaluate it with the bins it was found with"
            )
    for code in range(bins.count):
        low, high = bins.bounds(code)
        above = bound.low is None or (low is not None and low >= bound.low)
        below = bound.high is None or (high is not None and high <= bound.high)
        holds[code] = above and below
    return Condition(place, holds)
