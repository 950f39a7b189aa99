"""Where a plant or a claim applies: a cell of one or a few features, and the instants at which a tape is in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

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


class Cell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further condition of a region: `low` <= value < `high`.

    `role` says what it does: "inside" asks for the value as it is; the others look at the mirror image as well, and "sign"
    multiplies the region's sign by its own, "same" asks for the region's own sign, "opposite" for the other.
    """

    feature: str
    low: float
    high: float = 1e9
    params: dict[str, int | float] = {}
    role: Literal["inside", "sign", "same", "opposite"] = "inside"

    def __post_init__(self) -> None:
        _check_cell(self.feature, self.low, self.high, self.role != "inside")

    @property
    def spec(self) -> FeatureSpec:
        """Return the feature with its parameters."""
        return feature(self.feature, **self.params)

    def joined(self, signs: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the `signs` of a region with this condition added, from the condition's own values."""
        own = _cell_signs(values, self.low, self.high, self.role != "inside")
        if self.role in ("inside", "sign"):
            return signs * own
        wanted = 1 if self.role == "same" else -1
        return np.where(own * signs == wanted, signs, 0)


class Region(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell of one feature: `low` <= value < `high`; if `mirrored`, also its mirror image, with the sides exchanged.

    `within` narrows it by cells of other features.
    """

    feature: str
    low: float
    high: float = 1e9
    mirrored: bool = False
    params: dict[str, int | float] = {}
    within: tuple[Cell, ...] = ()

    def __post_init__(self) -> None:
        _check_cell(self.feature, self.low, self.high, self.mirrored)

    @property
    def spec(self) -> FeatureSpec:
        """Return the feature with its parameters."""
        return feature(self.feature, **self.params)

    @property
    def specs(self) -> tuple[FeatureSpec, ...]:
        """Return all features that decide, its own first."""
        return (self.spec, *(cell.spec for cell in self.within))

    def signs(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return +1 inside the region, -1 inside its mirror image, else 0 (also for NaN), by its first feature alone."""
        return _cell_signs(values, self.low, self.high, self.mirrored)


def _check_cell(name: str, low: float, high: float, mirrored: bool) -> None:
    if not low < high:
        raise InputError(f"region of {name} was {low}..{high}, expected low < high")
    registered = find_feature(name)
    if mirrored and not (registered.mirror == Mirror.ODD and registered.center == 0.0 and low >= 0.0):
        raise InputError(f"region of {name} was mirrored, expected an odd feature about 0 and low >= 0")


def _cell_signs(values: NDArray[np.float64], low: float, high: float, mirrored: bool) -> NDArray[np.int64]:
    inside = (values >= low) & (values < high)
    image = (-values >= low) & (-values < high) if mirrored else np.zeros(len(values), bool)
    return inside.astype(np.int64) - image.astype(np.int64)


def is_shift_invariant(spec: FeatureSpec) -> bool:
    """Tell whether adding a constant to all prices leaves a feature alone."""
    return spec.feature == "spread" or not any(leaf.name in _PRICE_FIELDS for leaf in _leaves(spec.node))


def _leaves(node: Node) -> Iterator[Node]:
    if node.operator is None:
        yield node
    for inner in node.inputs:
        yield from _leaves(inner)


def decisions(
    events: NDArray[Any],
    region: Region,
    every_ns: int,
    margin_ns: int,
    *,
    onset: bool = False,
    watched: NDArray[Any] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the decision instants of a tape and the sign of `region` at each: +1 in it, -1 in its image, 0 outside.

    Instants are the multiples of `every_ns` on the receive clock from `SETTLE_NS` after the start of the tape to `margin_ns`,
    and a little, before its end. The value at an instant is that after the last event received by then; features are those
    of `watched`, another symbol's tape, where given. With `onset`, an instant counts only where the one before had another sign.
    """
    quotes_ns = events["ts_recv"][events["kind"] == KIND_BBO]
    if not len(quotes_ns):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = -(-(int(quotes_ns[0]) + SETTLE_NS) // every_ns)
    last = (int(quotes_ns[-1]) - margin_ns - _CLOSE_NS) // every_ns
    instants_ns = np.arange(first, last + 1, dtype=np.int64) * every_ns
    signs = signs_at(events if watched is None else watched, region, instants_ns)
    if onset:
        signs = np.where(np.r_[False, signs[1:] == signs[:-1]], 0, signs)
    return instants_ns, signs


def signs_at(events: NDArray[Any], region: Region, instants_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sign of `region` at each instant, from what was received by then."""
    signs = region.signs(values_at(events, region.spec, instants_ns))
    for cell in region.within:
        signs = cell.joined(signs, values_at(events, cell.spec, instants_ns))
    return signs


def values_at(events: NDArray[Any], spec: FeatureSpec, instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the value of a feature at each instant, after the last event received by then; NaN before the first."""
    observed, values = observable(events, spec)
    if not len(observed):
        return np.full(len(instants_ns), np.nan)
    at = np.searchsorted(observed, instants_ns, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], np.nan)


def observable(events: NDArray[Any], spec: FeatureSpec) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the receive instants of the events that move a feature, and its value after each."""
    program = _program(spec)
    kinds = [int(stream) for stream in Stream if stream in program.consumes]
    seen = events[np.isin(events["kind"], kinds)]  # a copy, so it may be changed
    if len(kinds) > 1 or not (seen["ts_recv"][1:] >= seen["ts_recv"][:-1]).all():
        seen = seen[np.lexsort((seen["seq"], seen["kind"], seen["ts_event"], seen["ts_recv"]))]
    seen["instrument"] = 0
    return seen["ts_recv"], program.compute(seen)[:, 0]


@cache
def _program(spec: FeatureSpec) -> Program:
    return Program([spec])
