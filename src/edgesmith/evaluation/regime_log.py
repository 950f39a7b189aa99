"""What the regimes did: every episode as a row of a Parquet file, written in bounded memory, and a summary of them.

An episode lasts from the row that brought its label to the row that brings another, or to the last row before a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.errors import InputError
from edgesmith.evaluation.decisions import DecisionSampler, sampled
from edgesmith.evaluation.labels import GAP_NS
from edgesmith.features.program import Program
from edgesmith.features.regime_model import RegimeModel
from edgesmith.lake.atomic import write_atomically
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay

BUFFER_EPISODES = 4_096
# Fewer episodes than this say little about a regime, however many rows they hold.
EPISODES_MIN = 20
QUANTILES = (0.1, 0.5, 0.9)
NO_LABEL = -1

SCHEMA = pa.schema(
    [
        ("begin_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("label", pa.int8()),
        ("label_before", pa.int8()),  # -1 at the beginning and after a gap
        ("confidence_mean", pa.float64()),
        ("rows", pa.int64()),
    ]
)


class RegimeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One regime in a log: its share of the time, its episodes, and how long they lasted (the 10 %, 50 % and 90 % quantiles)."""

    label: int
    time_ratio: float
    episodes: int
    dwell_ns: tuple[float, ...]
    confidence_mean: float


class LogSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A log: `transitions[a][b]` is how often regime a gave way to b."""

    model_id: str
    instrument: str
    first_ns: int
    last_ns: int
    rows: int
    rows_without_label: int
    regimes: tuple[RegimeSummary, ...]
    transitions: tuple[tuple[int, ...], ...]


class RegimeLogger:
    """Turns rows of label and confidence into episodes, on disk whenever `BUFFER_EPISODES` of them are held."""

    def __init__(self, path: Path, gap_ns: int) -> None:
        self._file = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._gap_ns = gap_ns
        self._buffer: list[tuple[int, int, int, int, float, int]] = []
        self._label = self._before = NO_LABEL
        self._begin_ns = self._last_ns = self._rows = 0
        self._confidence = 0.0

    def add(self, ts_ns: NDArray[np.int64], labels: NDArray[np.float64], confidences: NDArray[np.float64]) -> None:
        """Take rows in order of time; rows without a label are passed over."""
        for ts, label, confidence in zip(ts_ns.tolist(), labels.tolist(), confidences.tolist(), strict=True):
            if label != label:
                continue
            if self._rows and ts - self._last_ns > self._gap_ns:
                self._close(self._last_ns)
                self._label = NO_LABEL
            elif self._rows and label != self._label:
                self._close(ts)
            if not self._rows:
                self._before, self._label, self._begin_ns = self._label, int(label), ts
            self._rows += 1
            self._confidence += confidence
            self._last_ns = ts

    def close(self) -> None:
        """Write what is held, the episode under way included."""
        if self._rows:
            self._close(self._last_ns)
        self._flush()
        self._file.close()

    def _close(self, end_ns: int) -> None:
        mean = self._confidence / self._rows
        self._buffer.append((self._begin_ns, end_ns, self._label, self._before, mean, self._rows))
        self._rows, self._confidence = 0, 0.0
        if len(self._buffer) == BUFFER_EPISODES:
            self._flush()

    def _flush(self) -> None:
        columns = list(zip(*self._buffer, strict=True)) or [()] * len(SCHEMA)
        arrays = [pa.array(list(column), kind) for column, kind in zip(columns, SCHEMA.types, strict=True)]
        if self._buffer:
            self._file.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
        self._buffer.clear()


def log_regimes(
    partitions: Sequence[Partition],
    model: RegimeModel,
    path: Path,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogSummary:
    """Assign regimes over `partitions`, log the episodes to `path`, and return their summary; raises inside the fit interval.

    Data before `start_ns` only warms the features up.
    """
    replay = Replay(partitions, end_ns=end_ns)
    begin_ns = max(min(one.meta.ts_recv_min for one in replay.partitions), start_ns or 0)
    model.require_after_fit(begin_ns)
    (venue, symbol), *others = replay.instruments
    if others or f"{venue} {symbol}" != model.instrument:
        named = ", ".join(" ".join(one) for one in replay.instruments)
        raise InputError(f"data was of {named}, expected {model.instrument}, which the model was fitted on")
    counted = [0, 0, 0, 0]

    def write(target: Path) -> None:
        counted[:] = _log(replay, model, RegimeLogger(target, GAP_NS), begin_ns, progress)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)
    return summarize(path, model, *counted)


def _log(
    replay: Replay, model: RegimeModel, logger: RegimeLogger, begin_ns: int, progress: Callable[[int, int], None] | None
) -> tuple[int, int, int, int]:
    program = Program(model.features())
    sampler = DecisionSampler(program.width, grid_ns=model.step_ns)
    first_ns = last_ns = rows = missing = 0

    def seen(events: int) -> None:
        if progress is not None:
            progress(events, replay.events_total)

    for found in sampled(replay.batches(), program, sampler, seen=seen):
        wanted = found.ts_ns >= begin_ns
        ts_ns, labels = found.ts_ns[wanted], found.features[wanted]
        if len(ts_ns):
            first_ns, last_ns = first_ns or int(ts_ns[0]), int(ts_ns[-1])
        rows += len(ts_ns)
        missing += int(np.isnan(labels[:, 0]).sum())
        logger.add(ts_ns, labels[:, 0], labels[:, 1])
    logger.close()
    return first_ns, last_ns, rows, missing


def summarize(path: Path, model: RegimeModel, first_ns: int, last_ns: int, rows: int, missing: int) -> LogSummary:
    """Return what the episodes in `path` add up to."""
    table = pq.read_table(path)
    label, before = table["label"].to_numpy(), table["label_before"].to_numpy()
    dwell_ns = table["end_ns"].to_numpy() - table["begin_ns"].to_numpy()
    transitions = np.zeros((model.regimes, model.regimes), np.int64)
    moved = before >= 0
    np.add.at(transitions, (before[moved], label[moved]), 1)
    total_ns = max(int(dwell_ns.sum()), 1)
    regimes = []
    for k in range(model.regimes):
        mine = label == k
        weights = table["rows"].to_numpy()[mine]
        confidence = np.average(table["confidence_mean"].to_numpy()[mine], weights=weights) if mine.any() else np.nan
        regimes.append(
            RegimeSummary(
                label=k,
                time_ratio=float(dwell_ns[mine].sum() / total_ns),
                episodes=int(mine.sum()),
                dwell_ns=tuple(float(q) for q in np.quantile(dwell_ns[mine], QUANTILES)) if mine.any() else (),
                confidence_mean=float(confidence),
            )
        )
    return LogSummary(
        model_id=model.model_id,
        instrument=model.instrument,
        first_ns=first_ns,
        last_ns=last_ns,
        rows=rows,
        rows_without_label=missing,
        regimes=tuple(regimes),
        transitions=tuple(tuple(row) for row in transitions.tolist()),
    )
