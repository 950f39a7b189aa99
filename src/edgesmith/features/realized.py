"""Features of realized movement on a grid of clock time fixed beforehand, so that busy stretches do not count more.

References
----------
Andersen, Bollerslev (1998), Answering the skeptics: yes, standard volatility models do provide accurate forecasts.
Barndorff-Nielsen, Shephard (2004), Power and bipower variation with stochastic volatility and jumps.
"""

from __future__ import annotations

import math

from edgesmith.domain.events import FLAG_AFTER_GAP
from edgesmith.features.operator import FLAGS, TS_NS, DurationNs, Floats, Ints, Mirror, Node, Operator, Unit, register, require
from edgesmith.features.price import MID
from edgesmith.features.rolling import LN_2

BPS = 1e4
NS_PER_S = 1e9


def grid_variation(
    f: Floats, i: Ints, at: int, n: int, ts_ns: int, flags: int, mid: float, grid_ns: int, half_life_ns: int, bipower: int
) -> float:
    """Return the faded mean over grid steps of r * r or, if `bipower`, of pi / 2 abs(r * r of the step before).

    A step without quotes has r = 0. The move over a gap is not counted. `f` holds mid at the start of this step and now,
    the faded sum and weight, and abs(r) of the step before; `i` this step's number, the first one's, and whether there was one.
    """
    if not mid > 0.0:
        return math.nan
    step = ts_ns // grid_ns
    if i[n + 2] == 0:
        f[at] = mid
        i[n] = step
        i[n + 1] = step
        i[n + 2] = 1
    elif step > i[n]:
        size = abs(f[at + 1] / f[at] - 1.0)
        once = math.exp(-LN_2 * grid_ns / half_life_ns)
        empty = math.exp(-LN_2 * (step - i[n] - 1) * grid_ns / half_life_ns)
        f[at + 2] = (f[at + 2] * once + size * (f[at + 4] if bipower == 1 else size)) * empty
        f[at + 3] = (f[at + 3] * once + 1.0) * empty + (1.0 - empty) / (1.0 - once)
        f[at + 4] = size if step == i[n] + 1 else 0.0
        f[at] = f[at + 1]
        i[n] = step
    if (flags & FLAG_AFTER_GAP) != 0:
        f[at] = mid
    f[at + 1] = mid
    mean = f[at + 2] / f[at + 3] * (math.pi / 2.0 if bipower == 1 else 1.0) if f[at + 3] > 0.0 else math.nan
    return mean if (step - i[n + 1]) * grid_ns >= half_life_ns else math.nan


def per_root_second(variance: float, grid_ns: int) -> float:
    """Return the standard deviation, in bps per square root of a second."""
    return math.sqrt(variance * (NS_PER_S / grid_ns)) * BPS if variance >= 0.0 else math.nan


def jump_part(variance: float, bipower: float) -> float:
    """Return max(0, 1 - bipower / variance); 0 where nothing moved."""
    if variance + bipower != variance + bipower:
        return math.nan
    return max(0.0, 1.0 - bipower / variance) if variance > 0.0 else 0.0


_VARIATION = Operator(
    grid_variation,
    initial=(0.0,) * 5,
    counters=3,
    warmup_ns=lambda grid_ns, half_life_ns, _bipower: half_life_ns - grid_ns,
)


def variation_of(grid_ns: int, half_life_ns: int, bipower: bool) -> Node:
    """Return the faded mean square of the grid returns of mid, or their bipower variation."""
    require(grid_ns <= half_life_ns, f"grid_ns was {grid_ns}, expected at most half_life_ns ({half_life_ns})")
    return _VARIATION(TS_NS, FLAGS, MID, params=(grid_ns, half_life_ns, int(bipower)))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def realized_volatility(grid_ns: DurationNs = 1_000_000_000, half_life_ns: DurationNs = 60_000_000_000) -> Node:
    """Root of the mean squared return of mid per grid step, in bps per root second, each step fading by half every half-life."""
    return Operator(per_root_second)(variation_of(grid_ns, half_life_ns, bipower=False), params=(grid_ns,))


@register(unit=Unit.RATIO, mirror=Mirror.EVEN)
def jump_ratio(grid_ns: DurationNs = 1_000_000_000, half_life_ns: DurationNs = 60_000_000_000) -> Node:
    """Part of the variance on the grid that came in jumps, 0 to 1: max(0, 1 - bipower variation / realized variance)."""
    variance, bipower = (variation_of(grid_ns, half_life_ns, bipower) for bipower in (False, True))
    return Operator(jump_part)(variance, bipower)
