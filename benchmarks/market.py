"""Our side of the tape: event records, the instrument, and a run of the whole engine over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tape import Columns, read_tape
from edgesmith.domain.events import EVENT
from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.records import as_records
from edgesmith.trading.engine import Driver, Engine, EngineConfig, Program
from edgesmith.trading.execution import execution_preset
from edgesmith.trading.metrics import run_metrics
from edgesmith.trading.risk import RiskConfig

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FAST_EVENTS, SLOW_EVENTS = 30, 100
QTY = 0.01
FEE_RATIO = 0.0004
EQUITY_START = 1_000_000.0
# As a replay of the lake hands them out.
BATCH_EVENTS = 65_536

INSTRUMENT = Instrument(
    venue="simulated",
    symbol="BTCUSDT",
    kind=ContractKind.LINEAR,
    tick_size="0.1",
    lot_size="0.001",
    settle="USDT",
    maker_fee_ratio=FEE_RATIO,
    taker_fee_ratio=FEE_RATIO,
    simulated=True,
)

# Every rule is evaluated; none of them may change what the strategy does, or the peers would not do the same work.
RISK = RiskConfig(max_positions=1, cooldown_events=0, max_daily_loss_ratio=0.0, stop_loss_ratio=0.0, take_profit_ratio=0.0)


def engine_config(preset: str) -> EngineConfig:
    """Return the configuration every run here uses."""
    return EngineConfig(execution=execution_preset(preset), risk=RISK, equity_start=EQUITY_START)


def tape_events(events: int, first: int | None = None) -> NDArray[Any]:
    """Return the tape as event records."""
    return records_of(read_tape(events, first))


def records_of(columns: Columns) -> NDArray[Any]:
    """Return columns of a tape as event records."""
    result = np.zeros(len(columns["ts"]), EVENT)
    result["ts_event"] = result["ts_recv"] = columns["ts"]
    result["seq"] = np.arange(len(result))
    result["kind"] = columns["kind"]
    result["side"] = columns["side"]
    quote = columns["kind"] == 0
    # A trade's payload lies where a quote's does.
    result["bid_price"] = np.where(quote, columns["bid"], columns["price"])
    result["bid_qty"] = np.where(quote, columns["bid_qty"], columns["qty"])
    result["ask_price"] = np.where(quote, columns["ask"], 0.0)
    result["ask_qty"] = np.where(quote, columns["ask_qty"], 0.0)
    return as_records(result)


def run_engine(
    events: NDArray[Any], driver: Driver, preset: str, folder: Path | None = None, program: Program | None = None
) -> dict[str, Any]:
    """Run the engine over `events` and return what came of it."""
    engine = Engine([INSTRUMENT], engine_config(preset), driver, folder=folder, program=program)
    for begin in range(0, len(events), BATCH_EVENTS):
        engine.feed(events[begin : begin + BATCH_EVENTS])
    engine.finish()
    metrics = run_metrics(engine)
    return {"fills": metrics["fills"], "pnl": metrics["pnl_net"], "fees": metrics["fees"], "refused": metrics["refused"]}
