"""What the strategies that trade an edge share: its spec as numbers, the trigger event by event, the ways out; compiled.

Decisions are made where discovery made them, at the instants of the spec's grid, from what had been received by then. An onset
is the first grid instant at which every bound holds after one at which some did not. None is seen before `begin_ns`, when
features are still warming up, nor on a state that is older than the spec's gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from edgesmith.compiled import kernel
from edgesmith.domain.events import KIND_BBO, Stream
from edgesmith.domain.units import BPS, NS_PER_S
from edgesmith.edges.edge import BOUNDS_MAX, EdgeSpec, EntryKind
from edgesmith.errors import InputError
from edgesmith.features.text import parse_feature
from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig

# Places in view.params: twelve numbers, then low, high and missing of every bound.
COUNT, SIDE, QTY, HORIZON_NS, ENDS_WITH_TRIGGER, STOP, GRID_NS, REGIMES, BEGIN_INDEX, GAP_NS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
PLACE, LATENCY_NS, FIRST_BOUND, BOUND_WIDTH = 10, 11, 12, 3
# Places in view.memory: the trigger after the last event and at the last grid instant, and that instant's number; the last
# quote's time; of the trade under way its decision's time, the mid price then (a maker's: at its fill), how far is too far.
ON, ON_AT_GRID, GRID_INDEX, QUOTED, DECIDED, IN_TRADE, ENTRY_MID, STOP_MOVE = 0, 1, 2, 3, 5, 7, 8, 9
# Where a strategy's own begin. A time takes two places: whole seconds and the rest.
OWN_MEMORY = 10
VOLATILITY = ("realized_volatility", {"grid_ns": 1_000_000_000, "half_life_ns": 60_000_000_000})


class TriggerConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edge to trade, the quantity of each trade (contracts of inverse ones), and the first instant a decision may be of.

    `place` is that of the symbol that is traded among those of the run; a leader is only looked at.
    """

    spec: EdgeSpec
    qty: Annotated[float, Meta(gt=0.0)]
    begin_ns: int = 0
    place: Annotated[int, Meta(ge=0)] = 0


