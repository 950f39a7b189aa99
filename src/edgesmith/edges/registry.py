"""The store of edges and of what is known about them: SQLite by default, PostgreSQL by URL.

Specs and evidence are only ever added. The database itself refuses to change or remove a row, whoever asks, so what an edge
once promised cannot be made to look different later. Adding what is there already changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Select, create_engine, event, func, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from edgesmith.canonical import canonical_json
from edgesmith.edges.edge import STAGES, EdgeEvidence, EdgeSpec
from edgesmith.edges.tables import (
    EDGES,
    EVIDENCE,
    SCHEMA_VERSION,
    VERSIONS,
    append_only,
    create_tables,
    create_versions,
    is_standing,
    lock_writers,
)
from edgesmith.errors import DataError, InputError, TransportError, UnknownNameError

DEFAULT_NAME = "edges.db"
SQLITE_WAIT_S = 30.0
# Keeps `IN (...)` far below the number of parameters either server takes.
KEYS_PER_QUERY = 500


class EdgeRow(msgspec.Struct, frozen=True):
    """One line of a listing: an edge and where it stands, which is what the furthest stage found last; None without evidence."""

    edge_id: str
    venue: str
    symbol: str
    side: int
    trigger: str
    horizon_ns: int
    latency_ns: int
    cost_tier: str
    stage: str | None
    verdict: str | None
    n: int | None
    net_bps: float | None
    net_low_bps: float | None
    net_high_bps: float | None
    net_low_usd_per_day: float | None
    trials_total: int | None

    @property
    def rank(self) -> tuple[bool, float, bool, float, str]:
        """Return a sort key: what earns most on its lower bound first, what was not measured last."""
        usd, bps = self.net_low_usd_per_day, self.net_low_bps
        return usd is None, -(usd or 0.0), bps is None, -(bps or 0.0), self.edge_id


def sqlite_url(folder: Path) -> str:
    """Return the URL of the registry in a folder."""
    return f"sqlite:///{folder / DEFAULT_NAME}"


class EdgeRegistry:
    """The registry at a database URL, made there if need be: `sqlite:///runs/edges.db`, `postgresql://user@host/name`."""

    def __init__(self, url: str) -> None:
        self._url = _checked_url(url)
        self._engine = _engine(self._url)
        with self._connected() as connection:
            lock_writers(connection)
            create_versions(connection)
            version = connection.scalar(select(func.max(VERSIONS.c.version)))
            if version is None:
                create_tables(connection)
            elif version != SCHEMA_VERSION:
                raise DataError(
                    f"{self.name}: schema version was {version}, expected {SCHEMA_VERSION}; "
                    "use it with the edgesmith that wrote it, or start another registry"
                )

    @property
    def name(self) -> str:
        """Return the URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def add(self, spec: EdgeSpec) -> str:
        """Store an edge and return its id."""
        self.record([(spec, None)])
        return spec.edge_id

    def append(self, evidence: EdgeEvidence) -> None:
        """Store what was found about an edge that is already here."""
        with self._connected() as connection:
            lock_writers(connection)
            if not _present(connection, EDGES.c.edge_id, [evidence.edge_id]):
                raise self._unknown(evidence.edge_id)
            _add_evidence(connection, [evidence])

    def record(self, findings: Iterable[tuple[EdgeSpec, EdgeEvidence | None]]) -> int:
        """Store edges with what was found about each, all or nothing, and return how many of the edges were new."""
        found = list(findings)
        for spec, evidence in found:
            if evidence is not None and evidence.edge_id != spec.edge_id:
                raise InputError(f"evidence about {evidence.edge_id} was given for {spec.edge_id}; expected the same edge")
        with self._connected() as connection:
            lock_writers(connection)
            added = _add_specs(connection, [spec for spec, _ in found])
            _add_evidence(connection, [evidence for _, evidence in found if evidence is not None])
        return added

    def get(self, edge_id: str) -> EdgeSpec:
        """Return an edge by its id, or by the beginning of it."""
        # The ids are hex digits and `_`, which is a wildcard of LIKE: compare the beginning instead.
        query = select(EDGES.c.body).where(func.substr(EDGES.c.edge_id, 1, len(edge_id)) == edge_id).limit(2)
        with self._connected() as connection:
            bodies = connection.scalars(query).all()
        if len(bodies) > 1:
            raise InputError(f"'{edge_id}' begins the id of more than one edge in {self.name}; write more of it")
        if not bodies or not edge_id:
            raise self._unknown(edge_id)
        return msgspec.json.decode(bodies[0], type=EdgeSpec)

    def evidence(self, edge_id: str) -> tuple[EdgeEvidence, ...]:
        """Return everything found about an edge, oldest first."""
        query = select(EVIDENCE.c.body).where(EVIDENCE.c.edge_id == edge_id).order_by(EVIDENCE.c.number)
        with self._connected() as connection:
            return tuple(msgspec.json.decode(body, type=EdgeEvidence) for body in connection.scalars(query))

    def list(self, verdict: str | None = None, symbol: str | None = None, limit: int | None = None) -> Sequence[EdgeRow]:
        """Return the edges and where they stand: what earns most on its lower bound first, what was not measured last."""
        with self._connected() as connection:
            rows = [EdgeRow(*row) for row in connection.execute(_listing(verdict, symbol, limit))]
        return rows if limit is not None else sorted(rows, key=lambda row: row.rank)

    def counts(self) -> dict[str, int]:
        """Return how many edges stand at each verdict; "" counts the ones without evidence."""
        joined = EDGES.outerjoin(EVIDENCE, is_standing(EDGES.c.edge_id))
        query = select(func.coalesce(EVIDENCE.c.verdict, ""), func.count()).select_from(joined).group_by(EVIDENCE.c.verdict)
        with self._connected() as connection:
            return {str(name): int(count) for name, count in sorted(tuple(row) for row in connection.execute(query))}

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise _explained(error, self.name) from None

    def _unknown(self, edge_id: str) -> InputError:
        with self._connected() as connection:
            some = connection.scalars(select(EDGES.c.edge_id).order_by(EDGES.c.edge_id).limit(5)).all()
        return UnknownNameError("edge", edge_id, [*some, "... (`edgesmith edges ls`)"] if some else [])


