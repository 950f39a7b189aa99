"""NautilusTrader: the EMA cross, or a strategy that does nothing, on every quote and trade."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, TraderId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler, TradeTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from benchmarks.tape import read_tape

VENUE = Venue("BINANCE")
CASH = 1_000_000
SIZE, FLIP_SIZE = "0.010", "0.020"


class EmaConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    fast_events: int
    slow_events: int


class Ema(Strategy):
    """Flips when the averages cross."""

    def __init__(self, config: EmaConfig) -> None:
        super().__init__(config)
        self.weights = 2.0 / (config.fast_events + 1.0), 2.0 / (config.slow_events + 1.0)
        self.mid = self.fast = self.slow = 0.0
        self.seen = self.side = 0

    def on_start(self) -> None:
        self.sizes = Quantity.from_str(SIZE), Quantity.from_str(FLIP_SIZE)
        self.subscribe_quote_ticks(self.config.instrument_id)
        self.subscribe_trade_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: Any) -> None:
        self.mid = 0.5 * (tick.bid_price.as_double() + tick.ask_price.as_double())
        self._move()

    def on_trade_tick(self, tick: Any) -> None:
        self._move()

    def _move(self) -> None:
        self.seen += 1
        if self.seen == 1:
            self.fast = self.slow = self.mid
            return
        self.fast += self.weights[0] * (self.mid - self.fast)
        self.slow += self.weights[1] * (self.mid - self.slow)
        if self.seen > self.config.slow_events:
            if self.fast > self.slow and self.side <= 0:
                self._flip(OrderSide.BUY, 1)
            elif self.fast < self.slow and self.side >= 0:
                self._flip(OrderSide.SELL, -1)

    def _flip(self, order_side: OrderSide, side: int) -> None:
        size = self.sizes[0] if self.side == 0 else self.sizes[1]
        self.side = side
        self.submit_order(self.order_factory.market(self.config.instrument_id, order_side, size))


class Idle(Ema):
    """Counts calls, nothing else."""

    def on_quote_tick(self, tick: Any) -> None:
        self.seen += 1

    def on_trade_tick(self, tick: Any) -> None:
        self.seen += 1


def prepare(events: int, first: int, fast_events: int, slow_events: int, mode: str) -> Callable[[], dict[str, Any]]:
    """Return one run over the first events of the tape, loaded into its engine (not timed); it cannot run twice."""
    instrument = _instrument()
    engine = _engine(instrument)
    for ticks, sort in zip(_ticks(instrument, read_tape(events, first)), (False, True), strict=True):
        engine.add_data(ticks, sort=sort)
    config = EmaConfig(instrument_id=instrument.id, fast_events=fast_events, slow_events=slow_events)
    strategy = (Ema if mode == "ema" else Idle)(config)
    engine.add_strategy(strategy)

    def run() -> dict[str, Any]:
        engine.run()
        balance = engine.portfolio.account(VENUE).balance_total(USDT).as_double()
        return {"events": strategy.seen, "fills": len(engine.cache.orders_closed()), "balance_change": balance - CASH}

    return run


def _instrument() -> CryptoPerpetual:
    known = CryptoPerpetual.to_dict(TestInstrumentProvider.btcusdt_perp_binance())
    fees = {"taker_fee": "0.000400", "maker_fee": "0.000400", "lot_size": "0.001", "min_notional": None, "max_notional": None}
    return CryptoPerpetual.from_dict({**known, **fees})


def _engine(instrument: CryptoPerpetual) -> BacktestEngine:
    # Its fastest ordinary settings: no log, no risk engine, no analysis afterwards.
    config = BacktestEngineConfig(
        trader_id=TraderId("BENCH-001"),
        logging=LoggingConfig(bypass_logging=True),
        risk_engine=RiskEngineConfig(bypass=True),
        run_analysis=False,
    )
    engine = BacktestEngine(config)
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=None,
        starting_balances=[Money(CASH, USDT)],
        book_type=BookType.L1_MBP,
        default_leverage=Decimal(1),
    )
    engine.add_instrument(instrument)
    return engine


def _ticks(instrument: CryptoPerpetual, tape: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    frame = pd.DataFrame(tape, index=pd.to_datetime(tape["ts"], utc=True))
    quotes, trades = frame[frame.kind == 0], frame[frame.kind == 1]
    quote_columns = {"bid_price": quotes.bid, "ask_price": quotes.ask, "bid_size": quotes.bid_qty, "ask_size": quotes.ask_qty}
    trade_columns = {
        "price": trades.price,
        "quantity": trades.qty,
        "buyer_maker": trades.side < 0,
        "trade_id": range(len(trades)),
    }
    return (
        QuoteTickDataWrangler(instrument).process(pd.DataFrame(quote_columns, index=quotes.index)),
        TradeTickDataWrangler(instrument).process(pd.DataFrame(trade_columns, index=trades.index)),
    )
