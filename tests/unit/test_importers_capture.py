"""Captures: what becomes of every kind of line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders_import import NOON_MS, NOON_NS, line, only, quarantined, quote, rows, trade, tree_bytes, write_lines
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.lake.importers import FileReport, import_files

DAY = "20240808"


def imported(tmp_path: Path, lines: list[bytes], market: str = "usdm", symbol: str = "BTCUSDT") -> FileReport:
    path = write_lines(tmp_path / "capture.gz", lines)
    return only(import_files("binance-capture", [path], tmp_path / "lake", market=market, symbol=symbol))


def test_a_quote_and_a_trade(tmp_path: Path) -> None:
    file = imported(tmp_path, [quote(0), trade(1), trade(2)])
    assert file.rows == {"bbo": 1, "trade": 2} and file.reasons == {} and file.ok
    bbo = rows(tmp_path / "lake", "binance_usdm", "bbo", "BTCUSDT", DAY).row(0, named=True)
    assert (bbo["ts_event"], bbo["ts_recv"]) == (NOON_NS, NOON_NS + 40_000_000)
    assert (bbo["bid_price"], bbo["bid_qty"], bbo["ask_price"], bbo["ask_qty"]) == (60_000.1, 1.5, 60_000.2, 2.25)
    trades = rows(tmp_path / "lake", "binance_usdm", "trade", "BTCUSDT", DAY)
    assert trades["side"].to_list() == [1, -1], "the taker buys unless the buyer is the maker"
    assert trades["trade_id"].to_list() == ["5001", "5002"]
    meta = next((tmp_path / "lake").glob("exchange=binance_usdm/stream=bbo/**/meta.json"))
    recorded = json.loads(meta.read_bytes())
    assert (recorded["price_increment"], recorded["qty_increment"]) == ("0.1", "0.01")
    assert recorded["clock"]["skew_ns_p50"] == 40_000_000
    assert any("received 40 ms after" in message for message in file.messages)
    assert any("milliseconds" in message for message in file.messages)


def test_bare_frames_are_frames(tmp_path: Path) -> None:
    file = imported(tmp_path, [quote(0, wrapped=False), quote(1), quote(2, wrapped=False), trade(3, wrapped=False)])
    assert file.rows == {"bbo": 3, "trade": 1} and not file.reasons


def test_event_time_where_there_is_no_transaction_time(tmp_path: Path) -> None:
    data = json.loads(quote(5).split(b" ", 1)[1])["data"]
    del data["T"]
    imported(tmp_path, [line(5, data, "btcusdt@bookTicker")])
    assert rows(tmp_path / "lake", "binance_usdm", "bbo", "BTCUSDT", DAY)["ts_event"][0] == NOON_NS + 5_000_000


def test_mark_price_frames_give_funding_too(tmp_path: Path) -> None:
    due_ms = NOON_MS + 3_600_000
    frame: dict[str, Any] = {"e": "markPriceUpdate", "E": NOON_MS, "s": "BTCUSDT", "p": "60000.5", "i": "60001.25"}
    lines = [
        line(0, frame | {"r": "0.0001", "T": due_ms}, "btcusdt@markPrice@1s"),
        line(1, frame | {"E": NOON_MS + 1, "r": "", "T": 0}, "btcusdt@markPrice@1s"),
        line(2, {"symbol": "BTCUSDT", "openInterest": "1234.5", "time": NOON_MS + 2}, None),
        line(3, frame | {"E": NOON_MS + 3, "p": "nan"}, "btcusdt@markPrice"),
        line(4, frame | {"E": NOON_MS + 4, "r": "x"}, "btcusdt@markPrice"),
        line(5, frame | {"E": NOON_MS + 5, "r": "0.0001", "T": 5}, "btcusdt@markPrice"),
    ]
    file = imported(tmp_path, lines)
    assert file.rows == {"mark_price": 2, "funding": 1, "open_interest": 1}
    assert file.reasons == {"not_finite": 2, "unit_unclear": 1} and file.accepted == 3
    mark = rows(tmp_path / "lake", "binance_usdm", "mark_price", "BTCUSDT", DAY)
    assert mark["mark_price"].to_list() == [60_000.5, 60_000.5] and mark["index_price"].to_list() == [60_001.25] * 2
    funding = rows(tmp_path / "lake", "binance_usdm", "funding", "BTCUSDT", DAY).row(0, named=True)
    assert (funding["funding_rate"], funding["next_funding_ts"]) == (0.0001, due_ms * 1_000_000)


def test_spot_quotes_have_no_venue_time(tmp_path: Path) -> None:
    data = {"u": 1, "s": "BTCUSDT", "b": "60000.01", "B": "1", "a": "60000.02", "A": "1"}
    spot_trade = {"e": "trade", "E": NOON_MS, "T": NOON_MS, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "m": True, "M": True}
    lines = [line(0, data, "btcusdt@bookTicker"), line(1, data | {"u": 2}, None), line(2, spot_trade, "btcusdt@trade")]
    file = imported(tmp_path, lines, market="spot")
    assert file.rows == {"bbo": 2, "trade": 1}
    bbo = rows(tmp_path / "lake", "binance_spot", "bbo", "BTCUSDT", DAY)
    assert bbo["ts_event"].to_list() == bbo["ts_recv"].to_list()
    meta = json.loads(next((tmp_path / "lake").glob("**/stream=bbo/**/meta.json")).read_bytes())
    assert meta["clock"]["event_clock"] == "receive"


def test_frames_of_another_market_are_not_taken_for_ours(tmp_path: Path) -> None:
    futures = imported(tmp_path, [quote(0), trade(1)], market="spot")
    assert futures.reasons == {"invalid_frame": 2} and not futures.ok
    spot = {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}
    spot_trade = {"e": "trade", "T": NOON_MS, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "m": True, "M": True}
    lines = [line(0, spot, "btcusdt@bookTicker"), line(1, spot_trade, "btcusdt@trade")]
    as_usdm = imported(tmp_path, lines)
    assert as_usdm.accepted == 0 and as_usdm.reasons == {"invalid_frame": 2}
    assert any("the market" in message for message in as_usdm.messages)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (quote(5)[:-7], "corrupt_json"),
        (quote(5)[:-1], "corrupt_json"),
        (quote(5)[:-1] + b"]", "corrupt_json"),
        (quote(5, b="sixty"), "invalid_frame"),
        (quote(5, b=None), "invalid_frame"),
        (quote(5, b="nan"), "not_finite"),
        (quote(5, A="inf"), "not_finite"),
        (quote(5, B="0.000"), "non_positive"),
        (quote(5, b="60000.20", a="60000.20"), "crossed_quote"),
        (quote(5, b="60000.30", a="60000.20"), "crossed_quote"),
        (quote(5, T=NOON_MS // 1000), "unit_unclear"),
        (quote(5, T=10**25), "unit_unclear"),
        (quote(5, u=2**63), "non_monotone_id"),
        (trade(5, p="0", q="0"), "non_positive"),
        (quote(5).split(b" ", 1)[1], "no_timestamp"),
        (b"yesterday " + quote(5).split(b" ", 1)[1], "no_timestamp"),
        (b"1723118400000 " + quote(5).split(b" ", 1)[1], "unit_unclear"),
        (line(5, {"e": "kline", "s": "BTCUSDT"}, "btcusdt@kline_1m"), "unknown_stream"),
        (line(5, {"what": 1}, None), "unknown_stream"),
        (b"%d [1,2]" % NOON_NS, "unknown_stream"),
        (b"%d \xff\xfe" % NOON_NS, "corrupt_json"),
        (b"%d " % NOON_NS, "corrupt_json"),
        (quote(2), "duplicate"),
        (quote(2, B="9"), "non_monotone_id"),
        (quote(5, u=7), "non_monotone_id"),
    ],
)
def test_wrong_lines_are_named_and_kept(tmp_path: Path, wrong: bytes, reason: str) -> None:
    good = [quote(0), quote(1), quote(2), quote(3), trade(3)]
    file = imported(tmp_path, [*good, wrong, quote(9)])
    assert file.reasons == {reason: 1} and file.rows == {"bbo": 5, "trade": 1} and file.ok
    assert quarantined(file) == [(reason, wrong.decode("utf-8", "backslashreplace"))]
    assert file.quarantined == 1


def test_lines_that_are_not_for_the_lake_are_counted(tmp_path: Path) -> None:
    depth = {"e": "depthUpdate", "E": NOON_MS, "s": "BTCUSDT", "U": 1, "u": 2, "b": [], "a": []}
    lines = [
        line(0, depth, "btcusdt@depth@0ms"),
        line(1, depth, None),
        line(2, {"lastUpdateId": 7, "E": NOON_MS, "bids": [], "asks": []}, None),
        line(3, {"result": None, "id": 1}, None),
        quote(4, symbol="ETHUSDT"),
        quote(5),
        b"",
    ]
    file = imported(tmp_path, lines)
    assert file.reasons == {"depth_not_stored": 3, "control_frame": 1, "other_symbol": 1, "blank_line": 1}
    assert file.quarantine is None and file.quarantined == 0
    assert any("ETHUSDT (1)" in message for message in file.messages)


def test_the_symbol_inside_the_frame_counts(tmp_path: Path) -> None:
    file = imported(tmp_path, [quote(0), quote(1).replace(b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'), quote(2)])
    assert file.rows == {"bbo": 2} and file.reasons == {"other_symbol": 1}


def test_aggregates_beside_single_trades_are_set_aside(tmp_path: Path) -> None:
    file = imported(tmp_path, [trade(0), trade(1, kind="aggTrade"), trade(2)])
    assert file.rows == {"trade": 2} and file.reasons == {"agg_trade_redundant": 1}


def test_aggregates_and_single_trades_do_not_mix_in_a_partition(tmp_path: Path) -> None:
    single = write_lines(tmp_path / "single.gz", [trade(0)])
    aggregated = write_lines(tmp_path / "aggregated.gz", [trade(1, kind="aggTrade"), quote(1)])
    report = import_files("binance-capture", [single, aggregated], tmp_path / "lake", market="usdm", symbol="BTCUSDT")
    first, second = report.files
    assert first.ok and not second.ok and second.rows == {"trade": 1, "bbo": 1}
    (refused,) = [partition for partition in second.partitions if partition.refused]
    assert refused.refused is not None and "aggregated trades" in refused.refused and "single.gz" in refused.refused
    assert rows(tmp_path / "lake", "binance_usdm", "trade", "BTCUSDT", DAY).height == 1


def test_days_are_split_by_venue_time(tmp_path: Path) -> None:
    midnight_ms = NOON_MS + 43_200_000
    lines = [quote(1, T=midnight_ms - 1), quote(2, T=midnight_ms)]
    file = imported(tmp_path, lines)
    assert [partition.partition[-10:] for partition in file.partitions] == ["2024-08-08", "2024-08-09"]


def test_importing_again_changes_no_byte(tmp_path: Path) -> None:
    lines = [quote(0), quote(1), trade(1), quote(2, B="0")]
    first = imported(tmp_path, lines)
    before = tree_bytes(tmp_path / "lake")
    second = imported(tmp_path, lines)
    assert tree_bytes(tmp_path / "lake") == before and first.quarantine == second.quarantine
    assert not any(partition.changed for partition in second.partitions)
    assert sum(partition.duplicates for partition in second.partitions) == 3


def test_two_files_of_one_day_merge(tmp_path: Path) -> None:
    early = write_lines(tmp_path / "early.gz", [quote(0), quote(1), quote(2)])
    late = write_lines(tmp_path / "late.txt", [quote(2), quote(3)])
    report = import_files("binance-capture", [late, early], tmp_path / "lake", market="usdm", symbol="btcusdt")
    assert report.ok and report.rows == {"bbo": 5}
    bbo = rows(tmp_path / "lake", "binance_usdm", "bbo", "BTCUSDT", DAY)
    assert bbo["ts_event"].to_list() == [NOON_NS + index * 1_000_000 for index in range(4)]
    assert bbo["seq"].to_list() == [0, 1, 2, 3]


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    paths = [write_lines(tmp_path / name, [quote(0), quote(1)]) for name in ("one.gz", "two.txt")]
    seen: list[tuple[int, int]] = []
    import_files(
        "binance-capture", paths, tmp_path / "lake", market="usdm", symbol="BTCUSDT", progress=lambda *at: seen.append(at)
    )
    total = sum(path.stat().st_size for path in paths)
    assert seen == sorted(seen) and seen[-1] == (total, total) and {each for _, each in seen} == {total}


def test_unusable_input_is_said_before_anything_is_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "capture.gz", [quote(0)])
    with pytest.raises(UnknownNameError, match="binance-capture"):
        import_files("csv", [path], tmp_path / "lake")
    with pytest.raises(InputError, match="--market usdm --symbol BTCUSDT"):
        import_files("binance-capture", [path], tmp_path / "lake", market="usdm")
    with pytest.raises(UnknownNameError, match="coinm"):
        import_files("binance-capture", [path], tmp_path / "lake", market="futures", symbol="BTCUSDT")
    with pytest.raises(InputError, match="was not found"):
        import_files("binance-capture", [path, tmp_path / "no.gz"], tmp_path / "lake", market="usdm", symbol="BTCUSDT")
    with pytest.raises(InputError, match="no files"):
        import_files("binance-capture", [], tmp_path / "lake", market="usdm", symbol="BTCUSDT")
    assert not (tmp_path / "lake").exists()
