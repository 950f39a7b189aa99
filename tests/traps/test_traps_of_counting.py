"""T13, T15, T20, T21, T23: what is counted, what was seen before, and p-values that cannot be that small."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import numpy as np
import pytest
from scipy.signal import lfilter

from builders_discovery import START_NS, QuoteProgram, TapeSource, instrument, planted_tape
from edgesmith.domain.events import EVENT
from edgesmith.domain.units import NS_PER_DAY, NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.edges.discovery.result import DiscoveryResult
from edgesmith.edges.trials import DataUse, TrialLedger
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError
from edgesmith.evaluation import overfitting, sharpe
from edgesmith.evaluation.sharpe import BlockSeries

PAIRS = DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=(0,), flips=499, depth=2)
FOUND = (Verdict.CANDIDATE, Verdict.REJECT_COST)


def searched(tape: np.ndarray, ledger: TrialLedger | None = None, data: Any = None, **change: Any) -> DiscoveryResult:
    config = msgspec.structs.replace(PAIRS, **change)
    return discover(TapeSource(tape), instrument(0.0001), QuoteProgram(), config, ledger=ledger, data=data)


@pytest.fixture(scope="module")
def tape() -> np.ndarray:
    return planted_tape(1, effect_bps=6.0, minutes=50)


class Table:
    """Three features by the place of an event; the first two agree or disagree before the price moves."""

    names = ("one", "two", "noise")
    program_id = "table"

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def new_state(self, instruments: int = 1) -> None:
        return None

    def run(self, events: np.ndarray, out: np.ndarray, state: None) -> None:
        out[:] = self._values[events["seq"]]


def interaction(seed: int, rows: int = 36_000) -> tuple[np.ndarray, Table]:
    rng = np.random.default_rng(seed)
    values = lfilter([np.sqrt(1 - 0.98**2)], [1.0, -0.98], rng.normal(size=(3, rows))).T
    drift_bps = 0.6 * np.sign(values[:, 0] * values[:, 1])
    mid = 10_000.0 * np.exp(np.cumsum(np.r_[0.0, drift_bps[:-1] + rng.normal(0.0, 1.0, rows - 1)]) * 1e-4)
    events = np.zeros(rows, EVENT)
    events["ts_recv"] = START_NS + np.arange(rows) * 100 * NS_PER_MS
    events["seq"], events["instrument"] = np.arange(rows), 1
    events["bid_price"], events["ask_price"] = mid - 0.05, mid + 0.05
    return events, Table(values)


def test_t13_choosing_by_the_mean_does_not_shrink_the_family(tmp_path: Path) -> None:
    ledger, (events, program) = TrialLedger(tmp_path / "trials.jsonl"), interaction(1)
    # The beam is a filter on the mean: of the pairs looked at, so many are tested.
    few, many = (
        discover(TapeSource(events), instrument(0.0001), program, msgspec.structs.replace(PAIRS, beam=beam), ledger=book)
        for beam, book in ((4, ledger), (64, None))
    )
    assert few.depths[1].tested < many.depths[1].tested <= 64
    assert (few.depths[1].trials, few.trials) == (many.depths[1].trials, many.trials)
    assert few.depths[1].trials > 10 * many.depths[1].tested, "most pairs are looked at and dropped"
    p_values = [{cell.text: cell.p_family for cell in one.cells if cell.depth == 2 and cell.p_family} for one in (few, many)]
    shared = p_values[0].keys() & p_values[1].keys()
    assert len(shared) > 1 and min(p_values[0].values()) < 0.05
    assert all(p_values[0][text] == p_values[1][text] for text in shared), "the filter must not make p smaller"
    assert [one.trials for one in ledger.records()] == [few.trials]


def test_t13_nobody_can_tell_the_engine_how_many_trials_there_were() -> None:
    for known in (discover, DiscoveryConfig):
        assert not [name for name in inspect.signature(known).parameters if "trial" in name or name in ("m", "tests")]


def test_t20_only_a_series_of_blocks_has_a_sharpe_ratio() -> None:
    judging = {
        name: value
        for name, value in inspect.getmembers(sharpe, inspect.isfunction)
        if value.__module__ == sharpe.__name__ and not name.startswith("_") and name != "expected_best"
    }
    assert len(judging) >= 3
    for name, function in judging.items():
        first = next(iter(inspect.signature(function).parameters))
        assert get_type_hints(function)[first] is BlockSeries, f"{name} takes something else than blocks"
    # And a block series is no array in disguise: returns of events cannot be passed by mistake.
    assert not issubclass(BlockSeries, np.ndarray)
    with pytest.raises(AttributeError):
        sharpe.probabilistic_sharpe(np.ones(100))  # type: ignore[arg-type]
    assert overfitting.overfitting.__module__ == "edgesmith.evaluation.overfitting"


def test_t20_overlapping_returns_look_certain_and_their_blocks_do_not() -> None:
    # A market without drift; each "trade" holds 600 s and starts every second, as per-event returns do.
    draw = np.random.default_rng(11)
    certain, chances = 0, []
    for _ in range(40):
        path = np.cumsum(draw.standard_normal(20 * 2_000))
        overlapping = path[600:] - path[:-600]
        t = overlapping.mean() / overlapping.std() * np.sqrt(len(overlapping))
        certain += abs(t) > 3.0
        blocks = path[2_000::2_000] - path[:-2_000:2_000]
        chances.append(sharpe.probabilistic_sharpe(BlockSeries(blocks, NS_PER_DAY)))
    assert certain >= 30, "as if each second were evidence of its own"
    assert sum(one > 0.95 for one in chances) <= 6


def test_t23_a_level_below_what_the_flips_can_show_finds_nothing(tape: np.ndarray, tmp_path: Path) -> None:
    plain = searched(tape, depth=1)
    assert [cell for cell in plain.cells if cell.verdict in FOUND]
    assert min(cell.p_cell for cell in plain.cells if cell.p_cell is not None) >= 1 / (plain.config.flips + 1)
    # Many looks at the same data before: what is left of the error is less than the smallest p-value there can be.
    ledger = TrialLedger(tmp_path / "trials.jsonl")
    data = (
        DataUse(instrument="simulated:BUSDT", first_ns=int(tape["ts_recv"][0]), last_ns=int(tape["ts_recv"][-1]), partitions=()),
    )
    for number in range(12):
        ledger.record(kind="discovery", data_fingerprint=str(number), cells_hash="", trials=5, data=data)
    late = searched(tape, ledger, data, depth=1)
    assert late.level < 1 / (late.config.flips + 1)
    assert not [cell for cell in late.cells if cell.verdict in FOUND] and late.critical_t is None
    with pytest.raises(InputError, match=r"alpha was 0\.001"):
        DiscoveryConfig(alpha=0.001, flips=499)


def test_t21_no_sample_is_capped_by_what_comes_first(tape: np.ndarray) -> None:
    # A beam of one keeps one pair: the best, not the first. Turned around, features come in the other order.
    orders = (("imbalance", "spread", "bid_size"), ("bid_size", "spread", "imbalance"))
    config = msgspec.structs.replace(PAIRS, beam=1, features_max=2)
    kept = [discover(TapeSource(tape), instrument(0.0001), QuoteProgram(names), config) for names in orders]
    assert msgspec.to_builtins(kept[0].cells) == msgspec.to_builtins(kept[1].cells)
    assert kept[0].depths == kept[1].depths
    # Of the pairs of noise, one and two the last is the one that says something.
    events, program = interaction(1)
    best = discover(TapeSource(events), instrument(0.0001), program, msgspec.structs.replace(PAIRS, beam=1))
    assert {tuple(bound.feature for bound in cell.bounds) for cell in best.cells if cell.depth == 2} == {("one", "two")}
