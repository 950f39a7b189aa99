"""The null report: quiet where nothing is, quiet on placebos of a market with an edge, and honest about what one day allows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import put
from builders_discovery import QuoteProgram, TapeSource, instrument, planted_tape
from edgesmith.cli.app import run
from edgesmith.domain.events import KIND_TRADE, PAYLOAD_FIELDS, Stream
from edgesmith.domain.records import as_records, joined
from edgesmith.domain.units import NS_PER_DAY, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.edges.null_report import pipeline
from edgesmith.edges.null_report.pipeline import CHIMERA, null_report
from edgesmith.edges.null_report.result import NullConfig, NullReport
from edgesmith.edges.report.null_report import null_view, write_null_report
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError
from edgesmith.evaluation.chimeras import ChimeraSource, flow_features, offsets_of
from edgesmith.evaluation.placebos import OTHER_DAYS, REFLECTED, SHIFTED
from edgesmith.features.catalog import feature, feature_set

SEARCH = DiscoveryConfig(horizons_ns=(NS_PER_S, 60 * NS_PER_S), latencies_ns=(0,), flips=199, fee_in_bps=0.2, fee_out_bps=0.2)


@pytest.fixture(autouse=True)
def without_the_prior_method(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "place" not in request.fixturenames:
        monkeypatch.setattr(pipeline, "prior_rows", lambda *_: ())


def report(tape: np.ndarray, placebos: int = 12, **search: Any) -> NullReport:
    config = NullConfig(search=DiscoveryConfig(**({**_fields(), **search})), placebos=placebos)
    return null_report(TapeSource(tape), instrument(0.0001), QuoteProgram(), config)


def _fields() -> dict[str, Any]:
    return {name: getattr(SEARCH, name) for name in ("horizons_ns", "latencies_ns", "flips", "fee_in_bps", "fee_out_bps")}


def days(count: int, effect_bps: float) -> np.ndarray:
    """A tape of an hour on each of some days."""
    tapes = [planted_tape(7 + at, minutes=60, effect_bps=effect_bps) for at in range(count)]
    for at, tape in enumerate(tapes):
        for name in ("ts_recv", "ts_event"):
            tape[name] += at * NS_PER_DAY
    return joined([as_records(tape) for tape in tapes])


def test_a_market_without_edges_is_calibrated() -> None:
    found = report(planted_tape(3, minutes=90))
    assert found.is_calibrated and "keeps its promise" in found.sentence
    assert {row.kind: row.placebos for row in found.kinds} == {SHIFTED: 12, REFLECTED: 12}
    ours, welch = found.methods[:2]
    assert ours.p_values == 24 and ours.ks <= ours.ks_bar
    assert welch.share_5 > ours.share_5 and welch.any_found is not None and welch.any_found > 12
    assert all(row.share_5 is not None and row.share_5 < 0.12 for row in found.kinds)
    assert any("one day" in note for note in found.notes) and any("two days" in note for note in found.notes)
    assert report(planted_tape(3, minutes=90)) == found
    second, minute = found.horizons
    assert second.mde_bps is not None and 0.05 < second.mde_bps < 3.0
    # 200 blocks for a second, 3 of half an hour for a minute.
    assert minute.mde_bps is None and all(row.tested for row in found.placebos)
    assert [tier.cost_bps for tier in second.tiers][1] == pytest.approx(10.13, abs=0.03)
    needed = second.tiers[0]
    assert second.gross_sd_bps is not None
    assert needed.needed_ic == pytest.approx(needed.cost_bps / (1.755 * second.gross_sd_bps))


def test_placebos_of_a_market_with_an_edge_hold_none() -> None:
    tape = days(6, effect_bps=6.0)
    whole = discover(TapeSource(tape), instrument(0.0001), QuoteProgram(), SEARCH)
    assert whole.counts[Verdict.CANDIDATE] > 0
    found = report(tape, placebos=6)
    assert {row.kind: row.placebos for row in found.kinds} == {SHIFTED: 6, REFLECTED: 6, OTHER_DAYS: 6}
    assert found.days == 5 and found.any_found <= found.allowed * found.searched
    assert not any("one day" in note for note in found.notes)


def test_too_little_data_is_said_and_drawn(tmp_path: Path) -> None:
    found = report(planted_tape(3, minutes=12), placebos=2)
    assert found.is_calibrated is None and "too little data" in found.sentence
    assert found.methods == () and found.curves == () and any("too few blocks" in note for note in found.notes)
    page = write_null_report(found, tmp_path / "report.html").read_text()
    assert "too little data" in page and page == write_null_report(found, tmp_path / "again.html").read_text()
    with pytest.raises(InputError, match="placebos was 0"):
        NullConfig(search=SEARCH, placebos=0)


def test_pairs_are_searched_as_pairs() -> None:
    found = report(planted_tape(3, minutes=60), placebos=1, depth=2)
    assert all(row.trials > row.tested for row in found.placebos)
    assert null_view(found)["cards"][0][1].endswith(f"of {found.searched}")


def test_a_chimera_has_its_own_prices_and_the_flow_of_another_piece() -> None:
    tape = planted_tape(5, minutes=40)
    tape["kind"][5::10] = KIND_TRADE
    tape["price"], tape["qty"], tape["side"] = tape["ask_price"], 1.0 + np.arange(len(tape)) / 100, 1
    source = TapeSource(tape)
    made = ChimeraSource(source, 1, 3)
    first_ns, last_ns = source.span(1)
    whole = joined(list(made.window(first_ns, last_ns + 1)))
    quotes = whole["kind"] != KIND_TRADE
    # The tape begins with a quote; pieces count from it.
    own = tape[tape["ts_recv"] >= first_ns]
    own = own[own["ts_recv"] <= last_ns]
    assert np.array_equal(whole["ts_recv"], own["ts_recv"])
    assert np.array_equal(whole["bid_price"][quotes], own["bid_price"][quotes])
    assert abs(np.corrcoef(whole["bid_qty"][quotes], own["bid_qty"][quotes])[0, 1]) < 0.5
    pieces = (own["ts_recv"] - first_ns) // (2 * 60 * NS_PER_S)
    taken, lent = whole["bid_qty"][quotes & (pieces == 4)], own["bid_qty"][quotes & (pieces == 7)]
    shared = min(len(taken), len(lent))
    assert np.array_equal(taken[:shared], lent[:shared])
    parts = [joined(list(made.window(begin, begin + 7 * 10**11))) for begin in range(first_ns, last_ns + 1, 7 * 10**11)]
    assert joined(parts).tobytes() == joined(list(made.window(first_ns, first_ns + 7 * 10**11 * len(parts)))).tobytes()
    assert made.fingerprint != source.fingerprint
    with pytest.raises(InputError, match="another piece"):
        ChimeraSource(source, 1, 0)


def test_what_reads_prices_is_not_asked_of_a_chimera() -> None:
    names = flow_features([*feature_set("base"), feature("trade_flow_imbalance")])
    assert names == ("imbalance_ema", "trade_flow_imbalance")
    assert offsets_of(3 * NS_PER_DAY, 2, 1) == [24, 49]
    assert len(set(offsets_of(NS_PER_DAY, 30, 1))) == 24 and 0 not in offsets_of(NS_PER_DAY, 30, 1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    tape = planted_tape(4, minutes=60)
    tape = tape[tape["bid_qty"] > 0]
    columns = {name: tape[name].copy() for name in ("ts_event", "ts_recv", *PAYLOAD_FIELDS[Stream.BBO])}
    put(tmp_path / "data", Stream.BBO, columns, venue="simulated", symbol="BUSDT", simulated=True)
    return tmp_path


def test_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "edges null-report --symbol BUSDT --venue simulated --set imbalance_ema --set spread --horizon 1,60 --placebos 3"
    assert run(words.split()) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 100 for line in shown.splitlines() if "─" in line)
    for text in (CHIMERA, "Welch's t-test", "without the filter", "never", "note: one day of data", "report: runs/null_"):
        assert text in shown, shown
    assert run([*words.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in found["kinds"]} == {CHIMERA, SHIFTED, REFLECTED}
    assert found["prior"][0]["kept"] == 0 and found["prior"][1]["validated"] > 0
    (folder,) = (place / "runs").iterdir()
    assert {path.name for path in folder.iterdir()} == {"null_report.json", "report.html"}
    # Nobody looked at the data: no trial was counted, and no placebo lies in the lake.
    assert not (place / "runs" / "trials.jsonl").exists()
    assert len(list((place / "data" / "coded").iterdir())) == 2
