"""How an edge depends on latency, horizon, day, hour and fee; all from block sums."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR
from edgesmith.edges.validation.sums import EdgeSums
from edgesmith.evaluation.half_life import (
    UNIDENTIFIED,
    HalfLife,
    calendar_half_life,
    latency_half_life,
    response_half_life,
)
from edgesmith.evaluation.intervals import Interval, mean_interval
from edgesmith.evaluation.labels import C, G, N


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One place on a curve: rows, gross move to the side of the edge, cost, and the net result with its 90 % interval, in bps."""

    at: int
    n: int
    gross_bps: float | None
    cost_bps: float | None
    net_bps: float | None
    net_low_bps: float | None
    net_high_bps: float | None


def latency_curve(sums: EdgeSums, horizon_ns: int, side: int, *, seed: int) -> tuple[Point, ...]:
    """Return the result at every latency; `at` is the latency in ns."""
    return tuple(
        _point(latency_ns, sums.cell[:, place], side, seed)
        for place, (latency_ns, one) in enumerate(sums.columns)
        if one == horizon_ns
    )


def labeled_point(sums: EdgeSums, column: int, side: int, *, seed: int) -> Point:
    """Return the result of one column over all rows of the grid; `at` is its horizon in ns."""
    return _point(sums.columns[column][1], sums.cell[:, column], side, seed)


def response_curve(groups: Sequence[EdgeSums], latency_ns: int, side: int, *, seed: int) -> tuple[Point, ...]:
    """Return the result at every horizon of all groups; `at` is the horizon in ns."""
    points = [
        _point(horizon_ns, group.cell[:, place], side, seed)
        for group in groups
        for place, (one, horizon_ns) in enumerate(group.columns)
        if one == latency_ns
    ]
    return tuple(sorted(points, key=lambda point: point.at))


def by_day(sums: EdgeSums, column: int, side: int, *, seed: int) -> tuple[Point, ...]:
    """Return the result of every UTC day; `at` is the day's first instant."""
    return _grouped(sums, column, side, sums.keys * sums.block_ns // NS_PER_DAY * NS_PER_DAY, seed)


def by_hour(sums: EdgeSums, column: int, side: int, *, seed: int) -> tuple[Point, ...]:
    """Return the result of every UTC hour of the day; `at` is the hour, 0 to 23. Empty where a block is longer than an hour."""
    if sums.block_ns > NS_PER_HOUR:
        return ()
    return _grouped(sums, column, side, sums.keys * sums.block_ns // NS_PER_HOUR % 24, seed)


def half_lives(groups: Sequence[EdgeSums], latency_ns: int, horizon_ns: int, side: int, *, seed: int) -> dict[str, HalfLife]:
    """Return the response, latency and calendar half-lives of an edge of the column (`latency_ns`, `horizon_ns`)."""
    own = next(group for group in groups if (latency_ns, horizon_ns) in group.columns)
    column = own.column(latency_ns, horizon_ns)
    latencies = [place for place, (_, one) in enumerate(own.columns) if one == horizon_ns]
    at_ns = np.array([own.columns[place][0] for place in latencies], np.int64)
    by_latency = side * own.cell[:, latencies, G] - own.cell[:, latencies, C]
    days = own.keys * own.block_ns // NS_PER_DAY
    return {
        "response": _response(groups, latency_ns, side, seed),
        "latency": latency_half_life(own.cell[:, latencies, N], by_latency, at_ns, seed=seed) if len(at_ns) > 1 else UNIDENTIFIED,
        "calendar": calendar_half_life(own.rows(column), side * own.cell[:, column, G], days - days[:1], seed=seed),
    }


def _response(groups: Sequence[EdgeSums], latency_ns: int, side: int, seed: int) -> HalfLife:
    # Blocks nest: the sums of short ones add up to those of the longest, on which all horizons meet.
    longest_ns = max(group.block_ns for group in groups)
    wanted = np.unique(np.concatenate([group.keys * group.block_ns // longest_ns for group in groups]))
    columns: list[tuple[int, NDArray[np.float64]]] = []
    for group in groups:
        place = np.searchsorted(wanted, group.keys * group.block_ns // longest_ns)
        for index, (one, horizon_ns) in enumerate(group.columns):
            if one == latency_ns:
                total = np.zeros((len(wanted), 2))
                np.add.at(total, place, group.cell[:, index, [N, G]])
                columns.append((horizon_ns, total))
    columns.sort(key=lambda column: column[0])
    horizons_ns = np.array([horizon_ns for horizon_ns, _ in columns], np.int64)
    stacked = np.stack([total for _, total in columns], axis=1)
    return response_half_life(stacked[..., 0], side * stacked[..., 1], horizons_ns, seed=seed)


def break_even_fee_bps(net_low_bps: float, fee_in_bps: float, fee_out_bps: float) -> float:
    """Return the fee per side at which the lower bound of the net result is zero; negative where only a rebate would do."""
    return (fee_in_bps + fee_out_bps + net_low_bps) / 2.0


def _grouped(sums: EdgeSums, column: int, side: int, at: NDArray[np.int64], seed: int) -> tuple[Point, ...]:
    return tuple(_point(int(one), sums.cell[at == one, column], side, seed) for one in np.unique(at))


def _point(at: int, moments: NDArray[np.float64], side: int, seed: int) -> Point:
    n, gross, cost = moments[:, N], side * moments[:, G], moments[:, C]
    count = float(n.sum())
    net = mean_interval(n, gross - cost, seed=seed) if count else Interval(math.nan, -math.inf, math.inf)
    return Point(
        at=at,
        n=int(count),
        gross_bps=float(gross.sum()) / count if count else None,
        cost_bps=float(cost.sum()) / count if count else None,
        net_bps=finite(net.mean),
        net_low_bps=finite(net.low),
        net_high_bps=finite(net.high),
    )


def finite(value: float) -> float | None:
    """Return the number, or None where it is none."""
    return float(value) if math.isfinite(value) else None
