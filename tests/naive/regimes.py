"""The obvious twin of the assignment of regimes: one row after the other, with dictionaries and no arrays."""

from __future__ import annotations

import math
from typing import Any

from edgesmith.features.regime_model import RegimeModel

NAN = math.nan


def seen(one: Any, x: float) -> float:
    y = math.log(max(x, one.floor)) if one.is_log else x
    return max(-6.0, min(6.0, (y - one.center) / one.scale))


def posteriors(model: RegimeModel, inputs: list[float]) -> list[float]:
    z = [seen(one, x) for one, x in zip(model.inputs, inputs, strict=True)]
    densities = []
    for weight, means, stds in zip(model.weights, model.means, model.stds, strict=True):
        density = math.log(weight)
        for x, mean, std in zip(z, means, stds, strict=True):
            density += -math.log(std) - ((x - mean) / std) ** 2 / 2
        densities.append(density)
    largest = max(densities)
    total = sum(math.exp(d - largest) for d in densities)
    return [math.exp(d - largest) / total for d in densities]


def assigned(model: RegimeModel, ts_ns: list[int], inputs: list[list[float]]) -> list[tuple[float, float, float]]:
    """Return (label, confidence, age) after each row."""
    out: list[tuple[float, float, float]] = []
    label, since, step, confidence = None, 0, None, NAN
    for ts, row in zip(ts_ns, inputs, strict=True):
        if any(math.isnan(x) for x in row) or ts <= model.fit_last_ns:
            out.append((NAN, NAN, NAN))
            continue
        if step is None or ts // model.step_ns > step:
            step = ts // model.step_ns
            p = posteriors(model, row)
            best = p.index(max(p))
            if label is None or (p[best] - p[label] > model.hysteresis and ts - since >= model.dwell_ns):
                if best != label:
                    since = ts
                label = best
            confidence = p[label]
        out.append((float(label), confidence, float(ts - since)))
    return out
