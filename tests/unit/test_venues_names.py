"""Venue names, instruments, and decoders by date."""

from __future__ import annotations

from datetime import date

import pytest

from edgesmith.domain.instruments import ContractKind
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.venues.binance.decode import DECODERS, FrameKind, classify
from edgesmith.venues.binance.symbols import INSTRUMENTS
from edgesmith.venues.decoding import DatedDecoders
from edgesmith.venues.registry import VENUES, canonical_symbol, find_instrument, venue_name


def test_markets_have_venues() -> None:
    assert venue_name("binance", "usdm") == "binance_usdm" and venue_name("okx", "swap") == "okx_swap"
    with pytest.raises(UnknownNameError, match="possible: coinm, spot, usdm"):
        venue_name("binance", "futures")
    with pytest.raises(UnknownNameError, match="possible: binance, bybit, okx"):
        venue_name("kraken", "spot")


def test_okx_symbols_are_written_like_the_others() -> None:
    assert canonical_symbol("okx_swap", "btc-usdt-swap") == "BTCUSDT"
    assert canonical_symbol("binance_coinm", "btcusd_perp") == "BTCUSD_PERP"


def test_known_instruments() -> None:
    usdm = find_instrument("binance_usdm", "BTCUSDT")
    assert (usdm.kind, usdm.tick_size, usdm.lot_size, usdm.settle) == (ContractKind.LINEAR, "0.1", "0.001", "USDT")
    assert (usdm.maker_fee_ratio, usdm.taker_fee_ratio) == (0.0002, 0.0005)
    coinm = find_instrument("binance_coinm", "ETHUSD_PERP")
    assert (coinm.kind, coinm.contract_value, coinm.lot_size, coinm.settle) == (ContractKind.INVERSE, "10", "1", "ETH")
    assert find_instrument("binance_spot", "BTCUSDT").taker_fee_ratio == 0.001
    assert {venue for venue, _ in INSTRUMENTS} <= set(VENUES)


def test_a_finer_grid_in_the_data_wins() -> None:
    assert find_instrument("binance_usdm", "BTCUSDT", price_increment="0.01").tick_size == "0.01"
    assert find_instrument("binance_usdm", "BTCUSDT", price_increment="1", qty_increment="1").tick_size == "0.1"


def test_other_instruments_are_built_from_what_was_seen() -> None:
    bybit = find_instrument("bybit_linear", "ADAUSDT", price_increment="0.0001", qty_increment="1")
    assert (bybit.kind, bybit.tick_size, bybit.lot_size, bybit.taker_fee_ratio) == (ContractKind.LINEAR, "0.0001", "1", 0.00055)
    assert find_instrument("binance_spot", "ETHBTC", price_increment="0.00001", qty_increment="0.001").settle == "BTC"
    world = find_instrument("simulated", "SIM", price_increment="0.1", qty_increment="0.001", simulated=True)
    assert world.simulated and world.settle == "USDT"


def test_instruments_that_cannot_be_are_explained() -> None:
    with pytest.raises(UnknownNameError, match="binance_usdm"):
        find_instrument("binance", "BTCUSDT")
    with pytest.raises(InputError, match="import its quotes"):
        find_instrument("binance_usdm", "NEWUSDT", price_increment="0.1")
    with pytest.raises(InputError, match="contract value"):
        find_instrument("binance_coinm", "SOLUSD_PERP", price_increment="0.1", qty_increment="1")
    for venue, simulated in (("simulated", False), ("binance_usdm", True)):
        with pytest.raises(InputError, match="simulated was"):
            find_instrument(venue, "BTCUSDT", price_increment="0.1", qty_increment="0.1", simulated=simulated)


def test_decoders_change_on_their_day() -> None:
    decoders = DatedDecoders("test", "old", [(date(2024, 1, 2), "new"), (date(2025, 1, 1), "newest")])
    assert [decoders.on(date(2024, 1, day)) for day in (1, 2, 3)] == ["old", "new", "new"]
    assert decoders.on(date(2017, 1, 1)) == "old" and decoders.on(date(2030, 1, 1)) == "newest"
    with pytest.raises(InputError, match="later than the one before"):
        DatedDecoders("test", "old", [(date(2024, 1, 2), "new"), (date(2024, 1, 2), "newest")])


def test_every_market_decodes_quotes_and_trades() -> None:
    for decoders in DECODERS.values():
        assert {FrameKind.BOOK_TICKER, FrameKind.TRADE, FrameKind.AGG_TRADE} <= set(decoders.on(date(2024, 8, 8)).formats)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'{"e":"trade"}', FrameKind.TRADE),
        (b'{"stream":"x","data":{"e":"aggTrade"}}', FrameKind.AGG_TRADE),
        (b'{"u":1,"s":"X","b":"1","B":"1","a":"1","A":"1"}', FrameKind.BOOK_TICKER),
        (b'{"lastUpdateId":1,"bids":[]}', FrameKind.DEPTH),
        (b'{"symbol":"X","openInterest":"1"}', FrameKind.OPEN_INTEREST),
        (b'{"result":null,"id":3}', FrameKind.CONTROL),
        (b'{"id":3}', FrameKind.CONTROL),
        (b'{"e":"forceOrder"}', FrameKind.UNKNOWN),
        (b'{"e":["trade"]}', FrameKind.UNKNOWN),
        (b'{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate"}]}', FrameKind.UNKNOWN),
        (b'{"e":"control"}', FrameKind.UNKNOWN),
    ],
)
def test_frames_are_told_apart(payload: bytes, kind: FrameKind) -> None:
    assert classify(payload)[0] is kind
