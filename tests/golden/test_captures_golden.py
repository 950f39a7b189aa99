"""Real captures: the counts their README states, the skew of their recorder, and bytes that stay the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders_import import only, rows, tree_bytes
from edgesmith.lake.importers import import_files

# File, market, symbol, lines, bookTicker, trade, depth with snapshots.
CAPTURES = [
    ("binance_usdm_btcusdt_20240808.gz", "usdm", "BTCUSDT", 93_954, 66_089, 21_313, 6_552),
    ("binance_spot_btcusdt_20240808.gz", "spot", "BTCUSDT", 41_249, 28_040, 9_757, 3_452),
    ("binance_spot_btcusdt_20240809.gz", "spot", "BTCUSDT", 58_325, 45_134, 10_147, 3_044),
    ("binance_coinm_btcusd_perp_20240808.gz", "coinm", "BTCUSD_PERP", 48_270, 19_136, 2_286, 26_848),
    ("binance_coinm_btcusd_perp_20240809.gz", "coinm", "BTCUSD_PERP", 50_116, 29_219, 2_949, 17_948),
]


@pytest.mark.parametrize(("name", "market", "symbol", "lines", "quotes", "trades", "depth"), CAPTURES)
def test_counts_per_stream(
    tmp_path: Path, shared_data: Path, name: str, market: str, symbol: str, lines: int, quotes: int, trades: int, depth: int
) -> None:
    file = only(import_files("binance-capture", [shared_data / "captures" / name], tmp_path, market=market, symbol=symbol))
    assert file.lines == lines and file.rows == {"bbo": quotes, "trade": trades}
    assert file.reasons == {"depth_not_stored": depth} and file.quarantine is None and file.ok
    assert sum(partition.rows_added for partition in file.partitions) == quotes + trades, "no row of these files is a repeat"


def test_skew_of_the_recorder_is_found_and_said(tmp_path: Path, shared_data: Path) -> None:
    path = shared_data / "captures/binance_usdm_btcusdt_20240808.gz"
    file = only(import_files("binance-capture", [path], tmp_path, market="usdm", symbol="BTCUSDT"))
    for partition in file.partitions:
        assert -1.28e9 < partition.skew_ns_min <= partition.skew_ns_p50 < -1.26e9
    assert any("our clock was 1.27 s behind the venue's" in message for message in file.messages)
    metas = [json.loads(path.read_bytes()) for path in tmp_path.glob("exchange=*/**/meta.json")]
    assert {(meta["price_increment"], meta["qty_increment"]) for meta in metas if meta["rows"] > 1} == {("0.1", "0.001")}
    assert {meta["clock"]["event_clock"] for meta in metas} == {"venue"}


def test_first_quote_of_each_market(tmp_path: Path, shared_data: Path) -> None:
    for name, market, symbol, *_ in (CAPTURES[0], CAPTURES[2], CAPTURES[4]):
        import_files("binance-capture", [shared_data / "captures" / name], tmp_path, market=market, symbol=symbol)
    payload = ["ts_event", "ts_recv", "bid_price", "bid_qty", "ask_price", "ask_qty"]
    usdm = rows(tmp_path, "binance_usdm", "bbo", "BTCUSDT", "20240808").select(payload).row(0)
    assert usdm == (1723161256313000000, 1723161255088169167, 61800.2, 2.507, 61800.3, 2.51)
    spot = rows(tmp_path, "binance_spot", "bbo", "BTCUSDT", "20240809").select(payload).row(0)
    assert spot == (1723161600001692584, 1723161600001692584, 61685.99, 1.25869, 61686.0, 2.44816)
    coinm = rows(tmp_path, "binance_coinm", "bbo", "BTCUSD_PERP", "20240809").select(payload).row(0)
    assert coinm == (1723161601262000000, 1723161600002201584, 61668.6, 1243.0, 61668.7, 871.0)


def test_days_in_one_call_or_two_give_the_same_bytes(tmp_path: Path, shared_data: Path) -> None:
    paths = [shared_data / "captures" / name for name, market, *_ in CAPTURES if market == "coinm"]
    import_files("binance-capture", paths, tmp_path / "together", market="coinm", symbol="BTCUSD_PERP")
    for path in reversed(paths):
        import_files("binance-capture", [path], tmp_path / "apart", market="coinm", symbol="BTCUSD_PERP")
    assert tree_bytes(tmp_path / "together") == tree_bytes(tmp_path / "apart")
