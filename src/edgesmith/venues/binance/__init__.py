"""Binance: USDT-margined futures (usdm), spot, and coin-margined futures (coinm)."""
