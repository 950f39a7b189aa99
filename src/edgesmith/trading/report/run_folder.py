"""Read what a run left in its folder, checked at the border: manifest, fills, decisions, curve, prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgesmith.errors import CorruptDataError, DataError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST_NAME = "manifest.json"
DISCOVERY_NAME = "discovery.json"

_COLUMNS_OF = {
    "fills": (
        "ts_match",
        "venue",
        "symbol",
        "side",
        "price",
        "qty",
        "is_maker",
        "fee",
        "realized_pnl",
        "position_qty",
        "origin",
        "notional",
    ),
    "decisions": ("ts", "venue", "symbol", "side", "order_type", "qty", "price", "origin", "outcome"),
    "curve": ("bucket_start_ns", "equity_min", "equity_max", "equity_close", "drawdown_ratio_max", "position_notional_close"),
    "prices": ("instrument", "bucket_start_ns", "mid_min", "mid_max", "mid_close"),
}


class DataFacts(msgspec.Struct, frozen=True):
    """What the manifest says of the data; `simulated` has no default because a report must never guess it."""

    simulated: bool
    fingerprint: str = ""
    partitions: list[Any] = []
    events: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    clock_skew_ns: dict[str, int] = {}


class RunRecord(msgspec.Struct, frozen=True):
    """The part of a run's manifest that a report shows."""

    run_id: str
    kind: str
    data: DataFacts
    edgesmith_version: str = ""
    versions: dict[str, Any] = {}
    instruments: list[Any] = []
    strategy: dict[str, Any] = {}
    execution: dict[str, Any] = {}
    risk: dict[str, Any] = {}
    seed: Any = None
    result: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    gate: dict[str, Any] | None = None
    risk_counters: dict[str, Any] = {}
    guard_counters: dict[str, Any] = {}


def read_record(folder: Path) -> RunRecord:
    """Read and check `manifest.json`."""
    if not folder.is_dir():
        raise InputError(f"run folder was '{folder}', which does not exist; give a folder under runs/ that holds {MANIFEST_NAME}")
    return _decode(folder / MANIFEST_NAME, RunRecord, "run again to write it anew")


def read_discovery(folder: Path) -> dict[str, Any] | None:
    """Read `discovery.json`, or return None where the run made none."""
    path = folder / DISCOVERY_NAME
    found: dict[str, Any] | None = _decode(path, dict[str, Any], "run discovery again") if path.is_file() else None
    return found


def read_table(folder: Path, name: str) -> pa.Table:
    """Read the columns a report needs from one Parquet file of a run."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    try:
        return pq.read_table(path, columns=list(_COLUMNS_OF[name]), partitioning=None)
    except FileNotFoundError:
        raise DataError(f"{path} was missing, expected in the folder of a backtest; run the backtest again") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptDataError(f"{path} was not readable as {name} of a run ({reason}); run the backtest again") from None


def _decode(path: Path, kind: Any, remedy: str) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError:
        raise DataError(f"{path} was missing or unreadable, expected in every run folder; {remedy}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{path} was not what it should be ({error}); {remedy}") from None
