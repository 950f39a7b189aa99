"""The vault's evaluator: the frozen replay of validation, block by block, with one-sided sign-flip tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.edges.edge import Bound, EdgeSpec
from edgesmith.edges.validation import frozen, trigger_strategy
from edgesmith.edges.vault_records import Evaluation
from edgesmith.errors import InputError
from edgesmith.evaluation.labels import block_length_ns
from edgesmith.evaluation.significance import mean_influence, sign_flip
from edgesmith.features.program import Program
from edgesmith.features.text import parse_feature
from edgesmith.lake.catalog import Partition
from edgesmith.lake.replay import Replay
from edgesmith.trading.backtest import Progress

FLIPS = 9_999
SEED = 1
# What a spec is traded on; as in the strategy that trades it.
STREAMS = frozenset({Stream.BBO, Stream.TRADE})

Floats = NDArray[np.float64]


class FrozenEvaluator:
    """Trades the edge through the real engine and tests the block sums of its trades; `progress` hears of the events read."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress

    @property
    def name(self) -> str:
        """Return the method and the hash of its code."""
        sources = sorted(str(module.__file__) for module in (frozen, trigger_strategy))
        digest = hashlib.sha256(b"".join(Path(one).read_bytes() for one in [*sources, __file__])).hexdigest()
        return f"frozen replay {digest[:12]}"

    def check(self, spec: EdgeSpec) -> None:
        """Raise InputError for an edge that depends on a regime or a leader, or is entered as a maker."""
        trigger_strategy.TriggerStrategy(trigger_strategy.TriggerConfig(spec=spec, qty=1.0))
        if spec.trigger.leader is not None:
            raise InputError(f"{spec.edge_id} follows {spec.trigger.leader}; a vault holds the days of one symbol only")
        if spec.trigger.regimes is not None:
            raise InputError(f"{spec.edge_id} acts in some regimes only; the frozen replay cannot tell regimes apart")

    def onsets(self, spec: EdgeSpec, partitions: Sequence[Partition]) -> NDArray[np.int64]:
        """Return the receive times of the events at which the trigger became true."""
        program = Program([parse_feature(bound.feature).named(f"x{index}") for index, bound in enumerate(spec.trigger.bounds)])
        replay = Replay([one for one in partitions if one.key.stream in STREAMS])
        state, before = program.new_state(), False
        found = [np.empty(0, np.int64)]
        for events in replay.batches():
            matrix = np.empty((len(events), program.width))
            program.run(events, matrix, state)
            held = np.logical_and.reduce([_holds(bound, matrix[:, at]) for at, bound in enumerate(spec.trigger.bounds)])
            began = held & ~np.r_[before, held[:-1]]
            found.append(np.ascontiguousarray(events["ts_recv"])[began])
            before = bool(held[-1])
        return np.concatenate(found)

    def evaluate(self, spec: EdgeSpec, partitions: Sequence[Partition]) -> Evaluation:
        """Measure the edge on all of `partitions`."""
        used = [one for one in partitions if one.key.stream in STREAMS]
        first_ns, last_ns = min(one.meta.ts_recv_min for one in used), max(one.meta.ts_recv_max for one in used)
        block_ns = block_length_ns(spec.horizon_ns, last_ns - first_ns)
        result = frozen.frozen_replay(used, spec, block_ns=block_ns, seed=SEED, progress=self._progress)
        trades = result.trades
        count = len(trades.ts_ns)
        blocks, place = np.unique(trades.ts_ns // block_ns, return_inverse=True)
        return Evaluation(
            first_ns=first_ns,
            last_ns=last_ns,
            n=count,
            blocks=len(blocks),
            gross_bps=float(trades.gross_bps.mean()) if count else None,
            cost_bps=float(trades.fees_bps.mean()) if count else None,
            net_bps=result.net_bps.mean if count else None,
            net_low_bps=_finite(result.net_bps.low),
            net_high_bps=_finite(result.net_bps.high),
            p=_p_positive(place, trades.net_bps, block_ns) if count else None,
            p_gross=_p_positive(place, trades.gross_bps, block_ns) if count else None,
        )


def _holds(bound: Bound, values: Floats) -> NDArray[np.bool_]:
    if bound.missing:
        return np.isnan(values)
    low = -np.inf if bound.low is None else bound.low
    high = np.inf if bound.high is None else bound.high
    return (values >= low) & (values < high)


def _p_positive(place: NDArray[np.int64], values: Floats, block_ns: int) -> float:
    n, s = np.bincount(place).astype(np.float64), np.bincount(place, values).astype(np.float64)
    psi = mean_influence(n[:, None], s[:, None]).psi
    return float(sign_flip([(block_ns, psi)], flips=FLIPS, seed=SEED, one_sided=True).p_cell[0])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
