"""The registry on both servers: every test runs on SQLite and on a PostgreSQL that the tests install and start themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from builders_edges import evidence, spec
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.registry import EdgeRegistry, sqlite_url
from edgesmith.errors import CorruptDataError, DataError, EdgesmithError, InputError
from servers.postgres import postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "deep")
    server: str = request.getfixturevalue("server")
    name = f"test_{os.getpid()}_{abs(hash(request.node.name))}"
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def registry(url: str) -> Iterator[EdgeRegistry]:
    opened = EdgeRegistry(url)
    yield opened
    opened.close()


def raw(url: str, statement: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def numbered(number: int, **change: object) -> EdgeSpec:
    return spec(trigger=Trigger(bounds=(Bound(feature="imbalance()", low=number / 1e6),)), **change)


def test_what_goes_in_comes_out(registry: EdgeRegistry, url: str) -> None:
    edge_id = registry.add(spec())
    assert registry.add(spec()) == edge_id == spec().edge_id
    first = evidence(edge_id, details={"half_life_response_ns": 9_000_000_000, "by_day": [0.1, None]})
    second = evidence(edge_id, stage="validation", net_bps=1.25, verdict="REJECT_UNSTABLE")
    for one in (first, second, first):
        registry.append(one)
    assert registry.get(edge_id) == registry.get(edge_id[:9]) == spec()
    again = EdgeRegistry(url)
    assert again.evidence(edge_id) == (first, second)
    again.close()


def test_where_an_edge_stands_is_what_the_furthest_stage_found_last(registry: EdgeRegistry) -> None:
    edge_id = registry.add(spec())
    registry.append(evidence(edge_id, stage="validation", verdict="CANDIDATE"))
    registry.append(
        evidence(edge_id, stage="validation", verdict="VALIDATED", net_low_bps=0.7, details={"net_low_usd_per_day": 3.5})
    )
    registry.append(evidence(edge_id, stage="discovery", verdict="REJECT_NULL", data_fingerprint="later"))
    (row,) = registry.list()
    assert (row.stage, row.verdict, row.net_low_bps, row.net_low_usd_per_day) == ("validation", "VALIDATED", 0.7, 3.5)
    assert row.trigger == "imbalance() >= 0.5"
    assert registry.counts() == {"VALIDATED": 1}


def test_listing_ranks_and_filters(registry: EdgeRegistry) -> None:
    findings = [
        (numbered(1), evidence(numbered(1).edge_id, net_low_bps=0.1)),
        (numbered(2), evidence(numbered(2).edge_id, net_low_bps=0.9)),
        (numbered(3, symbol="BUSDT"), evidence(numbered(3, symbol="BUSDT").edge_id, details={"net_low_usd_per_day": 0.01})),
        (numbered(4), evidence(numbered(4).edge_id, verdict="REJECT_COST", net_low_bps=None)),
        (numbered(5), None),
    ]
    assert registry.record(findings) == 5 and registry.record(findings) == 0
    ids = {numbered(n, symbol="BUSDT" if n == 3 else "AUSDT").edge_id: n for n in range(1, 6)}
    listed = registry.list()
    assert [ids[row.edge_id] for row in listed][:3] == [3, 2, 1] and len(listed) == 5
    assert {ids[row.edge_id] for row in listed[3:]} == {4, 5}
    assert [ids[row.edge_id] for row in registry.list(verdict="CANDIDATE", symbol="ausdt")] == [2, 1]
    assert len(registry.list(limit=2)) == 2
    assert registry.counts() == {"": 1, "CANDIDATE": 3, "REJECT_COST": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE evidence SET verdict = 'VALIDATED'",
        "UPDATE edges SET side = -1",
        "UPDATE edgesmith_registry SET version = 9",
        "DELETE FROM evidence",
        "DELETE FROM edges",
        "DELETE FROM edgesmith_registry",
    ],
)
def test_the_database_refuses_to_change_or_remove(registry: EdgeRegistry, url: str, statement: str) -> None:
    registry.record([(spec(), evidence(spec().edge_id))])
    with pytest.raises(DBAPIError, match="cannot be changed or removed"):
        raw(url, statement)
    assert registry.list()[0].verdict == "CANDIDATE"


def test_no_way_around_the_triggers(registry: EdgeRegistry, url: str) -> None:
    registry.record([(spec(), evidence(spec().edge_id))])
    columns = "number, edge_id, evidence_hash, stage, stage_rank, verdict, sentence, n, trials_total, body"
    forged = f"({columns}) SELECT number, edge_id, 'forged', stage, stage_rank, 'VALIDATED', '', n, 0, body FROM evidence"
    if url.startswith("sqlite"):
        statements = [f"INSERT OR REPLACE INTO evidence {forged}", f"REPLACE INTO evidence {forged}"]
    else:
        statements = [
            "TRUNCATE evidence",
            f"INSERT INTO evidence {forged} ON CONFLICT (number) DO UPDATE SET verdict = 'VALIDATED'",
        ]
    for statement in statements:
        with pytest.raises(DBAPIError, match="cannot be changed or removed"):
            raw(url, statement)
    assert [row.verdict for row in registry.list()] == ["CANDIDATE"]


def without_triggers(url: str) -> None:
    """Do what someone would who wants to change history: take the triggers away."""
    if url.startswith("sqlite"):
        for table in ("edges", "evidence"):
            for action in ("update", "delete", "replace"):
                raw(url, f"DROP TRIGGER {table}_no_{action}")
    else:
        for table in ("edges", "evidence"):
            raw(url, f"DROP TRIGGER {table}_append_only ON {table}")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE evidence SET verdict = 'VALIDATED'", "evidence 1 about"),
        ("UPDATE evidence SET net_low_bps = 99.0", "evidence 1 about"),
        ("UPDATE evidence SET net_low_usd_per_day = 99.0", "evidence 1 about"),
        ("UPDATE evidence SET body = replace(body, 'CANDIDATE', 'VALIDATED'), verdict = 'VALIDATED'", "evidence 1 about"),
        ("UPDATE evidence SET body = '{}'", "evidence 1 about"),
        ("UPDATE evidence SET stage_rank = stage_rank + 2 WHERE stage = 'discovery'", "where edge_.* stands"),
        ("UPDATE edges SET side = -1", "the edge edge_"),
        ("UPDATE edges SET body = replace(body, '\"side\":1', '\"side\":-1')", "the edge edge_"),
        ("UPDATE edges SET trigger = 'imbalance() >= 0.9'", "the edge edge_"),
    ],
)
def test_rows_edited_behind_our_back_are_found_out(registry: EdgeRegistry, url: str, statement: str, said: str) -> None:
    rejected = evidence(spec().edge_id, stage="validation", verdict="REJECT_COST", data_fingerprint="later")
    registry.record([(spec(), evidence(spec().edge_id)), (spec(), rejected)])
    assert registry.list(limit=5)[0].verdict == "REJECT_COST"
    without_triggers(url)
    raw(url, statement)
    with pytest.raises(CorruptDataError, match=f"{said}.*behind edgesmith's back"):
        registry.list(limit=5)
    if "stage_rank" not in statement:
        with pytest.raises(CorruptDataError, match="restore the registry"):
            registry.get(spec().edge_id)
            registry.evidence(spec().edge_id)


def test_listings_of_a_search_or_a_text(registry: EdgeRegistry) -> None:
    percent = spec(trigger=Trigger(bounds=(Bound(feature="order_flow_imbalance(window_ns=5)", low=0.25),)))
    found = [(numbered(n), evidence(numbered(n).edge_id, details={"trial_hash": "f" * (n + 1)})) for n in (1, 2)]
    again = evidence(numbered(1).edge_id, details={"trial_hash": "fff"}, data_fingerprint="more")
    registry.record([*found, (numbered(1), again), (percent, None)])

    def ids(**wanted: str) -> set[str]:
        every = {row.edge_id for row in registry.list(**wanted)}
        assert every == {row.edge_id for row in registry.list(limit=9, **wanted)}
        return every

    assert ids(found_by="ff") == {numbered(1).edge_id} and ids(found_by="fff") == {numbered(1).edge_id, numbered(2).edge_id}
    assert ids(found_by="f") == ids(found_by="%") == set()
    assert ids(text="Order_Flow") == {percent.edge_id} == ids(text=percent.edge_id[5:12])
    # No wildcards: every trigger here has an imbalance, none a per cent sign.
    assert len(ids(text="imbalance()")) == 2 and ids(text="imb%e") == ids(text="order?flow") == set()
    assert len(ids(text="imbalance")) == 3


def test_a_batch_is_all_or_nothing(registry: EdgeRegistry) -> None:
    with pytest.raises(InputError, match="expected the same edge"):
        registry.record([(numbered(1), None), (numbered(2), evidence(numbered(1).edge_id))])
    with pytest.raises(InputError, match="there are no edges in"):
        registry.append(evidence("edge_000000000000"))
    too_long = evidence(numbered(2).edge_id, n=2**63)
    with pytest.raises((EdgesmithError, OverflowError)):
        registry.record([(numbered(2), too_long)])
    assert registry.list() == []


def test_unknown_and_ambiguous_names(registry: EdgeRegistry) -> None:
    with pytest.raises(InputError, match=r"there are no edges in .* yet"):
        registry.get("edge_1")
    registry.record([(numbered(1), None), (numbered(2), None)])
    with pytest.raises(InputError, match="more than one"):
        registry.get("edge_")
    with pytest.raises(InputError, match=numbered(1).edge_id):
        registry.get("edge%")


def test_another_schema_is_refused(url: str) -> None:
    EdgeRegistry(url).close()
    raw(url, "INSERT INTO edgesmith_registry VALUES (2)")
    with pytest.raises(DataError, match="schema version was 2, expected 1"):
        EdgeRegistry(url)


def test_processes_that_write_at_once_lose_nothing(url: str) -> None:
    children = []
    for name in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                registry = EdgeRegistry(url)
                for index in range(5):
                    registry.record([(numbered(index), evidence(numbered(index).edge_id, data_fingerprint=f"{name}"))])
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    registry = EdgeRegistry(url)
    assert len(registry.list()) == 5
    assert all(len(registry.evidence(row.edge_id)) == 4 for row in registry.list())
    registry.close()


def test_sqlite_waits_in_wal_mode(tmp_path: Path) -> None:
    EdgeRegistry(sqlite_url(tmp_path)).close()
    engine = create_engine(sqlite_url(tmp_path))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("runs/edges.db", "expected a URL"),
        ("mysql://host/name", "possible: postgresql, sqlite"),
        ("sqlite://", "expected a file"),
        ("postgresql://someone:secret@/none?host=/nowhere", r"someone:\*\*\*@.*did not answer"),
    ],
)
def test_a_wrong_address_is_explained(address: str, said: str) -> None:
    with pytest.raises(EdgesmithError, match=said) as caught:
        EdgeRegistry(address)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    (tmp_path / "edges.db").write_bytes(b"not a database, certainly not one of sixteen bytes")
    with pytest.raises(DataError, match="not a database"):
        EdgeRegistry(sqlite_url(tmp_path))
