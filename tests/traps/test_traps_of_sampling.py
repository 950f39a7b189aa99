"""Traps that make a search find what is not there: bursts, re-runs, the bounce between bid and ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from builders_discovery import START_NS, TapeSource, instrument, judged, null_world
from edgesmith.domain.events import EVENT, KIND_TRADE
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.edges.discovery.result import DiscoveryResult
from edgesmith.edges.trials import TrialLedger
from edgesmith.edges.verdict import Verdict

FOUND = (Verdict.CANDIDATE, Verdict.REJECT_COST)
CONFIG = DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=(0,), flips=999)


class LastValue:
    """One feature: what the tape's table says of the last event, by its place."""

    names = ("feature",)
    program_id = "last value"

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def new_state(self, instruments: int = 1) -> None:
        return None

    def run(self, events: np.ndarray, out: np.ndarray, state: None) -> None:
        out[:, 0] = self._values[events["seq"]]


def searched(events: np.ndarray, values: np.ndarray, config: DiscoveryConfig = CONFIG, **options: object) -> DiscoveryResult:
    events["seq"], events["instrument"] = np.arange(len(events)), 1
    return discover(TapeSource(events), instrument(0.0001), LastValue(values), config, **options)  # type: ignore[arg-type]


def test_t10_bursts_do_not_count_more_than_quiet_moments() -> None:
    rng = np.random.default_rng(1)
    # A fifth of the time, in stretches of ten seconds, quotes come twenty times as often and move five times as much.
    seconds = 3_600
    burst = np.repeat(rng.random(seconds // 10) < 0.2, 10)
    count = np.where(burst, 100, 5)
    second = np.repeat(np.arange(seconds), count)
    events = np.zeros(len(second), EVENT)
    events["ts_recv"] = START_NS + np.sort(second * NS_PER_S + rng.integers(0, NS_PER_S, len(second)))
    within = burst[(events["ts_recv"] - START_NS) // NS_PER_S]
    mid = 10_000.0 * np.exp(np.cumsum(rng.normal(0.0, np.where(within, 0.5, 0.4))) * 1e-4)
    events["bid_price"], events["ask_price"] = mid - 0.05, mid + 0.05
    result = searched(events, within.astype(float))
    assert np.mean(within) > 0.7, "most events are of the bursts"
    rows = {cell.bin: cell.n for cell in result.cells if cell.n}
    assert abs(rows[1] / (rows[0] + rows[1]) - np.mean(burst)) < 0.05, "most decisions are not"
    assert not [cell for cell in result.cells if cell.verdict in FOUND]


def test_t17_the_bounce_between_bid_and_ask_is_not_reversal() -> None:
    rng = np.random.default_rng(2)
    count = 36_000
    events = np.zeros(2 * count, EVENT)
    # At every decision, on the 100 ms, the last event was a trade.
    events["ts_recv"] = START_NS + np.repeat(np.arange(count) * 100 * NS_PER_MS, 2) + np.tile([10, 60], count) * NS_PER_MS
    mid = 10_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.1, count)) * 1e-4)
    events["bid_price"][::2], events["ask_price"][::2] = mid - 0.5, mid + 0.5
    events["kind"][1::2] = KIND_TRADE
    prints = mid + 0.5 * rng.choice([-1, 1], count)
    events["price"][1::2] = prints
    move = np.diff(prints, prepend=prints[0])
    assert np.corrcoef(move[1:-1], move[2:])[0, 1] < -0.3, "trade prices alone would show reversal"
    result = searched(events, np.repeat(move, 2))
    assert not [cell for cell in result.cells if cell.verdict in FOUND]
    assert any(cell.verdict is Verdict.REJECT_NULL for cell in result.cells)


def test_t14_twenty_seeds_on_one_null_world_find_nothing_together(tmp_path: Path) -> None:
    world = null_world(77)
    found = [cell for seed in range(20) for cell in judged(world, seed=seed).cells if cell.verdict in FOUND]
    assert not found
    rng = np.random.default_rng(3)
    events = np.zeros(18_000, EVENT)
    events["ts_recv"] = START_NS + np.arange(18_000) * 100 * NS_PER_MS
    mid = 10_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.3, 18_000)) * 1e-4)
    events["bid_price"], events["ask_price"] = mid - 0.05, mid + 0.05
    ledger, values = TrialLedger(tmp_path / "trials.jsonl"), rng.integers(0, 4, 18_000).astype(float)
    for seed in range(3):
        searched(events, values, DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=(0,), flips=199, seed=seed), ledger=ledger)
    assert len(ledger.records()) == 1, "another seed is not another look"
    later = searched(events, values, ledger=ledger, last_ns=START_NS + 1_500 * NS_PER_S)
    assert len(ledger.records()) == 2 and later.trials_total > later.trials, "another window of the same data is"
