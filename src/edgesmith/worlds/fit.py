"""Fit the tape simulator to the facts of a tape: an evolution strategy on common random numbers.

The trials of a generation simulate the same world, so that they differ by their parameters and not by luck; generations take
turns among a few worlds. What is fitted is the median over stretches as long as the tape itself. The distance counts rows of
the acceptance table in half-widths of their range.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.worlds.accept import ACCEPTANCE, Range, median_facts, number_of
from edgesmith.worlds.market import Market
from edgesmith.worlds.observation import Clock
from edgesmith.worlds.parameters import TapeParameters
from edgesmith.worlds.search import Search
from edgesmith.worlds.stylized import Facts, facts_of

START_NS = 490_968 * NS_PER_HOUR
EVALUATIONS_MAX = 100_000
# A row further off than this, in half-widths, counts no more: one hopeless row must not steer the rest.
_DISTANCE_MAX = 4.0
# First step of the search, in units of the logarithm (or the log odds) of a parameter.
_STEP = 0.15
# Generations take turns among this many worlds, so that what is found is not the luck of one.
_SEEDS = 4
# The search aims inside the acceptance ranges and, with less weight, at these facts too.
_ALSO: tuple[Range, ...] = tuple(
    Range(name, "factor", 1.0 / 1.5, 1.5)
    for name in (
        "fills_per_order_mean",
        "fill_qty_p50",
        "order_qty_p50",
        "order_qty_p90",
        "order_qty_p99",
        "order_fano_1_s",
        "move_fano_100_ms",
        "move_fano_1_s",
        "quiet_second_ratio",
        "imbalance_size_p50",
        "queue_qty_p10",
        "queue_qty_p90",
        "wide_event_ratio",
        "quote_gap_ms_p99",
        "return_bps_sd_5_s",
        "queue_qty_p50",
        "wide_episodes_per_s",
        "trade_r2_1_s",
        "imbalance_memory_s",
        "strong_imbalance_return_bps_1_s",
        "strong_imbalance_return_bps_5_s",
        "response_bps_10_ms",
        "response_bps_1_s",
        "response_bps_10_s",
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
    "order_tail",
    "order_tail_floor_lots",
    "fill_median_lots",
    "fill_log_sd",
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
    "follow_predicted_loss",
    "withdraw_left_ratio",
    "refill_median_ms",
    "refill_log_sd",
    "refill_complete_ratio",
    "refill_step_ticks",
    "refill_median_lots",
    "run_start_ratio",
    "run_length_min",
    "run_length_tail",
    "run_gap_ms",
    "run_gap_log_sd",
    "run_market_ratio",
    "run_order_gain",
    "run_sign_ratio",
    "run_follow_ratio",
    "run_shift_ratio",
    "run_turn_ratio",
    "run_settle_lots",
    "run_excitation",
)


class FitResult(msgspec.Struct, frozen=True):
    """The best parameters found, how far their facts are from the target's, and how many trials that took."""

    parameters: TapeParameters
    score: float
    evaluations: int
    facts: Facts


def simulated_facts(
    parameters: TapeParameters,
    instrument: Instrument,
    seeds: Sequence[int],
    span_s: float,
    per_seed: int = 1,
    clock: Clock = "venue",
) -> list[Facts]:
    """Measure `per_seed` stretches of `span_s` from the first hour of each seed, on the target's `clock`."""
    if not 0.0 < span_s * per_seed <= 3_600.0:
        raise InputError(f"span_s x per_seed was {span_s * per_seed:g} s, expected 0..3600: an hour is simulated")
    found = []
    for seed in seeds:
        market = Market(instrument=instrument, parameters=parameters, seed=seed, start_ns=START_NS)
        tape = market.opening(min(round(span_s * per_seed * NS_PER_S) + 1, NS_PER_HOUR))
        edges = START_NS + np.arange(per_seed + 1) * round(span_s * NS_PER_S)
        cuts = np.searchsorted(tape["ts_event"], edges)
        found += [facts_of(tape[begin:end], instrument.tick, clock) for begin, end in itertools.pairwise(cuts)]
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
    tapes: int = 3,
    free: Sequence[str] = FREE,
    progress: Callable[[int, int], None] | None = None,
) -> FitResult:
    """Search around `start` for parameters whose tapes look like `target`; same arguments, same result.

    Parameters
    ----------
    evaluations
        Trials; the first is `start` and the last the center of the search, each measured in every world the search uses.
    tapes
        Stretches of one simulated hour per trial; their median is compared.
    free
        Parameters the search may move; those that are 0 at the start are parts of the market that are off, and stay so.
    """
    if not 1 <= evaluations <= EVALUATIONS_MAX:
        raise InputError(f"evaluations was {evaluations}, expected 1..{EVALUATIONS_MAX}")
    rng = np.random.default_rng(seed)
    span_s = min(target.span_s, 3_600.0 / tapes)
    clock: Clock = "receive" if target.clock == "receive" else "venue"

    def measured(parameters: TapeParameters, seeds: Sequence[int]) -> FitResult | None:
        try:
            facts = median_facts(simulated_facts(parameters, instrument, seeds, span_s, tapes, clock))
        except InputError:
            return None
        return FitResult(parameters, distance(facts, target), 1, facts)

    last_seeds = [seed + step for step in range(_SEEDS)]
    first = measured(start, last_seeds)
    if first is None:
        raise InputError("the start of the search could not be simulated; start from other parameters")
    names = [name for name in free if getattr(start, name) > 0.0]
    search = Search.around(coded(start, names), _STEP)
    done = 1
    while done + search.population < evaluations:
        at = [seed + (done // search.population) % _SEEDS]
        points = search.sample(rng)
        scores = []
        for point in points:
            candidate = decoded(start, names, point)
            tried = measured(candidate, at) if candidate is not None else None
            scores.append(tried.score if tried is not None else math.inf)
            done += 1
            if progress is not None:
                progress(done, evaluations)
        search.learn(points, np.array(scores))
    candidate = decoded(start, names, search.mean)
    last = measured(candidate, last_seeds) if candidate is not None and done > 1 else None
    best = last if last is not None and last.score < first.score else first
    if progress is not None:
        progress(evaluations, evaluations)
    return msgspec.structs.replace(best, evaluations=evaluations)


def coded(parameters: TapeParameters, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the parameters as the search sees them: logarithms, and log odds of shares."""
    values = np.array([getattr(parameters, name) for name in names])
    share = np.array([_is_share(name, value) for name, value in zip(names, values, strict=True)])
    return np.where(share, np.log(values / np.where(share, 1.0 - values, 1.0)), np.log(values))


def decoded(start: TapeParameters, names: Sequence[str], point: NDArray[np.float64]) -> TapeParameters | None:
    """Return `start` with the parameters `point` codes; None where that is not a legal market."""
    changes = {}
    for name, code in zip(names, point, strict=True):
        value = math.exp(min(float(code), 50.0))
        changes[name] = value / (1.0 + value) if _is_share(name, getattr(start, name)) else value
    try:
        return msgspec.structs.replace(start, **changes)
    except InputError:
        return None


def _is_share(name: str, value: float) -> bool:
    return name.endswith("_ratio") and value < 1.0
