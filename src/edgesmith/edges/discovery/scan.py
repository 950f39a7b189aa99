"""One pass over the data: the leading part sets bin edges and says what could pay, the rest becomes block sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.records import as_records
from edgesmith.domain.units import format_duration_ns
from edgesmith.edges.discovery.result import NeededIC
from edgesmith.errors import DataError
from edgesmith.evaluation.bins import FeatureBins, RowSample, cut_matrix, encode_rows, fit_bins
from edgesmith.evaluation.blocks import BlockSums
from edgesmith.evaluation.labels import GG, MOMENTS, C, ColumnGroup, G, LabelSpec, N, moments_bps
from edgesmith.evaluation.panel import Panel, PanelChunk

# Mean of a standard normal above its 90 % quantile.
TOP_DECILE_MEAN = 1.755

Progress = Callable[[str, int, int], None]
OnSurvey = Callable[[tuple[NeededIC, ...]], None]


class EventSource(Protocol):
    """What discovery needs of a replay; it is read twice."""

    @property
    def instruments(self) -> tuple[tuple[str, str], ...]:
        """Return (venue, symbol) by instrument index."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return the content hash of the data."""
        ...

    @property
    def events_total(self) -> int:
        """Return how many events there are, for progress only."""
        ...

    def batches(self) -> Iterator[NDArray[Any]]:
        """Yield EVENT arrays in receive order."""
        ...


class FeatureProgram(Protocol):
    """What discovery needs of a feature program."""

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


class Span(NamedTuple):
    """Receive times of the first and last quote."""

    first_ns: int
    last_ns: int


class Searched(NamedTuple):
    """Outcome of the pass: frozen bins (features by name), sums per column group, needed information coefficients."""

    bins: tuple[FeatureBins, ...]
    sums: tuple[BlockSums, ...]
    needed_ic: tuple[NeededIC, ...]


def find_span(replay: EventSource, instrument: int, progress: Progress) -> Span:
    """Find the first and last quote of an instrument."""
    first_ns, last_ns, seen = None, 0, 0
    for batch in replay.batches():
        quotes = batch["ts_recv"][(batch["instrument"] == instrument) & (batch["kind"] == KIND_BBO)]
        if len(quotes):
            first_ns = int(quotes[0]) if first_ns is None else first_ns
            last_ns = int(quotes[-1])
        seen += len(batch)
        progress("reading the span", seen, replay.events_total)
    if first_ns is None:
        venue, symbol = replay.instruments[instrument]
        raise DataError(f"{venue}:{symbol} has no quotes in this data; expected bbo events: import or select its bbo stream")
    return Span(first_ns, last_ns)


def search(
    replay: EventSource,
    instrument: int,
    program: FeatureProgram,
    spec: LabelSpec,
    groups: tuple[ColumnGroup, ...],
    *,
    test_first_ns: int,
    quantiles: tuple[float, ...],
    progress: Progress,
    on_survey: OnSurvey,
) -> Searched:
    """Run the program over the replay once and sum every cell; decisions before `test_first_ns` only set the bin edges."""
    panel = Panel(spec, groups, instrument=instrument, width=len(program.names))
    scanner = _Scanner(tuple(program.names), groups, test_first_ns, quantiles, on_survey)
    state = program.new_state(instruments=len(replay.instruments))
    out, seen = np.empty((0, len(program.names))), 0
    for batch in replay.batches():
        if len(out) < len(batch):
            out = np.empty((len(batch), len(program.names)))
        program.run(as_records(batch), out[: len(batch)], state)
        for chunk in panel.feed(batch, out[: len(batch)]):
            scanner.take(chunk)
        seen += len(batch)
        progress("searching", seen, replay.events_total)
    for chunk in panel.finish():
        scanner.take(chunk)
    return scanner.outcome()


