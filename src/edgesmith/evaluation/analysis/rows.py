"""The rows an analysis reads: features by column and the label beside them, never more than a fixed number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.records import as_records
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation.labels import MOMENTS, SUM_UNITS, C, G, LabelSpec, N, column_groups
from edgesmith.evaluation.panel import Panel, PanelChunk

# 4.1 M rows of 48 features; a longer range is thinned, which costs little because neighboring labels overlap.
VALUES_BYTES_MAX = 768 * 2**20

Progress = Callable[[int, int], None]


class EventSource(Protocol):
    """What an analysis needs of a replay; it is read once."""

    @property
    def instruments(self) -> tuple[tuple[str, str], ...]:
        """Return (venue, symbol) by instrument index."""
        ...

    @property
    def events_total(self) -> int:
        """Return how many events there are, for progress only."""
        ...

    def batches(self) -> Iterator[NDArray[Any]]:
        """Yield EVENT arrays in receive order."""
        ...


class FeatureProgram(Protocol):
    """What an analysis needs of a feature program."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the feature names, one per column."""
        ...

    def new_state(self, instruments: int = 1) -> Any:
        """Return the state before the first event."""
        ...

    def run(self, events: NDArray[Any], out: NDArray[np.float64], state: Any) -> None:
        """Write the feature row after each event into `out` (events, width)."""
        ...


class AnalysisRows(NamedTuple):
    """Decision times in ascending order with features and label.

    `columns` are sorted by name, so that the order features were listed in cannot matter. `values` is float32 (columns, rows)
    and `label` float32 bps; NaN is missing, and infinities are missing too. `cost_bps` is the mean cost of a round trip.
    `volatility` (rows,) divides the rows into regimes.
    """

    columns: tuple[str, ...]
    ts_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    label: NDArray[np.float32]
    volatility: NDArray[np.float32]
    cost_bps: float
    step_ns: int
    thinning: int


def read_rows(
    replay: EventSource,
    instrument: int,
    program: FeatureProgram,
    spec: LabelSpec,
    *,
    columns: Sequence[str],
    volatility: str,
    span_ns: tuple[int, int],
    progress: Progress | None = None,
) -> AnalysisRows:
    """Run the program over the replay once and keep the rows of the one label in `spec`.

    `columns` are the program's columns to analyze, `volatility` the one that tells calm from wild (it may be among them);
    `span_ns` the first and the last receive time there can be.
    """
    (group,) = column_groups(spec, span_ns[1] - span_ns[0])
    if len(group.columns) != 1:
        raise InputError(f"an analysis was asked for {len(group.columns)} labels, expected one horizon and one latency")
    panel = Panel(spec, (group,), instrument=instrument, width=len(program.names))
    gathered = _Gathered(tuple(program.names), columns, volatility, group.grid_ns, span_ns)
    state = program.new_state(instruments=len(replay.instruments))
    out, seen = np.empty((0, len(program.names))), 0
    for batch in replay.batches():
        if len(out) < len(batch):
            out = np.empty((len(batch), len(program.names)))
        program.run(as_records(batch), out[: len(batch)], state)
        for chunk in panel.feed(batch, out[: len(batch)]):
            gathered.take(chunk)
        seen += len(batch)
        if progress is not None:
            progress(seen, replay.events_total)
    for chunk in panel.finish():
        gathered.take(chunk)
    return gathered.rows()


class _Gathered:
    """Columns that fill up from chunks; memory is touched only as far as they are filled."""

    def __init__(
        self, names: tuple[str, ...], columns: Sequence[str], volatility: str, step_ns: int, span_ns: tuple[int, int]
    ) -> None:
        self._columns = tuple(sorted(columns))
        self._places = [names.index(name) for name in self._columns]
        self._volatility_place = names.index(volatility)
        rows = (span_ns[1] - span_ns[0]) // step_ns + 2
        self._thinning = max(1, -(-rows * len(self._columns) * 4 // VALUES_BYTES_MAX))
        self._step_ns = step_ns * self._thinning
        capacity = rows // self._thinning + 2
        self._ts_ns = np.empty(capacity, np.int64)
        self._values = np.empty((len(self._columns), capacity), np.float32)
        self._label = np.empty(capacity, np.float32)
        self._volatility = np.empty(capacity, np.float32)
        self._count = 0
        self._labeled = self._cost = 0

    def take(self, chunk: PanelChunk) -> None:
        """Keep the rows that fall on the (possibly thinned) grid, which is aligned to the epoch."""
        (labeled,) = chunk.groups
        kept = np.flatnonzero(chunk.ts_ns[labeled.rows] % self._step_ns == 0)
        rows, moments = labeled.rows[kept], labeled.labels[kept].reshape(-1, MOMENTS)
        at = slice(self._count, self._count + len(rows))
        self._count = at.stop
        assert self._count <= len(self._ts_ns), "more rows than the span has grid steps"
        self._ts_ns[at] = chunk.ts_ns[rows]
        with np.errstate(over="ignore"):
            features = chunk.features[rows].astype(np.float32)
        features[~np.isfinite(features)] = np.nan
        self._values[:, at] = features[:, self._places].T
        self._volatility[at] = features[:, self._volatility_place]
        self._label[at] = np.where(moments[:, N] > 0, moments[:, G] / SUM_UNITS, np.nan)
        self._labeled += int(moments[:, N].sum())
        self._cost += int(moments[:, C].sum())

    def rows(self) -> AnalysisRows:
        """Return what was gathered."""
        if not self._labeled:
            raise DataError(
                "no decision time has a label; expected quotes for longer than latency and horizon together: "
                "use a longer range or a shorter --horizon"
            )
        count = self._count
        return AnalysisRows(
            self._columns,
            self._ts_ns[:count],
            self._values[:, :count],
            self._label[:count],
            self._volatility[:count],
            self._cost / SUM_UNITS / self._labeled,
            self._step_ns,
            self._thinning,
        )
