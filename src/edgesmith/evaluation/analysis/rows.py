"""The rows an analysis reads: features by column and the label beside them, never more than a fixed number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import DataError, InputError
from edgesmith.evaluation.decisions import DecisionSampler, GridDay, GridRows, labeled_rows, sampled
from edgesmith.evaluation.labels import SUM_UNITS, C, ColumnGroup, G, LabelSpec, N, column_groups
from edgesmith.evaluation.sources import FeatureProgram

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
    gathered = _Gathered(tuple(program.names), columns, volatility, (spec, group), span_ns)
    sampler = DecisionSampler(
        len(program.names), grid_ns=spec.grid_ns, latencies_ns=spec.latencies_ns, gap_ns=spec.gap_ns, instrument=instrument
    )

    def seen(events: int) -> None:
        if progress is not None:
            progress(events, replay.events_total)

    for rows in sampled(replay.batches(), program, sampler, instruments=len(replay.instruments), seen=seen):
        gathered.take(rows)
    return gathered.rows()


class _Gathered:
    """Columns that fill up from grid rows; memory is touched only as far as they are filled."""

    def __init__(
        self,
        names: tuple[str, ...],
        columns: Sequence[str],
        volatility: str,
        label: tuple[LabelSpec, ColumnGroup],
        span_ns: tuple[int, int],
    ) -> None:
        self._columns = tuple(sorted(columns))
        self._places = [names.index(name) for name in self._columns]
        self._volatility_place = names.index(volatility)
        self._spec, self._group = label
        self._last_ns = span_ns[1]
        rows = (span_ns[1] - span_ns[0]) // self._group.grid_ns + 2
        self._thinning = max(1, -(-rows * len(self._columns) * 4 // VALUES_BYTES_MAX))
        self._step_ns = self._group.grid_ns * self._thinning
        capacity = rows // self._thinning + 2
        self._ts_ns = np.empty(capacity, np.int64)
        self._values = np.empty((len(self._columns), capacity), np.float32)
        self._label = np.empty(capacity, np.float32)
        self._volatility = np.empty(capacity, np.float32)
        self._quotes = np.empty((2, 0))
        self._count = self._labels = self._labeled = self._cost = 0

    def take(self, rows: GridRows) -> None:
        """Keep the rows that fall on the (possibly thinned) grid, which is aligned to the epoch."""
        ts_ns = rows.ts_ns
        kept = np.flatnonzero(ts_ns % self._step_ns == 0)
        at = slice(self._count, self._count + len(kept))
        self._count = at.stop
        assert self._count <= len(self._ts_ns), "more rows than the span has grid steps"
        self._ts_ns[at] = ts_ns[kept]
        with np.errstate(over="ignore"):
            features = rows.features[kept].astype(np.float32)
        features[~np.isfinite(features)] = np.nan
        self._values[:, at] = features[:, self._places].T
        self._volatility[at] = features[:, self._volatility_place]
        self._label_rows(rows)

    def _label_rows(self, rows: GridRows) -> None:
        # Quotes are held until the quote a horizon later is there: a row's label may end in a later batch of rows.
        first_index = rows.first_index - self._quotes.shape[1]
        quotes = np.concatenate([self._quotes, np.stack([rows.mids[0], rows.spreads[0]])], axis=1)
        count = quotes.shape[1]
        ready = count if rows.closes else max(0, count - self._spec.horizons_ns[0] // self._spec.grid_ns)
        grid = GridDay(first_index, ready, quotes[:1], quotes[1:], np.full(count, count - 1, np.int32))
        for found, labels in labeled_rows(grid, self._spec, self._group, 0, ready, self._last_ns):
            indices = first_index + np.arange(found.start, found.stop, found.step)
            kept = labels[indices * rows.grid_ns % self._step_ns == 0]
            at = slice(self._labels, self._labels + len(kept))
            self._labels = at.stop
            self._label[at] = np.where(kept[:, N] > 0, kept[:, G] / SUM_UNITS, np.nan)
            self._labeled += int(kept[:, N].sum())
            self._cost += int(kept[:, C].sum())
        self._quotes = quotes[:, ready:]

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
