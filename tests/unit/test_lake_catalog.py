from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from builders import DAY, put, random_columns, small_lake
from edgesmith.domain.events import Stream
from edgesmith.errors import CorruptDataError, InputError, UnknownNameError
from edgesmith.lake.catalog import Catalog, format_days

SECOND_DAY = date(2024, 8, 9)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_lake(tmp_path_factory.mktemp("lake"), symbols=("BTCUSDT", "ETHUSDT"), days=2, count=5)


def test_every_partition_is_found_in_order_of_keys(lake: Path) -> None:
    keys = [partition.key for partition in Catalog(lake).partitions()]
    assert len(keys) == 2 * 2 * len(Stream)
    assert keys == sorted(keys)


def test_filters_narrow_the_list(lake: Path) -> None:
    catalog = Catalog(lake)
    assert len(catalog.partitions(stream=Stream.TRADE)) == 4
    assert len(catalog.partitions(stream="trade", symbol="ethusdt")) == 2
    assert [partition.key.day for partition in catalog.partitions(stream="bbo", symbol="BTCUSDT", start=SECOND_DAY)] == [
        SECOND_DAY
    ]
    assert [partition.key.day for partition in catalog.partitions(stream="bbo", symbol="BTCUSDT", end=DAY)] == [DAY]
    assert catalog.partitions(venue="binance_spot") == []


def test_data_files_are_not_opened(tmp_path: Path) -> None:
    meta = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10)).meta
    (meta.key.folder(tmp_path) / meta.data_file).unlink()
    (partition,) = Catalog(tmp_path).partitions()
    assert partition.meta == meta
    assert partition.data_path.name == meta.data_file


def test_an_absent_lake_is_empty(tmp_path: Path) -> None:
    assert Catalog(tmp_path / "nowhere").partitions() == []


def test_folders_without_meta_and_foreign_files_are_no_partitions(tmp_path: Path) -> None:
    (tmp_path / "exchange=x" / "stream=bbo" / "symbol=y" / "date=20240808").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "features").mkdir()
    assert Catalog(tmp_path).partitions() == []


def test_a_folder_that_cannot_be_a_partition_is_named(tmp_path: Path) -> None:
    (tmp_path / "exchange=x" / "stream=bbo" / "symbol=y" / "date=yesterday").mkdir(parents=True)
    with pytest.raises(CorruptDataError, match="date=yesterday"):
        Catalog(tmp_path).partitions()


def test_a_renamed_folder_is_refused(tmp_path: Path) -> None:
    folder = put(tmp_path, Stream.BBO, random_columns(Stream.BBO, 10)).meta.key.folder(tmp_path)
    folder.rename(folder.with_name("date=20240810"))
    with pytest.raises(CorruptDataError, match=r"holds the meta of .*2024-08-08"):
        Catalog(tmp_path).partitions()


def test_unknown_stream_is_refused(lake: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown stream 'quotes'"):
        Catalog(lake).partitions(stream="quotes")


def test_days_of_a_series(lake: Path) -> None:
    assert Catalog(lake).days("binance_usdm", "bbo", "BTCUSDT") == [DAY, SECOND_DAY]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            ("binance_usdm", "bbo", "btcusdt", date(2024, 8, 7), date(2024, 8, 7)),
            "for 2024-08-07; the lake has 2024-08-08..2024-08-09",
        ),
        (("binance_usdm", "bbo", "BTCUSDT", date(2024, 8, 1), date(2024, 8, 7)), "for 2024-08-01..2024-08-07; the lake has"),
        (("binance_spot", "bbo", "BTCUSDT", None, None), "has binance_usdm BTCUSDT bbo, binance_usdm BTCUSDT funding"),
    ],
)
def test_missing_data_says_what_there_is(
    lake: Path, request_: tuple[str, str, str, date | None, date | None], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Catalog(lake).require(*request_)


def test_missing_data_in_an_empty_lake_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="edgesmith lake import"):
        Catalog(tmp_path).require("binance_usdm", "bbo", "BTCUSDT")


def test_required_data_is_returned(lake: Path) -> None:
    assert len(Catalog(lake).require("binance_usdm", "bbo", "BTCUSDT", DAY, SECOND_DAY)) == 2


def test_days_are_written_as_ranges() -> None:
    assert format_days([date(2024, 8, 9), date(2024, 8, 8), date(2024, 8, 12)]) == "2024-08-08..2024-08-09, 2024-08-12"
