"""The vault's evaluator: the frozen replay of validation, block by block, with one-sided sign-flip tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import content_hash
from edgesmith.domain.events import Stream
from edgesmith.domain.records import as_records
from edgesmith.edges.edge import Bound, EdgeSpec
from edgesmith.edges.evaluator import Onsets, Profits
from edgesmith.edges.trials import COMMON_NS_MIN
from edgesmith.edges.validation import frozen, maker_strategy, replays, trigger, trigger_strategy
from edgesmith.edges.vault_records import Evaluation
from edgesmith.errors import InputError
from edgesmith.evaluation.intervals import skewness_widening
from edgesmith.evaluation.labels import block_length_ns
from edgesmith.evaluation.significance import mean_influence, sign_flip
from edgesmith.features.program import Program, ProgramState
from edgesmith.features.regime_model import RegimeModel
from edgesmith.features.text import parse_feature
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay
from edgesmith.trading.backtest import Progress, instruments_of

FLIPS = 9_999
SEED = 1
# What a spec is decided on, as in the strategy that trades it, and what its funding is known from.
STREAMS = frozenset({Stream.BBO, Stream.TRADE})
COST_STREAMS = frozenset({Stream.MARK_PRICE, Stream.FUNDING})
_OF_A_MODEL = re.compile(r"regime_(?:label|confidence|age_ns)_([0-9a-f]{12})\b")

Floats = NDArray[np.float64]


class FrozenEvaluator:
    """Trades the edge through the real engine and tests the block sums of its trades; a maker is filled behind the whole queue.

    `regimes` is the model of edges that act in some regimes only; `progress` hears of the events read.
    """

    def __init__(self, regimes: RegimeModel | None = None, progress: Progress | None = None) -> None:
        self._regimes = regimes
        self._progress = progress

    @property
    def name(self) -> str:
        """Return the method and the hash of its code."""
        modules = (frozen, maker_strategy, replays, trigger, trigger_strategy)
        sources = [str(module.__file__) for module in modules]
        digest = hashlib.sha256(b"".join(Path(one).read_bytes() for one in [*sources, __file__])).hexdigest()
        return f"frozen replay {digest[:12]}"

    def regimes_sha256(self, spec: EdgeSpec) -> str | None:
        """Return the hash of the regime model where the edge rests on one."""
        return content_hash(self._regimes) if self._regimes is not None and _models_of(spec) else None

    def check(self, spec: EdgeSpec, outside: Sequence[Partition], first_ns: int) -> None:
        """Raise InputError for an edge that cannot be replayed here, or whose regime model is not at hand or knows these days."""
        self._check_regimes(spec, first_ns)
        (instrument,) = instruments_of(outside, [(spec.venue, spec.symbol.upper())])
        if reason := frozen.why_not_replayed(spec, instrument):
            raise InputError(f"{spec.edge_id} {reason}")
        # A feature that looks at more instruments than the edge names is found out here, before the seal.
        _program(spec).new_state(1 if spec.trigger.leader is None else 2)

    def onsets(self, specs: Sequence[EdgeSpec], partitions: Sequence[Partition]) -> list[Onsets]:
        """Return the receive times of the events at which each trigger became true; one pass over the data for each leader."""
        found: dict[str, Onsets] = {}
        for leader in sorted({spec.trigger.leader or "" for spec in specs}):
            led = [spec for spec in specs if (spec.trigger.leader or "") == leader]
            found.update(_onsets(led, [one for spec in led for one in _used(spec, partitions)]))
        return [found[spec.edge_id] for spec in specs]

    def profits(self, spec: EdgeSpec, partitions: Sequence[Partition], block_ns: int) -> Profits:
        """Return the net profit of each block of `block_ns` in which the symbol has data."""
        trades = self._replayed(spec, partitions, block_ns).trades
        blocks = _blocks([one for one in partitions if one.key.symbol == spec.symbol.upper()], block_ns)
        # A trade is entered a latency after the data it was decided on.
        place = np.minimum(np.searchsorted(blocks, trades.ts_ns // block_ns), len(blocks) - 1)
        return Profits(np.bincount(place, trades.net_bps, len(blocks)).astype(np.float64), len(trades.ts_ns))

    def evaluate(self, spec: EdgeSpec, partitions: Sequence[Partition]) -> Evaluation:
        """Measure the edge on all of `partitions`."""
        own = [one for one in _used(spec, partitions) if one.key.symbol == spec.symbol.upper()]
        first_ns, last_ns = min(one.meta.ts_recv_min for one in own), max(one.meta.ts_recv_max for one in own)
        block_ns = block_length_ns(spec.horizon_ns, last_ns - first_ns)
        result = self._replayed(spec, partitions, block_ns)
        trades = result.trades
        count = len(trades.ts_ns)
        blocks, place = np.unique(trades.ts_ns // block_ns, return_inverse=True)
        return Evaluation(
            first_ns=first_ns,
            last_ns=last_ns,
            n=count,
            blocks=len(blocks),
            gross_bps=float(trades.gross_bps.mean()) if count else None,
            cost_bps=float((trades.gross_bps - trades.net_bps).mean()) if count else None,
            net_bps=result.net_bps.mean if count else None,
            net_low_bps=_finite(result.net_bps.low),
            net_high_bps=_finite(result.net_bps.high),
            p=_p_positive(place, trades.net_bps, block_ns) if count else None,
            p_gross=_p_positive(place, trades.gross_bps, block_ns) if count else None,
        )

    def _replayed(self, spec: EdgeSpec, partitions: Sequence[Partition], block_ns: int) -> frozen.Frozen:
        used = _used(spec, partitions, COST_STREAMS)
        return frozen.frozen_replay(used, frozen.cautious(spec), block_ns=block_ns, seed=SEED, progress=self._progress)

    def _check_regimes(self, spec: EdgeSpec, first_ns: int) -> None:
        wanted = _models_of(spec)
        if not wanted:
            return
        ours = None if self._regimes is None else self._regimes.model_id
        if self._regimes is None or wanted != {ours}:
            raise InputError(
                f"{spec.edge_id} rests on the regime model {' and '.join(sorted(wanted))} and "
                f"{'none' if ours is None else ours} was given; give the file of the search with --regimes"
            )
        # Days are cut by the venue's clock and a fit ends by the receive clock.
        self._regimes.require_after_fit(first_ns + COMMON_NS_MIN)


class _Watched(NamedTuple):
    # A trigger while events pass by.
    spec: EdgeSpec
    program: Program
    state: ProgramState
    found: list[Onsets]


def _models_of(spec: EdgeSpec) -> set[str]:
    # A bound may be over a feature of a model without the trigger naming regimes.
    named = {found[1] for bound in spec.trigger.bounds if (found := _OF_A_MODEL.match(bound.feature))}
    return named | ({str(spec.regimes_hash)} if spec.trigger.regimes is not None else set())


def _program(spec: EdgeSpec) -> Program:
    texts = [bound.feature for bound in spec.trigger.bounds]
    if spec.trigger.regimes is not None:
        texts.append(f"regime_label_{spec.regimes_hash}")
    return Program([parse_feature(text).named(f"x{place}") for place, text in enumerate(texts)])


def _used(spec: EdgeSpec, partitions: Iterable[Partition], more: Collection[Stream] = ()) -> list[Partition]:
    # What the features need of the symbol and its leader, what the edge is decided on, and more.
    symbols = {one.upper() for one in (spec.symbol, spec.trigger.leader) if one is not None}
    streams = (_program(spec).needs | STREAMS).union(more)
    return [one for one in partitions if one.key.venue == spec.venue and one.key.symbol in symbols and one.key.stream in streams]


def _onsets(specs: Sequence[EdgeSpec], partitions: Iterable[Partition]) -> dict[str, Onsets]:
    replay = Replay(list({one.key: one for one in partitions}.values()))
    programs = [_program(spec) for spec in specs]
    watched = [
        _Watched(spec, program, program.new_state(len(replay.instruments)), [])
        for spec, program in zip(specs, programs, strict=True)
    ]
    held_before = [False] * len(watched)
    for batch in replay.batches():
        events = as_records(batch)
        for place, one in enumerate(watched):
            rows = np.empty((len(events), one.program.width))
            one.program.run(events, rows, one.state)
            mine = batch["instrument"] == replay.instruments.index((one.spec.venue, one.spec.symbol.upper()))
            held = _held(one.spec, rows[mine])
            if len(held):
                began = held & ~np.r_[held_before[place], held[:-1]]
                one.found.append(np.ascontiguousarray(batch["ts_recv"][mine])[began])
                held_before[place] = bool(held[-1])
    return {one.spec.edge_id: np.concatenate([np.empty(0, np.int64), *one.found]) for one in watched}


def _held(spec: EdgeSpec, rows: Floats) -> NDArray[np.bool_]:
    held = np.logical_and.reduce([_holds(bound, rows[:, place]) for place, bound in enumerate(spec.trigger.bounds)])
    return held if spec.trigger.regimes is None else held & np.isin(rows[:, -1], spec.trigger.regimes)


def _holds(bound: Bound, values: Floats) -> NDArray[np.bool_]:
    if bound.missing:
        return np.isnan(values)
    low = -np.inf if bound.low is None else bound.low
    high = np.inf if bound.high is None else bound.high
    return (values >= low) & (values < high)


def _blocks(partitions: Sequence[Partition], block_ns: int) -> NDArray[np.int64]:
    spans = [np.arange(one.meta.ts_recv_min // block_ns, one.meta.ts_recv_max // block_ns + 1) for one in partitions]
    return np.unique(np.concatenate(spans))


def _p_positive(place: NDArray[np.int64], values: Floats, block_ns: int) -> float:
    n, s = np.bincount(place).astype(np.float64), np.bincount(place, values).astype(np.float64)
    psi = mean_influence(n[:, None], s[:, None]).psi
    widening = np.array([skewness_widening(n, s)])
    return float(sign_flip([(block_ns, psi)], flips=FLIPS, seed=SEED, one_sided=True, widening=widening).p_cell[0])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
