"""Features of another instrument, seen from this one: its recent return as received here, and the basis between the two.

The row of an event knows what had been received of the leader by then; a row is only written for the instrument's own events.
For the leader itself they are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from edgesmith.features.operator import (
    QUOTES_AND_TRADES,
    TS_NS,
    DurationNs,
    FeatureSpec,
    Floats,
    Ints,
    Mirror,
    Node,
    Operator,
    Place,
    Unit,
    latest,
    register,
)
from edgesmith.features.price import MID
from edgesmith.features.rolling import standing_score_of

BPS = 1e4
# The parameter that says which instrument leads.
LEADER = "leader"
# Changes of mid kept: two seconds of the busiest market at 2,000 changes a second.
KEPT = 4_096
NS_PER_US = 1_000


def recent_mids(f: Floats, i: Ints, n: int, space: int, ts_ns: int, mid: float) -> float:
    """Keep the last changes of mid with their instants, in microseconds, which a float64 holds exactly; return mid."""
    if not mid > 0.0:
        return math.nan
    last = space + 2 * ((i[n] - 1) & (KEPT - 1))
    if i[n] == 0 or mid != f[last + 1]:
        slot = space + 2 * (i[n] & (KEPT - 1))
        f[slot] = float(ts_ns // NS_PER_US)
        f[slot + 1] = mid
        i[n] += 1
    return mid


def return_of_leader(
    f: Floats, i: Ints, n: int, floats: Floats, ints: Ints, own: int, there: int, tally: int, ts_ns: int, leader: int,
    window_ns: int,
) -> float:  # fmt: skip
    """Return the leader's mid now over that `window_ns` ago, minus 1, in bps; `i[n]` is the number of the change in force then.

    NaN while the leader is not known for so long. Where more than KEPT changes lie in the window, it begins at the oldest kept.
    """
    if own == leader or ints[leader, tally] == 0:
        return math.nan
    count = ints[leader, tally]
    then = float((ts_ns - window_ns) // NS_PER_US)
    place = max(i[n], count - KEPT)
    while place + 1 < count and floats[leader, there + 2 * ((place + 1) & (KEPT - 1))] <= then:
        place += 1
    i[n] = place
    if place == 0 and floats[leader, there] > then:
        return math.nan
    before = floats[leader, there + 2 * (place & (KEPT - 1)) + 1]
    return (floats[leader, there + 2 * ((count - 1) & (KEPT - 1)) + 1] / before - 1.0) * BPS


def basis_to_leader(floats: Floats, ints: Ints, own: int, there: int, tally: int, mid: float, leader: int) -> float:
    """Return mid over the leader's last mid, minus 1, in bps."""
    if own == leader or not floats[leader, there] > 0.0:
        return math.nan
    return (mid / floats[leader, there] - 1.0) * BPS


_MIDS = Operator(recent_mids, counters=1, workspace=lambda: (0.0,) * (2 * KEPT))(TS_NS, MID)
_RETURN = Operator(return_of_leader, counters=1, across=True, hears=QUOTES_AND_TRADES)
_BASIS = Operator(basis_to_leader, across=True)


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def leader_return(leader: Place = 0, window_ns: DurationNs = 100_000_000) -> Node:
    """Return of the leader's mid over the last `window_ns`, in bps, as received here; `leader` is its place in the run.

    References
    ----------
    Huth, Abergel (2014), High frequency lead/lag relationships.
    """
    return _RETURN(TS_NS, _MIDS, params=(leader, window_ns))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def leader_basis(leader: Place = 0) -> Node:
    """m over the leader's last mid, minus 1, in bps, at each quote: perp against spot, or one venue against another."""
    return _BASIS(MID, latest(MID), params=(leader,))


@register(unit=Unit.RATIO, mirror=Mirror.ODD)
def leader_basis_score(leader: Place = 0, half_life_ns: DurationNs = 60_000_000_000) -> Node:
    """leader_basis in standard deviations from its mean over past time, time fading by half every `half_life_ns`."""
    return standing_score_of(_BASIS(MID, latest(MID), params=(leader,)), half_life_ns)


def follows(spec: FeatureSpec) -> bool:
    """Tell whether a column looks at a leader."""
    return any(name == LEADER for name, _ in spec.params)


def led_by(specs: Iterable[FeatureSpec], place: int) -> list[FeatureSpec]:
    """Return the same columns; in those that follow a leader, it is the instrument at `place` of the run."""
    return [
        replace(spec, params=tuple((name, place if name == LEADER else value) for name, value in spec.params)) for spec in specs
    ]