class EdgeStrategy(CompiledStrategy):
    """Base of the strategies that trade one `EdgeSpec` as it is written, one position at a time."""

    Config = TriggerConfig
    streams = (Stream.BBO, Stream.TRADE)
    entries: ClassVar[tuple[EntryKind, ...]] = ()

    def __init__(self, config: TriggerConfig) -> None:
        if config.spec.entry not in self.entries:
            raise InputError(
                f"edge {config.spec.edge_id} enters as {config.spec.entry}, and strategy '{self.name}' trades {self.entries}"
            )
        super().__init__(config)

    @property
    def features(self) -> tuple[tuple[str, Mapping[str, float]], ...]:
        """Return the features of the bounds, the regime where the trigger names some, and the volatility of a stop."""
        edge: EdgeSpec = self.config.spec
        specs = [parse_feature(bound.feature) for bound in edge.trigger.bounds]
        found: list[tuple[str, Mapping[str, float]]] = [(spec.feature, dict(spec.params)) for spec in specs]
        if edge.trigger.regimes is not None:
            found.append((f"regime_label_{edge.regimes_hash}", {}))
        if edge.exit.kind == "stop":
            found.append(VOLATILITY)
        return tuple(found)

    def params(self) -> tuple[float, ...]:
        """Return the spec as numbers."""
        spec: EdgeSpec = self.config.spec
        numbers = [
            float(len(spec.trigger.bounds)),
            float(spec.side),
            float(self.config.qty),
            float(spec.horizon_ns),
            float(spec.exit.kind == "trigger_off"),
            # Of the volatility, bps per root second, to a part of the price over the horizon.
            (spec.exit.stop_volatility_units or 0.0) * math.sqrt(spec.horizon_ns / NS_PER_S) * BPS,
            float(spec.grid_ns),
            # Bit k stands for regime k; 0 is any.
            float(sum(1 << regime for regime in spec.trigger.regimes or ())),
            float(-(-self.config.begin_ns // spec.grid_ns)),
            float(spec.gap_ns),
            float(self.config.place),
            float(spec.latency_ns),
        ]
        for bound in spec.trigger.bounds:
            low = -math.inf if bound.low is None else bound.low
            high = math.inf if bound.high is None else bound.high
            numbers += [low, high, float(bound.missing)]
        numbers += [0.0] * (FIRST_BOUND + BOUND_WIDTH * BOUNDS_MAX - len(numbers))
        return tuple(numbers)


@kernel
def note_time(view: Any, place: int) -> None:
    """Keep the instant of this event in two places of memory; one float64 would lose nanoseconds."""
    view.memory[place] = view.ts // NS_PER_S
    view.memory[place + 1] = view.ts % NS_PER_S


@kernel
def since_ns(view: Any, place: int) -> float:
    """Return the time since the instant kept at `place`."""
    return (view.ts // NS_PER_S - view.memory[place]) * NS_PER_S + (view.ts % NS_PER_S - view.memory[place + 1])


@kernel
def begins(view: Any) -> bool:
    """Take the trigger past this event; True where it had begun at a grid instant since the last one."""
    grid_index = view.ts // int(view.params[GRID_NS])
    quiet_ns = since_ns(view, QUOTED)
    if view.kind == KIND_BBO:
        note_time(view, QUOTED)
    onset = False
    if quiet_ns > view.params[GAP_NS]:
        # At the start and after lost data nobody saw the trigger begin: it must be seen off first.
        view.memory[ON_AT_GRID] = 1.0
        view.memory[GRID_INDEX] = grid_index
    elif grid_index > view.memory[GRID_INDEX]:
        # What held after the event before this one held at every grid instant in between.
        onset = view.memory[ON] > 0.0 and view.memory[ON_AT_GRID] == 0.0 and grid_index >= view.params[BEGIN_INDEX]
        view.memory[ON_AT_GRID] = view.memory[ON]
        view.memory[GRID_INDEX] = grid_index
    view.memory[ON] = holds(view)
    return onset


@kernel
def holds(view: Any) -> float:
    """Return 1 where every bound holds in one of the regimes, else 0."""
    count = int(view.params[COUNT])
    for index in range(count):
        value = view.features[index]
        base = FIRST_BOUND + BOUND_WIDTH * index
        if view.params[base + 2] > 0.0:
            if value == value:
                return 0.0
        elif not view.params[base] <= value or not value < view.params[base + 1]:
            return 0.0
    if view.params[REGIMES] > 0.0:
        label = view.features[count]
        if label != label or (int(view.params[REGIMES]) >> int(label)) & 1 == 0:
            return 0.0
    return 1.0


@kernel
def sets_stop(view: Any, mid: float) -> bool:
    """Keep the mid price and how far against us it may move; False where an edge with a stop cannot tell."""
    view.memory[ENTRY_MID] = mid
    view.memory[STOP_MOVE] = math.inf
    if view.params[STOP] > 0.0:
        volatility = view.features[int(view.params[COUNT]) + (1 if view.params[REGIMES] > 0.0 else 0)]
        if not volatility >= 0.0:
            return False
        view.memory[STOP_MOVE] = view.params[STOP] * volatility
    return True


@kernel
def ends_early(view: Any, mid: float) -> bool:
    """Tell whether the trigger's end or the stop takes the trade out before its horizon."""
    if view.params[ENDS_WITH_TRIGGER] > 0.0 and view.memory[ON] == 0.0:
        return True
    against = view.params[SIDE] * (view.memory[ENTRY_MID] - mid) / view.memory[ENTRY_MID]
    # In a market that had not moved at all, the first move against is the stop.
    return against > 0.0 and against >= view.memory[STOP_MOVE]
