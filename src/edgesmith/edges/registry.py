"""The store of edges and of what is known about them: SQLite by default, PostgreSQL by URL.

Specs and evidence are only ever added. The database itself refuses to change or remove a row, whoever asks, so what an edge
once promised cannot be made to look different later. Adding what is there already changes nothing. Who takes the triggers away
and edits a row is found out when it is read: every row carries the hash of what was recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, Select, Table, Text, create_engine, event, func, insert, or_, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from edgesmith.canonical import canonical_json
from edgesmith.edges.edge import EDGE_ID_PREFIX, STAGES, EdgeEvidence, EdgeSpec
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
from edgesmith.errors import CorruptDataError, DataError, InputError, TransportError, UnknownNameError

DEFAULT_NAME = "edges.db"
SQLITE_WAIT_S = 30.0
# Keeps `IN (...)` far below the number of parameters either server takes.
KEYS_PER_QUERY = 500

T = TypeVar("T")


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


def is_there(url: str) -> bool:
    """Return whether there is something to read at a URL; False only where a SQLite file is not there."""
    parsed = _checked_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(str(parsed.database)).exists()


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
        query = select(EDGES).where(func.substr(EDGES.c.edge_id, 1, len(edge_id)) == edge_id).limit(2)
        with self._connected() as connection:
            rows = connection.execute(query).mappings().all()
        if len(rows) > 1 and edge_id:
            raise InputError(f"'{edge_id}' begins the id of more than one edge in {self.name}; write more of it")
        if not rows or not edge_id:
            raise self._unknown(edge_id)
        return self._spec_in(rows[0])

    def evidence(self, edge_id: str) -> tuple[EdgeEvidence, ...]:
        """Return everything found about an edge, oldest first."""
        query = select(EVIDENCE).where(EVIDENCE.c.edge_id == edge_id).order_by(EVIDENCE.c.number)
        with self._connected() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(map(self._evidence_in, rows))

    def list(
        self,
        verdict: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
        *,
        text: str | None = None,
        found_by: str | None = None,
    ) -> Sequence[EdgeRow]:
        """Return the edges and where they stand: what earns most on its lower bound first, what was not measured last.

        `text` is part of the id or the trigger, upper or lower case; `found_by` the trial hash of the search that found them.
        """
        with self._connected() as connection:
            rows = [EdgeRow(*row) for row in connection.execute(_listing(verdict, symbol, limit, text, found_by))]
            if limit is None:
                # A listing of everything is for programs, which read the evidence itself.
                return sorted(rows, key=lambda row: row.rank)
            self._check_rows(connection, rows)
        return rows

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

    def _check_rows(self, connection: Connection, rows: Sequence[EdgeRow]) -> None:
        # What is shown to people is what was recorded.
        found: dict[str, list[EdgeEvidence]] = {row.edge_id: [] for row in rows}
        for edge in _chosen(connection, EDGES, list(found)):
            self._spec_in(edge)
        for one in map(self._evidence_in, _chosen(connection, EVIDENCE, list(found))):
            found[one.edge_id].append(one)
        for row in rows:
            # Of the furthest stage the last: max keeps the first of equals, so look from the end.
            stands = max(reversed(found[row.edge_id]), key=lambda one: STAGES.index(one.stage), default=None)
            if (row.stage, row.verdict) != ((None, None) if stands is None else (stands.stage, stands.verdict)):
                raise self._altered(f"where {row.edge_id} stands")

    def _spec_in(self, row: RowMapping) -> EdgeSpec:
        name = f"the edge {row['edge_id']}"
        spec = self._recorded(row["body"], row["spec_hash"], EdgeSpec, name)
        self._check_columns(row, _spec_columns(spec) | {"edge_id": EDGE_ID_PREFIX + row["spec_hash"][:12]}, name)
        return spec

    def _evidence_in(self, row: RowMapping) -> EdgeEvidence:
        name = f"evidence {row['number']} about {row['edge_id']}"
        found = self._recorded(row["body"], row["evidence_hash"], EdgeEvidence, name)
        self._check_columns(row, _evidence_columns(found), name)
        return found

    def _recorded(self, body: str, recorded: str, kind: type[T], name: str) -> T:
        if hashlib.sha256(body.encode()).hexdigest() != recorded:
            raise self._altered(name)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise DataError(f"{self.name}: {name} is of a kind this edgesmith does not know ({error}); use a later one") from None

    def _check_columns(self, row: RowMapping, expected: Mapping[str, Any], name: str) -> None:
        if any(row[column] != value for column, value in expected.items()):
            raise self._altered(name)

    def _altered(self, name: str) -> CorruptDataError:
        return CorruptDataError(
            f"{self.name}: {name} was changed behind edgesmith's back (it is not what its hash says was recorded); "
            "restore the registry from a backup"
        )

    def _unknown(self, edge_id: str) -> InputError:
        with self._connected() as connection:
            some = connection.scalars(select(EDGES.c.edge_id).order_by(EDGES.c.edge_id).limit(5)).all()
        if not some:
            return InputError(
                f"edge was '{edge_id}', but there are no edges in {self.name} yet; find some with `edgesmith discover`"
            )
        return UnknownNameError("edge", edge_id, [*some, "... (`edgesmith edges ls`)"])


def _listing(verdict: str | None, symbol: str | None, limit: int | None, text: str | None, found_by: str | None) -> Select[Any]:
    columns = [EDGES.c[name] if name in EDGES.c else EVIDENCE.c[name] for name in EdgeRow.__struct_fields__]
    query = select(*columns).select_from(EDGES.outerjoin(EVIDENCE, is_standing(EDGES.c.edge_id)))
    if verdict is not None:
        query = query.where(EVIDENCE.c.verdict == verdict)
    if symbol is not None:
        query = query.where(EDGES.c.symbol == symbol.upper())
    if text is not None:
        # Not LIKE: `_` and `%` of a trigger would be wildcards.
        places = (func.lower(column, type_=Text) for column in (EDGES.c.edge_id, EDGES.c.trigger))
        query = query.where(or_(*(func.replace(place, text.lower(), "") != place for place in places)))
    if found_by is not None:
        found = select(EVIDENCE.c.edge_id).where(EVIDENCE.c.body.contains(f'"trial_hash":"{found_by}"', autoescape=True))
        query = query.where(EDGES.c.edge_id.in_(found))
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
        _spec_columns(spec) | {"edge_id": spec.edge_id, "spec_hash": spec.spec_hash, "body": canonical_json(spec).decode()}
        for spec in wanted.values()
    ]
    if rows:
        connection.execute(insert(EDGES), rows)
    return len(rows)


def _add_evidence(connection: Connection, evidence: Sequence[EdgeEvidence]) -> None:
    wanted = {one.evidence_hash: one for one in evidence}
    for known in _present(connection, EVIDENCE.c.evidence_hash, list(wanted)):
        del wanted[known]
    rows = [
        _evidence_columns(one)
        | {"evidence_hash": one.evidence_hash, "stage_rank": STAGES.index(one.stage), "body": canonical_json(one).decode()}
        for one in wanted.values()
    ]
    if rows:
        connection.execute(insert(EVIDENCE), rows)


def _chosen(connection: Connection, table: Table, edge_ids: Sequence[str]) -> Iterator[RowMapping]:
    for begin in range(0, len(edge_ids), KEYS_PER_QUERY):
        query = select(table).where(table.c.edge_id.in_(edge_ids[begin : begin + KEYS_PER_QUERY]))
        yield from connection.execute(query.order_by(*table.primary_key)).mappings()


def _spec_columns(spec: EdgeSpec) -> dict[str, Any]:
    return {
        "venue": spec.venue,
        "symbol": spec.symbol,
        "side": spec.side,
        "trigger": str(spec.trigger),
        "horizon_ns": spec.horizon_ns,
        "latency_ns": spec.latency_ns,
        "cost_tier": spec.cost_tier,
    }


def _evidence_columns(one: EdgeEvidence) -> dict[str, Any]:
    return {
        "edge_id": one.edge_id,
        "stage": one.stage,
        "verdict": one.verdict,
        "sentence": one.sentence,
        "n": one.n,
        "net_bps": one.net_bps,
        "net_low_bps": one.net_low_bps,
        "net_high_bps": one.net_high_bps,
        "net_low_usd_per_day": one.details.get("net_low_usd_per_day"),
        "trials_total": one.trials_total,
    }


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
        try:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"no registry can be made at {url.database} ({error.strerror}); name another place with --registry"
            ) from None
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
