"""An edge as a strategy: exactly what its spec says, one position at a time; compiled.

Decisions are made where discovery made them, at the instants of the spec's grid, from what had been received by then. It enters
at an onset, the first grid instant at which every bound holds after one at which some did not, and leaves when the horizon is
over, counted from the decision, or earlier if the exit of the spec says so. Nothing is entered before `begin_ns`, when features
are still warming up, nor on a state that is older than the spec's gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from edgesmith.domain.events import KIND_BBO, Stream
from edgesmith.edges.edge import BOUNDS_MAX, EdgeSpec
from edgesmith.errors import InputError
from edgesmith.features.text import parse_feature
from edgesmith.trading.strategy import CompiledStrategy, StrategyConfig

# Places in view.params: eleven numbers, then low, high and missing of every bound.
COUNT, SIDE, QTY, HORIZON_NS, ENDS_WITH_TRIGGER, STOP, GRID_NS, REGIMES, BEGIN_INDEX, GAP_NS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
PLACE, FIRST_BOUND, BOUND_WIDTH = 10, 11, 3
# Places in view.memory: the trigger after the last event and at the last grid instant, that instant's number, of the trade its
# decision in whole seconds and the rest, its entry price and the volatility then, and the last quote's time in the same two.
ON, ON_AT_GRID, GRID_INDEX, ENTERED_S, ENTERED_NS, IN_TRADE, ENTRY_MID, ENTRY_VOLATILITY = 0, 1, 2, 3, 4, 5, 6, 7
QUOTED_S, QUOTED_NS = 8, 9
NS_PER_S = 1_000_000_000
VOLATILITY = ("volatility", {"window": 100})


class TriggerConfig(StrategyConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edge to trade, the quantity of each trade (contracts of inverse ones), and the first instant a decision may be of.

    `place` is that of the symbol that is traded among those of the run; a leader is only looked at.
    """

    spec: EdgeSpec
    qty: Annotated[float, Meta(gt=0.0)]
    begin_ns: int = 0
    place: Annotated[int, Meta(ge=0)] = 0


class TriggerStrategy(CompiledStrategy):
    """Trades one `EdgeSpec` as it is written."""

    name = "edge"
    Config = TriggerConfig
    streams = (Stream.BBO, Stream.TRADE)

    def __init__(self, config: TriggerConfig) -> None:
        if config.spec.entry != "taker":
            raise InputError(f"edge {config.spec.edge_id} enters as a maker; only edges entered as a taker can be replayed")
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
            spec.exit.stop_volatility_units or 0.0,
            float(spec.grid_ns),
            # Bit k stands for regime k; 0 is any.
            float(sum(1 << regime for regime in spec.trigger.regimes or ())),
            float(-(-self.config.begin_ns // spec.grid_ns)),
            float(spec.gap_ns),
            float(self.config.place),
        ]
        for bound in spec.trigger.bounds:
            low = -math.inf if bound.low is None else bound.low
            high = math.inf if bound.high is None else bound.high
            numbers += [low, high, float(bound.missing)]
        numbers += [0.0] * (FIRST_BOUND + BOUND_WIDTH * BOUNDS_MAX - len(numbers))
        return tuple(numbers)

    @staticmethod
    def decide(view: Any) -> float:
        """Return the position wanted."""
        if view.instrument != view.params[PLACE]:
            return math.nan
        grid_index = view.ts // int(view.params[GRID_NS])
        # What held after the event before this one held at every grid instant in between.
        onset = False
        quiet_ns = (view.ts // NS_PER_S - view.memory[QUOTED_S]) * NS_PER_S + (view.ts % NS_PER_S - view.memory[QUOTED_NS])
        if view.kind == KIND_BBO:
            view.memory[QUOTED_S] = view.ts // NS_PER_S
            view.memory[QUOTED_NS] = view.ts % NS_PER_S
        if quiet_ns > view.params[GAP_NS]:
            # At the start and after lost data nobody saw the trigger begin: it must be seen off first.
            view.memory[ON_AT_GRID] = 1.0
            view.memory[GRID_INDEX] = grid_index
        elif grid_index > view.memory[GRID_INDEX]:
            onset = view.memory[ON] > 0.0 and view.memory[ON_AT_GRID] == 0.0 and grid_index >= view.params[BEGIN_INDEX]
            view.memory[ON_AT_GRID] = view.memory[ON]
            view.memory[GRID_INDEX] = grid_index
        on = 1.0
        for index in range(int(view.params[COUNT])):
            value = view.features[index]
            base = FIRST_BOUND + BOUND_WIDTH * index
            if view.params[base + 2] > 0.0:
                if value == value:
                    on = 0.0
            elif not view.params[base] <= value or not value < view.params[base + 1]:
                on = 0.0
        extra = int(view.params[COUNT])
        if view.params[REGIMES] > 0.0:
            label = view.features[extra]
            extra += 1
            if label != label or (int(view.params[REGIMES]) >> int(label)) & 1 == 0:
                on = 0.0
        view.memory[ON] = on
        mid = (view.bid_price + view.ask_price) / 2.0
        if view.memory[IN_TRADE] > 0.0:
            held_ns = (view.ts // NS_PER_S - view.memory[ENTERED_S]) * NS_PER_S + (view.ts % NS_PER_S - view.memory[ENTERED_NS])
            over = held_ns >= view.params[HORIZON_NS]
            if view.params[ENDS_WITH_TRIGGER] > 0.0 and on == 0.0:
                over = True
            if view.params[STOP] > 0.0:
                against = view.params[SIDE] * (view.memory[ENTRY_MID] - mid) / view.memory[ENTRY_MID]
                # In a market that had not moved at all, the first move against is the stop.
                if against > 0.0 and against >= view.params[STOP] * view.memory[ENTRY_VOLATILITY]:
                    over = True
            if not over:
                return math.nan
            view.memory[IN_TRADE] = 0.0
            return 0.0
        if not onset or view.position_qty != 0.0 or view.pending_qty != 0.0 or not mid > 0.0:
            return math.nan
        view.memory[IN_TRADE] = 1.0
        view.memory[ENTERED_S] = view.ts // NS_PER_S
        view.memory[ENTERED_NS] = view.ts % NS_PER_S
        view.memory[ENTRY_MID] = mid
        view.memory[ENTRY_VOLATILITY] = view.features[extra]
        return view.params[SIDE] * view.params[QTY]
