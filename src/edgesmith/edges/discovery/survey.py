"""The leading part of the data: it sets the bin edges and says which horizons could pay, and is never tested."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import short_hash
from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, date_of_ns, format_duration_ns
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.result import NeededIC
from edgesmith.errors import DataError
from edgesmith.evaluation.bins import FeatureBins, fit_bins, fit_fine_bins, sample_stride
from edgesmith.evaluation.coded import CodedDay, CodedPanel, Coding, read_range, read_window, window_of
from edgesmith.evaluation.day_files import Day, DayFiles
from edgesmith.evaluation.labels import GG, MOMENTS, C, ColumnGroup, G, LabelSpec, N, block_length_ns, moments_bps
from edgesmith.evaluation.significance import tail_critical
from edgesmith.evaluation.sources import EventSource, FeatureProgram, Reading
from edgesmith.evaluation.sums import TriggerCells
from edgesmith.parallel import Progress, map_ordered

# Mean of a standard normal above its 90 % quantile.
TOP_DECILE_MEAN = 1.755
# Of all rows, in a cell like most.
CELL_SHARE = 0.1


class Survey(NamedTuple):
    """Frozen bins (features by name), the fine ones that divide them, and the needed information coefficients."""

    bins: tuple[FeatureBins, ...]
    fine: tuple[FeatureBins, ...]
    needed_ic: tuple[NeededIC, ...]


def foretold(
    table: Sequence[NeededIC], labels: LabelSpec, span_ns: int, trials: int, config: DiscoveryConfig
) -> tuple[NeededIC, ...]:
    """Return the table with the effect a search of `trials` cells over `span_ns` will be able to detect at each horizon."""
    t = tail_critical(config.alpha, trials) + NormalDist().inv_cdf(config.power)
    rows = []
    for row in table:
        blocks = span_ns / block_length_ns(row.horizon_ns, span_ns)
        independent = CELL_SHARE * span_ns / max(row.horizon_ns, labels.grid_of(row.horizon_ns))
        if row.gross_sd_bps is None or blocks <= max(config.blocks_min, t * t) or independent <= 0:
            rows.append(row)
            continue
        error = row.gross_sd_bps / math.sqrt(independent)
        rows.append(msgspec.structs.replace(row, mde_bps=t * error / math.sqrt(1.0 - t * t / blocks)))
    return tuple(rows)


class _Recipe(msgspec.Struct, frozen=True):
    """What a day of the survey depends on, its data aside."""

    coding: Coding
    labels: LabelSpec
    stride: int
    kind: str = "survey"


def survey(
    source: EventSource,
    instrument: int,
    program: FeatureProgram,
    labels: LabelSpec,
    span: tuple[int, int],
    quantiles: tuple[float, ...],
    *,
    lake: Path | None,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> Survey:
    """Read the decisions from `span[0]` on whose labels end before `span[1]`, day by day; days done before are not read again."""
    first_ns, end_ns = span
    coding = Coding(
        program_id=program.program_id,
        bins=(),
        latencies_ns=tuple(sorted(set(labels.latencies_ns))),
        horizon_max_ns=max(labels.horizons_ns),
        grid_ns=labels.grid_ns,
        gap_ns=labels.gap_ns,
        first_ns=first_ns,
        last_ns=end_ns - 1,
    )
    recipe = _Recipe(coding, labels, sample_stride((end_ns - first_ns) // labels.grid_ns))
    files = DayFiles(lake, short_hash(recipe), *source.instruments[instrument])
    days = [date_of_ns(at * NS_PER_DAY) for at in range(first_ns // NS_PER_DAY, (end_ns - 1) // NS_PER_DAY + 1)]
    reading = Reading([window_of(coding, day) for day in days], progress)
    work = partial(_survey_day, source, instrument, program, recipe, files, reading)
    kept = list(map_ordered(work, days, workers=workers, mode="threads"))
    sample = np.concatenate([day.arrays["sample"] for day in kept])
    if not len(sample):
        raise DataError(
            f"no decision time lies before the tested part of the data; expected quotes for at least "
            f"{format_duration_ns(labels.grid_ns)} there: use a longer range or a larger edges_span_ratio"
        )
    names = tuple(program.names)
    columns = {name: np.ascontiguousarray(sample[:, names.index(name)]) for name in sorted(names)}
    bins = tuple(fit_bins(name, values, quantiles) for name, values in columns.items())
    fine = tuple(fit_fine_bins(one, columns[one.name]) for one in bins)
    return Survey(bins, fine, _needed_ics(_columns(labels), sum(day.arrays["moments"] for day in kept)))


def _columns(labels: LabelSpec) -> tuple[tuple[int, int], ...]:
    return tuple(
        (latency, horizon) for latency in sorted(set(labels.latencies_ns)) for horizon in sorted(set(labels.horizons_ns))
    )


def _survey_day(
    source: EventSource,
    instrument: int,
    program: FeatureProgram,
    recipe: _Recipe,
    files: DayFiles,
    reading: Reading,
    day: date,
) -> Day:
    coding = recipe.coding
    window = window_of(coding, day)
    fingerprint = source.window_fingerprint(*read_range(coding, window))
    known = files.load(day, fingerprint)
    if known is not None:
        reading.skip(window)
        return known
    sampled: list[NDArray[np.float64]] = []
    first_index = -(-window[0] // coding.grid_ns)

    def take(at: slice, rows: NDArray[np.float64]) -> None:
        skip = -(first_index + at.start) % recipe.stride
        sampled.append(rows[skip :: recipe.stride].copy())

    grid, _ = read_window(source, instrument, program, coding, window, reading, take)
    moments = _moments(CodedDay(grid, np.empty((0, grid.rows), np.uint8)), recipe.labels, coding, day)
    sample = np.concatenate(sampled) if sampled else np.empty((0, len(program.names)))
    arrays: dict[str, NDArray[Any]] = {"sample": sample, "moments": moments}
    files.save(day, fingerprint, arrays, {})
    return Day(arrays, {})


def _moments(kept: CodedDay, labels: LabelSpec, coding: Coding, day: date) -> NDArray[np.int64]:
    panel = CodedPanel(
        bins=(), labels=labels, first_ns=coding.first_ns, last_ns=coding.last_ns, days=(day,), open_day=lambda _: kept, texts={}
    )
    columns = _columns(labels)
    moments = np.zeros((len(columns), MOMENTS), np.int64)
    for grid_ns in sorted({labels.grid_of(horizon) for horizon in labels.horizons_ns}):
        group = ColumnGroup(NS_PER_HOUR, grid_ns, tuple(one for one in columns if labels.grid_of(one[1]) == grid_ns))
        (sums,) = panel.block_sums(TriggerCells([()]), [group], moments=MOMENTS)
        moments[[columns.index(one) for one in group.columns]] = sums.sums.sum(axis=(0, 1)).T
    return moments


def _needed_ics(columns: Sequence[tuple[int, int]], moments: NDArray[np.int64]) -> tuple[NeededIC, ...]:
    return tuple(_needed_ic(*column, moment) for column, moment in zip(columns, moments_bps(moments), strict=True))


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
