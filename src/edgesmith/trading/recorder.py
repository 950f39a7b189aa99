"""What a run leaves behind, streamed: fills and decisions go to Parquet through bounded buffers and into hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.orders import DECISION, FILL, OrderOrigin, OrderType, Reason
from edgesmith.domain.records import records
from edgesmith.domain.units import MONEY_SCALE
from edgesmith.trading.state import TRACE, TRACE_ROWS
from edgesmith.trading.trace import TRACE_NAME, DecisionLogger, TraceColumn

# Rows held before they are written; bounds the memory of a run whatever it trades.
BUFFER_ROWS = 16_384

FILLS_SCHEMA = pa.schema(
    [
        ("ts_match", pa.int64()), ("ts_known", pa.int64()), ("fill_id", pa.int64()), ("order_id", pa.int64()),
        ("venue", pa.string()), ("symbol", pa.string()), ("side", pa.int8()), ("price", pa.float64()), ("qty", pa.float64()),
        ("is_maker", pa.bool_()), ("fee", pa.float64()), ("realized_pnl", pa.float64()), ("position_qty", pa.float64()),
        ("origin", pa.string()), ("notional", pa.float64()),
    ]
)  # fmt: skip

DECISIONS_SCHEMA = pa.schema(
    [
        ("ts", pa.int64()), ("event_index", pa.int64()), ("order_id", pa.int64()), ("venue", pa.string()),
        ("symbol", pa.string()), ("side", pa.int8()), ("order_type", pa.string()), ("qty", pa.float64()), ("price", pa.float64()),
        ("origin", pa.string()), ("outcome", pa.string()),
    ]
)  # fmt: skip

_ORIGINS = np.array([origin.name.lower() for origin in OrderOrigin], dtype=object)
_TYPES = np.array([kind.name.lower() for kind in OrderType], dtype=object)
_OUTCOMES = np.array([""] * (max(Reason) + 1), dtype=object)
for _reason in Reason:
    _OUTCOMES[_reason] = _reason.name.lower() if _reason else "approved"


class Recorder:
    """Owns the buffers compiled code writes to; with `folder` None it only hashes, and with `hashed` False not even that."""

    def __init__(self, instruments: Sequence[Instrument], folder: Path | None, *, hashed: bool = True) -> None:
        assert hashed or folder is None, "what is written is hashed"
        self._hashed = hashed
        self.fills: NDArray[Any] = records(FILL, BUFFER_ROWS)
        self.decisions: NDArray[Any] = records(DECISION, BUFFER_ROWS)
        self.trace: NDArray[Any] = records(TRACE, TRACE_ROWS)
        self._instruments = tuple(instruments)
        self._folder = folder
        self._trace_log: DecisionLogger | None = None
        self._fills_hash = hashlib.sha256()
        self._decisions_hash = hashlib.sha256()
        self._venues = np.array([instrument.venue for instrument in instruments], dtype=object)
        self._symbols = np.array([instrument.symbol for instrument in instruments], dtype=object)
        self._ticks = np.array([instrument.tick for instrument in instruments])
        self._lots = np.array([instrument.lot for instrument in instruments])
        self._decimals = np.array([_decimals(instrument.tick_size) for instrument in instruments])
        self._inverse = np.array([instrument.kind == ContractKind.INVERSE for instrument in instruments])
        self._contract_values = np.array([float(instrument.contract_value) for instrument in instruments])
        self._writers: dict[str, pq.ParquetWriter] = {}
        if folder is not None:
            self._writers["fills"] = pq.ParquetWriter(folder / "fills.parquet", FILLS_SCHEMA, compression="zstd")
            self._writers["decisions"] = pq.ParquetWriter(folder / "decisions.parquet", DECISIONS_SCHEMA, compression="zstd")

    def begin_trace(self, columns: Sequence[TraceColumn], codes: Mapping[int, tuple[str, str]]) -> bool:
        """Write rows of the trace to the run's folder from now on; False where there is none."""
        if self._folder is None or not columns:
            return False
        self._trace_log = DecisionLogger(self._folder / TRACE_NAME, self._instruments, columns, codes)
        return True

    def flush(self, run: Any) -> None:
        """Take everything out of the buffers."""
        if self._hashed:
            self._take(run)
        run["fills_used"] = run["decisions_used"] = run["trace_used"] = 0

    def _take(self, run: Any) -> None:
        fills, decisions = self.fills[: int(run["fills_used"])], self.decisions[: int(run["decisions_used"])]
        if len(fills):
            self._fills_hash.update(fills.tobytes())
            self._write("fills", self._fill_columns, fills)
        if len(decisions):
            self._decisions_hash.update(decisions.tobytes())
            self._write("decisions", self._decision_columns, decisions)
        if self._trace_log is not None and int(run["trace_used"]):
            self._trace_log.write(self.trace[: int(run["trace_used"])])

    @property
    def fills_hash(self) -> str:
        """Return the sha256 over every fill so far."""
        return self._fills_hash.hexdigest()

    @property
    def decision_hash(self) -> str:
        """Return the sha256 over every recorded decision so far."""
        return self._decisions_hash.hexdigest()

    def close(self) -> None:
        """Finish the files."""
        for writer in self._writers.values():
            writer.close()
        if self._trace_log is not None:
            self._trace_log.close()

    def _write(self, name: str, columns_of: Any, rows: NDArray[Any]) -> None:
        writer = self._writers.get(name)
        if writer is not None:
            writer.write_table(pa.table(columns_of(rows), schema=writer.schema))

    def _prices(self, ticks: NDArray[Any], place: NDArray[Any]) -> NDArray[np.float64]:
        raw = ticks * self._ticks[place]
        decimals = self._decimals[place]
        for count in np.unique(decimals):
            chosen = decimals == count
            raw[chosen] = np.round(raw[chosen], int(count))
        return raw

    def _fill_columns(self, rows: NDArray[Any]) -> dict[str, Any]:
        place = rows["instrument"]
        price, qty = self._prices(rows["price_ticks"], place), rows["lots"] * self._lots[place]
        value = np.where(self._inverse[place], qty * self._contract_values[place] / price, qty * price)
        return {
            "ts_match": rows["ts_match"], "ts_known": rows["ts_known"], "fill_id": rows["fill_id"], "order_id": rows["order_id"],
            "venue": self._venues[place], "symbol": self._symbols[place], "side": rows["side"], "price": price, "qty": qty,
            "is_maker": rows["is_maker"] != 0, "fee": rows["fee_e8"] / MONEY_SCALE,
            "realized_pnl": rows["realized_e8"] / MONEY_SCALE, "position_qty": rows["position_lots"] * self._lots[place],
            "origin": _ORIGINS[rows["origin"]], "notional": value,
        }  # fmt: skip

    def _decision_columns(self, rows: NDArray[Any]) -> dict[str, Any]:
        place = rows["instrument"]
        price = self._prices(rows["price_ticks"], place)
        price[rows["order_type"] == OrderType.MARKET] = np.nan
        return {
            "ts": rows["ts"], "event_index": rows["event_index"], "order_id": rows["order_id"], "venue": self._venues[place],
            "symbol": self._symbols[place], "side": rows["side"], "order_type": _TYPES[rows["order_type"]],
            "qty": rows["lots"] * self._lots[place], "price": pa.array(price, from_pandas=True),
            "origin": _ORIGINS[rows["origin"]], "outcome": _OUTCOMES[rows["reason"]],
        }  # fmt: skip


def _decimals(step: str) -> int:
    return len(step.split(".")[1].rstrip("0")) if "." in step else 0
