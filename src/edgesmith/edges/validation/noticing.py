"""How long it would take to see that an edge has ended, had it ended today: what it may carry before evidence can stop it."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY, NS_PER_MINUTE, format_duration_ns
from edgesmith.edges.validation.frozen import Trades
from edgesmith.evaluation.decay_detection import WARNING_HEALTHY_BLOCKS, alarm_blocks, promise_of, warning_blocks, warning_limit
from edgesmith.evaluation.labels import BLOCK_LADDER_NS

Floats = NDArray[np.float64]

BLOCK_NS_MAX = 30 * NS_PER_MINUTE
# A distribution of results is drawn from at least this many blocks.
BLOCKS_MIN = 20
# Longer blocks do not notice sooner where one of them promises more than this many deviations.
SHARPE_MAX = 1.0
PATHS = 200
# Blocks of health before the end, and how long the end is watched.
HEALTHY_BLOCKS, WATCHED_BLOCKS = 200, 5_000


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """One way to end: what a block keeps then, median blocks until the warning and the alarm, and what is lost until the alarm.

    None where that takes longer than was watched; bps of one position.
    """

    mean_bps: float
    warned_blocks: int | None
    stopped_blocks: int | None
    lost_bps: float | None


class Noticing(msgspec.Struct, frozen=True, kw_only=True):
    """What would be seen of an end, block by block; bps of one position, summed over the trades of a block.

    `promise_bps` is the lower end of the net result per block and `sharpe` that in standard deviations of a block, both of
    results cut as the detector cuts them. `died` keeps nothing from today on, `turned` loses what it kept; a real death costs the
    fees as well and is noticed sooner.
    """

    block_ns: int
    blocks: int
    promise_bps: float
    sharpe: float
    died: Ending
    turned: Ending

    def sentence_of(self, ending: Ending) -> str:
        """Return in words when an ending would be noticed."""
        stopped = self._in_words(ending.stopped_blocks)
        loss = "" if not ending.lost_bps else f", with {ending.lost_bps:,.0f} bps of a position lost"
        return f"a warning after {self._in_words(ending.warned_blocks)}, stopped after {stopped}{loss}"

    def _in_words(self, blocks: int | None) -> str:
        length = format_duration_ns(self.block_ns)
        if blocks is None:
            return f"more than {WATCHED_BLOCKS:,} blocks of {length}"
        return f"{blocks:,} blocks of {length} ({blocks * self.block_ns / NS_PER_DAY:.1f} days)"


def noticing(trades: Trades, net_low_bps: float | None, span_ns: tuple[int, int], block_ns: int, seed: int) -> Noticing | None:
    """Return how soon an end would be noticed; None of an edge that surely keeps nothing or has too few blocks.

    Parameters
    ----------
    net_low_bps : the lower end of the net result of a trade
    span_ns : first and last instant validated; blocks of it without a trade count as nothing earned
    block_ns : the shortest block whose results do not know each other
    """
    if net_low_bps is None or not net_low_bps > 0.0 or not len(trades.ts_ns):
        return None
    rungs = [rung for rung in reversed(BLOCK_LADDER_NS) if block_ns <= rung <= max(BLOCK_NS_MAX, block_ns)]
    tried = [(rung, _results(trades, span_ns, rung)) for rung in rungs]
    tried = [(rung, results) for rung, results in tried if len(results) >= BLOCKS_MIN and results.std() > 0.0]
    found: Noticing | None = None
    for rung, results in tried:
        found = _noticed(results, net_low_bps / float(trades.net_bps.mean()), rung, seed)
        if found is not None and found.sharpe <= SHARPE_MAX:
            break
    return found


def _results(trades: Trades, span_ns: tuple[int, int], block_ns: int) -> Floats:
    # Whole blocks only: what is left at the end is not one.
    count = max((span_ns[1] - span_ns[0]) // block_ns, 0)
    place = (trades.ts_ns - span_ns[0]) // block_ns
    inside = (place >= 0) & (place < count)
    return np.bincount(place[inside], trades.net_bps[inside], count).astype(np.float64)


def _noticed(results: Floats, sure_ratio: float, block_ns: int, seed: int) -> Noticing | None:
    # Noise is drawn from the blocks themselves, less their mean.
    promise, mean = promise_of(results, min(sure_ratio, 1.0)), float(results.mean())
    if promise is None:
        return None
    draw = np.random.Generator(np.random.PCG64([seed, len(results)]))
    noise = draw.choice(results - mean, (PATHS, HEALTHY_BLOCKS + WATCHED_BLOCKS))
    limit = warning_limit(mean + draw.choice(results - mean, (PATHS, WARNING_HEALTHY_BLOCKS)), promise)
    healthy = mean + noise[:, :HEALTHY_BLOCKS]

    def ending(after: float) -> Ending:
        path = np.concatenate([healthy, after + noise[:, HEALTHY_BLOCKS:]], axis=1)
        stopped = _median(alarm_blocks(path, promise))
        return Ending(
            mean_bps=after,
            warned_blocks=_median(warning_blocks(path, promise, limit)),
            stopped_blocks=stopped,
            lost_bps=None if stopped is None else max(-after, 0.0) * stopped,
        )

    return Noticing(
        block_ns=block_ns,
        blocks=len(results),
        promise_bps=promise.mean,
        sharpe=promise.sharpe,
        died=ending(0.0),
        turned=ending(-mean),
    )


def _median(found: NDArray[np.int64]) -> int | None:
    # Of those that were not alarmed while healthy, counted from the end of health.
    found = found[(found == 0) | (found > HEALTHY_BLOCKS)]
    late = np.where(found == 0, WATCHED_BLOCKS + 1, found - HEALTHY_BLOCKS)
    middle = int(np.median(late)) if len(late) else WATCHED_BLOCKS + 1
    return None if middle > WATCHED_BLOCKS else middle
