"""`edgesmith edges`, `trials` and `vault` as a user types them."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import DAY, put, random_columns
from builders_edges import evidence, spec
from edgesmith.cli.app import run
from edgesmith.domain.events import Stream
from edgesmith.domain.units import ns_of_date
from edgesmith.edges.edge import Bound, Trigger
from edgesmith.edges.registry import EdgeRegistry, sqlite_url
from edgesmith.edges.vault_records import OPENINGS_MAX
from edgesmith.errors import DataError

EDGE = spec(
    venue="binance_usdm",
    symbol="BTCUSDT",
    trigger=Trigger(
        bounds=(Bound(feature="imbalance_ema(period=20)", low=0.3), Bound(feature="spread()", low=0.05, high=0.35)),
    ),
    horizon_ns=2_000_000_000,
)


def quotes(offset: int) -> dict[str, Any]:
    """One quote a second or so for 50 minutes."""
    start_ns = ns_of_date(DAY + timedelta(days=offset)) + 3_600_000_000_000
    return random_columns(Stream.BBO, 3_000, seed=offset, start_ns=start_ns, step_ns_max=2_000_000_000)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for offset in range(3):
        day = DAY + timedelta(days=offset)
        put(tmp_path / "data", Stream.BBO, quotes(offset), day=day)
    registry = EdgeRegistry(sqlite_url(tmp_path / "runs"))
    registry.record([(EDGE, evidence(EDGE.edge_id, details={"half_life_response_ns": 3_200_000_000, "by_day": [1.0, 2.0]}))])
    registry.close()
    return tmp_path


def test_who_only_looks_makes_no_files_and_who_cannot_write_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = str(tmp_path / "runs")
    assert "yet; find some with" in told(capsys, "edges", "ls", "--runs", runs)
    assert told(capsys, "edges", "ls", "--runs", runs, "--json").strip() == "[]"
    assert "there are no edges in" in told(capsys, "edges", "show", "edge_1", "--runs", runs, code=2)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="no registry can be made at"):
        EdgeRegistry(sqlite_url(Path("/dev/null/x")))


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert run(words) == code
    captured = capsys.readouterr()
    if code == 0:
        lines = [line for line in captured.out.splitlines() if "─" in line or "  " in line.strip()]
        assert all(len(line) <= 100 for line in lines), captured.out
    return captured.out if code == 0 else captured.err


def data(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(told(capsys, *words, "--json"))


def test_an_edge_from_the_registry_to_the_vault(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert EDGE.edge_id in told(capsys, "edges", "ls", "--text", "IMBALANCE_EMA", "--symbol", "btcusdt")
    assert data(capsys, "edges", "ls")[0]["trigger"].endswith("0.05 <= spread() < 0.35")
    assert "half life response" in told(capsys, "edges", "show", EDGE.edge_id[:9])
    assert "none of the 1 edges in" in told(capsys, "edges", "ls", "--verdict", "validated")
    assert "has no vault" in told(capsys, "vault", "ls")
    assert "2024-08-10 to 2024-08-10" in told(capsys, "vault", "init", "--days", "1")
    assert [one["day"] for one in data(capsys, "lake", "ls")] == ["2024-08-08", "2024-08-09"]
    opened = data(capsys, "vault", "open", EDGE.edge_id, "--n-min", "1")
    assert opened["seal"]["spec_hash"] == EDGE.spec_hash and opened["again"] is False
    assert "the vault answers once" in told(capsys, "vault", "open", EDGE.edge_id)
    shown = data(capsys, "edges", "show", EDGE.edge_id)
    assert [one["stage"] for one in shown["evidence"]] == ["discovery", "vault"]
    assert data(capsys, "edges", "ls")[0]["verdict"] == opened["result"]["verdict"]
    assert opened["result"]["verdict"] in told(capsys, "vault", "ls")
    assert len(data(capsys, "vault", "ls")["seals"]) == 1
    assert "in the lake again" in told(capsys, "vault", "close", "--reason", "enough")
    assert len(data(capsys, "lake", "ls")) == 3


def test_a_sweep_is_counted_once_and_bars_the_vault(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nobody has looked at any data yet" in told(capsys, "trials")
    sweep = ("sweep", "--symbol", "BTCUSDT", "--market", "usdm", "--over", "cooldown_events=10:30:10")
    for _ in range(2):
        assert "3 trials on this data so far" in told(capsys, *sweep)
    account = data(capsys, "trials")["account"]
    assert account["trials_total"] == 3 and len(account["looks"]) == 1 and account["looks"][0]["record"]["kind"] == "sweep"
    assert "e-BH" in told(capsys, "trials", "--symbol", "BTCUSDT", "--market", "usdm", "--date", "2024-08-09")
    told(capsys, "backtest", "--symbol", "BTCUSDT", "--market", "usdm", "--date", "2024-08-09")
    (folder,) = (place / "runs").glob("run_*")
    assert data(capsys, "trials", "--run", folder.name)["account"]["trials_total"] == 3
    assert "no longer unseen" in told(capsys, "vault", "init", "--days", "1", code=2)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("edges", "ls", "--verdict", "good"), 2, "possible: CANDIDATE"),
        (("edges", "show", "edge_zz"), 2, "unknown edge 'edge_zz'"),
        (("edges", "ls", "--registry", "mysql://x/y"), 2, "possible: postgresql, sqlite"),
        (("edges", "ls", "--run", "run_zz"), 2, "expected a search"),
        (("edges", "show", EDGE.edge_id, "--registry", "sqlite:///empty/edges.db"), 2, "there are no edges in"),
        (("vault", "ls", "--lake", "nowhere"), 2, "there is no lake at nowhere"),
        (("vault", "init", "--days", "1", "--lake", "nowhere"), 2, "there is no lake at nowhere"),
        (("vault", "init", "--days", "2", "--peek-days", "2"), 2, "expected 0 to 1"),
        (("vault", "init", "--days", "1", "--symbol", "XRPUSDT"), 2, "nothing that matches"),
        (("vault", "peek", EDGE.edge_id), 2, "edgesmith vault init"),
        (("vault", "open", "edge_zz"), 2, "unknown edge 'edge_zz'"),
        (("vault", "open", EDGE.edge_id, "--regimes", "model.json"), 2, "fit a regime model"),
        (("vault", "close", "--reason", " "), 2, "--reason was empty"),
        (("trials", "--run", "run_zz"), 2, "run_zz"),
        (("trials", "--symbol", "XRPUSDT", "--market", "usdm"), 2, "XRPUSDT"),
        (("vault", "open", EDGE.edge_id), 2, "edgesmith vault init"),
        (("vault", "init", "--days", "0"), 2, "at least 1"),
        (("vault", "close", "--reason", "x"), 2, "no generation"),
        (("trials", "--run", "a", "--symbol", "b"), 2, "one or the other"),
    ],
)
def test_errors_are_one_line_that_teaches(
    place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    line = told(capsys, *words, code=code)
    assert said in line and line.count("\n") == 1


def test_a_generation_is_spent_and_the_next_begins_later(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Disjoint intervals of one feature: none is a twin of another.
    edges = [
        spec(
            venue="binance_usdm",
            symbol="BTCUSDT",
            trigger=Trigger(bounds=(Bound(feature="queue_imbalance()", low=number / 10 - 1.0, high=number / 10 - 0.9),)),
            horizon_ns=1_000_000_000,
        )
        for number in range(OPENINGS_MAX + 1)
    ]
    registry = EdgeRegistry(sqlite_url(place / "runs"))
    registry.record([(one, None) for one in edges])
    registry.close()
    told(capsys, "vault", "init", "--days", "1")
    said = [told(capsys, "vault", "open", one.edge_id, "--n-min", "1") for one in edges[:OPENINGS_MAX]]
    assert not any("is closed" in one for one in said[:-1])
    assert "generation 1 is closed (all 17 openings are spent): its days are in the lake, as training data" in said[-1]
    listed = told(capsys, "vault", "ls")
    assert "closed: all" in listed and listed.count("REJECT_") == OPENINGS_MAX
    assert len(data(capsys, "lake", "ls")) == 3
    assert "no generation of the vault is open; begin one" in told(capsys, "vault", "open", edges[-1].edge_id, code=2)
    assert "the vault answers once" in told(capsys, "vault", "open", edges[0].edge_id)
    # Its days are spent: the next generation begins after them.
    assert "a new generation begins after 2024-08-10" in told(capsys, "vault", "init", "--days", "1", code=2)
    day = DAY + timedelta(days=3)
    put(place / "data", Stream.BBO, quotes(3), day=day)
    assert "generation 2: 2024-08-11 to 2024-08-11" in told(capsys, "vault", "init", "--days", "1")
    opened = data(capsys, "vault", "open", edges[-1].edge_id, "--n-min", "1")
    assert (opened["seal"]["opening"], opened["seal"]["generation"]) == (1, 2)


def test_a_peek_as_a_user_sees_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trigger = Trigger(bounds=(Bound(feature="queue_imbalance()", low=0.2),))
    asked = spec(venue="binance_usdm", symbol="BTCUSDT", trigger=trigger, horizon_ns=1_000_000_000)
    registry = EdgeRegistry(sqlite_url(place / "runs"))
    registry.add(asked)
    registry.close()
    assert "the days before 2024-08-10 are for `edgesmith vault peek`" in told(
        capsys, "vault", "init", "--days", "2", "--peek-days", "1"
    )
    said = told(capsys, "vault", "peek", asked.edge_id)
    assert "noisy: the vault" in said and "of 20 in this generation" in said
    again = told(capsys, "vault", "peek", asked.edge_id)
    assert "the same edge gets the same answer" in again and said in again
    peek = data(capsys, "vault", "peek", asked.edge_id)
    assert peek["noisy"] and peek["again"] and data(capsys, "vault", "ls")["peeks"] == [peek["peek"]]
    assert "peeks, net bps per expected trade" in told(capsys, "vault", "ls")
    assert data(capsys, "edges", "show", asked.edge_id)["evidence"] == []


def test_evidence_edited_in_the_database_is_one_clear_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(place / "runs" / "edges.db") as connection:
        connection.execute("DROP TRIGGER evidence_no_update")
        connection.execute("UPDATE evidence SET verdict = 'VALIDATED', body = replace(body, 'CANDIDATE', 'VALIDATED')")
    for words in (("edges", "show", EDGE.edge_id), ("edges", "ls")):
        line = told(capsys, *words, code=3)
        assert f"evidence 1 about {EDGE.edge_id} was changed behind edgesmith's back" in line and line.count("\n") == 1
