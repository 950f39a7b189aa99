"""One engine for every run: it owns the records of the run, feeds events to the compiled step, and keeps the books.

Any number of engines may live in one process; nothing is shared between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import Cursor
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import as_records, records
from edgesmith.domain.units import INT64_MAX, MONEY_SCALE
from edgesmith.errors import HaltError, InputError, OrderingError
from edgesmith.trading.calls import call_close_bucket
from edgesmith.trading.curve import Curves
from edgesmith.trading.execution import DepthModel, ExecutionConfig, QueueModel
from edgesmith.trading.guards import GuardConfig, OrderingMode
from edgesmith.trading.recorder import Recorder
from edgesmith.trading.risk import RiskConfig
from edgesmith.trading.state import (
    STOP_CURVE_FULL,
    STOP_DECISIONS_FULL,
    STOP_FILLS_FULL,
    STOP_ORDERING,
    STOP_REPORTS_FULL,
    STOP_TRACE_FULL,
    VIEW,
    new_books,
    new_run,
)
from edgesmith.trading.trace import TraceLevel
from edgesmith.venues.simulated.state import MAX_REPORTS

# The largest starting equity: leaves int64 money a thousandfold of room.
EQUITY_MAX = 90_000_000.0


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a run does, besides its data and its strategy; `trace` decides only what it writes down."""

    execution: ExecutionConfig = ExecutionConfig()
    risk: RiskConfig = RiskConfig()
    guards: GuardConfig = GuardConfig()
    equity_start: float = 10_000.0
    seed: int = 0
    trace: TraceLevel = TraceLevel.DECISIONS


class Program(Protocol):
    """What the engine needs of a feature program."""

    width: int

    def new_state(self, instruments: int = 1) -> Any:
        """Return fresh state."""
        ...

    def run(self, events: NDArray[Any], out: NDArray[np.float64], state: Any) -> None:
        """Write the feature row after every event."""
        ...


class Driver(Protocol):
    """Takes the events of a chunk through one form of strategy."""

    def start(self, engine: Engine) -> None:
        """Begin the run."""
        ...

    def feed(self, engine: Engine, events: NDArray[Any], features: NDArray[np.float64]) -> None:
        """Process every event of a chunk."""
        ...

    def stop(self, engine: Engine) -> None:
        """End the run; no orders are taken any more."""
        ...

    def funnel(self, engine: Engine) -> dict[str, Any] | None:
        """Return where the strategy's decisions ended; None where it does not count them."""
        ...