def _listing(verdict: str | None, symbol: str | None, limit: int | None) -> Select[Any]:
    columns = [EDGES.c[name] if name in EDGES.c else EVIDENCE.c[name] for name in EdgeRow.__struct_fields__]
    query = select(*columns).select_from(EDGES.outerjoin(EVIDENCE, is_standing(EDGES.c.edge_id)))
    if verdict is not None:
        query = query.where(EVIDENCE.c.verdict == verdict)
    if symbol is not None:
        query = query.where(EDGES.c.symbol == symbol.upper())
    if limit is None:
        # Many wide rows are sorted faster here than there.
        return query
    order = (EVIDENCE.c.net_low_usd_per_day.desc().nulls_last(), EVIDENCE.c.net_low_bps.desc().nulls_last(), EDGES.c.edge_id)
    return query.order_by(*order).limit(limit)


def _add_specs(connection: Connection, specs: Sequence[EdgeSpec]) -> int:
    wanted = {spec.edge_id: spec for spec in specs}
    for edge_id in _present(connection, EDGES.c.edge_id, list(wanted)):
        del wanted[edge_id]
    rows = [
        {
            "edge_id": edge_id,
            "spec_hash": spec.spec_hash,
            "venue": spec.venue,
            "symbol": spec.symbol,
            "side": spec.side,
            "trigger": str(spec.trigger),
            "horizon_ns": spec.horizon_ns,
            "latency_ns": spec.latency_ns,
            "cost_tier": spec.cost_tier,
            "body": canonical_json(spec).decode(),
        }
        for edge_id, spec in wanted.items()
    ]
    if rows:
        connection.execute(insert(EDGES), rows)
    return len(rows)


def _add_evidence(connection: Connection, evidence: Sequence[EdgeEvidence]) -> None:
    wanted = {one.evidence_hash: one for one in evidence}
    for known in _present(connection, EVIDENCE.c.evidence_hash, list(wanted)):
        del wanted[known]
    rows = [
        {
            "edge_id": one.edge_id,
            "evidence_hash": evidence_hash,
            "stage": one.stage,
            "stage_rank": STAGES.index(one.stage),
            "verdict": one.verdict,
            "sentence": one.sentence,
            "n": one.n,
            "net_bps": one.net_bps,
            "net_low_bps": one.net_low_bps,
            "net_high_bps": one.net_high_bps,
            "net_low_usd_per_day": one.details.get("net_low_usd_per_day"),
            "trials_total": one.trials_total,
            "body": canonical_json(one).decode(),
        }
        for evidence_hash, one in wanted.items()
    ]
    if rows:
        connection.execute(insert(EVIDENCE), rows)


def _present(connection: Connection, column: Any, keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for begin in range(0, len(keys), KEYS_PER_QUERY):
        found.update(connection.scalars(select(column).where(column.in_(keys[begin : begin + KEYS_PER_QUERY]))))
    return found


def _checked_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise InputError(
            f"registry was '{text}', expected a URL such as sqlite:///runs/edges.db or postgresql://host/name"
        ) from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UnknownNameError("registry database", url.drivername, ["sqlite", "postgresql"])
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if not url.database or url.database == ":memory:":
        raise InputError(f"registry was '{text}', expected a file, such as sqlite:///runs/edges.db")
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": SQLITE_WAIT_S})
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    try:
        return create_engine(url, pool_pre_ping=True)
    except (NoSuchModuleError, ImportError):
        raise InputError("PostgreSQL needs its driver, which is not installed; install `edgesmith[postgres]`") from None


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _explained(error: DBAPIError, name: str) -> DataError | TransportError:
    line = str(error.orig).strip().partition("\n")[0]
    if append_only(error):
        return DataError(f"{name}: {line}; edges and evidence are only ever added")
    if error.connection_invalidated or "connect" in line.lower():
        return TransportError(f"{name} did not answer ({line}); check that the server runs and the URL is right")
    return DataError(f"{name}: {line}; check that it is a registry of edges, and that you may write to it")
