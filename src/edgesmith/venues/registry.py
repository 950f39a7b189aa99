"""Venue names, and the instrument behind a venue and a symbol."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.venues.binance import symbols as binance

SIMULATED_VENUE = "simulated"

# Exchange -> market -> venue.
_VENUES: dict[str, dict[str, str]] = {
    "binance": binance.MARKETS,
    "bybit": {"linear": "bybit_linear"},
    "okx": {"swap": "okx_swap"},
}

VENUES: tuple[str, ...] = (*(venue for markets in _VENUES.values() for venue in markets.values()), SIMULATED_VENUE)

# Venue -> (maker, taker) fee ratio of an account without discounts.
_FEES: dict[str, tuple[float, float]] = {
    **binance.FEES,
    "bybit_linear": (0.0002, 0.00055),
    "okx_swap": (0.0002, 0.0005),
    SIMULATED_VENUE: (0.0002, 0.0005),
}

_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY")


def venue_name(exchange: str, market: str) -> str:
    """Return the venue of an exchange's market: `binance`, `usdm` -> `binance_usdm`."""
    if exchange not in _VENUES:
        raise UnknownNameError("exchange", exchange, _VENUES)
    markets = _VENUES[exchange]
    if market not in markets:
        raise UnknownNameError(f"{exchange} market", market, markets)
    return markets[market]


def canonical_symbol(venue: str, venue_symbol: str) -> str:
    """Return the lake's name of what a venue calls `venue_symbol`: upper case, without OKX's dashes and `-SWAP`."""
    symbol = venue_symbol.upper()
    return symbol.removesuffix("-SWAP").replace("-", "") if venue == "okx_swap" else symbol


def find_instrument(
    venue: str,
    symbol: str,
    *,
    price_increment: str | None = None,
    qty_increment: str | None = None,
    simulated: bool = False,
) -> Instrument:
    """Return the instrument: from the table of known ones, otherwise built from the increments seen in the data.

    Where the data shows a finer grid than the table (venues change ticks), the finer one is used: every price then has a tick.

    Notes
    -----
    Built instruments have the venue's default fees. Quantities of `okx_swap` are contracts, as OKX sends them, and one contract
    is valued as one base unit: returns and fee ratios are right, amounts of money are too large by 1 / contract value.
    """
    if venue not in VENUES:
        raise UnknownNameError("venue", venue, VENUES)
    if simulated != (venue == SIMULATED_VENUE):
        raise InputError(
            f"{venue}:{symbol}: simulated was {simulated}; simulated instruments, and only they, are of venue 'simulated'"
        )
    known = binance.INSTRUMENTS.get((venue, symbol))
    if known is None:
        return _built(venue, symbol, price_increment, qty_increment)
    return msgspec.structs.replace(
        known, tick_size=_finer(known.tick_size, price_increment), lot_size=_finer(known.lot_size, qty_increment)
    )


def _finer(table: str, seen: str | None) -> str:
    return seen if seen is not None and Decimal(seen) < Decimal(table) else table


def _built(venue: str, symbol: str, price_increment: str | None, qty_increment: str | None) -> Instrument:
    if price_increment is None or qty_increment is None:
        of_venue = sorted(known for at, known in binance.INSTRUMENTS if at == venue)
        raise InputError(
            f"instrument {venue}:{symbol} is not in the table (it has {', '.join(of_venue) or 'none of this venue'}) and no data "
            "of it says its tick and lot; import its quotes and trades first"
        )
    if venue == "binance_coinm" or symbol.endswith("USD"):
        raise InputError(
            f"instrument {venue}:{symbol} is coin-margined and its contract value is not known; add it to "
            "edgesmith/venues/binance/symbols.py"
        )
    maker, taker = _FEES[venue]
    return Instrument(
        venue=venue,
        symbol=symbol,
        kind=ContractKind.SPOT if venue == "binance_spot" else ContractKind.LINEAR,
        tick_size=price_increment,
        lot_size=qty_increment,
        settle=_quote(symbol),
        maker_fee_ratio=maker,
        taker_fee_ratio=taker,
        simulated=venue == SIMULATED_VENUE,
    )


def _quote(symbol: str) -> str:
    plain = symbol.split("_")[0]
    return next((quote for quote in _QUOTES if plain.endswith(quote) and plain != quote), "USDT")
