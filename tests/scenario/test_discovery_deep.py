"""Deeper triggers: an interaction that no single feature shows, regimes, leaders, and a search that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.signal import lfilter

from builders_discovery import START_NS, TapeSource, instrument
from edgesmith.canonical import canonical_json
from edgesmith.domain.events import EVENT
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.candidates import Origin, candidates
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import Workplace, discover
from edgesmith.edges.discovery.result import Bins, CellBound, DiscoveryResult
from edgesmith.edges.trials import TrialLedger
from edgesmith.edges.verdict import Verdict

CONFIG = DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=(50 * NS_PER_MS,), flips=999, depth=2, beam=16)
TESTS = Path(__file__).resolve().parents[1]


class SizesProgram:
    """Two independent features hidden in the sizes of bid and ask, and one that means nothing."""

    names = ("book", "flow", "noise")
    program_id = "sizes"

    def new_state(self, instruments: int = 1) -> None:
        return None

    def run(self, events: np.ndarray, out: np.ndarray, state: None) -> None:
        out[:, 0], out[:, 1], out[:, 2] = events["bid_qty"], events["ask_qty"], events["seq"]


def interaction_tape(seed: int, minutes: int = 120, effect_bps: float = 5.0) -> np.ndarray:
    """The next second drifts up where the signs of book and flow agree and both are large, else down: no marginal."""
    rng = np.random.default_rng(seed)
    count = minutes * 600
    book, flow, noise = (lfilter([np.sqrt(1 - 0.99**2)], [1.0, -0.99], rng.normal(size=count)) for _ in range(3))
    large = (np.abs(book) > 0.8) & (np.abs(flow) > 0.8)
    drift_bps = effect_bps * large * np.sign(book * flow) / 10.0
    steps_bps = np.concatenate([[0.0], 0.3 * rng.standard_t(4.0, count - 1) + drift_bps[:-1]])
    mid = 10_000.0 * np.exp(np.cumsum(steps_bps) * 1e-4)
    events = np.zeros(count, EVENT)
    events["ts_recv"] = START_NS + np.arange(count) * 100 * NS_PER_MS + rng.integers(0, 90 * NS_PER_MS, count)
    events["instrument"] = 1
    events["bid_price"], events["ask_price"] = mid - 0.05, mid + 0.05
    events["bid_qty"], events["ask_qty"], events["seq"] = book, flow, np.rint(noise * 1_000)
    return events


def search(tape: np.ndarray, **options: object) -> DiscoveryResult:
    return discover(TapeSource(tape), instrument(0.0001), SizesProgram(), CONFIG, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> DiscoveryResult:
    return search(interaction_tape(1))


def test_interaction_without_marginals_is_found_at_depth_two_only(found: DiscoveryResult) -> None:
    real = [cell for cell in found.cells if cell.verdict is Verdict.CANDIDATE]
    assert real and {cell.depth for cell in real} == {2}
    assert {cell.feature for cell in real} == {"book x flow"}
    for cell in real:
        book, flow = (bound.lower if bound.lower is not None else bound.upper for bound in cell.bounds)
        assert book is not None and flow is not None and cell.side == np.sign(book * flow), cell.text
        assert cell.gain_bps is not None and cell.gain_bps > 1.0
        assert cell.p_family is not None and cell.p_family <= found.depths[1].alpha


def test_every_pair_is_a_trial_whatever_was_tested(found: DiscoveryResult, tmp_path: Path) -> None:
    # Continuous features have ten merged bins, ten runs of those, and the missing value.
    pairs = 3 * 21 * 21
    singles = sum(len(one.cuts) + 2 for one in found.bins)
    assert [depth.trials for depth in found.depths] == [singles, pairs]
    assert singles + pairs == sum(found.counts.values()) - len(found.refined)
    assert found.trials == singles + pairs + found.refinement.trials
    assert found.depths[1].tested <= CONFIG.beam < found.depths[1].triggers
    ledger = TrialLedger(tmp_path / "trials.jsonl")
    assert search(interaction_tape(1, minutes=30), ledger=ledger).trials == ledger.trials_total()


def test_noise_has_no_interactions() -> None:
    for seed in (11, 12, 13):
        result = search(interaction_tape(seed, minutes=60, effect_bps=0.0))
        assert result.counts["CANDIDATE"] == result.counts["REJECT_COST"] == 0


def test_candidates_become_edges_with_the_bounds_they_were_found_with(found: DiscoveryResult) -> None:
    origin = Origin({"book": "book()", "flow": "flow()"}, "f" * 16, "c" * 64)
    edges = candidates(found, origin)
    cells = {cell.text: cell for cell in found.candidates}
    assert len(edges) == len(cells) > 0
    for spec, evidence in edges:
        assert {bound.feature for bound in spec.trigger.bounds} == {"book()", "flow()"}
        assert (evidence.edge_id, evidence.verdict, evidence.trials_total) == (spec.edge_id, "CANDIDATE", found.trials)
        assert (evidence.first_ns, evidence.last_ns) == (found.edges_span.first_ns, found.edges_span.test_last_ns)
        assert evidence.net_low_bps is not None and evidence.net_low_bps > 0.0
    lows = [evidence.net_low_bps for _, evidence in edges]
    assert lows == sorted(lows, reverse=True)


def test_regime_and_leader_are_part_of_the_trigger(found: DiscoveryResult) -> None:
    cell = next(cell for cell in found.cells if cell.verdict is Verdict.CANDIDATE)
    in_regimes = (cell.bounds[0], CellBound("regime_label", 1, 2, 0.5, None))
    bins = (*found.bins, Bins("regime_label", (0.5, 1.5)))
    changed = msgspec.structs.replace(found, bins=bins, cells=(msgspec.structs.replace(cell, bounds=in_regimes),), refined=())
    origin = Origin({}, "f" * 16, "c" * 64, "regime_label", "model", "LEADUSDT", frozenset({"book"}))
    ((spec, _),) = candidates(changed, origin)
    assert spec.trigger.regimes == (1, 2) and spec.regimes_hash == "model" and spec.trigger.leader == "LEADUSDT"
    assert [bound.feature for bound in spec.trigger.bounds] == ["book"]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
sys.path.insert(0, {tests!r} + "/scenario")
import edgesmith.evaluation.day_files as day_files
from test_discovery_deep import long_search
written = 0
save = day_files.DayFiles.save
def save_and_die(*arguments):
    global written
    save(*arguments)
    written += 1
    if written == 2:
        os.kill(os.getpid(), signal.SIGKILL)
day_files.DayFiles.save = save_and_die
long_search(Path({lake!r}))
"""


def long_search(lake: Path) -> bytes:
    """Search two days of sparse quotes."""
    tape = interaction_tape(3, minutes=45)
    tape["ts_recv"] += 86_400 * NS_PER_S - 1_350 * NS_PER_S - (START_NS % (86_400 * NS_PER_S))
    return canonical_json(search(tape, workplace=Workplace(lake=lake)))


def test_killed_in_the_middle_and_run_again_equals_uninterrupted(tmp_path: Path) -> None:
    code = KILLED.format(tests=str(TESTS), lake=str(tmp_path / "killed"))
    environment = dict(os.environ, PYTHONPATH=str(TESTS))
    died = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("meta.json")}
    assert len(done) == 2
    again = long_search(tmp_path / "killed")
    assert {path: path.stat().st_mtime_ns for path in done} == done, "days that were done are not computed again"
    assert len(list((tmp_path / "killed").rglob("meta.json"))) == 3
    assert again == long_search(tmp_path / "whole")
