"""Markets fitted to real captures: parameters of the tape simulator, the capture each came from, and how well it fits.

Found by `edgesmith.worlds.fit` and by hand after it, on other seeds than those they are scored on (201 to 208).

`score` is the distance of the fit (`edgesmith.worlds.fit.distance`): the root mean square over the acceptance table, in
half-widths of its ranges, of the median facts of eight tapes as long as the capture. `rows_accepted` of `rows` counts the
rows of that table inside their range; `docs/worlds_fit.md` lists which are not.
"""

from __future__ import annotations

from datetime import date

import msgspec

from edgesmith.errors import UnknownNameError
from edgesmith.worlds.parameters import TapeParameters


class FittedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters by name, with what they were fitted to and when."""

    name: str
    summary: str
    capture: str
    span_s: float
    fitted: date
    score: float
    rows_accepted: int
    rows: int
    tick_size: str
    lot_size: str
    parameters: TapeParameters


_FITS = (
    FittedMarket(
        name="btc_perp",
        summary="BTC perpetual, USDT-margined",
        capture="binance_usdm_btcusdt_20240808",
        span_s=344.4,
        fitted=date(2026, 11, 22),
        score=0.615,
        rows_accepted=35,
        rows=35,
        tick_size="0.1",
        lot_size="0.001",
        parameters=TapeParameters(
            actions_per_s=178.0,
            fast_branching_ratio=0.7181,
            fast_ms=0.4754,
            medium_branching_ratio=0.1509,
            medium_ms=50.28,
            slow_branching_ratio=0.07886,
            activity_sd_15_min=0.15,
            activity_sd_2_min=0.2,
            market_ratio=0.11,
            queue_typical_lots=3815.0,
            queue_restoring=0.1751,
            pull_ratio=0.112,
            passive_median_lots=88.6,
            passive_log_sd=1.4,
            thin_side_pressure=0.08,
            undo_ratio=0.5789,
            withdraw_ratio=0.004611,
            withdraw_imbalance_gain=0.7,
            withdraw_flow_gain=0.224,
            flow_memory_ms=409.8,
            metaorder_ratio=0.78,
            metaorder_tail=1.6,
            sign_tilt=0.5,
            order_median_lots=26.0,
            order_log_sd=1.916,
            order_tail_ratio=0.01077,
            fill_median_lots=23.52,
            jump_median_ticks=8.5,
            jump_log_sd=1.2,
            jump_excess_gain=2.639,
            new_queue_median_lots=71.26,
            new_queue_log_sd=1.934,
            follow_excess_gain=0.4905,
            follow_imbalance_gain=0.25,
            follow_predicted_loss=0.3,
            follow_lots_per_tick=185.0,
            follow_flow_gain=0.4177,
            refill_median_ms=0.3348,
            refill_log_sd=1.541,
            refill_complete_ratio=0.4355,
            refill_step_ticks=3.636,
            refill_median_lots=500.0,
            opening_price=61700.0,
            volatility_hour_bps=69.5,
        ),
    ),
    FittedMarket(
        name="btc_spot",
        summary="BTC spot against USDT",
        capture="binance_spot_btcusdt_20240808 and 20240809",
        span_s=650.4,
        fitted=date(2026, 11, 22),
        score=0.662,
        rows_accepted=34,
        rows=35,
        tick_size="0.01",
        lot_size="0.00001",
        parameters=TapeParameters(
            actions_per_s=130.0,
            fast_branching_ratio=0.7032,
            fast_ms=0.5394,
            medium_branching_ratio=0.1712,
            medium_ms=74.51,
            slow_branching_ratio=0.053,
            market_excitation=2.83,
            activity_sd_15_min=0.15,
            activity_sd_2_min=0.2,
            market_ratio=0.09499,
            queue_typical_lots=112200.0,
            queue_restoring=0.1751,
            pull_ratio=0.1637,
            passive_median_lots=24760.0,
            passive_log_sd=1.336,
            thin_side_pressure=0.33,
            undo_ratio=0.8429,
            withdraw_ratio=0.03107,
            withdraw_imbalance_gain=0.6531,
            withdraw_flow_gain=0.3733,
            flow_memory_ms=742.8,
            metaorder_ratio=0.92,
            metaorder_tail=1.6,
            sign_tilt=0.3,
            order_median_lots=80.0,
            order_log_sd=1.4,
            order_tail_ratio=0.12,
            order_tail_floor_lots=1500.0,
            order_max_lots=20000000.0,
            fill_median_lots=120.0,
            fill_log_sd=2.6,
            jump_median_ticks=60.0,
            jump_log_sd=1.1,
            jump_excess_gain=8.837,
            jump_max_ticks=20000.0,
            new_queue_median_lots=2286.0,
            new_queue_log_sd=1.761,
            follow_ratio=0.3156,
            follow_excess_gain=0.2513,
            follow_imbalance_gain=0.7318,
            follow_predicted_loss=0.2,
            follow_lots_per_tick=1000.0,
            follow_flow_gain=0.4505,
            refill_median_ms=0.561,
            refill_log_sd=2.285,
            refill_complete_ratio=0.6183,
            refill_step_ticks=107.9,
            refill_median_lots=41000.0,
            opening_price=61700.0,
            volatility_hour_bps=76.7,
            open_interest_lots=1.0,
        ),
    ),
    FittedMarket(
        name="btc_coinm_perp",
        summary="BTC perpetual, coin-margined",
        capture="binance_coinm_btcusd_perp_20240808 and 20240809",
        span_s=647.3,
        fitted=date(2026, 11, 22),
        score=0.756,
        rows_accepted=33,
        rows=35,
        tick_size="0.1",
        lot_size="1",
        parameters=TapeParameters(
            actions_per_s=60.08,
            fast_branching_ratio=0.6409,
            fast_ms=1.012,
            medium_branching_ratio=0.2162,
            medium_ms=67.48,
            slow_branching_ratio=0.07166,
            market_excitation=2.195,
            activity_sd_15_min=0.15,
            activity_sd_2_min=0.2,
            market_ratio=0.05096,
            queue_typical_lots=870.0,
            queue_restoring=0.177,
            pull_ratio=0.08765,
            passive_median_lots=21.16,
            passive_log_sd=1.156,
            thin_side_pressure=0.7772,
            undo_ratio=0.9195,
            withdraw_ratio=0.07328,
            withdraw_imbalance_gain=0.2812,
            withdraw_flow_gain=0.1197,
            flow_memory_ms=4774.0,
            metaorder_ratio=0.8915,
            metaorder_tail=1.98,
            sign_tilt=0.7592,
            order_median_lots=8.865,
            order_log_sd=1.6,
            order_tail_ratio=0.007004,
            order_tail=1.4,
            order_tail_floor_lots=350.0,
            order_max_lots=100000.0,
            fill_median_lots=3.69,
            fill_log_sd=2.0,
            jump_median_ticks=10.53,
            jump_log_sd=0.8898,
            jump_excess_gain=9.878,
            new_queue_median_lots=146.5,
            new_queue_log_sd=0.9942,
            follow_ratio=0.4464,
            follow_excess_gain=0.1358,
            follow_imbalance_gain=0.494,
            follow_lots_per_tick=34.91,
            follow_flow_gain=0.3113,
            refill_median_ms=1.071,
            refill_log_sd=2.107,
            refill_complete_ratio=0.8648,
            refill_step_ticks=18.54,
            refill_median_lots=216.8,
            opening_price=61700.0,
            volatility_hour_bps=78.5,
            open_interest_lots=5000000.0,
        ),
    ),
)

FITTED: dict[str, FittedMarket] = {fit.name: fit for fit in _FITS}


def find_fit(name: str) -> FittedMarket:
    """Return a fitted market by name."""
    if name not in FITTED:
        raise UnknownNameError("fitted market", name, FITTED)
    return FITTED[name]
