"""Backtest: archived events through the engine on the simulated venue, into a run folder that can be repeated and compared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import canonical_json, short_hash
from edgesmith.domain.events import Stream
from edgesmith.domain.instruments import Instrument
from edgesmith.errors import InputError
from edgesmith.features.catalog import feature
from edgesmith.features.operator import FeatureSpec
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay
from edgesmith.lake.schema import parse_stream
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Driver, Engine, EngineConfig
from edgesmith.trading.guards import ErrorGuard, ErrorPolicy
from edgesmith.trading.manifest import DataIdentity, inputs, manifest, run_id_of, write_manifest
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.strategy import CompiledStrategy, PythonStrategy, Strategy
from edgesmith.venues.registry import find_instrument

ERRORS_FILE = "errors.jsonl"

Progress = Callable[[int, int], None]


class BacktestResult(msgspec.Struct, frozen=True):
    """A finished run: its manifest, and the folder it was written to (None when it was not)."""

    manifest: dict[str, Any]
    folder: Path | None


def backtest(
    partitions: Sequence[Partition],
    strategy: Strategy,
    config: EngineConfig,
    *,
    runs_root: Path | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress | None = None,
) -> BacktestResult:
    """Run `strategy` over every event of `partitions` in receive order."""
    replay = Replay(partitions, start_ns=start_ns, end_ns=end_ns)
    instruments = instruments_of(partitions, replay.instruments)
    data = data_identity(replay, partitions, start_ns, end_ns)
    run_inputs = inputs(data, strategy, config, instruments)
    folder = _begin_folder(runs_root, run_id_of(run_inputs))
    try:
        driver = _driver(strategy)
        engine = Engine(
            instruments,
            config,
            driver,
            program=program_of(strategy),
            folder=folder,
            skew_ns=clock_skew_ns(partitions, replay.instruments, config.execution.feed_latency_ns),
            receive_time_known=receive_time_known(partitions),
        )
        done = 0
        for events in replay.batches():
            engine.feed(events)
            done += len(events)
            if progress is not None:
                progress(done, replay.events_total)
        _require_events(done)
        engine.finish()
        errors = driver.errors if isinstance(driver, PythonDriver) else None
        record = manifest(run_inputs, engine, "end_of_data", errors)
        return BacktestResult(record, _finish_folder(folder, record, errors))
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def instruments_of(partitions: Sequence[Partition], names: Sequence[tuple[str, str]]) -> list[Instrument]:
    """Return the instruments of a replay, with the finest price and quantity steps their partitions have seen."""
    found = []
    for venue, symbol in names:
        metas = [partition.meta for partition in partitions if (partition.key.venue, partition.key.symbol) == (venue, symbol)]
        prices = [meta.price_increment for meta in metas if meta.price_increment]
        quantities = [meta.qty_increment for meta in metas if meta.qty_increment]
        truth = next((meta.truth for meta in metas if meta.truth and "instrument" in meta.truth), None)
        if truth is not None:
            found.append(msgspec.convert(truth["instrument"], Instrument))
            continue
        found.append(
            find_instrument(
                venue,
                symbol,
                price_increment=min(prices, key=Decimal, default=None),
                qty_increment=min(quantities, key=Decimal, default=None),
                simulated=any(meta.simulated for meta in metas),
            )
        )
    return found


def clock_skew_ns(
    partitions: Sequence[Partition], names: Sequence[tuple[str, str]], feed_latency_ns: int = 0
) -> NDArray[np.int64]:
    """Return what turns the venue's clock into ours, per instrument and stream.

    The smallest receive minus venue time holds the clocks' difference and the shortest feed latency, which data cannot tell
    apart; `feed_latency_ns` is assumed for the latter and taken off. Without it orders would meet a book older by as much.
    """
    skew = np.zeros((len(names), len(Stream)), np.int64)
    place = {name: index for index, name in enumerate(names)}
    seen: set[tuple[int, int]] = set()
    for partition in partitions:
        clock = partition.meta.clock
        at = (place[partition.key.venue, partition.key.symbol], int(parse_stream(partition.meta.stream)))
        recorded = clock.event_clock == "venue" and clock.recv_clock == "local"
        value = clock.skew_ns_min - feed_latency_ns if recorded else 0
        skew[at] = min(int(skew[at]), value) if at in seen else value
        seen.add(at)
    return skew


def receive_time_known(partitions: Sequence[Partition]) -> bool:
    """Return whether somebody recorded receive times; InputError when only some partitions have them."""
    clocks = {partition.meta.clock.recv_clock for partition in partitions}
    if len(clocks) > 1:
        raise InputError(
            "some partitions have recorded receive times and others only the venue's clock; their order cannot be known, "
            "run them apart"
        )
    return clocks != {"venue"}


def program_of(strategy: Strategy) -> Program | None:
    """Return the feature program a strategy asks for; None when it reads no features."""
    specs = feature_specs(strategy)
    return Program(specs) if specs else None


def feature_specs(strategy: Strategy) -> list[FeatureSpec]:
    """Return the features a strategy reads, names and pairs looked up."""
    return [_spec(item) for item in strategy.features]


def _spec(item: str | tuple[str, Any] | FeatureSpec) -> FeatureSpec:
    if isinstance(item, FeatureSpec):
        return item
    return feature(item) if isinstance(item, str) else feature(item[0], **item[1])


def data_identity(
    replay: Replay, partitions: Sequence[Partition], start_ns: int | None = None, end_ns: int | None = None
) -> DataIdentity:
    """Return what a run over `replay` is fed."""
    metas = [partition.meta for partition in partitions]
    bounds = {"start_ns": start_ns, "end_ns": end_ns}
    cut = start_ns is not None or end_ns is not None
    return DataIdentity(
        fingerprint=short_hash([replay.fingerprint, bounds]) if cut else replay.fingerprint,
        partitions=tuple(sorted(str(partition.key) for partition in partitions)),
        events=replay.events_total,
        first_ns=max(min(meta.ts_recv_min for meta in metas), start_ns or 0),
        last_ns=min(max(meta.ts_recv_max for meta in metas), end_ns or max(meta.ts_recv_max for meta in metas)),
        simulated=any(meta.simulated for meta in metas),
        clock_skew_ns={str(partition.key): partition.meta.clock.skew_ns_p50 for partition in partitions},
    )


def _require_events(count: int) -> None:
    if count == 0:
        raise InputError("the chosen range holds no events; `edgesmith lake ls` shows what the lake has")


def _driver(strategy: Strategy) -> Driver:
    if isinstance(strategy, CompiledStrategy):
        return CompiledDriver(strategy)
    assert isinstance(strategy, PythonStrategy), f"{type(strategy).__name__} is neither form of strategy"
    return PythonDriver(strategy)


def _begin_folder(runs_root: Path | None, run_id: str) -> Path | None:
    if runs_root is None:
        return None
    folder = runs_root / f".{run_id}.{os.getpid()}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _finish_folder(folder: Path | None, record: dict[str, Any], errors: ErrorGuard | None) -> Path | None:
    if folder is None:
        return None
    write_manifest(folder, record)
    if errors is not None and errors.records and errors.policy is ErrorPolicy.QUARANTINE:
        (folder / ERRORS_FILE).write_bytes(b"".join(canonical_json(line) + b"\n" for line in errors.records))
    final = folder.parent / record["run_id"]
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    return final
