"""What a simulated market is made of: every number of the tape simulator, with its unit and its legal range."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.records import records
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS
from edgesmith.errors import InputError

# Branching ratios this near one give bursts without end: the number of actions in an hour has no useful bound.
BRANCHING_RATIO_MAX = 0.97
STAMP_MS_MIN = 1e-6


class TapeParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A BTC-perpetual-like market; sizes in lots, prices in ticks, times in the unit of the name.

    An *action* is a market order, an addition or a cancellation at a touch; its clock is a Hawkes process with three
    exponential kernels (`*_branching_ratio` children on average, mean delay `*_ms`) on a slowly varying base rate.
    """

    # Clock
    actions_per_s: float = 172.0
    fast_branching_ratio: float = 0.50
    fast_ms: float = 0.46
    medium_branching_ratio: float = 0.31
    medium_ms: float = 60.0
    slow_branching_ratio: float = 0.11
    slow_ms: float = 10_000.0
    market_excitation: float = 3.2  # children of a market order, relative to the average action
    activity_sd_15_min: float = 0.34  # standard deviations of the log rate, by time scale
    activity_sd_2_min: float = 0.25

    # Marks
    market_ratio: float = 0.08  # share of actions that are market orders
    queue_typical_lots: float = 2_900.0
    queue_restoring: float = 0.16  # how much more a queue above the typical one cancels
    pull_ratio: float = 0.16  # share of cancellations larger than the queue that take all of it
    passive_median_lots: float = 200.0
    passive_log_sd: float = 1.55
    thin_side_pressure: float = 0.12  # how much more the thinner side cancels
    undo_ratio: float = 0.0  # share of passive actions that take back the one before
    withdraw_ratio: float = 0.0  # share of passive actions in which the makers leave a touch together
    withdraw_left_ratio: float = 0.03  # mean share of the queue that stays
    withdraw_imbalance_gain: float = 0.0  # how much rather they leave the thinner side
    withdraw_flow_gain: float = 0.0  # how much rather they leave the side that trades have been hitting
    flow_memory_ms: float = 300.0  # how long a trade counts as recent
    metaorder_ratio: float = 0.52  # share of market orders that belong to the running metaorder
    metaorder_tail: float = 1.5
    sign_tilt: float = 0.8  # how much other market orders hit the thinner side
    order_median_lots: float = 29.0
    order_log_sd: float = 2.1
    order_tail_ratio: float = 0.022
    order_tail: float = 1.15
    order_tail_floor_lots: float = 900.0
    order_max_lots: float = 200_000.0
    fill_median_lots: float = 24.0
    fill_log_sd: float = 1.9

    # Depletion and refill
    jump_median_ticks: float = 8.0
    jump_log_sd: float = 1.5
    jump_excess_gain: float = 0.7
    jump_max_ticks: float = 3_000.0
    new_queue_median_lots: float = 75.0
    new_queue_log_sd: float = 1.8
    follow_ratio: float = 0.30  # chance that the other side follows a depletion instead of a refill of the moved side
    follow_excess_gain: float = 0.3
    follow_imbalance_gain: float = 0.45
    follow_predicted_loss: float = 0.12
    follow_lots_per_tick: float = 0.0  # size that comes along with the side that follows, by how far it goes
    follow_flow_gain: float = 0.0  # how much rather the other side follows in the direction of recent trades
    refill_median_ms: float = 0.95
    refill_log_sd: float = 1.7
    refill_complete_ratio: float = 0.6
    refill_step_ticks: float = 0.0  # median step of an incomplete refill; 0 for a uniform share of the gap
    refill_step_log_sd: float = 1.0
    refill_median_lots: float = 0.0  # size behind a step; 0 for that of the new queue

    # Runs: moves of the price in one direction that come in quick succession, on their own clock
    run_start_ratio: float = 0.0  # chance that a depletion starts one
    run_length_min: float = 2.0  # pushes of a run: a Pareto number from here, of this tail
    run_length_tail: float = 1.5
    run_gap_ms: float = 4.0  # median time between pushes
    run_gap_log_sd: float = 2.0
    run_market_ratio: float = 0.5  # share of pushes that are market orders; in the others makers leave the touch
    run_order_gain: float = 1.0  # how much of an order's size comes on top of the queue it takes
    run_sign_ratio: float = 0.0  # share of all market orders during a run that go its way
    run_follow_ratio: float = 0.7  # chance that the other side follows a push
    run_shift_ratio: float = 0.0  # share of pushes after which the other side follows in the same update
    run_turn_ratio: float = 0.0  # chance after each push that the run turns around
    run_settle_lots: float = 0.0  # median size that makers bring back to each touch when a run ends
    run_settle_log_sd: float = 0.8
    run_excitation: float = 1.0  # children of a push, relative to the average action

    # Prices over hours, feed, slow streams
    opening_price: float = 60_000.0
    volatility_hour_bps: float = 77.0
    stamp_ms: float = 1.0  # what the venue's stamps are whole multiples of; 0.001 for microseconds, 0.000001 for nanoseconds
    latency_floor_ms: float = 1.0
    latency_median_ms: float = 3.0
    latency_log_sd: float = 1.14
    funding_mean: float = 0.0001
    funding_sd: float = 0.00005
    open_interest_lots: float = 80_000_000.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not math.isfinite(value):
                raise InputError(f"tape parameter {name} was {value}, expected a finite number")
            if name not in _MAY_BE_NEGATIVE and value < 0.0:
                raise InputError(f"tape parameter {name} was {value}, expected >= 0")
            if name in _POSITIVE and value <= 0.0:
                raise InputError(f"tape parameter {name} was {value}, expected > 0")
            if name in _PROBABILITIES and value > 1.0:
                raise InputError(f"tape parameter {name} was {value}, expected a probability in 0..1")
        if not (self.stamp_ms >= STAMP_MS_MIN and NS_PER_HOUR % self.stamp_ns == 0):
            raise InputError(
                f"tape parameter stamp_ms was {self.stamp_ms}, expected 0.000001 (a nanosecond) or more, dividing an hour"
            )
        if self.branching_ratio > BRANCHING_RATIO_MAX:
            raise InputError(
                f"branching ratio was {self.branching_ratio:.3f} (sum of the three kernels), expected <= {BRANCHING_RATIO_MAX}: "
                "lower one of fast, medium, slow_branching_ratio"
            )
        if self.market_ratio * self.market_excitation > 1.0:
            raise InputError(
                f"market_ratio x market_excitation was {self.market_ratio * self.market_excitation:.3f}, expected <= 1: "
                "market orders cannot have more children than all actions together"
            )

    @property
    def branching_ratio(self) -> float:
        """Return the mean number of children of an action; below 1 or the clock explodes."""
        return self.fast_branching_ratio + self.medium_branching_ratio + self.slow_branching_ratio

    @property
    def stamp_ns(self) -> int:
        """Return what the venue's stamps are whole multiples of, in nanoseconds."""
        return max(1, round(self.stamp_ms * NS_PER_MS))

    def at_rate(self, rate: float) -> TapeParameters:
        """Return the same market, `rate` times as busy, its hourly volatility following the square root."""
        if not (math.isfinite(rate) and 0.0 < rate <= 100.0):
            raise InputError(f"rate was {rate}, expected a multiplier in (0, 100]")
        if rate == 1.0:
            return self
        return msgspec.structs.replace(
            self, actions_per_s=self.actions_per_s * rate, volatility_hour_bps=self.volatility_hour_bps * math.sqrt(rate)
        )