class _Scanner:
    """Splits the panel at the end of the edges span and sums what comes after."""

    def __init__(
        self,
        names: tuple[str, ...],
        groups: tuple[ColumnGroup, ...],
        test_first_ns: int,
        quantiles: tuple[float, ...],
        on_survey: OnSurvey,
    ) -> None:
        self._names = tuple(sorted(names))
        # Sorted by name, so that the order features were listed in cannot matter.
        self._columns = np.array([names.index(name) for name in self._names], np.int64)
        self._groups = groups
        self._test_first_ns = test_first_ns
        self._quantiles = quantiles
        self._on_survey = on_survey
        self._sample = RowSample(len(names))
        self._moments = [np.zeros(len(group.columns) * MOMENTS, np.int64) for group in groups]
        self._sums = tuple(BlockSums(group, self._names) for group in groups)
        self._bins: tuple[FeatureBins, ...] | None = None
        self._needed_ic: tuple[NeededIC, ...] = ()

    def take(self, chunk: PanelChunk) -> None:
        split = int(np.searchsorted(chunk.ts_ns, self._test_first_ns))
        if split:
            self._survey(chunk, split)
        if split < len(chunk.ts_ns):
            if self._bins is None:
                self._freeze()
            self._accumulate(chunk, split)

    def outcome(self) -> Searched:
        if self._bins is None:
            self._freeze()
        assert self._bins is not None
        return Searched(self._bins, self._sums, self._needed_ic)

    def _survey(self, chunk: PanelChunk, split: int) -> None:
        self._sample.add(chunk.features[:split])
        for group, rows, moments in zip(self._groups, chunk.groups, self._moments, strict=True):
            reach_ns = max(latency_ns + horizon_ns for latency_ns, horizon_ns in group.columns)
            inside = chunk.ts_ns[rows.rows] + reach_ns < self._test_first_ns
            moments += rows.labels[inside].sum(axis=0)

    def _freeze(self) -> None:
        rows = self._sample.rows
        if not len(rows):
            raise DataError(
                f"no decision time lies before the tested part of the data; expected quotes for at least "
                f"{format_duration_ns(self._groups[0].grid_ns)} there: use a longer range or a larger edges_span_ratio"
            )
        self._bins = tuple(
            fit_bins(name, rows[:, column], self._quantiles) for name, column in zip(self._names, self._columns, strict=True)
        )
        self._cuts, self._counts = cut_matrix(self._bins)
        self._needed_ic = _needed_ics(self._groups, self._moments)
        self._on_survey(self._needed_ic)

    def _accumulate(self, chunk: PanelChunk, split: int) -> None:
        codes = np.empty((len(chunk.ts_ns) - split, len(self._names)), np.uint8)
        encode_rows(chunk.features[split:], self._columns, self._cuts, self._counts, codes)
        for sums, rows in zip(self._sums, chunk.groups, strict=True):
            begin = int(np.searchsorted(rows.rows, split))
            kept = rows.rows[begin:]
            sums.add(chunk.ts_ns[kept], codes[kept - split], rows.labels[begin:])


def _needed_ics(groups: tuple[ColumnGroup, ...], moments: list[NDArray[np.int64]]) -> tuple[NeededIC, ...]:
    table = []
    for group, one in zip(groups, moments, strict=True):
        for (latency_ns, horizon_ns), moment in zip(group.columns, moments_bps(one.reshape(-1, MOMENTS)), strict=True):
            table.append(_needed_ic(latency_ns, horizon_ns, moment))
    return tuple(sorted(table, key=lambda row: (row.latency_ns, row.horizon_ns)))


def _needed_ic(latency_ns: int, horizon_ns: int, moment: NDArray[np.float64]) -> NeededIC:
    n = int(moment[N])
    if n == 0:
        return NeededIC(
            horizon_ns=horizon_ns, latency_ns=latency_ns, n=0, gross_sd_bps=None, cost_bps=None, needed_ic=None, possible=False
        )
    cost_bps = float(moment[C] / n)
    sd_bps = float(np.sqrt(max(0.0, moment[GG] / n - (moment[G] / n) ** 2)))
    needed = max(0.0, cost_bps) / (TOP_DECILE_MEAN * sd_bps) if sd_bps > 0 else None
    return NeededIC(
        horizon_ns=horizon_ns,
        latency_ns=latency_ns,
        n=n,
        gross_sd_bps=sd_bps,
        cost_bps=cost_bps,
        needed_ic=needed,
        possible=needed is not None and needed <= 1.0,
    )
