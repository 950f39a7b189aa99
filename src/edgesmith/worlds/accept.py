"""When a simulated tape counts as realistic: a table of ranges, relative to the facts of a real tape or absolute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Literal

import msgspec

from edgesmith.worlds.stylized import FACT_NAMES, Facts

Scale = Literal["absolute", "offset", "factor"]
# How far the P(up) curve may fall from one bin to the next before it counts as not monotone.
_CURVE_NOISE = 0.06
_HORIZONS = ("10_ms", "100_ms", "1_s", "10_s")


class Range(msgspec.Struct, frozen=True):
    """What one number must lie in: `low`..`high` itself, added to the target's value, or times the target's value."""

    name: str
    scale: Scale
    low: float
    high: float

    def around(self, target: float) -> tuple[float, float]:
        """Return the bounds for a target whose number is `target`."""
        if self.scale == "offset":
            return target + self.low, target + self.high
        if self.scale == "factor":
            return target * self.low, target * self.high
        return self.low, self.high


class Judgment(msgspec.Struct, frozen=True):
    """One row of the acceptance table: the number, what it had to lie in, the target's own, and whether it does."""

    name: str
    value: float
    low: float
    high: float
    target: float
    ok: bool


def _within_factor(factor: float, *names: str) -> tuple[Range, ...]:
    return tuple(Range(name, "factor", 1.0 / factor, factor) for name in names)


ACCEPTANCE: tuple[Range, ...] = (
    Range("spread_one_tick_time_ratio", "offset", -0.02, 0.02),
    Range("wide_episode_ms_p50", "absolute", 0.0, 5.0),
    Range("wide_episode_ms_p99", "absolute", 10.0, 150.0),
    *_within_factor(1.3, "quotes_per_s", "trades_per_s", "orders_per_s", "mid_changes_per_s"),
    *_within_factor(1.5, "jump_half_ticks_p50", "jump_half_ticks_p90", "jump_half_ticks_p99"),
    *_within_factor(1.5, "variance_bps2_per_s_100_ms", "variance_bps2_per_s_1_s", "variance_bps2_per_s_10_s"),
    Range("variance_ratio_10_s_100_ms", "absolute", 0.7, 2.1),
    Range("return_acf_1_s", "absolute", -0.1, 0.1),
    Range("return_kurtosis_100_ms", "absolute", 10.0, 400.0),
    Range("return_kurtosis_5_s", "absolute", -math.inf, 5.0),
    *_within_factor(2.0, "fano_10_ms", "fano_100_ms", "fano_1_s", "fano_10_s"),
    Range("fano_step_ratio_min", "absolute", 1.0, math.inf),
    Range("branching_proxy_quotes", "absolute", 0.75, 0.95),
    Range("fill_sign_acf_lag_1", "absolute", 0.75, 0.88),
    Range("order_sign_acf_lag_1", "absolute", 0.15, 0.55),
    Range("order_sign_exponent", "absolute", 0.4, 1.1),
    Range("flow_r2_1_s", "absolute", 0.40, 0.78),
    Range("imbalance_return_corr_1_s", "absolute", 0.15, 0.38),
    Range("imbalance_return_corr_10_s", "absolute", -math.inf, 0.2),
    Range("hit_ratio_strong", "absolute", 0.74, 0.86),
    Range("up_ratio_step_min", "absolute", -_CURVE_NOISE, math.inf),
    Range("response_ratio_1_s_10_ms", "absolute", 1.8, 4.0),
    Range("response_bps_min", "absolute", 0.0, math.inf),
    Range("abs_return_acf_1_s_mean", "absolute", 0.0, math.inf),
    Range("order_tail_hill", "absolute", 1.0, 2.0),
)
# The price of a spot market may follow itself more.
SPOT_RETURN_ACF = Range("return_acf_1_s", "absolute", -0.2, 0.2)

# Numbers of the table that are made from several facts.
DERIVED: dict[str, Callable[[Facts], float]] = {
    "wide_event_ratio": lambda facts: 1.0 - facts.spread_one_tick_event_ratio,
    "variance_ratio_10_s_100_ms": lambda facts: _ratio(facts.variance_bps2_per_s_10_s, facts.variance_bps2_per_s_100_ms),
    "fano_step_ratio_min": lambda facts: min(
        _ratio(facts.fano_100_ms, facts.fano_10_ms),
        _ratio(facts.fano_1_s, facts.fano_100_ms),
        _ratio(facts.fano_10_s, facts.fano_1_s),
    ),
    "up_ratio_step_min": lambda facts: min(
        facts.value(f"up_ratio_bin_{number + 1}") - facts.value(f"up_ratio_bin_{number}") for number in range(1, 7)
    ),
    "response_ratio_1_s_10_ms": lambda facts: _ratio(facts.response_bps_1_s, facts.response_bps_10_ms),
    "response_bps_min": lambda facts: min(facts.value(f"response_bps_{horizon}") for horizon in _HORIZONS),
}


def _ratio(value: float, base: float) -> float:
    return value / base if base else math.nan


def number_of(facts: Facts, name: str) -> float:
    """Return a fact, or a number made from several, by the name the acceptance table uses."""
    return DERIVED[name](facts) if name in DERIVED else facts.value(name)


def judge(facts: Facts, target: Facts, *, spot: bool = False) -> tuple[Judgment, ...]:
    """Hold `facts` against the acceptance table around `target`; an unknown number never passes."""
    rows = []
    for accepted in ACCEPTANCE:
        wanted = SPOT_RETURN_ACF if spot and accepted.name == SPOT_RETURN_ACF.name else accepted
        value, aim = number_of(facts, wanted.name), number_of(target, wanted.name)
        low, high = wanted.around(aim)
        rows.append(Judgment(wanted.name, value, low, high, aim, low <= value <= high))
    return tuple(rows)


def median_facts(several: Sequence[Facts]) -> Facts:
    """Return the tape in the middle of `several`: each number the median of theirs, unknown ones left out."""
    middle = {}
    for name in ("span_s", *FACT_NAMES):
        known = [value for one in several if not math.isnan(value := one.value(name))]
        middle[name] = median(known) if known else math.nan
    return msgspec.structs.replace(several[0], **middle)
