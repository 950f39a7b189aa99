"""Public dumps, tardis files and the prior system's Parquet: units, layouts and every defect."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from builders_import import NOON_MS, NOON_NS, csv, only, quarantined, rows, write_zip
from edgesmith.errors import InputError
from edgesmith.lake.importers import FileReport, import_files

DAY = "20240808"
MS, US = NOON_MS, NOON_MS * 1_000
TRADES_HEADER = "id,price,qty,quote_qty,time,is_buyer_maker"
QUOTES_HEADER = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"


def dump(tmp_path: Path, name: str, text: str, market: str | None = "usdm") -> FileReport:
    path = write_zip(tmp_path / f"{name}.zip", text)
    return only(import_files("binance-vision", [path], tmp_path / "lake", market=market))


@pytest.mark.parametrize("header", [None, TRADES_HEADER])
def test_futures_trades(tmp_path: Path, header: str | None) -> None:
    lines = [(7, "60000.1", "0.5", "30000.05", MS, "true"), (8, "60000.2", "0.25", "15000.05", MS + 1, "false")]
    file = dump(tmp_path, "BTCUSDT-trades-2024-08-08", csv(header, lines))
    assert file.rows == {"trade": 2} and file.ok
    assert file.reasons == ({} if header is None else {"header": 1})
    held = rows(tmp_path / "lake", "binance_usdm", "trade", "BTCUSDT", DAY)
    assert held["ts_event"].to_list() == [NOON_NS, NOON_NS + 1_000_000] == held["ts_recv"].to_list()
    assert held["side"].to_list() == [-1, 1] and held["trade_id"].to_list() == ["7", "8"]
    meta = json.loads(next((tmp_path / "lake").glob("exchange=*/**/meta.json")).read_bytes())
    assert meta["clock"]["recv_clock"] == "venue" and meta["sources"][0]["format"] == "binance-vision/trade"


def test_spot_trades_in_microseconds(tmp_path: Path) -> None:
    new_year_us = 1_735_689_600_000_000 + 5
    lines = [
        (7, "93548.8", "0.5", "1", new_year_us, "True", "True"),
        (8, "93548.9", "0.25", "1", new_year_us + 1, "False", "True"),
    ]
    file = dump(tmp_path, "BTCUSDT-trades-2025-01-01", csv(None, lines), market="spot")
    assert any("microseconds (2 rows)" in message for message in file.messages)
    held = rows(tmp_path / "lake", "binance_spot", "trade", "BTCUSDT", "20250101")
    assert held["ts_event"].to_list() == [new_year_us * 1_000, (new_year_us + 1) * 1_000]
    assert held["side"].to_list() == [-1, 1]


def test_aggregated_trades_of_every_market(tmp_path: Path) -> None:
    futures = [(7, "60000.1", "3", 1, 2, MS, "true")]
    assert dump(tmp_path, "BTCUSDT-aggTrades-2024-08-08", csv(None, futures)).rows == {"trade": 1}
    assert dump(tmp_path, "BTCUSD_PERP-aggTrades-2024-08-08", csv(None, futures), market=None).rows == {"trade": 1}
    spot = [(*futures[0], "True")]
    assert dump(tmp_path, "BTCUSDT-aggTrades-2024-08-08", csv(None, spot), market="spot").rows == {"trade": 1}
    for venue in ("binance_usdm", "binance_spot"):
        assert rows(tmp_path / "lake", venue, "trade", "BTCUSDT", DAY)["qty"].to_list() == [3.0]
    assert rows(tmp_path / "lake", "binance_coinm", "trade", "BTCUSD_PERP", DAY)["qty"].to_list() == [3.0]


def test_interleaved_quotes_are_sorted_and_lose_nothing(tmp_path: Path) -> None:
    # The dumps of January 2024 hold two halves of the day line by line in turn; within one ms the ids tell the order.
    quotes = [
        (1, "60000.1", "1", "60000.2", "1", MS, MS + 5),
        (9, "60000.3", "1", "60000.4", "1", MS + 100, MS + 105),
        (3, "60000.1", "3", "60000.2", "1", MS + 1, MS + 6),
        (8, "60000.1", "8", "60000.2", "1", MS + 100, MS + 105),
        (2, "60000.1", "2", "60000.2", "1", MS + 1, MS + 5),
    ]
    file = dump(tmp_path, "BTCUSDT-bookTicker-2024-08-08", csv(QUOTES_HEADER, quotes))
    assert file.rows == {"bbo": 5} and any("out of order" in message for message in file.messages)
    held = rows(tmp_path / "lake", "binance_usdm", "bbo", "BTCUSDT", DAY)
    assert held["bid_qty"].to_list() == [1.0, 2.0, 3.0, 8.0, 1.0]
    assert held["ts_event"].to_list() == [NOON_NS + step * 1_000_000 for step in (0, 1, 1, 100, 100)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("9,60000.1,0.5,1", "corrupt_row"),
        ("9,60000.1,0.5,1,1723118400000,true,9", "corrupt_row"),
        ("9,abc,0.5,1,1723118400000,true", "corrupt_row"),
        ("9.5,1.0,0.5,1,1723118400000,true", "corrupt_row"),
        ("99999999999999999999,1.0,0.5,1,1723118400000,true", "corrupt_row"),
        ("9999999999999999999,1.0,0.5,1,1723118400000,true", "corrupt_row"),
        ("9,60000.1,0.5,1,1723118400000,perhaps", "side_unclear"),
        ("9,,0.5,1,1723118400000,true", "not_finite"),
        ("9,0.0,0.5,1,1723118400000,true", "non_positive"),
        ("9,60000.1,-1,1,1723118400000,true", "non_positive"),
        ("9,60000.1,1,1,1723118400,true", "unit_unclear"),
        ("9,60000.1,1,1,1723161600000,true", "off_day"),
    ],
)
def test_wrong_rows_are_named_and_kept(tmp_path: Path, wrong: str, reason: str) -> None:
    lines = [(index, "60000.1", "0.5", "1", MS + index, "true") for index in range(3)]
    file = dump(tmp_path, "BTCUSDT-trades-2024-08-08", csv(None, lines) + wrong + "\n\n" + csv(None, [(5, *lines[2][1:])]))
    assert file.reasons == {reason: 1, "blank_line": 1} and file.rows == {"trade": 4}
    assert quarantined(file) == [(reason, wrong)]


def test_a_blank_line_is_counted(tmp_path: Path) -> None:
    lines = csv(None, [(1, "60000.1", "0.5", "1", MS, "true")])
    file = dump(tmp_path, "BTCUSDT-trades-2024-08-08", lines + "\n")
    assert file.lines == 2 and file.rows == {"trade": 1} and file.reasons == {"blank_line": 1}


def test_quotes_of_a_dump_are_checked(tmp_path: Path) -> None:
    quotes = [
        (1, "60000.2", "1", "60000.1", "1", MS, MS),
        (2, "60000.1", "0", "60000.2", "1", MS, MS),
        (3, "1", "1", "2", "1", MS, MS),
    ]
    file = dump(tmp_path, "BTCUSDT-bookTicker-2024-08-08", csv(None, quotes))
    assert file.rows == {"bbo": 1} and file.reasons == {"crossed_quote": 1, "non_positive": 1}


def test_a_dump_of_another_market_is_refused_as_a_whole(tmp_path: Path) -> None:
    spot = [(7, "60000.1", "0.5", "1", MS, "True", "True")]
    file = dump(tmp_path, "BTCUSDT-trades-2024-08-08", csv(None, spot))
    assert file.failure is not None and "7 columns, expected 6" in file.failure and not file.ok
    assert file.reasons == {"file_refused": 1} and not (tmp_path / "lake").exists()


def test_damaged_zip_stores_nothing(tmp_path: Path) -> None:
    text = csv(None, [(index, "60000.1", "0.5", "1", MS + index, "true") for index in range(2_000)])
    whole = write_zip(tmp_path / "BTCUSDT-trades-2024-08-08.zip", text).read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:2_000] + bytes(8) + whole[2_008:], b"PK\x03\x04"):
        path = tmp_path / "BTCUSDT-trades-2024-08-08.zip"
        path.write_bytes(damaged)
        file = only(import_files("binance-vision", [path], tmp_path / "lake", market="usdm"))
        assert file.failure is not None and "damaged" in file.failure and not file.ok
    assert not list((tmp_path / "lake").glob("exchange=*"))


def test_the_name_of_a_dump_must_say_what_it_is(tmp_path: Path) -> None:
    def read(name: str, **options: str) -> None:
        import_files("binance-vision", [write_zip(tmp_path / name, "")], tmp_path / "lake", **options)

    with pytest.raises(InputError, match="not the name of a public dump"):
        read("trades.zip", market="usdm")
    with pytest.raises(InputError, match="no date that exists"):
        read("BTCUSDT-trades-2024-02-31.zip", market="usdm")
    with pytest.raises(InputError, match="--symbol was ETHUSDT"):
        read("BTCUSDT-trades-2024-08-08.zip", market="usdm", symbol="ETHUSDT")
    with pytest.raises(InputError, match="give --market"):
        read("BTCUSDT-trades-2024-08-08.zip")
    with pytest.raises(InputError, match="the market spot has none"):
        read("BTCUSDT-bookTicker-2024-08-08.zip", market="spot")


def test_folders_name_the_market_and_months_are_periods(tmp_path: Path) -> None:
    folder = tmp_path / "futures" / "um" / "monthly"
    folder.mkdir(parents=True)
    last_ms = MS + 23 * 86_400_000
    lines = [
        (1, "1.5", "1", "1", MS, "true"),
        (2, "1.5", "1", "1", last_ms, "true"),
        (3, "1.5", "1", "1", last_ms + 86_400_000, "true"),
    ]
    path = write_zip(folder / "BTCUSDT-trades-2024-08.zip", csv(None, lines))
    file = only(import_files("binance-vision", [path], tmp_path / "lake"))
    assert file.rows == {"trade": 2} and file.reasons == {"off_day": 1}
    assert [partition.partition[-10:] for partition in file.partitions] == ["2024-08-08", "2024-08-31"]


def tardis(tmp_path: Path, text: str, **options: str) -> FileReport:
    path = tmp_path / "tardis.csv.gz"
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return only(import_files("tardis", [path], tmp_path / "lake", **options))


T_QUOTES = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
T_TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
T_TICKER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,"
    "open_interest,last_price,index_price,mark_price"
)


def test_tardis_quotes(tmp_path: Path) -> None:
    lines = [
        ("binance-futures", "BTCUSDT", US, US + 7, "2.5", "60000.2", "60000.1", "1.5"),
        ("bybit", "BTCUSDT", US, US + 9, 1, 2, 1, 1),
    ]
    lines += [("bybit", "BTCUSD", US, US + 9, 1, 2, 1, 1), ("bybit-spot", "BTCUSDT", US, US + 9, 1, 2, 1, 1)]
    file = tardis(tmp_path, csv(T_QUOTES, lines))
    assert file.rows == {"bbo": 2} and file.reasons == {"header": 1, "unsupported_instrument": 2}
    assert any("bybit-spot is not supported" in message for message in file.messages)
    held = rows(tmp_path / "lake", "binance_usdm", "bbo", "BTCUSDT", DAY).row(0, named=True)
    assert (held["ts_event"], held["ts_recv"]) == (NOON_NS, NOON_NS + 7_000)
    assert (held["bid_price"], held["bid_qty"], held["ask_price"], held["ask_qty"]) == (60_000.1, 1.5, 60_000.2, 2.5)
    assert rows(tmp_path / "lake", "bybit_linear", "bbo", "BTCUSDT", DAY).height == 1


def test_tardis_trades(tmp_path: Path) -> None:
    lines = [
        ("binance", "BTCUSDT", US, US + 5, "10", "buy", "1.5", "2"),
        ("binance", "BTCUSDT", US + 1, US + 6, "11", "sell", "1.5", "2"),
        ("binance", "BTCUSDT", US + 1, US + 8, "11", "sell", "1.5", "2"),
        ("binance", "BTCUSDT", US + 2, US + 9, "9", "sell", "1.5", "2"),
        ("binance", "BTCUSDT", US + 3, US + 9, "12", "long", "1.5", "2"),
        ("okex-swap", "BTC-USDT-SWAP", US, US + 5, "zz", "unknown", "1.5", "2"),
    ]
    file = tardis(tmp_path, csv(T_TRADES, lines))
    assert file.rows == {"trade": 3}
    assert file.reasons == {"header": 1, "duplicate": 1, "non_monotone_id": 1, "side_unclear": 1}
    assert rows(tmp_path / "lake", "binance_spot", "trade", "BTCUSDT", DAY)["side"].to_list() == [1, -1]
    okx = rows(tmp_path / "lake", "okx_swap", "trade", "BTCUSDT", DAY).row(0, named=True)
    assert (okx["side"], okx["trade_id"]) == (0, "zz")


def test_tardis_ticker_gives_three_streams(tmp_path: Path) -> None:
    due_us, day_us = US + 3_600_000_000, 86_400_000_000
    lines = [
        ("binance-futures", "BTCUSDT", US, US + 5, due_us, "0.0001", "", "100", "60000", "60001", "60000.5"),
        ("binance-futures", "BTCUSDT", US + 1, US + 6, due_us, "0.0001", "", "100", "60000", "", "60000.6"),
        ("binance-futures", "BTCUSDT", US + 2, US + 7, due_us, "0.0002", "", "101", "60000", "60001", ""),
        ("binance-futures", "BTCUSDT", US + 3, US + 8, "", "", "", "", "60000", "", ""),
        ("binance-futures", "BTCUSDT", US + day_us, US + day_us + 5, due_us, "0.0002", "", "101", "60000", "60001", "60000.7"),
    ]
    file = tardis(tmp_path, csv(T_TICKER, lines))
    assert file.rows == {"mark_price": 3, "funding": 3, "open_interest": 3}
    assert file.reasons == {"header": 1, "nothing_to_store": 1} and file.accepted == 4
    funding = rows(tmp_path / "lake", "binance_usdm", "funding", "BTCUSDT", DAY)
    assert funding["funding_rate"].to_list() == [0.0001, 0.0002] and funding["next_funding_ts"][0] == due_us * 1_000
    assert rows(tmp_path / "lake", "binance_usdm", "mark_price", "BTCUSDT", DAY)["index_price"].to_list() == [60_001.0, None]


def test_a_short_line_is_not_a_line_of_absent_values(tmp_path: Path) -> None:
    whole = ("binance-futures", "BTCUSDT", US, US + 5, US, "0.0001", "", "100", "60000", "60001", "60000.5")
    file = tardis(tmp_path, csv(T_TICKER, [whole, whole[:-2]]))
    assert file.rows["mark_price"] == 1 and file.reasons == {"header": 1, "corrupt_row": 1}


def test_tardis_options_choose_and_headers_are_checked(tmp_path: Path) -> None:
    lines = [("binance-futures", symbol, US, US + 5, 1, 2, 1, 1) for symbol in ("BTCUSDT", "ETHUSDT")]
    file = tardis(tmp_path, csv(T_QUOTES, lines), symbol="ethusdt", market="usdm")
    assert file.rows == {"bbo": 1} and file.reasons == {"header": 1, "other_symbol": 1}
    wrong = tardis(tmp_path, csv("time,price", [(1, 2)]))
    assert wrong.failure is not None and "quotes, trades, derivative_ticker" in wrong.failure


def prior(tmp_path: Path, frame: pl.DataFrame, name: str = "exchange=okx_adausdt.parquet") -> FileReport:
    frame.write_parquet(tmp_path / name)
    return only(import_files("prior-lake", [tmp_path / name], tmp_path / "lake"))


def prior_frame(**changes: list[object]) -> pl.DataFrame:
    columns: dict[str, list[object]] = {
        "ts_event": [MS, MS + 1],
        "seq": [0, 1],
        "ts_recv": [MS + 30, MS + 31],
        "exchange": ["binance", "bybit"],
        "symbol": ["ADAUSDT", "ADAUSDT"],
        "stream": ["bbo", "bbo"],
        "stream_version": [1, 1],
        "bid_price": [0.2855, 0.2856],
        "bid_qty": [10.0, 11.0],
        "ask_price": [0.2856, 0.2857],
        "ask_qty": [12.0, 13.0],
    }
    return pl.DataFrame(columns | changes)


def test_prior_rows_name_their_venue(tmp_path: Path) -> None:
    file = prior(tmp_path, prior_frame())
    assert file.rows == {"bbo": 2} and any("milliseconds (2 rows)" in message for message in file.messages)
    assert [partition.partition for partition in file.partitions] == [
        "binance_usdm/bbo/ADAUSDT/2024-08-08",
        "bybit_linear/bbo/ADAUSDT/2024-08-08",
    ]
    assert {partition.skew_ns_p50 for partition in file.partitions} == {30_000_000}
    metas = [json.loads(path.read_bytes()) for path in (tmp_path / "lake").glob("**/meta.json")]
    assert {meta["clock"]["event_clock"] for meta in metas} == {"venue"}


def test_prior_defects(tmp_path: Path) -> None:
    same = prior(tmp_path, prior_frame(ts_recv=[MS, MS + 1]))
    assert any("ts_event equals ts_recv" in message for message in same.messages)
    unknown = prior(tmp_path, prior_frame(exchange=["bitmex", "bybit"], ts_recv=[MS, MS + 1]))
    assert unknown.reasons == {"unsupported_instrument": 1} and '"bitmex"' in quarantined(unknown)[0][1]
    crossed = prior(tmp_path, prior_frame(bid_price=[0.3, None], ts_recv=[MS, MS + 1]))
    assert crossed.reasons == {"crossed_quote": 1, "not_finite": 1} and not crossed.ok
    no_column = prior(tmp_path, prior_frame().drop("exchange"))
    assert no_column.failure is not None and "exchange" in no_column.failure
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "exchange=okx_adausdt.parquet").read_bytes()[:300])
    torn = only(import_files("prior-lake", [tmp_path / "torn.parquet"], tmp_path / "lake"))
    assert torn.failure is not None and "cannot be read as Parquet" in torn.failure


def test_prior_trades_and_funding(tmp_path: Path) -> None:
    common = prior_frame().drop("bid_price", "bid_qty", "ask_price", "ask_qty").with_columns(exchange=pl.lit("binance"))
    trades = common.with_columns(
        stream=pl.lit("trade"), price=1.5, qty=2.0, side=pl.Series([1, -1], dtype=pl.Int8), trade_id=pl.Series(["a", "b"])
    )
    file = prior(tmp_path, trades)
    assert file.rows == {"trade": 2}
    meta = json.loads(next((tmp_path / "lake").glob("**/stream=trade/**/meta.json")).read_bytes())
    assert meta["sources"][0]["format"] == "prior-lake/aggTrade", "the prior system subscribed to aggregated trades of Binance"
    funding = common.with_columns(stream=pl.lit("funding"), funding_rate=0.0001, next_funding_ts=pl.lit(MS + 60_000))
    assert prior(tmp_path, funding).rows == {"funding": 2}
    assert rows(tmp_path / "lake", "binance_usdm", "funding", "ADAUSDT", DAY)["next_funding_ts"][0] == (MS + 60_000) * 1_000_000


def test_the_shared_prior_file_lands_on_its_utc_date(tmp_path: Path, shared_data: Path) -> None:
    file = only(import_files("prior-lake", [shared_data / "prior_lake/adausdt_20260204.parquet"], tmp_path / "lake"))
    (partition,) = file.partitions
    assert partition.partition == f"bybit_linear/bbo/ADAUSDT/{date(2026, 2, 3)}" and partition.rows_added == 4_039
    assert any("milliseconds (4039 rows)" in message for message in file.messages)
    assert any("ts_event equals ts_recv" in message for message in file.messages)
    meta = json.loads(next((tmp_path / "lake").glob("**/meta.json")).read_bytes())
    assert meta["clock"]["event_clock"] == "receive" and (meta["price_increment"], meta["qty_increment"]) == ("0.0001", "1")
