"""What an edge is, and what is known about it.

An `EdgeSpec` says what to do and when, completely enough to be traded or refuted; its content names it. An `EdgeEvidence` is
what one stage of the work found out about it. Specs never change and evidence is only ever added, so a claim and the numbers
behind it cannot drift apart.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from edgesmith.canonical import content_hash
from edgesmith.domain.units import format_duration_ns
from edgesmith.errors import InputError, UnknownNameError

BOUNDS_MAX = 3
EDGE_ID_PREFIX = "edge_"
# In the order an edge goes through them: what the furthest one found last is where the edge stands.
STAGES = ("discovery", "validation", "vault")

ExitKind = Literal["time", "trigger_off", "stop"]
EntryKind = Literal["taker", "maker_touch", "maker_queue"]

_ENTRY_WORDS = {
    "taker": "taking",
    "maker_touch": "making, filled when touched",
    "maker_queue": "making, filled last in the queue",
}


class Bound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An interval of a feature: low <= x < high, open where None; with `missing` it asks that there be no value.

    `feature` is the text of its FeatureSpec, parameters included.
    """

    feature: str
    low: float | None = None
    high: float | None = None
    missing: bool = False

    def __post_init__(self) -> None:
        _named("feature", self.feature)
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is None:
                continue
            if not math.isfinite(value):
                raise InputError(f"{self.feature}: {name} was {value}, expected a finite number, or None where open")
            # One number, one hash: 1 is 1.0, and minus zero is zero.
            msgspec.structs.force_setattr(self, name, float(value) + 0.0)
        if self.missing and (self.low is not None or self.high is not None):
            raise InputError(f"{self.feature}: a bound asked for a missing value and for an interval, expected one of them")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise InputError(f"{self.feature}: the interval {self.low}..{self.high} was empty, expected low < high")

    def __str__(self) -> str:
        """Return the bound as a condition, `0.2 <= imbalance() < 0.4`."""
        if self.missing:
            return f"{self.feature} is missing"
        if self.low is not None and self.high is not None:
            return f"{self.low:.12g} <= {self.feature} < {self.high:.12g}"
        if self.low is not None:
            return f"{self.feature} >= {self.low:.12g}"
        return f"{self.feature} is present" if self.high is None else f"{self.feature} < {self.high:.12g}"


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to act: every bound holds, in one of `regimes` where given.

    The bounds are over features of the traded symbol, or of `leader`, a symbol of the same venue. They are kept sorted, so that
    a trigger is the same however it was written.
    """

    bounds: tuple[Bound, ...]
    regimes: tuple[int, ...] | None = None
    leader: str | None = None

    def __post_init__(self) -> None:
        names = [bound.feature for bound in self.bounds]
        if not 1 <= len(names) <= BOUNDS_MAX:
            raise InputError(f"a trigger had {len(names)} bounds, expected 1 to {BOUNDS_MAX}")
        if len(set(names)) != len(names):
            raise InputError(f"a trigger bounded a feature twice ({', '.join(sorted(names))}); expected one interval for each")
        msgspec.structs.force_setattr(self, "bounds", tuple(sorted(self.bounds, key=lambda bound: bound.feature)))
        if self.regimes is not None:
            regimes = tuple(sorted(set(self.regimes)))
            if not regimes or regimes[0] < 0:
                raise InputError(f"regimes were {self.regimes}, expected at least one number >= 0, or None for any")
            msgspec.structs.force_setattr(self, "regimes", regimes)
        if self.leader is not None:
            _named("leader", self.leader)

    def __str__(self) -> str:
        """Return the trigger as a condition a person can read."""
        text = " and ".join(map(str, self.bounds))
        of = f" of {self.leader}" if self.leader is not None else ""
        where = f" in regime {' or '.join(map(str, self.regimes))}" if self.regimes is not None else ""
        return text + of + where


class Exit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to get out: after the horizon, when the trigger ends, or at a stop; the horizon ends it in any case.

    A stop is so many volatility units against the entry; a unit is what the mid price moves within the horizon, one deviation.
    """

    kind: ExitKind = "time"
    stop_volatility_units: float | None = None

    def __post_init__(self) -> None:
        if (self.kind == "stop") != (self.stop_volatility_units is not None):
            raise InputError(f"exit '{self.kind}' had stop_volatility_units {self.stop_volatility_units}; only 'stop' has them")
        if self.stop_volatility_units is not None:
            if not 0.0 < self.stop_volatility_units < math.inf:
                raise InputError(f"stop_volatility_units was {self.stop_volatility_units}, expected a number above 0")
            msgspec.structs.force_setattr(self, "stop_volatility_units", float(self.stop_volatility_units))


class EdgeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claim about a market, frozen: trigger, side, way in and out, costs, and the definitions it rests on.

    Parameters
    ----------
    side : +1 buys, -1 sells
    horizon_ns, latency_ns : how long the position is held, and how long after the decision it is entered
    cost_tier : name of the fees, `fee_in_bps` and `fee_out_bps` are what they amount to
    grid_ns, gap_ns : spacing of the decision times; no quote for longer than the gap is lost data
    features_hash, bins_hash, regimes_hash : definitions the bounds and regimes refer to
    code_sha256 : the code that computes them
    """

    venue: str
    symbol: str
    trigger: Trigger
    side: Literal[-1, 1]
    entry: EntryKind = "taker"
    exit: Exit = Exit()
    horizon_ns: int
    latency_ns: int
    cost_tier: str
    fee_in_bps: float
    fee_out_bps: float
    grid_ns: int
    gap_ns: int
    features_hash: str
    bins_hash: str
    regimes_hash: str | None = None
    code_sha256: str

    def __post_init__(self) -> None:
        for name in ("venue", "symbol", "cost_tier", "features_hash", "bins_hash", "code_sha256"):
            _named(name, getattr(self, name))
        if self.side not in (-1, 1):
            raise InputError(f"side was {self.side}, expected +1 (buy) or -1 (sell)")
        for name, least in (("horizon_ns", 1), ("latency_ns", 0), ("grid_ns", 1), ("gap_ns", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} was {getattr(self, name)}, expected >= {least}")
        for name in ("fee_in_bps", "fee_out_bps"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise InputError(f"{name} was {value}, expected a finite number")
            msgspec.structs.force_setattr(self, name, float(value) + 0.0)
        if (self.trigger.regimes is not None) and self.regimes_hash is None:
            raise InputError("the trigger named regimes but regimes_hash was None, expected the hash of the regime model")

    @property
    def spec_hash(self) -> str:
        """Return the hash of everything the spec says, 64 hex digits."""
        return content_hash(self)

    @property
    def edge_id(self) -> str:
        """Return the name of the edge: `edge_` and 12 hex digits of its content."""
        return EDGE_ID_PREFIX + self.spec_hash[:12]

    @property
    def instrument(self) -> str:
        """Return `venue:SYMBOL`."""
        return f"{self.venue}:{self.symbol}"

    @property
    def sentence(self) -> str:
        """Return what the edge claims one should do, in a sentence."""
        word = "buy" if self.side > 0 else "sell"
        ways = {
            "time": "",
            "trigger_off": " or until the trigger ends",
            "stop": f" or to a stop of {self._stop} volatility units",
        }
        return (
            f"{word} {self.instrument} {format_duration_ns(self.latency_ns)} after {self.trigger}, {_ENTRY_WORDS[self.entry]}, "
            f"and hold for {format_duration_ns(self.horizon_ns)}{ways[self.exit.kind]}"
        )

    @property
    def _stop(self) -> str:
        return f"{self.exit.stop_volatility_units or 0.0:g}"


class EdgeEvidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one of `STAGES` found out about one edge, in one piece of data; numbers are None where the stage has none.

    `net_low_bps` and `net_high_bps` bound the expected advantage per trade; `p` is that of "no profit after cost", `q` the false
    discovery rate, `trials_total` every cell looked at in overlapping data up to that moment. `details` holds what only some
    stages measure: half-lives, capacity, results by regime and day.
    """

    edge_id: str
    stage: str
    data_fingerprint: str
    first_ns: int
    last_ns: int
    n: int
    blocks: int
    gross_bps: float | None
    cost_bps: float | None
    net_bps: float | None
    net_low_bps: float | None
    net_high_bps: float | None
    p: float | None
    q: float | None
    e_value: float | None
    trials_total: int
    verdict: str
    sentence: str
    details: dict[str, Any] = {}

    def __post_init__(self) -> None:
        for name in ("edge_id", "stage", "data_fingerprint", "verdict"):
            _named(name, getattr(self, name))
        if self.stage not in STAGES:
            raise UnknownNameError("stage", self.stage, STAGES)
        if self.last_ns < self.first_ns:
            raise InputError(f"evidence ended ({self.last_ns}) before it began ({self.first_ns}); expected first_ns <= last_ns")
        for name in ("n", "blocks", "trials_total"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} was {getattr(self, name)}, expected >= 0")
        for name in ("gross_bps", "cost_bps", "net_bps", "net_low_bps", "net_high_bps", "p", "q", "e_value"):
            value = getattr(self, name)
            if value is None:
                continue
            if not math.isfinite(value):
                raise InputError(f"{name} was {value}, expected a finite number, or None where it was not measured")
            msgspec.structs.force_setattr(self, name, float(value) + 0.0)

    @property
    def evidence_hash(self) -> str:
        """Return the hash of everything it says; the same finding twice is one piece of evidence."""
        return content_hash(self)


def _named(name: str, value: str) -> None:
    if not value or value != value.strip():
        raise InputError(f"{name} was '{value}', expected a text that is not empty, without spaces around it")
