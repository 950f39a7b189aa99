"""Fit regimes on an interval that nothing is later judged on.

Rows are slow features on a grid of one second, scaled by their own median and quartiles. Every number of regimes from 2 to 5 is
fitted; the one with the smallest BIC among those that come out the same when blocks of the interval are drawn anew (mean
adjusted Rand index of 0.8 or more) is kept. Regimes are numbered by their mean volatility, so that ids mean the same after a
refit.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import content_hash
from edgesmith.domain.units import NS_PER_MINUTE, NS_PER_S, format_ns
from edgesmith.errors import DataError, InputError
from edgesmith.evaluation.decisions import DecisionSampler, sampled
from edgesmith.evaluation.mixture import Mixture, adjusted_rand, bic, fit_mixture, posteriors
from edgesmith.features.program import Program
from edgesmith.features.regime_model import FAR, INPUTS_MAX, REGIMES_MAX, Candidate, RegimeInput, RegimeModel
from edgesmith.features.text import parse_feature
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay

REGIMES_MIN = 2
STABILITY_MIN = 0.8
BOOTSTRAPS = 20
BLOCK_NS = 5 * NS_PER_MINUTE
# The inputs fade over a minute: rows closer than this say nothing new, and BIC would take them for evidence.
APART_NS = 30 * NS_PER_S
ROWS_MIN = 120
# Rows the mixtures are fitted on, thinned evenly beyond: a day of rows that say something new.
FIT_ROWS_MAX = 2_500
IQR_PER_STD = 1.349

QUOTE_INPUTS = (
    "realized_volatility(grid_ns=1000000000, half_life_ns=60000000000)",
    "realized_compression(half_life_ns=60000000000)",
    "mean_spread(half_life_ns=60000000000)",
    "quote_rate(half_life_ns=60000000000)",
    "path_efficiency(half_life_ns=60000000000)",
)
TRADE_INPUTS = (
    "trade_activity(half_life_ns=60000000000, warmup_events=20)",
    "trade_sign_memory(half_life_ns=60000000000, warmup_events=20)",
)
# Of these the size matters by its order of magnitude.
LOGS = ("realized_volatility", "volatility", "realized_compression", "mean_spread", "quote_rate", "trade_activity")


class RegimeFit(msgspec.Struct, frozen=True, kw_only=True):
    """How regimes are fitted."""

    inputs: tuple[str, ...] | None = None
    step_ns: int = NS_PER_S
    hysteresis: float = 0.2
    dwell_ns: int = NS_PER_MINUTE
    regimes: tuple[int, ...] = tuple(range(REGIMES_MIN, REGIMES_MAX + 1))
    seed: int = 0
    # Keep the best by BIC even where no number of regimes was stable; the model says so.
    allow_unstable: bool = False


def fit_regimes(partitions: Sequence[Partition], first_ns: int, last_ns: int, how: RegimeFit | None = None) -> RegimeModel:
    """Fit regimes of one instrument on the rows from `first_ns` to `last_ns`; nothing after that is read."""
    how = how or RegimeFit()
    read = [one for one in partitions if one.meta.ts_recv_min <= last_ns and one.meta.ts_recv_max >= first_ns]
    replay = Replay(read, start_ns=first_ns, end_ns=last_ns + 1)
    if len(replay.instruments) != 1:
        raise InputError(f"regimes were asked for {len(replay.instruments)} instruments at once, expected one")
    names = how.inputs or _inputs_for(read)
    if not 1 <= len(names) <= INPUTS_MAX:
        raise InputError(f"number of inputs was {len(names)}, expected 1 to {INPUTS_MAX}")
    ts_ns, values = slow_rows(replay, names, how.step_ns)
    if len(values) < ROWS_MIN:
        raise DataError(
            f"{len(values)} complete rows between {format_ns(first_ns)} and {format_ns(last_ns)}, expected at least {ROWS_MIN}: "
            "slow features need several minutes to warm up; fit on a longer interval"
        )
    inputs = tuple(_input(name, values[:, place]) for place, name in enumerate(names))
    rows = scaled_rows(inputs, values)
    chosen, candidates, stable = _chosen(rows, ts_ns, how)
    if not stable and not how.allow_unstable:
        tried = ", ".join(f"{one.regimes}: {one.stability:.2f}" for one in candidates)
        raise DataError(
            f"no number of regimes came out the same on resampled data (adjusted Rand index by number: {tried}; expected "
            f"{STABILITY_MIN} or more); fit on a longer interval, or pass --allow-unstable to look at one all the same"
        )
    order, volatilities = _by_volatility(rows, values[:, 0], chosen)
    venue, symbol = replay.instruments[0]
    return RegimeModel(
        instrument=f"{venue} {symbol}",
        data_fingerprint=content_hash([replay.fingerprint, first_ns, last_ns]),
        fit_first_ns=first_ns,
        fit_last_ns=last_ns,
        rows=len(rows),
        step_ns=how.step_ns,
        hysteresis=how.hysteresis,
        dwell_ns=how.dwell_ns,
        inputs=inputs,
        weights=tuple(chosen.weights[order].tolist()),
        means=tuple(tuple(row) for row in chosen.means[order].tolist()),
        stds=tuple(tuple(row) for row in chosen.stds[order].tolist()),
        volatilities=volatilities,
        candidates=candidates,
        is_stable=stable,
    )


def slow_rows(replay: Replay, names: Sequence[str], step_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the instants of the grid at which every input is known, and the inputs there."""
    program = Program([parse_feature(name).named(f"input_{place}") for place, name in enumerate(names)])
    sampler = DecisionSampler(program.width, grid_ns=step_ns)
    times, rows = [np.empty(0, np.int64)], [np.empty((0, program.width))]
    for found in sampled(replay.batches(), program, sampler):
        times.append(found.ts_ns)
        rows.append(found.features)
    every, all_rows = np.concatenate(times), np.concatenate(rows)
    known = np.isfinite(all_rows).all(axis=1)
    return every[known], all_rows[known]