class Engine:
    """The state of one run and the means to advance it."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        config: EngineConfig,
        driver: Driver,
        *,
        program: Program | None = None,
        folder: Path | None = None,
        skew_ns: NDArray[np.int64] | None = None,
        receive_time_known: bool = True,
        kept: bool = True,
    ) -> None:
        """Begin a run.

        Parameters
        ----------
        skew_ns : int64 array of shape (instruments, 5 streams)
            Receive minus venue clock; 0 where not given.
        kept : bool
            False keeps nothing but the numbers of the run, for sweeps: no curves, no hashes of fills and decisions.
        """
        _check(instruments, config)
        self.instruments = tuple(config.execution.with_fees(instrument) for instrument in instruments)
        self.config = config
        self.driver = driver
        self.program = program
        self.run = new_run(round(config.equity_start * MONEY_SCALE))
        # A view of the one field: writing through the record array costs a live event a fifth of its time.
        self._index = np.asarray(self.run)["index"]
        self.books = new_books(self.instruments)
        self.views = records(VIEW, len(self.instruments))
        self.views["lot"] = [instrument.lot for instrument in self.instruments]
        self.views["instrument"] = range(len(self.instruments))
        self.curves = Curves(len(self.instruments))
        self.recorder = Recorder(self.instruments, folder, hashed=kept)
        self._kept = kept
        self._folder = folder
        self._feature_state = program.new_state(len(self.instruments)) if program else None
        self._matrix = np.empty((0, program.width if program else 0))
        self.first_ns: int | None = None
        self._apply_config(skew_ns, receive_time_known)
        driver.start(self)

    def _apply_config(self, skew_ns: NDArray[np.int64] | None, receive_time_known: bool) -> None:
        run, execution, risk = self.run[0], self.config.execution, self.config.risk
        run["entry_latency_ns"] = execution.entry_latency_ns
        run["response_latency_ns"] = execution.response_latency_ns
        run["jitter_ratio"] = execution.jitter_ratio
        run["queue_model"] = list(QueueModel).index(execution.queue_model)
        run["depth_model"] = list(DepthModel).index(execution.depth_model)
        run["seed"] = self.config.seed
        run["strict"] = self.config.guards.ordering is OrderingMode.STRICT
        run["risk_on"] = risk.enabled
        run["max_positions"] = risk.max_positions
        run["cooldown_events"] = risk.cooldown_events
        run["max_daily_loss_e8"] = round(risk.max_daily_loss_ratio * self.config.equity_start * MONEY_SCALE)
        run["stop_loss_ratio"] = risk.stop_loss_ratio
        run["take_profit_ratio"] = risk.take_profit_ratio
        run["max_notional_e8"] = round(risk.max_position_notional * MONEY_SCALE)
        run["feature_count"] = self.program.width if self.program else 0
        if not self._kept:
            run["curve_end"] = INT64_MAX
        if skew_ns is not None:
            self.books["skew_ns"] = skew_ns
        if not receive_time_known:
            self.books["feed_latency_ns"] = execution.feed_latency_ns

    def feed(self, events: NDArray[Any]) -> None:
        """Process a chunk of events in decision order."""
        if len(events) == 0:
            return
        self.begin(events)
        self.driver.feed(self, as_records(events), self.features_of(events))

    def begin(self, events: NDArray[Any]) -> None:
        """Note that a chunk begins."""
        if self.first_ns is None:
            self.first_ns = int(events[0]["ts_recv"]) + int(self.books["feed_latency_ns"][0])
        self._index[0] = 0

    def features_of(self, events: NDArray[Any]) -> NDArray[np.float64]:
        """Return the feature rows of a chunk, good until the next one."""
        if self.program is None:
            return np.empty((1, 0))
        if len(self._matrix) < len(events):
            self._matrix = np.empty((len(events), self.program.width))
        matrix = self._matrix if len(self._matrix) == len(events) else self._matrix[: len(events)]
        self.program.run(events, matrix, self._feature_state)
        return matrix

    def handle_stop(self, events: NDArray[Any]) -> None:
        """Make room in the buffer that was full, or raise what the stop means."""
        run = self.run[0]
        reason = int(run["stop_reason"])
        if reason in (STOP_FILLS_FULL, STOP_DECISIONS_FULL, STOP_TRACE_FULL):
            self.recorder.flush(run)
        elif reason == STOP_CURVE_FULL:
            self.curves.make_room(run, self.books)
        elif reason == STOP_REPORTS_FULL:
            raise HaltError(
                f"more than {MAX_REPORTS} execution reports were on their way at once; trade less or lower the latency"
            )
        elif reason == STOP_ORDERING:
            event = events[int(run["index"])]
            raise OrderingError(
                f"event {int(run['events'])} (ts_recv {int(event['ts_recv'])}, seq {int(event['seq'])}) does not follow the one "
                f"before it (ts_recv {int(run['last_recv'])}, seq {int(run['last_seq'])}); sort the data or use ordering 'warn'"
            )

    def finish(self) -> None:
        """End the run: last callbacks, last bucket, buffers written. Positions stay open, marked at the last mid price."""
        self.driver.stop(self)
        run = self.run[0]
        self.curves.make_room(run, self.books)
        if self._kept and int(run["curve_end"]) > 0:
            call_close_bucket(self.run, self.books, self.curves.equity, self.curves.prices)
        if int(run["open_positions"]) > 0:
            run["exposure_ns"] += run["now"] - run["exposed_since"]
            run["exposed_since"] = run["now"]
        self.recorder.flush(run)
        self.recorder.close()
        if self._folder is not None:
            self.curves.write(run, self._folder, self.instruments)

    @property
    def cursor(self) -> Cursor | None:
        """Return the position of the last processed event; None before the first."""
        run = self.run[0]
        if int(run["events"]) == 0:
            return None
        names = ("last_recv", "last_event", "last_instrument", "last_kind", "last_seq")
        return Cursor(*(int(run[name]) for name in names))

    @property
    def state_hash(self) -> str:
        """Return the sha256 over the state of the run, independent of how it was cut into chunks."""
        run = np.asarray(self.run).copy()
        for name in ("index", "stop_reason", "fills_used", "decisions_used", "trace_used"):
            run[name] = 0
        digest = hashlib.sha256(run.tobytes())
        digest.update(np.asarray(self.books).tobytes())
        digest.update(np.asarray(self.views)["memory"].tobytes())
        return digest.hexdigest()


def _check(instruments: Sequence[Instrument], config: EngineConfig) -> None:
    if not instruments:
        raise InputError("a run was given no instruments, expected at least one")
    settles = sorted({instrument.settle for instrument in instruments})
    if len(settles) > 1:
        raise InputError(f"a run was given instruments settled in {', '.join(settles)}, expected one currency; run them apart")
    if not 0.0 < config.equity_start <= EQUITY_MAX:
        raise InputError(f"equity_start was {config.equity_start}, expected above 0 and at most {EQUITY_MAX:,.0f}")
    if not 0 <= config.seed < 2**31:
        raise InputError(f"seed was {config.seed}, expected 0 to {2**31 - 1}")
