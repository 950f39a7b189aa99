"""Facts of the real captures are the numbers of the calibration table they were first measured for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesmith.domain.records import joined
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.importers import import_files
from edgesmith.lake.replay import Replay
from edgesmith.worlds.accept import judge
from edgesmith.worlds.stylized import Facts, facts_of

MARKETS = {
    "usdm": ("usdm_btcusdt", "BTCUSDT", 0.1),
    "spot": ("spot_btcusdt", "BTCUSDT", 0.01),
    "coinm": ("coinm_btcusd_perp", "BTCUSD_PERP", 0.1),
}
# Name -> usdm, spot, coinm as the table prints them; None where it prints none or defines the number otherwise (on spot it
# counts every fill as an order).
PRINTED: dict[str, tuple[float | None, float | None, float | None]] = {
    "quotes_per_s": (191.9, 112.5, 74.7),
    "trades_per_s": (61.9, 30.6, 8.1),
    "orders_per_s": (15.8, None, 2.8),
    "fills_per_order_mean": (3.9, None, 2.9),
    "fills_per_order_p99": (43, None, 19),
    "spread_one_tick_time_ratio": (0.991, 0.993, 0.996),
    "spread_one_tick_event_ratio": (0.942, 0.893, 0.950),
    "spread_ticks_mean": (1.14, 2.73, 1.11),
    "wide_episodes_per_s": (1.43, 2.83, 1.17),
    "wide_episode_ms_p90": (12, 4, 7),
    "wide_episode_ms_p99": (94, 33, 22),
    "mid_changes_per_s": (5.9, 10.2, 3.9),
    "jump_half_ticks_p50": (8, 52, 20),
    "jump_half_ticks_p90": (42, 251, 77),
    "jump_half_ticks_p99": (198, 917, 160),
    "quote_gap_ms_p90": (14, 24, 30),
    "quote_gap_ms_p99": (76, 127, 211),
    "quote_gap_cv": (2.9, 2.9, 3.3),
    "same_ms_quote_ratio": (0.48, None, 0.30),
    "same_ms_trade_ratio": (0.75, None, 0.65),
    "fano_10_ms": (17, 12, 6),
    "fano_100_ms": (44, 35, 21),
    "fano_1_s": (102, 81, 52),
    "fano_10_s": (193, 214, 145),
    "branching_proxy_quotes": (0.93, 0.92, 0.90),
    "branching_proxy_orders": (0.86, None, 0.67),
    "fill_sign_acf_lag_1": (0.79, 0.79, 0.83),
    "fill_sign_acf_lag_50": (0.33, 0.24, 0.12),
    "order_sign_acf_lag_1": (0.20, None, 0.51),
    "order_sign_acf_lag_10": (0.12, None, 0.09),
    "queue_qty_p50": (2.7, 1.1, 800),
    "queue_qty_p99": (18.5, 6.6, 3460),
    "queue_fill_ratio": (167, None, None),
    "fill_qty_p90": (0.265, 0.058, 81),
    "order_tail_hill": (1.05, None, 1.38),
    "return_bps_sd_1_s": (1.22, 1.25, 1.29),
    "return_kurtosis_100_ms": (267, 274, 113),
    "return_kurtosis_5_s": (3.9, 3.8, 1.1),
    "return_zero_ratio_100_ms": (0.89, 0.89, 0.90),
    "variance_bps2_per_s_100_ms": (1.69, 1.08, 1.29),
    "variance_bps2_per_s_1_s": (1.60, 1.37, 1.60),
    "variance_bps2_per_s_10_s": (1.34, 1.64, 1.71),
    "variance_bps2_per_s_30_s": (1.23, 1.68, 1.73),
    "flow_r2_100_ms": (0.41, 0.35, 0.38),
    "flow_r2_1_s": (0.43, 0.51, 0.59),
    "flow_r2_5_s": (0.46, 0.61, 0.67),
    "trade_r2_1_s": (0.41, 0.19, 0.14),
    "flow_trade_r2_1_s": (0.62, 0.57, 0.67),
    "flow_next_return_corr_100_ms": (0.12, 0.17, 0.17),
    "imbalance_return_corr_1_s": (0.20, 0.31, 0.31),
    "hit_ratio_events": (0.67, 0.77, 0.70),
    "hit_ratio_time": (0.61, 0.67, 0.66),
    "hit_ratio_strong": (0.77, 0.84, 0.80),
    "up_ratio_bin_1": (0.18, 0.10, 0.15),
    "up_ratio_bin_7": (0.84, 0.90, 0.83),
    "strong_imbalance_return_bps_1_s": (0.37, 0.45, 0.52),
    "strong_imbalance_return_bps_5_s": (0.58, 0.83, 0.83),
    "response_bps_10_ms": (0.12, None, 0.39),
    "response_bps_1_s": (0.27, None, 0.97),
    "latency_ms_p50": (3, None, 10),
    "latency_ms_p99": (44, None, 45),
    "imbalance_memory_s": (1.3, 2.2, 2.0),
}
# The table rounds (half of the last digit it prints) and leaves the phase of its time grids open.
TOLERANCE_RATIO = 0.04


def rounding(printed: float) -> float:
    return 0.5 * 10.0 ** -len(str(printed).partition(".")[2])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, Facts]:
    root = tmp_path_factory.mktemp("captures")
    found = {}
    for market, (stem, symbol, tick) in MARKETS.items():
        files = sorted((shared_data / "captures").glob(f"binance_{stem}_*.gz"))
        import_files("binance-capture", files, root, market=market, symbol=symbol)
        partitions = Catalog(root).partitions(f"binance_{market}", None, symbol)
        found[market] = facts_of(joined(list(Replay(partitions, order="venue").batches())), tick)
    return found


@pytest.mark.parametrize("name", PRINTED)
def test_facts_are_the_printed_ones(measured: dict[str, Facts], name: str) -> None:
    for market, printed in zip(MARKETS, PRINTED[name], strict=True):
        if printed is not None:
            assert measured[market].value(name) == pytest.approx(printed, rel=TOLERANCE_RATIO, abs=rounding(printed)), market


def test_spot_has_no_venue_stamp(measured: dict[str, Facts]) -> None:
    assert {market: facts.clock for market, facts in measured.items()} == {"usdm": "venue", "spot": "receive", "coinm": "venue"}


def test_the_perpetual_passes_its_own_acceptance(measured: dict[str, Facts]) -> None:
    assert [row.name for row in judge(measured["usdm"], measured["usdm"]) if not row.ok] == []
