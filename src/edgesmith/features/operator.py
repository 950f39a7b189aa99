"""What a feature is made of: operators, the nodes that apply them, and the registry of features.

An `Operator` names a plain function that `features.generation` copies into a compiled kernel. Its arguments come in one
fixed order, each group only where the operator declares it:

=====================  ==================================================================================
`f, i`                 float64 and int64 state of the instrument; wherever the operator keeps any memory
`at`                   index in `f` of its own `len(initial)` floats, which start as `initial`
`n`                    index in `i` of its own `counters` integers, which start at 0
`ring, mask, tally`    shared history of its last input: value k at `f[ring + (k & mask)]`, number of values at
                       `i[tally]`, the newest included
`space`                index in `f` of its own `workspace` floats, which start as declared
inputs, parameters     float64 values of this event (`ts_ns`, `kind`, `flags` are integers), then the parameters in
                       declared order
=====================  ==================================================================================

It returns this event's value: NaN while warming up, NaN for a NaN input, which must leave its state untouched (R30).
A `Node` is an operator applied to other nodes; equal nodes are computed once. A feature is a function from parameters to
a node, registered with its unit and its behavior under a mirrored market, which is what the laws in `tests/laws` check.

Several streams meet through `latest(x)`, which has a value on every event: x itself where x is new, else the last x. An
operator is advanced on the events that change one of its inputs and on which it has them all; `hears` narrows that down.
Another instrument's memory is read by operators that look `across`: after their own memory come `floats, ints, own,
there, tally`, all state, the index of the event's instrument, and where the last input's memory lies in every row of it.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.errors import InputError, UnknownNameError

Number = int | float
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Bounds the state of one windowed node to 1 MiB per instrument.
WINDOW_EVENTS_MAX = 65_536
INSTRUMENTS_MAX = 1_024
EVERY_STREAM = frozenset(Stream)


@dataclass(frozen=True)
class Operator:
    """A recipe: the function that computes one value per event, and the memory it needs."""

    update: Callable[..., float]
    initial: tuple[float, ...] = ()
    counters: int = 0
    # Past values of the last input the operator reads, given its parameters.
    reads_back: Callable[..., int] | None = None
    # Initial floats of its own that it indexes by computed places, given its parameters.
    workspace: Callable[..., tuple[float, ...]] | None = None
    # Inputs it must see until its first value, given its parameters; by stream where it is advanced on several.
    warmup: Callable[..., int | Mapping[Stream, int]] = lambda *_: 1
    # Time that must pass on top of that, given its parameters.
    warmup_ns: Callable[..., int] = lambda *_: 0
    # Streams it is advanced on; None for all on which an input changes.
    hears: frozenset[Stream] | None = None
    # Its value stands until its input's next one, on events of all streams.
    keeps: bool = False
    # Reads the memory of its last input in the row of the instrument its first parameter names.
    across: bool = False

    @property
    def name(self) -> str:
        """Return the name of its function."""
        return str(self.update.__name__)

    @property
    def has_memory(self) -> bool:
        """Tell whether a value depends on earlier events."""
        return bool(self.initial) or self.counters > 0 or self.reads_back is not None

    def __call__(self, *inputs: Node, params: tuple[Number, ...] = ()) -> Node:
        """Apply the operator to nodes."""
        return Node(self.name, self, inputs, params)


@dataclass(frozen=True)
class Node:
    """One value per event: a field of the event (no operator), or an operator applied to other nodes."""

    name: str
    operator: Operator | None
    inputs: tuple[Node, ...]
    params: tuple[Number, ...]
    field_of: frozenset[Stream] = frozenset()

    @property
    def read(self) -> tuple[Node, ...]:
        """Return the inputs it reads on its own events: not the one it looks at across instruments."""
        return self.inputs[:-1] if self.operator is not None and self.operator.across else self.inputs

    @cached_property
    def consumes(self) -> frozenset[Stream]:
        """Return the streams whose events give it a new value."""
        if self.operator is None:
            return self.field_of
        changed: frozenset[Stream] = frozenset().union(*(node.consumes for node in self.read))
        heard = changed if self.operator.hears is None else self.operator.hears
        common = heard.intersection(*(node.available for node in self.read))
        assert common, f"inputs of '{self.name}' never arrive in one event; carry one over with latest()"
        return common

    @cached_property
    def needs(self) -> frozenset[Stream]:
        """Return the streams it must be fed: those it consumes, and those of whose values it looks at the latest."""
        if self.operator is None:
            return self.field_of if len(self.field_of) == 1 else frozenset()
        return self.consumes.union(*(node.needs for node in self.inputs))

    @property
    def available(self) -> frozenset[Stream]:
        """Return the streams on whose events it has a value."""
        return EVERY_STREAM if self.operator is not None and self.operator.keeps else self.consumes

    @cached_property
    def warmup(self) -> Mapping[Stream, int]:
        """Return how many events of each stream it takes until the first value, on clean input; none where not listed."""
        if self.operator is None:
            return dict.fromkeys(self.field_of, 1) if len(self.field_of) == 1 else {}
        needed: dict[Stream, int] = {}
        for node in self.read:
            needed |= {stream: max(count, needed.get(stream, 0)) for stream, count in node.warmup.items()}
        own = self.operator.warmup(*self.params)
        if not isinstance(own, Mapping):
            assert own == 1 or len(self.consumes) == 1, f"'{self.name}' is advanced on several streams; count each"
            own = dict.fromkeys(self.consumes, own) if own > 1 else {}
        return needed | {stream: needed.get(stream, 1) + count - 1 for stream, count in own.items()}

    @property
    def warmup_events(self) -> int:
        """Return the 1-based number of the consumed event that can give the first value, on clean input."""
        return max(sum(self.warmup.values()), 1)

    @cached_property
    def warmup_ns(self) -> int:
        """Return the time that passes at least, from its first event, until the first value."""
        if self.operator is None:
            return 0
        return max((node.warmup_ns for node in self.inputs), default=0) + self.operator.warmup_ns(*self.params)

    @cached_property
    def looks_at(self) -> frozenset[int]:
        """Return the instruments it looks at across, by their place in the run."""
        own = frozenset({int(self.params[0])}) if self.operator is not None and self.operator.across else frozenset()
        return own.union(*(node.looks_at for node in self.inputs))

    def __str__(self) -> str:
        """Return the expression as text."""
        if self.operator is None:
            return self.name
        return f"{self.name}({', '.join([*map(str, self.inputs), *map(repr, self.params)])})"


def field(name: str, *streams: Stream) -> Node:
    """Return the node that reads field `name` of events of `streams`."""
    return Node(name, None, (), (), frozenset(streams))


BID_PRICE = field("bid_price", Stream.BBO)
BID_QTY = field("bid_qty", Stream.BBO)
ASK_PRICE = field("ask_price", Stream.BBO)
ASK_QTY = field("ask_qty", Stream.BBO)
TRADE_PRICE = field("price", Stream.TRADE)
TRADE_QTY = field("qty", Stream.TRADE)
TRADE_SIDE = field("side", Stream.TRADE)
MARK_PRICE = field("mark_price", Stream.MARK_PRICE)
INDEX_PRICE = field("index_price", Stream.MARK_PRICE)
FUNDING_RATE = field("funding_rate", Stream.FUNDING)
FUNDING_DUE_NS = field("next_funding_ts", Stream.FUNDING)
OPEN_INTEREST = field("open_interest", Stream.OPEN_INTEREST)
# The clock decisions are made on; never decreases in decision order.
TS_NS = field("ts_recv", *Stream)
# The stream of this event, a KIND_ constant; for operators advanced on several.
KIND = field("kind", *Stream)
FLAGS = field("flags", *Stream)
QUOTES_AND_TRADES = frozenset({Stream.BBO, Stream.TRADE})


def kept(f: Floats, i: Ints, at: int, x: float) -> float:
    """Return x and keep it, unless it is NaN, for events of other streams."""
    if x == x:
        f[at] = x
    return x


_LATEST = Operator(kept, initial=(math.nan,), keeps=True)


def latest(x: Node) -> Node:
    """Return a node that is x on events that change x, and the last x that was a number on all others."""
    return _LATEST(x)


class Unit(Enum):
    """What a feature is measured in; decides how it answers to a change of the price scale."""

    PRICE = "price"  # quote per base: scales with prices
    RATIO = "ratio"  # free of scale
    LABEL = "label"  # a small integer naming a state, free of scale


class Mirror(Enum):
    """How a feature answers when the market is seen upside down.

    Prices are reflected (p -> K - p, so the bid becomes the ask), sizes change sides, buyers become sellers. Where a feature
    divides by the price level this holds up to the ratio of the move to that level.
    """

    EVEN = "even"  # unchanged
    ODD = "odd"  # reflected about its `center`
    LEVEL = "level"  # a price: x -> K - x
    NONE = "none"  # no simple answer


@dataclass(frozen=True)
class Range:
    """Closed range a parameter must lie in."""

    low: Number
    high: Number


Window = Annotated[int, Range(1, WINDOW_EVENTS_MAX)]
Ratio = Annotated[float, Range(0.0, 1e6)]
DurationNs = Annotated[int, Range(1_000, 86_400 * 10**9)]
# Place of another instrument in the run's list of instruments.
Place = Annotated[int, Range(0, INSTRUMENTS_MAX - 1)]


@dataclass(frozen=True)
class Param:
    """One parameter of a feature: name, default and range."""

    name: str
    default: Number
    range: Range
    is_integer: bool

    def check(self, feature: str, value: object) -> Number:
        """Return `value` as a number of the right kind, or raise InputError."""
        kind = "an integer" if self.is_integer else "a number"
        expected = f"expected {kind} from {self.range.low} to {self.range.high}"
        if isinstance(value, bool) or not isinstance(value, int if self.is_integer else (int, float)):
            raise InputError(f"{feature}: {self.name} was {value!r}, {expected}")
        number = int(value) if self.is_integer else float(value)
        if not self.range.low <= number <= self.range.high or not math.isfinite(number):
            raise InputError(f"{feature}: {self.name} was {value!r}, {expected}")
        return number


@dataclass(frozen=True)
class Feature:
    """A registered feature: how to build it, and what is true of it."""

    name: str
    family: str
    summary: str
    unit: Unit
    mirror: Mirror
    center: float
    params: tuple[Param, ...]
    build: Callable[..., Node]

    def spec(self, **params: object) -> FeatureSpec:
        """Return the feature with `params` checked and the rest at their defaults."""
        unknown = sorted(set(params) - {param.name for param in self.params})
        if unknown:
            raise UnknownNameError(f"parameter of feature {self.name}", unknown[0], [param.name for param in self.params])
        values = tuple((param.name, param.check(self.name, params.get(param.name, param.default))) for param in self.params)
        spec = FeatureSpec(self.name, self.name, values)
        _ = spec.node  # rules between parameters are checked where the node is built
        return spec


@dataclass(frozen=True)
class FeatureSpec:
    """One column of a program: a feature with all its parameters, under the name `name`."""

    name: str
    feature: str
    params: tuple[tuple[str, Number], ...] = ()

    def named(self, name: str) -> FeatureSpec:
        """Return the same column under another name, as conditions and tables will call it."""
        if not name.isidentifier():
            raise InputError(f"column name was '{name}', expected letters, digits and underscores, starting with a letter")
        return replace(self, name=name)

    @property
    def definition(self) -> Feature:
        """Return the registered feature."""
        return find_feature(self.feature)

    @property
    def node(self) -> Node:
        """Return the node that computes it."""
        return self.definition.build(**dict(self.params))

    @property
    def warmup_events(self) -> int:
        """Return the 1-based number of the consumed event that can give the first value, on clean input."""
        return self.node.warmup_events

    @property
    def consumes(self) -> frozenset[Stream]:
        """Return the streams whose events give it a new value."""
        return self.node.consumes

    def __str__(self) -> str:
        """Return `feature(param=value, ...)`, the identity used in manifests."""
        return f"{self.feature}({', '.join(f'{name}={value!r}' for name, value in self.params)})"


_FEATURES: dict[str, Feature] = {}
# Features read from files, such as those of a regime model: found by name, but part of no list.
_LOADED: dict[str, Feature] = {}


def register(*, unit: Unit, mirror: Mirror, center: float = 0.0) -> Callable[[Callable[..., Node]], Callable[..., Node]]:
    """Register the decorated function as a feature; its signature gives the parameters, its docstring the summary."""

    def decorate(build: Callable[..., Node]) -> Callable[..., Node]:
        name, summary = build.__name__, (inspect.getdoc(build) or "").partition("\n\n")[0].replace("\n", " ")
        assert name not in _FEATURES, f"feature '{name}' is registered twice"
        family = build.__module__.rpartition(".")[2]
        _FEATURES[name] = Feature(name, family, summary, unit, mirror, center, tuple(_params(build)), build)
        return build

    return decorate


def _params(build: Callable[..., Node]) -> Iterable[Param]:
    hints = typing.get_type_hints(build, include_extras=True)
    for name, parameter in inspect.signature(build).parameters.items():
        kind, bounds = typing.get_args(hints[name])
        yield Param(name, parameter.default, bounds, kind is int)


def require(holds: bool, message: str) -> None:
    """Raise InputError with `message` unless a rule between parameters holds."""
    if not holds:
        raise InputError(message)


def find_feature(name: str) -> Feature:
    """Return the registered feature `name`."""
    if name in _LOADED:
        return _LOADED[name]
    if name not in _FEATURES:
        raise UnknownNameError("feature", name, _FEATURES)
    return _FEATURES[name]


def register_loaded(feature: Feature) -> None:
    """Make a feature that was read from a file known by its name, which must name its content too."""
    assert feature.name not in _FEATURES, f"feature '{feature.name}' is registered already"
    _LOADED.setdefault(feature.name, feature)


def registered_features() -> tuple[Feature, ...]:
    """Return every registered feature, in order of registration."""
    return tuple(_FEATURES.values())
