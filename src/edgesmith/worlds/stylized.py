"""The stylized facts of a tape, real or simulated: one frozen table of numbers, each with its unit in its name.

Measured on the venue's clock where quotes carry its stamp, on ours otherwise. `_ratio` is a share in 0..1, `_bps` are basis
points of the mid price, `_acf` autocorrelations, `_r2` shares of variance explained, quantities in the market's own unit
(contracts for inverse markets). A fact a tape cannot say (stamps too coarse, too few orders) is NaN.

References
----------
Cont (2001), Empirical properties of asset returns: stylized facts and statistical issues. Vyetrenko et al. (2019), Get real:
realism metrics for robust limit order book market simulations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from numpy.typing import NDArray

from edgesmith.worlds.facts_book import (
    foretelling_facts,
    latency_facts,
    move_facts,
    queue_facts,
    spread_facts,
)
from edgesmith.worlds.facts_flow import clock_facts, order_facts, sign_facts
from edgesmith.worlds.facts_returns import (
    flow_return_facts,
    imbalance_return_facts,
    response_facts,
    return_facts,
)
from edgesmith.worlds.observation import Clock, Observation


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tape is like; `clock` says whose stamps were used ("venue" or "receive")."""

    clock: str
    span_s: float
    tick: float

    # rates and bursts
    quotes_per_s: float
    trades_per_s: float
    quote_gap_ms_p50: float
    quote_gap_ms_p90: float
    quote_gap_ms_p99: float
    quote_gap_cv: float
    same_ms_quote_ratio: float
    same_ms_trade_ratio: float
    fano_10_ms: float
    fano_100_ms: float
    fano_1_s: float
    fano_10_s: float
    branching_proxy_quotes: float
    branching_proxy_orders: float

    # aggressive orders
    orders_per_s: float
    fills_per_order_mean: float
    fills_per_order_p99: float
    fill_qty_p50: float
    fill_qty_p90: float
    fill_qty_p99: float
    order_qty_p50: float
    order_qty_p90: float
    order_qty_p99: float
    order_tail_hill: float
    order_fano_1_s: float

    # signs
    fill_sign_acf_lag_1: float
    fill_sign_acf_lag_10: float
    fill_sign_acf_lag_50: float
    fill_sign_acf_lag_200: float
    order_sign_acf_lag_1: float
    order_sign_acf_lag_10: float
    order_sign_acf_lag_50: float
    order_sign_exponent: float

    # spread
    spread_one_tick_time_ratio: float
    spread_one_tick_event_ratio: float
    spread_ticks_mean: float
    spread_bps_mean: float
    wide_episodes_per_s: float
    wide_episode_ms_p50: float
    wide_episode_ms_p90: float
    wide_episode_ms_p99: float

    # moves of the mid
    mid_changes_per_s: float
    mid_change_update_ratio: float
    jump_half_ticks_p50: float
    jump_half_ticks_p90: float
    jump_half_ticks_p99: float
    move_fano_100_ms: float
    move_fano_1_s: float
    quiet_second_ratio: float

    # queue at the touch
    queue_qty_p10: float
    queue_qty_p50: float
    queue_qty_p90: float
    queue_qty_p99: float
    queue_fill_ratio: float
    imbalance_size_p50: float
    imbalance_memory_s: float

    # imbalance and the next move
    hit_ratio_events: float
    hit_ratio_time: float
    hit_ratio_strong: float
    up_ratio_bin_1: float
    up_ratio_bin_2: float
    up_ratio_bin_3: float
    up_ratio_bin_4: float
    up_ratio_bin_5: float
    up_ratio_bin_6: float
    up_ratio_bin_7: float

    # returns
    return_bps_sd_100_ms: float
    return_bps_sd_1_s: float
    return_bps_sd_5_s: float
    return_kurtosis_100_ms: float
    return_kurtosis_1_s: float
    return_kurtosis_5_s: float
    return_zero_ratio_100_ms: float
    return_acf_100_ms: float
    return_acf_1_s: float
    abs_return_acf_500_ms_lag_1: float
    abs_return_acf_500_ms_lag_10: float
    abs_return_acf_1_s_mean: float
    variance_bps2_per_s_100_ms: float
    variance_bps2_per_s_1_s: float
    variance_bps2_per_s_10_s: float
    variance_bps2_per_s_30_s: float

    # flow and returns
    flow_r2_100_ms: float
    trade_r2_100_ms: float
    flow_next_return_corr_100_ms: float
    flow_r2_1_s: float
    trade_r2_1_s: float
    flow_trade_r2_1_s: float
    flow_next_return_corr_1_s: float
    flow_r2_5_s: float
    trade_r2_5_s: float

    # imbalance and returns
    imbalance_return_corr_100_ms: float
    strong_imbalance_return_bps_100_ms: float
    imbalance_return_corr_1_s: float
    strong_imbalance_return_bps_1_s: float
    imbalance_return_corr_5_s: float
    strong_imbalance_return_bps_5_s: float
    imbalance_return_corr_10_s: float
    strong_imbalance_return_bps_10_s: float

    # response to an order
    response_bps_10_ms: float
    response_bps_100_ms: float
    response_bps_1_s: float
    response_bps_10_s: float

    # feed latency
    latency_ms_p50: float
    latency_ms_p90: float
    latency_ms_p99: float
    latency_ms_p999: float

    def value(self, name: str) -> float:
        """Return the fact `name`."""
        return float(getattr(self, name))


FACT_NAMES = tuple(name for name in Facts.__struct_fields__ if name not in ("clock", "span_s", "tick"))

_MEASURES: tuple[Callable[[Observation], dict[str, float]], ...] = (
    clock_facts,
    order_facts,
    sign_facts,
    spread_facts,
    move_facts,
    queue_facts,
    foretelling_facts,
    return_facts,
    flow_return_facts,
    imbalance_return_facts,
    response_facts,
    latency_facts,
)


def facts_of(events: NDArray[Any], tick: float, clock: Clock | None = None) -> Facts:
    """Measure the EVENT array of one instrument whose prices are multiples of `tick`."""
    return facts_of_observation(Observation.of(events, tick, clock))


def facts_of_observation(seen: Observation) -> Facts:
    """Measure a tape that was brought into form already."""
    measured: dict[str, float] = {}
    for measure in _MEASURES:
        measured |= measure(seen)
    return Facts(clock=seen.clock, span_s=seen.span_s, tick=seen.tick, **measured)
