"""Fit the tape simulator to the facts of a tape: a seeded random search that narrows, on common random numbers.

Every trial simulates the same seeds, so that trials differ by their parameters and not by luck; what is fitted is the median
over stretches as long as the tape itself. The distance counts rows of the acceptance table in half-widths of their range.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.worlds.accept import ACCEPTANCE, Range, median_facts, number_of
from edgesmith.worlds.market import Market
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.stylized import Facts, facts_of

START_NS = 490_968 * NS_PER_HOUR
EVALUATIONS_MAX = 100_000
# A row further off than this, in half-widths, counts no more: one hopeless row must not steer the rest.
_DISTANCE_MAX = 4.0
# Steps shrink from the first to the second over the search, in units of the logarithm (or logit) of a parameter.
_STEP_FIRST, _STEP_LAST = 0.5, 0.08
_CHANGED_RATIO = 0.35
# The search aims inside the acceptance ranges and, with less weight, at these facts too.
_ALSO: tuple[Range, ...] = tuple(
    Range(name, "factor", 1.0 / 1.5, 1.5)
    for name in (
        "fills_per_order_mean",
        "fill_qty_p50",
        "queue_qty_p50",
        "wide_episodes_per_s",
        "trade_r2_1_s",
        "imbalance_memory_s",
        "strong_imbalance_return_bps_1_s",
        "strong_imbalance_return_bps_5_s",
        "response_bps_10_ms",
        "response_bps_1_s",
        "quote_gap_cv",
        "same_ms_quote_ratio",
    )
)
_ALSO_WEIGHT = 0.3

FREE: tuple[str, ...] = (
    "actions_per_s",
    "fast_branching_ratio",
    "fast_ms",
    "medium_branching_ratio",
    "medium_ms",
    "slow_branching_ratio",
    "market_excitation",
    "market_ratio",
    "queue_typical_lots",
    "queue_restoring",
    "pull_ratio",
    "passive_median_lots",
    "passive_log_sd",
    "undo_ratio",
    "thin_side_pressure",
    "withdraw_ratio",
    "withdraw_imbalance_gain",
    "withdraw_flow_gain",
    "flow_memory_ms",
    "metaorder_ratio",
    "metaorder_tail",
    "sign_tilt",
    "order_median_lots",
    "order_log_sd",
    "order_tail_ratio",
    "fill_median_lots",
    "jump_median_ticks",
    "jump_log_sd",
    "jump_excess_gain",
    "new_queue_median_lots",
    "new_queue_log_sd",
    "follow_ratio",
    "follow_excess_gain",
    "follow_imbalance_gain",
    "follow_flow_gain",
    "follow_lots_per_tick",
    "refill_median_ms",
    "refill_log_sd",
    "refill_complete_ratio",
    "refill_step_ticks",
    "refill_median_lots",
)


class FitResult(msgspec.Struct, frozen=True):
    """The best parameters found, how far their facts are from the target's, and how many trials that took."""

    parameters: TapeParameters
    score: float
    evaluations: int
    facts: Facts


def simulated_facts(
    parameters: TapeParameters, instrument: Instrument, seeds: Sequence[int], span_s: float, per_seed: int = 1
) -> list[Facts]:
    """Measure `per_seed` stretches of `span_s` from the first simulated hour of each seed."""
    if not 0.0 < span_s * per_seed <= 3_600.0:
        raise InputError(f"span_s x per_seed was {span_s * per_seed:g} s, expected 0..3600: an hour is simulated")
    found = []
    for seed in seeds:
        hour = Market(instrument=instrument, parameters=parameters, seed=seed, start_ns=START_NS).hour(0)
        edges = START_NS + np.arange(per_seed + 1) * round(span_s * NS_PER_S)
        cuts = np.searchsorted(hour["ts_event"], edges)
        found += [facts_of(hour[begin:end], instrument.tick, "venue") for begin, end in itertools.pairwise(cuts)]
    return found


