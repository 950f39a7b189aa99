"""Error control over a sequence of runs on the same data: what level the next run gets, and which runs stand together.

LORD++ hands out levels as the runs come. With a falling sequence gamma_1, gamma_2, ... that sums to 1, wealth w0 at the start,
and runs tau_1 < tau_2 < ... the ones that found something so far, run t is tested at

    alpha_t = gamma_t w0 + (alpha - w0) gamma_(t - tau_1) + alpha sum over j >= 2 of gamma_(t - tau_j)

Until the first discovery the levels of all runs sum to at most w0, so however the runs depend on each other, the chance that any
of them finds something in pure noise is at most w0. After discoveries LORD++ bounds the false discovery rate for p-values that
depend on earlier ones only through what was decided. Runs over the same data need not be like that, so e-BH is shown beside it:
it bounds the rate under any dependence.

References: Ramdas, Yang, Wainwright, Jordan 2017, Online control of the false discovery rate with decaying memory; Wang, Ramdas
2022, False discovery rate control with e-values; Vovk, Wang 2021, E-values: calibration, combination and applications.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

ALPHA = 0.05
# Half the wealth is kept for what follows the first discovery, as in the reference.
START_WEALTH_RATIO = 0.5

# gamma_j = j^-1.6 / zeta(1.6): the sum over all j is 1.
GAMMA_POWER = 1.6
GAMMA_SUM = 2.28576566568013


def gamma(place: int) -> float:
    """Return the share of a wealth spent `place` runs after it was earned, counting from 1; 0 before."""
    return place**-GAMMA_POWER / GAMMA_SUM if place >= 1 else 0.0


def next_level(found: Sequence[bool], alpha: float = ALPHA) -> float:
    """Return the LORD++ level of the run that follows runs of which `found` says whether they found something."""
    place = len(found) + 1
    start = START_WEALTH_RATIO * alpha
    earned = [start, *_payouts(sum(found), alpha)]
    since = [place, *(place - 1 - index for index, one in enumerate(found) if one)]
    return math.fsum(wealth * gamma(age) for wealth, age in zip(earned, since, strict=True))


def wealth_left(found: Sequence[bool], alpha: float = ALPHA) -> float:
    """Return the alpha wealth after runs of which `found` says whether they found something: earned minus spent."""
    spent = (next_level(found[:index], alpha) for index in range(len(found)))
    return math.fsum([START_WEALTH_RATIO * alpha, *_payouts(sum(found), alpha), *(-level for level in spent)])


def _payouts(discoveries: int, alpha: float) -> list[float]:
    return ([(1.0 - START_WEALTH_RATIO) * alpha] + [alpha] * (discoveries - 1)) if discoveries else []


def e_value(p: float) -> float:
    """Return the e-value a p-value is worth, 0.5 p^(-1/2)."""
    return 0.5 / math.sqrt(p)


def e_bh(e_values: Sequence[float], alpha: float = ALPHA) -> tuple[bool, ...]:
    """Return which hypotheses e-BH rejects: the k largest e-values, for the largest k whose k-th is >= count / (alpha k)."""
    ordered = sorted(e_values, reverse=True)
    count = len(ordered)
    passed = [k for k in range(1, count + 1) if ordered[k - 1] >= count / (alpha * k)]
    if not passed:
        return (False,) * count
    threshold = count / (alpha * passed[-1])
    return tuple(one >= threshold for one in e_values)
