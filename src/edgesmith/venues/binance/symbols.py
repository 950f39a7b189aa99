"""Binance's main instruments: tick, lot, contract value and the fees of an account without discounts (VIP 0).

A venue makes a tick finer or coarser over the years; `edgesmith.venues.registry` compares this table with what the data shows.
"""

from __future__ import annotations

from edgesmith.domain.instruments import ContractKind, Instrument

# Market name on the command line -> venue name in the lake.
MARKETS: dict[str, str] = {"usdm": "binance_usdm", "spot": "binance_spot", "coinm": "binance_coinm"}

# Venue -> (maker, taker) fee ratio.
FEES: dict[str, tuple[float, float]] = {
    "binance_usdm": (0.0002, 0.0005),
    "binance_spot": (0.001, 0.001),
    "binance_coinm": (0.0002, 0.0005),
}

# Base -> (tick, lot) of the USDT-margined perpetual.
_USDM: dict[str, tuple[str, str]] = {
    "BTC": ("0.1", "0.001"),
    "ETH": ("0.01", "0.001"),
    "BNB": ("0.01", "0.01"),
    "SOL": ("0.01", "0.01"),
    "XRP": ("0.0001", "0.1"),
    "LINK": ("0.001", "0.01"),
    "ADA": ("0.0001", "1"),
    "AVAX": ("0.001", "1"),
    "LTC": ("0.01", "0.001"),
    "DOGE": ("0.00001", "1"),
}

# Base -> (tick, lot) against USDT on the spot market.
_SPOT: dict[str, tuple[str, str]] = {
    "BTC": ("0.01", "0.00001"),
    "ETH": ("0.01", "0.0001"),
    "BNB": ("0.01", "0.001"),
    "SOL": ("0.01", "0.001"),
    "XRP": ("0.0001", "0.1"),
    "LINK": ("0.01", "0.01"),
    "ADA": ("0.0001", "0.1"),
    "AVAX": ("0.01", "0.01"),
    "LTC": ("0.01", "0.001"),
    "DOGE": ("0.00001", "1"),
}

# Base -> (tick, US dollars per contract) of the coin-margined perpetual; its lot is one contract.
_COINM: dict[str, tuple[str, str]] = {
    "BTC": ("0.1", "100"),
    "ETH": ("0.01", "10"),
}


def _instrument(venue: str, symbol: str, kind: ContractKind, tick: str, lot: str, settle: str, value: str = "1") -> Instrument:
    maker, taker = FEES[venue]
    return Instrument(
        venue=venue,
        symbol=symbol,
        kind=kind,
        tick_size=tick,
        lot_size=lot,
        settle=settle,
        contract_value=value,
        maker_fee_ratio=maker,
        taker_fee_ratio=taker,
    )


def _table() -> dict[tuple[str, str], Instrument]:
    known = [_instrument("binance_usdm", f"{base}USDT", ContractKind.LINEAR, *grid, "USDT") for base, grid in _USDM.items()]
    known += [_instrument("binance_spot", f"{base}USDT", ContractKind.SPOT, *grid, "USDT") for base, grid in _SPOT.items()]
    known += [
        _instrument("binance_coinm", f"{base}USD_PERP", ContractKind.INVERSE, tick, "1", base, value)
        for base, (tick, value) in _COINM.items()
    ]
    return {(instrument.venue, instrument.symbol): instrument for instrument in known}


INSTRUMENTS: dict[tuple[str, str], Instrument] = _table()