def distance(facts: Facts, target: Facts) -> float:
    """Return how far `facts` are from acceptable around `target`, as a root mean square of half-widths; lower is better."""
    total = sum(_row(accepted, facts, target) ** 2 for accepted in ACCEPTANCE)
    total += _ALSO_WEIGHT * sum(_row(wanted, facts, target) ** 2 for wanted in _ALSO)
    return math.sqrt(total / (len(ACCEPTANCE) + _ALSO_WEIGHT * len(_ALSO)))


def _row(wanted: Range, facts: Facts, target: Facts) -> float:
    value, aim = number_of(facts, wanted.name), number_of(target, wanted.name)
    if math.isnan(aim) and wanted.scale != "absolute":
        return 0.0
    if math.isnan(value):
        return _DISTANCE_MAX
    low, high = wanted.around(aim)
    if wanted.scale == "factor":
        off = abs(math.log(value / aim)) / math.log(wanted.high) if value / aim > 0.0 else _DISTANCE_MAX
        return min(off, _DISTANCE_MAX)
    return min(_off_range(value, aim, low, high), _DISTANCE_MAX)


def _off_range(value: float, aim: float, low: float, high: float) -> float:
    # Inside the range the distance grows gently towards its edges, so that the search leaves a margin.
    if math.isinf(low) or math.isinf(high):
        edge = high if math.isinf(low) else low
        beyond = value - edge if math.isinf(low) else edge - value
        return 0.0 if beyond <= 0.0 else 1.0 + beyond / max(abs(edge), 0.1)
    center = min(max(aim, low + 0.25 * (high - low)), high - 0.25 * (high - low)) if not math.isnan(aim) else 0.5 * (low + high)
    return abs(value - center) / (0.5 * (high - low))


def fit_tape(
    target: Facts,
    start: TapeParameters,
    instrument: Instrument,
    *,
    evaluations: int = 300,
    seed: int = 1,
    tapes: int = 4,
    free: Sequence[str] = FREE,
    progress: Callable[[int, int], None] | None = None,
) -> FitResult:
    """Search around `start` for parameters whose tapes look like `target`; same arguments, same result.

    Parameters
    ----------
    tapes
        Stretches of one simulated hour per trial; their median is compared.
    """
    if not 1 <= evaluations <= EVALUATIONS_MAX:
        raise InputError(f"evaluations was {evaluations}, expected 1..{EVALUATIONS_MAX}")
    rng = np.random.default_rng(seed)
    span_s = min(target.span_s, 3_600.0 / tapes)

    def measured(parameters: TapeParameters) -> FitResult | None:
        try:
            facts = median_facts(simulated_facts(parameters, instrument, [seed], span_s, tapes))
        except InputError:
            return None
        return FitResult(parameters, distance(facts, target), 1, facts)

    best = measured(start)
    if best is None:
        raise InputError("the start of the search could not be simulated; start from other parameters")
    for done in range(1, evaluations):
        step = _STEP_FIRST * (_STEP_LAST / _STEP_FIRST) ** (done / evaluations)
        candidate = neighbor(best.parameters, free, step, rng)
        tried = measured(candidate) if candidate is not None else None
        if tried is not None and tried.score < best.score:
            best = tried
        if progress is not None:
            progress(done + 1, evaluations)
    return msgspec.structs.replace(best, evaluations=evaluations)


def neighbor(parameters: TapeParameters, free: Sequence[str], step: float, rng: np.random.Generator) -> TapeParameters | None:
    """Return parameters moved at random in some of the `free` directions; None where that is not a legal market."""
    chosen = [name for name in free if rng.random() < _CHANGED_RATIO] or [free[int(rng.integers(len(free)))]]
    changes = {}
    for name in chosen:
        value = getattr(parameters, name)
        factor = math.exp(step * rng.standard_normal())
        # Shares move on the odds, so that they stay shares; what is 0 stays 0.
        odds = value / (1.0 - value) * factor if name.endswith("_ratio") and value < 1.0 else None
        changes[name] = odds / (1.0 + odds) if odds is not None else value * factor
    try:
        return msgspec.structs.replace(parameters, **changes)
    except InputError:
        return None
