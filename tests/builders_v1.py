"""Feature reports made by hand, a world in memory, and StrategyV1 over it."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import joined, records, taken
from edgesmith.evaluation.feature_report import Distribution, FeatureReport, FeatureScore
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program
from edgesmith.strategies.v1.config import V1Config
from edgesmith.strategies.v1.layout import CODES, OUTCOMES
from edgesmith.strategies.v1.strategy import StrategyV1
from edgesmith.trading.backtest import program_of
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine, EngineConfig
from edgesmith.trading.entry import compile_decide
from edgesmith.trading.state import VIEW
from edgesmith.trading.strategy import CompiledStrategy

MEASURED = ("imbalance_ema", "liquidity_pressure", "trade_flow_imbalance", "roc", "ema_slope")
NS_PER_S = 1_000_000_000


def blank(kind: Any) -> Any:
    """Return the emptiest value of a type: what a report holds where nothing reads it."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        required = [one.name for one in msgspec.structs.fields(kind) if one.required]
        return kind(**{name: blank(hints[name]) for name in required})
    if typing.get_origin(kind) in (tuple, dict):
        return typing.get_origin(kind)()
    return None if type(None) in typing.get_args(kind) else kind()


def scores() -> list[dict[str, Any]]:
    """Return scores of every measured feature: one fades the move, the others follow."""
    return [
        {"feature": name, "alpha": 0.9 - 0.1 * place, "direction": -1 if name == "ema_slope" else 1, "median": 0.01, "scale": 0.5}
        for place, name in enumerate(MEASURED)
    ]


def report_of(
    scores: Sequence[Mapping[str, Any]],
    *,
    horizon_ns: int = 5 * NS_PER_S,
    last_ns: int = 1_000,
    ends: Mapping[str, tuple[float, float]] | None = None,
) -> FeatureReport:
    """Return a report with these scores; what they leave out is blank. `ends` are the least and largest values seen."""
    distributions = tuple(
        msgspec.structs.replace(blank(Distribution), column=name, minimum=low, maximum=high)
        for name, (low, high) in (ends or {}).items()
    )
    filled = tuple(
        msgspec.structs.replace(
            blank(FeatureScore), **{"params": dict(feature(str(score["feature"])).params), "column": score["feature"], **score}
        )
        for score in scores
    )
    facts: dict[str, Any] = {"distributions": distributions, "horizon_ns": horizon_ns, "first_ns": 1, "last_ns": last_ns}
    return msgspec.structs.replace(blank(FeatureReport), scores=filled, rows=10, **facts)


@cache
def world(shift_bps: float, hours: int = 2, seed: int = 1) -> tuple[NDArray[Any], Instrument]:
    """Return events in decision order, and their instrument: a lasting book pressure drifts the price by small steps."""
    from edgesmith.worlds.plant import Plant
    from edgesmith.worlds.regions import Region
    from edgesmith.worlds.scenario import Scenario
    from edgesmith.worlds.world import World

    region = Region(feature="imbalance_ema", low=0.6, mirrored=True)
    plant = Plant(region=region, side=1, shift_bps=shift_bps or 1.0, probability_ratio=1.0, every_ms=250, window_ms=500)
    scenario = Scenario(name="pressure", summary="", symbol="PRESSUREUSDT", plants=(plant,) if shift_bps else (), hours=hours)
    made = World(scenario, seed, date(2026, 1, 5), hours)
    events = joined([made.hour(hour).events for hour in range(hours)])
    keys = [events[name] for name in ("seq", "kind", "instrument", "ts_event", "ts_recv")]
    return taken(events, np.lexsort(keys)), made.instrument


