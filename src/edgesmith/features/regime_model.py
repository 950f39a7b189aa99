"""A fitted regime model, and its label, confidence and age as features.

A model is a mixture of Gaussians with independent inputs, fitted by `edgesmith.evaluation.regimes` on rows of an interval that
it carries with it: up to the end of that interval the features are missing, so nobody can look at a label that knew its future.

Inputs are transformed and scaled exactly as in the fit (`scaled`), once per `step_ns` of the receive clock. The regime with the
largest posterior takes over when its posterior leads by more than `hysteresis` and the present one has lasted `dwell_ns`.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from edgesmith.canonical import canonical_json, content_hash
from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_MINUTE, NS_PER_S, format_ns
from edgesmith.errors import CorruptDataError, InputError
from edgesmith.features.operator import (
    TS_NS,
    Feature,
    FeatureSpec,
    Floats,
    Ints,
    Mirror,
    Node,
    Operator,
    Unit,
    latest,
    register_loaded,
)
from edgesmith.features.text import parse_feature

REGIMES_MAX = 5
INPUTS_MAX = 8
# Beyond this many scales an input says no more than "far out".
FAR = 6.0
# The size of a label in the one number the assignment returns; the posterior, at most 1, is the rest.
LABEL_SIZE = 2.0

# Places in the workspace: regimes, hysteresis, dwell_ns, step_ns, fit_last_ns in seconds and rest; then 4 an input, 17 a regime.
_INPUT_AT = 6
_REGIME_AT = _INPUT_AT + 4 * INPUTS_MAX
_REGIME_SIZE = 1 + 2 * INPUTS_MAX
_SCALED_AT = _REGIME_AT + REGIMES_MAX * _REGIME_SIZE
_POSTERIOR_AT = _SCALED_AT + INPUTS_MAX
_WORKSPACE = _POSTERIOR_AT + REGIMES_MAX


class RegimeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input: a feature, its logarithm if asked for, and the center and scale of its rows in the fit interval."""

    feature: str
    is_log: bool
    # A value below is taken for this one, so that the logarithm of nothing is a number.
    floor: float
    center: float
    scale: float

    def scaled(self, x: float) -> float:
        """Return x as the model sees it."""
        return float(scaled(x, float(self.is_log), self.floor, self.center, 1.0 / self.scale))


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number of regimes that was tried; `stability` is the mean adjusted Rand index of refits on resampled blocks."""

    regimes: int
    bic: float
    stability: float


class RegimeModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Regimes in order of volatility, what they were fitted on, and how they are assigned."""

    schema_version: int = 1
    instrument: str
    data_fingerprint: str
    fit_first_ns: int
    fit_last_ns: int
    rows: int
    step_ns: int = NS_PER_S
    hysteresis: float = 0.2
    dwell_ns: int = NS_PER_MINUTE
    # The first input is the volatility, by which regimes are numbered.
    inputs: tuple[RegimeInput, ...]
    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    stds: tuple[tuple[float, ...], ...]
    volatilities: tuple[float, ...]
    candidates: tuple[Candidate, ...]
    is_stable: bool

    @property
    def model_id(self) -> str:
        """Return the hash of its content, short enough for names."""
        return content_hash(self)[:12]

    @property
    def regimes(self) -> int:
        """Return the number of regimes; labels are 0 (calmest) to this less 1."""
        return len(self.weights)

    def save(self, path: Path) -> Path:
        """Write canonical JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(canonical_json(self))
        return path

    def require_after_fit(self, first_ns: int) -> None:
        """Raise InputError unless rows from `first_ns` on all come after the fit interval."""
        if first_ns <= self.fit_last_ns:
            raise InputError(
                f"regimes were asked for from {format_ns(first_ns)}, expected after {format_ns(self.fit_last_ns)}: model "
                f"{self.model_id} was fitted on data up to then, and its labels there know their future; choose a later --from"
            )

    def features(self) -> tuple[FeatureSpec, FeatureSpec, FeatureSpec]:
        """Return the columns regime_label, regime_confidence and regime_age_ns."""
        return tuple(FeatureSpec(f"regime_{part}", name, ()) for part, name in self._register().items())  # type: ignore[return-value]

    def _register(self) -> dict[str, str]:
        node = self._node()
        label = Operator(label_of)(node)
        parts = {
            "label": (label, Unit.LABEL, f"Regime 0 (calmest) to {self.regimes - 1} of model {self.model_id}."),
            "confidence": (Operator(confidence_of)(node), Unit.RATIO, f"Posterior of the regime of model {self.model_id}."),
            "age_ns": (_AGE(TS_NS, label), Unit.RATIO, f"Nanoseconds since the regime of model {self.model_id} began."),
        }
        names = {part: f"regime_{part}_{self.model_id}" for part in parts}
        for part, (root, unit, summary) in parts.items():
            built = Feature(names[part], "regime_model", summary, unit, Mirror.NONE, 0.0, (), lambda root=root: root)
            register_loaded(built)
        return names

    def _node(self) -> Node:
        nodes = [_on_quotes(parse_feature(one.feature).node) for one in self.inputs]
        unused = [nodes[0]] * (INPUTS_MAX - len(nodes))
        numbers = self._numbers()
        # The identity of the model is a parameter, so that a program's identity is also that of its models.
        identity = int(self.model_id, 16)
        assigning = Operator(
            assign,
            initial=(math.nan,),
            counters=3,
            workspace=lambda _identity: numbers,
            hears=frozenset({Stream.BBO}),
            warmup_ns=lambda _identity: 0,
        )
        return assigning(TS_NS, *nodes, *unused, params=(identity,))

    def _numbers(self) -> tuple[float, ...]:
        numbers = [0.0] * _WORKSPACE
        head = (self.regimes, self.hysteresis, self.dwell_ns, self.step_ns, *divmod(self.fit_last_ns, NS_PER_S))
        numbers[:_INPUT_AT] = [float(x) for x in head]
        for j, one in enumerate(self.inputs):
            at = _INPUT_AT + 4 * j
            numbers[at : at + 4] = [float(one.is_log), one.floor, one.center, 1.0 / one.scale]
        for k, (weight, means, stds) in enumerate(zip(self.weights, self.means, self.stds, strict=True)):
            at = _REGIME_AT + k * _REGIME_SIZE
            numbers[at] = math.log(weight) - sum(math.log(std) for std in stds)
            # What is not used keeps a precision of 0 and counts for nothing.
            numbers[at + 1 : at + 1 + len(means)] = means
            numbers[at + 1 + INPUTS_MAX : at + 1 + INPUTS_MAX + len(stds)] = [1.0 / std for std in stds]
        return tuple(numbers)


def load_model(path: Path) -> RegimeModel:
    """Read a model and make its features known."""
    try:
        model = msgspec.json.decode(path.read_bytes(), type=RegimeModel)
    except FileNotFoundError:
        raise InputError(f"{path} was not there; fit a regime model with `edgesmith regimes fit`") from None
    except msgspec.MsgspecError as error:
        raise CorruptDataError(f"{path} was not a regime model ({error}); fit it again with `edgesmith regimes fit`") from None
    model.features()
    return model


def _on_quotes(node: Node) -> Node:
    return node if Stream.BBO in node.consumes else latest(node)


def scaled(x: float, is_log: float, floor: float, center: float, precision: float) -> float:
    """Return ((log of) x - center) precision, held to -FAR to FAR."""
    y = math.log(max(x, floor)) if is_log > 0.0 else x
    z = (y - center) * precision
    return min(max(z, -FAR), FAR)


def assign(
    f: Floats,
    i: Ints,
    at: int,
    n: int,
    space: int,
    ts_ns: int,
    x0: float,
    x1: float,
    x2: float,
    x3: float,
    x4: float,
    x5: float,
    x6: float,
    x7: float,
    model: int,
) -> float:
    """Return LABEL_SIZE times the label plus its posterior, looked at anew in each step of the clock.

    `f[at]` is the value of this step; `i` holds the number of this step, 1 + the label (0 before the first), and when it began.
    """
    total = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7
    if total - total != 0.0:
        return math.nan
    blind_until_ns = int(f[space + 4]) * 1_000_000_000 + int(f[space + 5])
    if ts_ns <= blind_until_ns:
        return math.nan
    step = ts_ns // int(f[space + 3])
    if i[n + 1] > 0 and step <= i[n]:
        return f[at]
    i[n] = step
    f[space + _SCALED_AT] = x0
    f[space + _SCALED_AT + 1] = x1
    f[space + _SCALED_AT + 2] = x2
    f[space + _SCALED_AT + 3] = x3
    f[space + _SCALED_AT + 4] = x4
    f[space + _SCALED_AT + 5] = x5
    f[space + _SCALED_AT + 6] = x6
    f[space + _SCALED_AT + 7] = x7
    for j in range(INPUTS_MAX):
        q = space + _INPUT_AT + 4 * j
        f[space + _SCALED_AT + j] = scaled(f[space + _SCALED_AT + j], f[q], f[q + 1], f[q + 2], f[q + 3])
    regimes = int(f[space])
    likeliest = 0
    largest = -math.inf
    for k in range(regimes):
        r = space + _REGIME_AT + k * _REGIME_SIZE
        log_density = f[r]
        for j in range(INPUTS_MAX):
            distance = (f[space + _SCALED_AT + j] - f[r + 1 + j]) * f[r + 1 + INPUTS_MAX + j]
            log_density -= 0.5 * distance * distance
        f[space + _POSTERIOR_AT + k] = log_density
        if log_density > largest:
            largest = log_density
            likeliest = k
    weight = 0.0
    for k in range(regimes):
        density = math.exp(f[space + _POSTERIOR_AT + k] - largest)
        f[space + _POSTERIOR_AT + k] = density
        weight += density
    present = i[n + 1] - 1
    lead = 1.0
    if present >= 0:
        lead = (f[space + _POSTERIOR_AT + likeliest] - f[space + _POSTERIOR_AT + present]) / weight
    if present < 0 or (lead > f[space + 1] and ts_ns - i[n + 2] >= int(f[space + 2])):
        present = likeliest
        i[n + 1] = likeliest + 1
        i[n + 2] = ts_ns
    value = LABEL_SIZE * present + f[space + _POSTERIOR_AT + present] / weight
    f[at] = value
    return value


def label_of(assigned: float) -> float:
    """Return the label in what `assign` returned."""
    return float(math.floor(assigned / LABEL_SIZE)) if assigned == assigned else assigned


def confidence_of(assigned: float) -> float:
    """Return the posterior in what `assign` returned."""
    return assigned - LABEL_SIZE * math.floor(assigned / LABEL_SIZE) if assigned == assigned else assigned


def age(f: Floats, i: Ints, at: int, n: int, ts_ns: int, label: float) -> float:
    """Return the nanoseconds since the label changed last."""
    if label != label:
        return math.nan
    if i[n] == 0 or f[at] != label:
        f[at] = label
        i[n] = 1
        i[n + 1] = ts_ns
    return float(ts_ns - i[n + 1])


_AGE = Operator(age, initial=(math.nan,), counters=2)
