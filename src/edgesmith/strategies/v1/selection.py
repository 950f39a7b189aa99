"""Which features StrategyV1 reads: the best of a feature report, or the fallback; and the numbers that turn values into signals.

A report measures features on one instrument over one interval. Running over that interval is in sample, and the run says so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import InputError
from edgesmith.features.catalog import feature
from edgesmith.features.operator import FeatureSpec, Mirror
from edgesmith.strategies.v1.config import Mode, V1Config
from edgesmith.strategies.v1.modes import is_move, multiplier

if TYPE_CHECKING:
    from edgesmith.evaluation.feature_report import FeatureScore

HOLD_S_DEFAULT = 30.0
# Name, alpha score, direction: what the prior system fell back to.
FALLBACK = (("roc", 0.40, 1), ("ema_slope", 0.35, 1), ("volatility", 0.30, -1))


class Selected(msgspec.Struct, frozen=True):
    """One feature in use.

    `center` and `scale` are None where they are learned as the run goes; `scales_reached` is how many scales from the center its
    values went in the report's data, infinite where that is not known.
    """

    spec: FeatureSpec
    alpha: float
    direction: int
    center: float | None
    scale: float | None
    move: bool
    scales_reached: float = math.inf

    def multipliers(self, config: V1Config) -> tuple[float, ...]:
        """Return what each mode makes of its signal."""
        measured = self.center is not None
        return tuple(
            multiplier(mode, move=self.move, direction=self.direction, measured=measured, config=config) for mode in Mode
        )


class Selection(msgspec.Struct, frozen=True):
    """The features in use, and where they come from."""

    features: tuple[Selected, ...]
    source: str
    hold_ns: int
    fitted_ns: tuple[int, int] | None = None
    report_sha256: str = ""
    fitted_instrument: str = ""

    @property
    def online(self) -> bool:
        """Tell whether centers and scales are learned as the run goes."""
        return self.fitted_ns is None

    def described(self) -> dict[str, Any]:
        """Return it as plain data, as manifests hold it."""
        features = [
            {
                "column": one.spec.name,
                "feature": str(one.spec),
                "alpha": one.alpha,
                "direction": one.direction,
                "center": one.center,
                "scale": one.scale,
                "move": one.move,
            }
            for one in self.features
        ]
        fitted: dict[str, Any] = {}
        if self.fitted_ns:
            first_ns, last_ns = self.fitted_ns
            fitted = {"fitted_first_ns": first_ns, "fitted_last_ns": last_ns, "fitted_instrument": self.fitted_instrument}
        return {"source": self.source, "features": features, "report_sha256": self.report_sha256, **fitted}


def select(config: V1Config) -> Selection:
    """Return the features `config` asks for."""
    if config.report:
        return _from_report(Path(config.report), config)
    chosen = tuple(_fallback(name, alpha, direction) for name, alpha, direction in FALLBACK[: config.top_n])
    return Selection(chosen, "fallback", _hold_ns(config, None))


def _fallback(name: str, alpha: float, direction: int) -> Selected:
    spec = feature(name)
    return Selected(spec, alpha, direction, None, None, is_move(spec))


def _from_report(path: Path, config: V1Config) -> Selection:
    from edgesmith.evaluation.feature_report import load_report

    if not path.is_file():
        raise InputError(f"report was '{path}', expected a features_report.json; `edgesmith features analyze` writes one")
    report = load_report(path)
    usable = [score for score in report.scores if _usable(score)]
    chosen = [score for score in usable if score.alpha >= config.alpha_min][: config.top_n]
    if not chosen:
        best = max((score.alpha for score in usable), default=0.0)
        raise InputError(
            f"alpha_min was {config.alpha_min:g}, but the largest alpha score of a usable feature in {path} is {best:.3g}"
        )
    reached = {one.column: (one.minimum, one.maximum) for one in report.distributions}
    return Selection(
        tuple(_selected(score, reached.get(score.column, (None, None))) for score in chosen),
        "report",
        _hold_ns(config, report.horizon_ns),
        (report.first_ns, report.last_ns),
        hashlib.sha256(path.read_bytes()).hexdigest(),
        report.instrument,
    )


def _usable(score: FeatureScore) -> bool:
    # A price level says nothing about tomorrow's; a feature without a scale or a direction cannot be a signal.
    level = spec_of(score.feature, score.params).definition.mirror is Mirror.LEVEL
    return not level and score.direction != 0 and score.scale > 0.0 and score.alpha > 0.0


def _selected(score: FeatureScore, ends: tuple[float | None, float | None]) -> Selected:
    spec = spec_of(score.feature, score.params).named(score.column)
    away = [abs(end - score.median) / score.scale if end is not None else math.inf for end in ends]
    return Selected(spec, score.alpha, score.direction, score.median, score.scale, is_move(spec), max(away))


def spec_of(name: str, params: Mapping[str, float]) -> FeatureSpec:
    """Return a feature with parameters as JSON has them: whole numbers may have become floats."""
    whole = {param.name for param in feature(name).definition.params if param.is_integer}
    return feature(name, **{key: int(value) if key in whole else value for key, value in params.items()})


def _hold_ns(config: V1Config, horizon_ns: int | None) -> int:
    if config.hold_s_max > 0.0:
        return int(config.hold_s_max * NS_PER_S)
    return horizon_ns if horizon_ns is not None else int(HOLD_S_DEFAULT * NS_PER_S)