def measured_report(events: NDArray[Any], horizon_ns: int = 10 * NS_PER_S) -> FeatureReport:
    """Return a report on quotes of `events`: rank correlation with the move over the horizon, median and IQR."""
    program = Program([feature(name) for name in MEASURED])
    rows = program.compute(events)
    quotes = np.flatnonzero(events["kind"] == Stream.BBO)
    ts, mid = events["ts_recv"][quotes], 0.5 * (events["bid_price"][quotes] + events["ask_price"][quotes])
    ahead = np.searchsorted(ts, ts + horizon_ns)
    kept = np.flatnonzero(ahead < len(ts))[1_000::10]
    move = mid[ahead[kept]] / mid[kept] - 1.0
    values = rows[quotes[kept]]
    scores = []
    for name, column in zip(MEASURED, values.T, strict=True):
        known = np.isfinite(column)
        low, median, high = np.quantile(column[known], (0.25, 0.5, 0.75))
        correlation = float(np.corrcoef(_ranks(column[known]), _ranks(move[known]))[0, 1])
        scale = float(max((high - low) / 1.349, column[known].std() * 0.1))
        scores.append(
            {
                "feature": name,
                "label_correlation": correlation,
                "direction": int(np.sign(correlation)),
                "median": float(median),
                "scale": scale,
            }
        )
    largest = max(abs(score["label_correlation"]) for score in scores)
    for score in scores:
        score["alpha"] = 0.4 + 0.5 * abs(score["label_correlation"]) / largest
    ranked = sorted(scores, key=lambda score: -score["alpha"])
    return report_of(ranked, horizon_ns=horizon_ns, last_ns=int(events["ts_recv"][-1]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)


def halves(events: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the first and the second half in time: to fit on, and to run on."""
    border = len(events) // 2
    return events[:border].copy(), events[border:].copy()


def run(
    strategy: CompiledStrategy,
    events: NDArray[Any],
    instrument: Instrument,
    *,
    folder: Path | None = None,
    config: EngineConfig | None = None,
) -> Engine:
    """Return an engine that ran `strategy` over `events`."""
    engine = Engine([instrument], config or EngineConfig(), CompiledDriver(strategy), program=program_of(strategy), folder=folder)
    for begin in range(0, len(events), 65_536):
        engine.feed(events[begin : begin + 65_536])
    engine.finish()
    return engine


Seen = tuple[int, tuple[float, float], float, float, list[float], float]


def rows_of(strategy: StrategyV1, count: int, seed: int) -> NDArray[np.float64]:
    """Return feature rows that wander through every regime, with gaps."""
    rng = np.random.default_rng(seed)
    width = 3 + len(strategy.selection.features)
    rows = np.empty((count, width))
    rows[:, 0] = np.exp(rng.normal(0.0, 0.4, count))
    rows[:, 1] = np.clip(rng.normal(0.0, 0.6, count), -1.0, 1.0)
    rows[:, 2] = np.exp(rng.normal(0.0, 0.3, count))
    common = np.repeat(rng.normal(0.0, 1.0, count // 20 + 1), 20)[:count]
    rows[:, 3:] = common[:, None] + rng.normal(0.0, 0.5, (count, width - 3))
    rows[rng.random((count, width)) < 0.01] = np.nan
    return rows


def decisions_of(strategy: StrategyV1, rows: NDArray[np.float64], *, lot: float = 0.001) -> list[tuple[Seen, tuple[str, float]]]:
    """Return what the compiled decision saw and made of every row; an order fills two quotes later, one in ten is refused."""
    views = records(VIEW)
    view = views[0]
    decide = compile_decide(strategy.name, type(strategy).decide)
    params = strategy.params()
    view["lot"] = lot
    view["params"][: len(params)] = params
    rng = np.random.default_rng(11)
    ts, held, wanted, due = 1_700_000_000_000_000_123, 0.0, 0.0, -1
    found = []
    for index, row in enumerate(rows):
        ts += int(rng.integers(1, 120_000_000))
        if index == due:
            held = held if rng.random() < 0.1 else wanted
            due = -1
        pending = wanted - held if due >= 0 else 0.0
        bid = 20_000.0 + float(rng.normal())
        ask = bid + float(rng.choice([0.1, 5.0, 30.0], p=[0.8, 0.15, 0.05]))
        view["ts"], view["bid_price"], view["ask_price"], view["position_qty"], view["pending_qty"] = ts, bid, ask, held, pending
        view["features"][: len(row)] = row
        before = view["memory"][OUTCOMES : OUTCOMES + 20].copy()
        target = float(decide(view))
        code = CODES[int(np.argmax(view["memory"][OUTCOMES : OUTCOMES + 20] - before))][0]
        if target == target:
            wanted, due = target, index + 2
        found.append(((ts, (bid, ask), held, pending, row.tolist(), lot), (code, target)))
    return found


def fallback_decisions() -> dict[str, Any]:
    """Return how often each outcome came, and the sum of what was wanted, for the fallback: the same in plain Python."""
    strategy = StrategyV1(V1Config(standardize_events=150, signals_min=1, gate_cooldown_ms=100.0, hold_s_max=2.0, hold_s_min=0.1))
    decided = decisions_of(strategy, rows_of(strategy, 2_500, seed=8))
    counts: dict[str, Any] = {}
    for _, (code, target) in decided:
        counts[code] = counts.get(code, 0) + 1
        if target == target:
            counts["wanted"] = counts.get("wanted", 0.0) + target * (counts[code] + 1)
    return counts