_MAY_BE_NEGATIVE = frozenset({"funding_mean", "follow_imbalance_gain", "follow_predicted_loss", "thin_side_pressure"})
_POSITIVE = frozenset(
    name
    for name in TapeParameters.__struct_fields__
    if name.endswith(("_ms", "_lots", "_ticks", "_price", "_tail")) or name in ("actions_per_s", "run_length_min")
) - {"latency_floor_ms", "refill_step_ticks", "refill_median_lots", "run_settle_lots"}
_PROBABILITIES = frozenset(
    {
        "follow_ratio",
        "market_ratio",
        "metaorder_ratio",
        "order_tail_ratio",
        "pull_ratio",
        "refill_complete_ratio",
        "run_follow_ratio",
        "run_market_ratio",
        "run_shift_ratio",
        "run_sign_ratio",
        "run_start_ratio",
        "run_turn_ratio",
        "sign_tilt",
        "undo_ratio",
        "withdraw_left_ratio",
        "withdraw_ratio",
    }
)

# The same numbers as one record, which compiled code reads by attribute.
TAPE_PARAMETERS: np.dtype[Any] = np.dtype([(name, "<f8") for name in TapeParameters.__struct_fields__])


def packed(parameters: TapeParameters) -> NDArray[Any]:
    """Return the parameters as one record for compiled code."""
    out = records(TAPE_PARAMETERS)
    for name in TapeParameters.__struct_fields__:
        out[name][0] = getattr(parameters, name)
    return out
