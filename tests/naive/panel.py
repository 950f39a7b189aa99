"""The panel by definition: for every grid instant look the quotes up one by one."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from edgesmith.domain.events import FLAG_AFTER_GAP, KIND_BBO
from edgesmith.evaluation.labels import LabelSpec


class NaiveRow(NamedTuple):
    ts_ns: int
    features: np.ndarray
    labels: dict[tuple[int, int], tuple[int, int, int] | None]  # (latency, horizon) -> (1, g, c) in 1e-4 bps


def segments(events: Any, instrument: int, gap_ns: int) -> list[tuple[int, int]]:
    """Return (first, last) instants of the runs of quotes without a gap, both inclusive."""
    found: list[list[int]] = []
    previous = None
    for event in events:
        if event["instrument"] != instrument or event["kind"] != KIND_BBO:
            continue
        now = int(event["ts_recv"])
        flagged = int(event["flags"]) & FLAG_AFTER_GAP
        if previous is None or flagged or now - previous > gap_ns:
            if found and flagged:
                found[-1][1] = min(found[-1][1], now - 1)
            found.append([now, now])
        found[-1][1] = now
        previous = now
    return [(first, last) for first, last in found if last >= first]


def quote_at(events: Any, instrument: int, instant_ns: int) -> tuple[float, float]:
    """Return mid and spread of the last quote received at or before an instant."""
    own = (events["instrument"] == instrument) & (events["kind"] == KIND_BBO)
    seen = events[own & (events["ts_recv"] <= instant_ns)]
    if not len(seen):
        return math.nan, math.nan
    bid, ask = float(seen["bid_price"][-1]), float(seen["ask_price"][-1])
    usable = bid > 0 and ask >= bid and math.isfinite(ask)
    return ((bid + ask) / 2, ask - bid) if usable else (math.nan, math.nan)


def features_at(events: Any, features: np.ndarray, instrument: int, instant_ns: int) -> np.ndarray:
    """Return the feature row of the last event received at or before an instant."""
    seen = features[(events["instrument"] == instrument) & (events["ts_recv"] <= instant_ns)]
    return seen[-1] if len(seen) else np.full(features.shape[1], math.nan)


def label(
    events: Any, spec: LabelSpec, instrument: int, t: int, latency: int, horizon: int, last: int
) -> tuple[int, int, int] | None:
    """Return (1, g, c), or None where t + l + h is beyond `last`."""
    if t + latency + horizon > last or t % spec.grid_of(horizon):
        return None
    mid, spread = quote_at(events, instrument, t + latency)
    mid_end, spread_end = quote_at(events, instrument, t + latency + horizon)
    if any(math.isnan(value) for value in (mid, mid_end)):
        return None
    gross = 1e4 * (mid_end - mid) / mid
    cost = 1e4 * (spread + spread_end) / (2.0 * mid) + (spec.fee_in_bps + spec.fee_out_bps)
    return 1, round(gross * 10_000), round(cost * 10_000)


def panel(events: Any, features: np.ndarray, spec: LabelSpec, instrument: int) -> list[NaiveRow]:
    """Return every row of the panel."""
    rows = []
    for first, last in segments(events, instrument, spec.gap_ns):
        for t in range(-(-first // spec.grid_ns) * spec.grid_ns, last + 1, spec.grid_ns):
            labels = {
                (latency, horizon): label(events, spec, instrument, t, latency, horizon, last)
                for latency in spec.latencies_ns
                for horizon in spec.horizons_ns
            }
            rows.append(NaiveRow(t, features_at(events, features, instrument, t), labels))
    return rows
