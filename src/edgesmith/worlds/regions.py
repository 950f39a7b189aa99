"""Where a plant or a claim applies: a cell of one feature, and the instants at which a tape is in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO, Stream
from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import InputError
from edgesmith.features.catalog import feature
from edgesmith.features.operator import FeatureSpec, Mirror, Node, find_feature
from edgesmith.features.program import Program

# Features start fresh with each tape; until this long after its start nothing is planted or counted.
SETTLE_NS = 60 * NS_PER_S
# Time beyond a decision's own margin for the last shifts to find an update before the tape ends.
_CLOSE_NS = 20 * NS_PER_S
_PRICE_FIELDS = frozenset({"bid_price", "ask_price", "price", "mark_price", "index_price"})


class Region(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell of one feature: `low` <= value < `high`; if `mirrored`, also its mirror image, with the sides exchanged."""

    feature: str
    low: float
    high: float = 1e9
    mirrored: bool = False
    params: dict[str, int | float] = {}

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InputError(f"region of {self.feature} was {self.low}..{self.high}, expected low < high")
        registered = find_feature(self.feature)
        if self.mirrored and not (registered.mirror == Mirror.ODD and registered.center == 0.0 and self.low >= 0.0):
            raise InputError(f"region of {self.feature} was mirrored, expected an odd feature about 0 and low >= 0")

    @property
    def spec(self) -> FeatureSpec:
        """Return the feature with its parameters."""
        return feature(self.feature, **self.params)

    def signs(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return +1 inside the region, -1 inside its mirror image, else 0 (also for NaN)."""
        inside = (values >= self.low) & (values < self.high)
        image = (-values >= self.low) & (-values < self.high) if self.mirrored else np.zeros(len(values), bool)
        return inside.astype(np.int64) - image.astype(np.int64)


def is_shift_invariant(spec: FeatureSpec) -> bool:
    """Tell whether adding a constant to all prices leaves a feature alone."""
    return spec.feature == "spread" or not any(leaf.name in _PRICE_FIELDS for leaf in _leaves(spec.node))


def _leaves(node: Node) -> Iterator[Node]:
    if node.operator is None:
        yield node
    for inner in node.inputs:
        yield from _leaves(inner)


def decisions(events: NDArray[Any], region: Region, every_ns: int, margin_ns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the decision instants of a tape and the sign of `region` at each: +1 in it, -1 in its image, 0 outside.

    Instants are the multiples of `every_ns` on the receive clock from `SETTLE_NS` after the start of the tape to `margin_ns`,
    and a little, before its end. The value at an instant is that after the last event received by then.
    """
    observed, values = observable(events, region.spec)
    quotes_ns = events["ts_recv"][events["kind"] == KIND_BBO]
    if not len(observed) or not len(quotes_ns):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = -(-(int(quotes_ns[0]) + SETTLE_NS) // every_ns)
    last = (int(quotes_ns[-1]) - margin_ns - _CLOSE_NS) // every_ns
    instants_ns = np.arange(first, last + 1, dtype=np.int64) * every_ns
    at = np.searchsorted(observed, instants_ns, side="right") - 1
    return instants_ns, np.where(at >= 0, region.signs(values[np.maximum(at, 0)]), 0)


def observable(events: NDArray[Any], spec: FeatureSpec) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the receive instants of the events that move a feature, and its value after each."""
    program = _program(spec)
    kinds = [int(stream) for stream in Stream if stream in program.consumes]
    seen = events[np.isin(events["kind"], kinds)]  # a copy, so it may be changed
    if len(kinds) > 1:
        seen = seen[np.lexsort((seen["seq"], seen["kind"], seen["ts_event"], seen["ts_recv"]))]
    seen["instrument"] = 0
    return seen["ts_recv"], program.compute(seen)[:, 0]


@cache
def _program(spec: FeatureSpec) -> Program:
    return Program([spec])