def scaled_rows(inputs: Sequence[RegimeInput], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return inputs as the model sees them; the same arithmetic as the compiled assignment."""
    columns = []
    for place, one in enumerate(inputs):
        x = np.log(np.maximum(values[:, place], one.floor)) if one.is_log else values[:, place]
        columns.append(np.clip((x - one.center) * (1.0 / one.scale), -FAR, FAR))
    return np.column_stack(columns)


def _inputs_for(partitions: Sequence[Partition]) -> tuple[str, ...]:
    has_trades = any(one.key.stream.label == "trade" for one in partitions)
    return QUOTE_INPUTS + TRADE_INPUTS if has_trades else QUOTE_INPUTS


def _input(name: str, values: NDArray[np.float64]) -> RegimeInput:
    is_log = parse_feature(name).feature in LOGS
    positive = values[values > 0.0]
    floor = float(np.quantile(positive, 0.01)) / 10.0 if len(positive) else 1.0
    x = np.log(np.maximum(values, floor)) if is_log else values
    low, center, high = (float(q) for q in np.quantile(x, (0.25, 0.5, 0.75)))
    # Where half the rows are the same, their deviation at large is a scale all the same; 1 where nothing ever moves.
    scale = (high - low) / IQR_PER_STD or float(np.std(x)) or 1.0
    return RegimeInput(feature=name, is_log=is_log, floor=floor if is_log else 0.0, center=center, scale=scale)


def _chosen(rows: NDArray[np.float64], ts_ns: NDArray[np.int64], how: RegimeFit) -> tuple[Mixture, tuple[Candidate, ...], bool]:
    every = max(1, -(-len(rows) // FIT_ROWS_MAX))
    kept, blocks = rows[::every], ts_ns[::every] // BLOCK_NS
    independent = max(2.0, len(rows) * how.step_ns / APART_NS)
    fits: list[tuple[Candidate, Mixture]] = []
    for regimes in how.regimes:
        random = np.random.default_rng([how.seed, regimes])
        mixture, likelihood = fit_mixture(kept, regimes, random)
        criterion = bic(likelihood * independent / len(kept), independent, regimes, rows.shape[1])
        stability = _stability(kept, blocks, mixture, random)
        fits.append((Candidate(regimes=regimes, bic=criterion, stability=stability), mixture))
    stable = [fit for fit in fits if fit[0].stability >= STABILITY_MIN]
    _, mixture = min(stable or fits, key=lambda fit: fit[0].bic)
    return mixture, tuple(candidate for candidate, _ in fits), bool(stable)


def _stability(rows: NDArray[np.float64], blocks: NDArray[np.int64], mixture: Mixture, random: np.random.Generator) -> float:
    # Whole blocks are drawn: single rows would leave the regimes where they are whatever happened.
    own = posteriors(rows, mixture)[0].argmax(axis=1)
    members = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    scores = []
    for _ in range(BOOTSTRAPS):
        drawn = np.concatenate([members[k] for k in random.integers(0, len(members), len(members))])
        again, _ = fit_mixture(rows[drawn], len(mixture.weights), random, starts=2)
        scores.append(adjusted_rand(own, posteriors(rows, again)[0].argmax(axis=1)))
    return float(np.mean(scores))


def _by_volatility(
    rows: NDArray[np.float64], volatility: NDArray[np.float64], mixture: Mixture
) -> tuple[NDArray[np.int64], tuple[float, ...]]:
    shares, _ = posteriors(rows, mixture)
    means = (shares * volatility[:, None]).sum(axis=0) / np.maximum(shares.sum(axis=0), 1e-9)
    order = np.argsort(means, kind="stable")
    return order, tuple(means[order].tolist())
