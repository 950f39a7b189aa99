"""The prior system's method on placebos of the first quotes; for comparison only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.records import joined, taken
from edgesmith.domain.units import NS_PER_MINUTE
from edgesmith.edges.baselines.prior_method import CLUSTERS, RETURN_MIN, PriorOutcome, run_prior_method
from edgesmith.edges.null_report.result import PriorRow
from edgesmith.evaluation.sources import EventSource
from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program

# It kept all rows in memory; so many are enough to see what it does.
QUOTES_MAX = 100_000
QUOTES_MIN = 2_000
PLACEBOS_MAX = 5
FEATURES = 9
SHIFT_SHARES = (0.125, 0.875)

Floats = NDArray[np.float64]


def prior_rows(source: EventSource, instrument: int, span: tuple[int, int], placebos: int, seed: int) -> tuple[PriorRow, ...]:
    """Return how often the prior method promotes something in placebos, as it was run and without its filter of 5 bps.

    Features are shifted against prices, or the price path turned over minute by minute; empty where there are too few quotes.
    """
    quotes = _quotes(source, instrument, span)
    if len(quotes) < QUOTES_MIN:
        return ()
    program = Program([*feature_set("behavior"), *feature_set("regime")])
    rows = program.compute(quotes)
    clusters = _clusters(rows[:, program.names.index("volatility_ratio")])
    names, values = program.names[:FEATURES], rows[:, :FEATURES]
    outcomes: dict[float, list[PriorOutcome]] = {RETURN_MIN: [], 0.0: []}
    for shift, mid in _placebos(quotes, min(placebos, PLACEBOS_MAX), seed):
        moved, regime = np.roll(values, shift, axis=0), np.roll(clusters, shift)
        for least, found in outcomes.items():
            found.append(run_prior_method(names, moved, mid, regime, return_min=least))
    return tuple(_row(least, found) for least, found in outcomes.items())


def _row(return_min: float, found: list[PriorOutcome]) -> PriorRow:
    return PriorRow(
        return_min_bps=return_min * 1e4,
        placebos=len(found),
        patterns=sum(one.scanned for one in found),
        kept=sum(one.kept for one in found),
        accepted=sum(len(one.accepted) for one in found),
        validated=sum(len(one.validated) for one in found),
        any_validated=sum(bool(one.validated) for one in found),
    )


def _quotes(source: EventSource, instrument: int, span: tuple[int, int]) -> NDArray[Any]:
    kept, count = [], 0
    for batch in source.window(span[0], span[1] + 1):
        own = np.flatnonzero((batch["kind"] == KIND_BBO) & (batch["instrument"] == instrument))[: QUOTES_MAX - count]
        kept.append(taken(batch, own))
        count += len(own)
        if count == QUOTES_MAX:
            break
    quotes = joined(kept)
    quotes["instrument"] = 0
    return quotes


def _clusters(volatility_ratio: Floats) -> NDArray[np.int64]:
    # It cut its clusters on the data it searched; quarters of the volatility ratio stand for them.
    order = np.argsort(np.argsort(np.nan_to_num(volatility_ratio, nan=1.0)))
    return (order * CLUSTERS // len(order)).astype(np.int64)


def _placebos(quotes: NDArray[Any], count: int, seed: int) -> Iterator[tuple[int, Floats]]:
    mid = (quotes["bid_price"] + quotes["ask_price"]) / 2.0
    draw = np.random.Generator(np.random.PCG64([seed, 3]))
    for share in draw.uniform(*SHIFT_SHARES, count):
        yield int(share * len(mid)), mid
    pieces, of = np.unique(quotes["ts_recv"] // NS_PER_MINUTE, return_inverse=True)
    for _ in range(count):
        signs = draw.integers(0, 2, len(pieces)) * 2 - 1
        yield 0, mid[0] + np.cumsum(np.diff(mid, prepend=mid[0]) * signs[of])
