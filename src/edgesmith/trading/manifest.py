"""The identity card of a run: what went in, what came out, and the hashes that prove it can be repeated."""

from __future__ import annotations

import functools
import hashlib
import inspect
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numba
import numpy as np

import edgesmith
from edgesmith.canonical import canonical_json, short_hash
from edgesmith.domain.instruments import Instrument
from edgesmith.trading.engine import Engine, EngineConfig
from edgesmith.trading.guards import ErrorGuard
from edgesmith.trading.metrics import risk_counters, run_metrics
from edgesmith.trading.strategy import Strategy

MANIFEST_NAME = "manifest.json"
# Packages that decide numbers; command line and importers do not.
CODE = ("domain", "features", "evaluation", "trading", "edges", "strategies", "venues/simulated")


class DataIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was fed."""

    fingerprint: str
    partitions: tuple[str, ...]
    events: int
    first_ns: int
    last_ns: int
    simulated: bool
    clock_skew_ns: dict[str, int]


def strategy_identity(strategy: Strategy) -> dict[str, Any]:
    """Return name, configuration, what that resolved to, and the hash of the source file of a strategy."""
    source = inspect.getsourcefile(type(strategy))
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
    identity = {"name": strategy.name, "config": msgspec.to_builtins(strategy.config), "source_sha256": digest}
    return {**identity, "resolved": strategy.resolved} if strategy.resolved else identity


def inputs(data: DataIdentity, strategy: Strategy, config: EngineConfig, instruments: Sequence[Instrument]) -> dict[str, Any]:
    """Return everything that decides a run's result; its hash is the run id."""
    return {
        "kind": "backtest",
        "data": msgspec.to_builtins(data),
        "instruments": [msgspec.to_builtins(config.execution.with_fees(instrument)) for instrument in instruments],
        "strategy": strategy_identity(strategy),
        "execution": msgspec.to_builtins(config.execution),
        "risk": msgspec.to_builtins(config.risk),
        "guards": msgspec.to_builtins(config.guards),
        "equity_start": config.equity_start,
        "seed": config.seed,
        "edgesmith_version": edgesmith.__version__,
        "code_sha256": code_sha256(),
    }


@functools.cache
def code_sha256() -> str:
    """Return the hash of every source a run's numbers can depend on: two versions never share a run id."""
    digest = hashlib.sha256()
    package = Path(edgesmith.__file__).parent
    for path in sorted(source for part in CODE for source in (package / part).rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run_id_of(run_inputs: dict[str, Any]) -> str:
    """Return the run's name: `run_` and 16 hex digits of the hash of its inputs."""
    return f"run_{short_hash(run_inputs)}"


def manifest(run_inputs: dict[str, Any], engine: Engine, ended_reason: str, errors: ErrorGuard | None) -> dict[str, Any]:
    """Return the manifest of a finished run."""
    run = engine.run[0]
    cursor = engine.cursor
    funnel = engine.driver.funnel(engine)
    return {
        "run_id": run_id_of(run_inputs),
        **run_inputs,
        "versions": versions(),
        "result": {
            "events": int(run["events"]),
            "orders": int(run["orders_sent"]),
            "fills": int(run["fills"]),
            "ended_reason": ended_reason,
            "decision_hash": engine.recorder.decision_hash,
            "fills_hash": engine.recorder.fills_hash,
            "state_hash": engine.state_hash,
            "last_cursor": cursor.encode() if cursor else None,
            "open_positions": int(run["open_positions"]),
            "open_orders": int(run["open_orders"]),
        },
        "metrics": run_metrics(engine),
        **({"gate": funnel} if funnel is not None else {}),
        "risk_counters": risk_counters(engine),
        "guard_counters": {
            "out_of_order": int(run["out_of_order"]),
            "duplicates": int(run["duplicates"]),
            "invalid_intents": int(run["invalid_intents"]),
            "errors_contained": errors.count if errors else 0,
        },
    }


def discovery_manifest(
    data: DataIdentity, instruments: Sequence[Instrument], features: Sequence[str], config: Any, trial_hash: str
) -> dict[str, Any]:
    """Return the manifest of a search; its run id covers data, features and settings."""
    run_inputs = {
        "kind": "discovery",
        "data": msgspec.to_builtins(data),
        "instruments": [msgspec.to_builtins(instrument) for instrument in instruments],
        "features": list(features),
        "discovery": msgspec.to_builtins(config),
        "edgesmith_version": edgesmith.__version__,
        "code_sha256": code_sha256(),
    }
    return {"run_id": run_id_of(run_inputs), **run_inputs, "versions": versions(), "result": {"trial_hash": trial_hash}}


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    return {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}


def write_manifest(folder: Path, record: dict[str, Any]) -> None:
    """Write `manifest.json`, readable and the same for the same run."""
    (folder / MANIFEST_NAME).write_bytes(msgspec.json.format(canonical_json(record), indent=2) + b"\n")
