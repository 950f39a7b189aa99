"""Discovery from events to verdicts on tapes whose truth is planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from builders_discovery import QuoteProgram, TapeSource, instrument, planted_tape
from edgesmith.canonical import canonical_json
from edgesmith.domain.events import KIND_TRADE
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import Workplace, discover
from edgesmith.edges.discovery.result import DiscoveryResult, load_result
from edgesmith.edges.trials import TrialLedger
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.evaluation.bins import MISSING

LATENCIES = (50 * NS_PER_MS,)
CONFIG = DiscoveryConfig(
    horizons_ns=(NS_PER_S, 5 * NS_PER_S), latencies_ns=LATENCIES, flips=999, blocks_min=10, blocks_effective_min=7.0
)


def found(tape: np.ndarray, fee_ratio: float, config: DiscoveryConfig = CONFIG, **options: Any) -> DiscoveryResult:
    return discover(TapeSource(tape), instrument(fee_ratio), QuoteProgram(), config, **options)


@pytest.fixture(scope="module")
def planted() -> np.ndarray:
    return planted_tape(1, effect_bps=6.0, minutes=100)


def test_planted_edge_is_real_and_pays_at_low_fees(planted: np.ndarray) -> None:
    result = found(planted, 0.0001)
    best = result.best[0]
    assert (best.feature, best.side, best.verdict) == ("imbalance", 1, Verdict.CANDIDATE) or best.feature == "bid_size"
    top = {cell.bin: cell for cell in result.cells if cell.feature == "imbalance" and cell.horizon_ns == NS_PER_S}
    # Two minutes in a thousand hold the outermost bin, too few to say.
    strongest, outermost = (top[max(code for code in top if code != MISSING) - below] for below in (1, 0))
    assert outermost.verdict is Verdict.INSUFFICIENT and outermost.upper is None
    assert strongest.verdict is Verdict.CANDIDATE
    assert strongest.text == f"imbalance >= {strongest.lower} and imbalance < {outermost.lower}"
    # 6 bps a second while the state lasts, which it does not always for the whole second.
    assert strongest.gross_bps is not None and 4.5 < strongest.gross_bps < 6.5
    assert strongest.cost_bps is not None and 2.1 < strongest.cost_bps < 2.3
    assert strongest.net_bps_best_side == pytest.approx(strongest.gross_bps - strongest.cost_bps)
    assert strongest.sentence.startswith("real: buying when it begins earns")
    assert "real" in result.sentence and str(result.counts["CANDIDATE"]) in result.sentence
    assert not [cell for cell in result.cells if cell.feature == "spread" and cell.verdict is Verdict.CANDIDATE]


def test_the_same_edge_is_eaten_by_high_fees(planted: np.ndarray) -> None:
    result = found(planted, 0.0010, DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=LATENCIES, flips=999))
    assert result.counts["CANDIDATE"] == 0 and result.counts["REJECT_COST"] >= 1
    eaten = next(cell for cell in result.cells if cell.verdict is Verdict.REJECT_COST)
    assert eaten.sentence.startswith("real but costs eat it")


def test_nothing_says_what_could_have_been_seen() -> None:
    result = found(planted_tape(2, minutes=60), 0.0001)
    assert result.counts["CANDIDATE"] == result.counts["REJECT_COST"] == 0
    cells = [cell for cell in result.cells if cell.verdict is Verdict.REJECT_NULL]
    assert cells and all(cell.mde_bps is not None and cell.mde_bps > 0 for cell in cells)
    smallest = min(cell.mde_bps for cell in cells if cell.mde_bps is not None)
    assert f"the smallest effect we could have seen is {smallest:.2f} bps" in result.sentence
    assert f"smallest effect we could have seen is {cells[0].mde_bps:.2f} bps" in cells[0].sentence


def test_t19_missing_sizes_before_a_fall_are_found_as_such() -> None:
    result = found(planted_tape(3, missing_effect_bps=-8.0, minutes=100), 0.0001)
    real = [cell for cell in result.cells if cell.verdict is Verdict.CANDIDATE]
    assert {(cell.feature, cell.bin, cell.side) for cell in real} >= {("imbalance", MISSING, -1)}
    # The bid's size reads 0 then, so its lowest bin is the same moment; nothing else is.
    assert {(cell.feature, cell.bin) for cell in real} <= {("imbalance", MISSING), ("bid_size", 0), ("bid_size", 1)}


def test_t13_trials_are_every_cell_whatever_was_tested(planted: np.ndarray, tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "trials.jsonl")
    result = found(planted, 0.0001, ledger=ledger)
    cells = sum(len(bins.cuts) + 2 for bins in result.bins) * len(CONFIG.horizons_ns)
    assert len(result.cells) == cells == sum(result.counts.values()) - len(result.refined)
    assert result.trials == cells + result.refinement.trials > 10_000
    strict = DiscoveryConfig(horizons_ns=CONFIG.horizons_ns, latencies_ns=LATENCIES, flips=999, blocks_min=5_000, seed=77)
    filtered = found(planted, 0.0001, strict, ledger=ledger)
    assert filtered.counts["INSUFFICIENT"] == cells and filtered.trials == result.trials
    # Another seed and another filter are the same look at the same data.
    assert filtered.trial_hash == result.trial_hash
    assert (len(ledger.records()), ledger.trials_total()) == (1, result.trials)
    found(planted, 0.0002, ledger=ledger)
    assert (len(ledger.records()), ledger.trials_total()) == (2, 2 * result.trials)


def test_needed_ic_comes_before_the_search_and_follows_its_formula(planted: np.ndarray) -> None:
    stages: list[Any] = []
    workplace = Workplace(progress=lambda stage, done, total: stages.append((stage, done, total)), on_survey=stages.append)
    result = discover(TapeSource(planted, 997), instrument(0.0001), QuoteProgram(), CONFIG, workplace=workplace)
    survey = next(one for one in stages if one and not isinstance(one[0], str))
    assert survey == result.needed_ic
    told = [stage for stage in stages if stage is not survey]
    assert told[-1][0] == "trading what is real"
    names = list(dict.fromkeys(stage for stage, _, _ in told))
    assert names[:4] == ["reading the edges span", "coding days", "summing single conditions", "testing"]
    for name in names[:4]:
        done = [(done, total) for stage, done, total in told if stage == name]
        assert done == sorted(done) and done[-1][0] == done[-1][1] > 0, f"{name}: {done}"
    # A day is not one step: what of its time has been read is told on the way.
    assert len([1 for stage, done, total in told if stage == "coding days" and 0 < done < total]) >= 1
    assert stages.index(survey) < next(at for at, stage in enumerate(stages) if stage is not survey and stage[0] == "testing")
    one, five = result.needed_ic
    for row in (one, five):
        assert row.cost_bps is not None and row.gross_sd_bps is not None
        assert row.needed_ic == pytest.approx(row.cost_bps / (1.755 * row.gross_sd_bps))
        assert row.possible == (row.needed_ic <= 1)
    assert one.gross_sd_bps is not None and five.gross_sd_bps is not None and one.gross_sd_bps < five.gross_sd_bps
    # Only the leading fifth was used.
    assert 0.15 * 60_000 < one.n < 0.2 * 60_000 + 1


def test_t05_bin_edges_know_only_the_edges_span(planted: np.ndarray) -> None:
    result = found(planted, 0.0001)
    changed = planted.copy()
    late = changed["ts_recv"] >= result.edges_span.test_first_ns
    changed["bid_qty"][late] *= 5.0
    assert found(changed, 0.0001).bins == result.bins
    changed["bid_qty"][~late] *= 5.0
    assert found(changed, 0.0001).bins != result.bins


def test_result_survives_the_disk(planted: np.ndarray, tmp_path: Path) -> None:
    result = found(planted, 0.0001)
    path = result.save(tmp_path)
    assert path.name == "discovery.json" and load_result(tmp_path) == result
    assert canonical_json(load_result(tmp_path)) == path.read_bytes()
    path.write_bytes(b"{}")
    with pytest.raises(CorruptDataError, match="run the discovery again"):
        load_result(tmp_path)


def test_useless_input_says_what_to_do(planted: np.ndarray) -> None:
    stranger = instrument(0.0001)
    with pytest.raises(InputError, match="simulated:AUSDT"):
        discover(TapeSource(planted), msgspec.structs.replace(stranger, symbol="X"), QuoteProgram(), CONFIG)
    trades = planted.copy()
    trades["kind"] = KIND_TRADE
    with pytest.raises(DataError, match="no quotes"):
        found(trades, 0.0001)
    with pytest.raises(InputError, match="no features"):
        discover(TapeSource(planted), stranger, QuoteProgram(()), CONFIG)
    with pytest.raises(DataError, match="longer range"):
        found(planted[:1], 0.0001)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 0.0001, "flips": 999},
        {"alpha": 0.5},
        {"flips": 10},
        {"edges_span_ratio": 0.9},
        {"quantiles": (0.5, 0.2)},
        {"quantiles": ()},
        {"quantiles": (0.0, 0.5)},
        {"power": 1.0},
        {"fee_in_bps": 1_000.0},
        {"blocks_min": 1},
    ],
)
def test_t23_config_refuses_what_it_cannot_keep(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        DiscoveryConfig(**change)
