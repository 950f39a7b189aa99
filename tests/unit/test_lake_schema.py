from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from builders import DAY, put, random_columns
from edgesmith.domain.events import Stream
from edgesmith.errors import CorruptDataError, DataError, InputError, UnknownNameError
from edgesmith.lake.schema import PartitionKey, arrow_schema, encode_meta, parse_stream, read_meta


def test_folder_is_the_hive_path_of_the_prior_system(tmp_path: Path) -> None:
    key = PartitionKey("binance_usdm", Stream.BBO, "BTCUSDT", date(2024, 8, 8))
    assert key.folder(tmp_path) == tmp_path / "exchange=binance_usdm/stream=bbo/symbol=btcusdt/date=20240808"
    assert str(key) == "binance_usdm/bbo/BTCUSDT/2024-08-08"


def test_keys_order_by_venue_stream_symbol_day() -> None:
    keys = [
        PartitionKey("binance_spot", Stream.TRADE, "BTCUSDT", DAY),
        PartitionKey("binance_usdm", Stream.BBO, "BTCUSDT", date(2024, 8, 9)),
        PartitionKey("binance_usdm", Stream.BBO, "BTCUSDT", date(2024, 8, 10)),
        PartitionKey("binance_usdm", Stream.TRADE, "ADAUSDT", DAY),
    ]
    assert sorted([keys[2], keys[0], keys[3], keys[1]]) == keys


@pytest.mark.parametrize("symbol", ["btcusdt", "BTC/USDT", "", "../X", " BTC"])
def test_unusable_symbol_is_refused(symbol: str) -> None:
    with pytest.raises(InputError, match="symbol was"):
        PartitionKey("binance_usdm", Stream.BBO, symbol, DAY)


def test_unusable_venue_is_refused() -> None:
    with pytest.raises(InputError, match="venue was 'a/b'"):
        PartitionKey("a/b", Stream.BBO, "BTCUSDT", DAY)


def test_unknown_stream_lists_the_streams() -> None:
    with pytest.raises(UnknownNameError, match="bbo, funding, mark_price"):
        parse_stream("quotes")


def test_columns_of_a_trade() -> None:
    assert [f"{field.name}:{field.type}" for field in arrow_schema(Stream.TRADE)] == [
        "ts_event:int64",
        "seq:int64",
        "ts_recv:int64",
        "exchange:string",
        "symbol:string",
        "stream:string",
        "stream_version:int8",
        "price:double",
        "qty:double",
        "side:int8",
        "trade_id:string",
    ]


def test_only_the_index_price_may_be_null() -> None:
    nullable = {field.name for stream in Stream for field in arrow_schema(stream) if field.nullable}
    assert nullable == {"index_price"}


def test_meta_reads_back_as_written(tmp_path: Path) -> None:
    meta = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10)).meta
    folder = meta.key.folder(tmp_path)
    assert read_meta(folder) == meta
    assert (folder / "meta.json").read_bytes() == encode_meta(meta)


def test_absent_meta_is_no_partition(tmp_path: Path) -> None:
    assert read_meta(tmp_path) is None
    assert read_meta(tmp_path / "nowhere") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema_version": 2, "rows": 1}'])
def test_broken_meta_names_the_file_and_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "meta.json").write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"meta\.json.*import that day again"):
        read_meta(tmp_path)


def test_meta_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    meta = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10)).meta
    path = meta.key.folder(tmp_path) / "meta.json"
    path.write_bytes(encode_meta(meta).replace(b'"rows"', b'"rowz"'))
    with pytest.raises(CorruptDataError, match="rowz"):
        read_meta(path.parent)


def test_meta_of_the_prior_system_is_named(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"rows": 3, "schema_version": 1, "ts_event_min": 1770076735490}')
    with pytest.raises(DataError, match="lake import prior-lake"):
        read_meta(tmp_path)


def test_meta_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"schema_version": 3}')
    with pytest.raises(DataError, match="schema_version was 3, expected 2"):
        read_meta(tmp_path)
