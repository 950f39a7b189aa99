"""The tables of the registry and the triggers that keep them append-only, for both servers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

SCHEMA_VERSION = 1
REFUSAL = "rows of this table cannot be changed or removed"
# Any number that no other program locks in the same database.
POSTGRES_LOCK = 5_318_008_472

_METADATA = MetaData()

VERSIONS = Table("edgesmith_registry", _METADATA, Column("version", Integer, primary_key=True))

EDGES = Table(
    "edges",
    _METADATA,
    Column("edge_id", Text, primary_key=True),
    Column("spec_hash", Text, nullable=False, unique=True),
    Column("venue", Text, nullable=False),
    Column("symbol", Text, nullable=False, index=True),
    Column("side", SmallInteger, CheckConstraint("side IN (-1, 1)"), nullable=False),
    Column("trigger", Text, nullable=False),
    Column("horizon_ns", BigInteger, nullable=False),
    Column("latency_ns", BigInteger, nullable=False),
    Column("cost_tier", Text, nullable=False),
    Column("body", Text, nullable=False),
)

EVIDENCE = Table(
    "evidence",
    _METADATA,
    # SQLite numbers only a plain INTEGER by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("edge_id", Text, ForeignKey("edges.edge_id"), nullable=False),
    Column("evidence_hash", Text, nullable=False, unique=True),
    Column("stage", Text, nullable=False),
    Column("stage_rank", SmallInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("net_bps", Float),
    Column("net_low_bps", Float),
    Column("net_high_bps", Float),
    Column("net_low_usd_per_day", Float),
    Column("trials_total", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
Index("evidence_standing", EVIDENCE.c.edge_id, EVIDENCE.c.stage_rank, EVIDENCE.c.number)

_TABLES = (VERSIONS, EDGES, EVIDENCE)
_KEYS = {"edgesmith_registry": ("version",), "edges": ("edge_id", "spec_hash"), "evidence": ("number", "evidence_hash")}


def is_standing(edge_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a row of evidence is the last one of the furthest stage of an edge."""
    other = EVIDENCE.alias("other")
    last = select(other.c.number).where(other.c.edge_id == edge_id).order_by(other.c.stage_rank.desc(), other.c.number.desc())
    return EVIDENCE.c.number == last.limit(1).scalar_subquery()


def lock_writers(connection: Connection) -> None:
    """Wait until no one else writes, and keep it so until the transaction ends; call it first."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRES_LOCK})


def create_versions(connection: Connection) -> None:
    """Make the table that says which schema this is, unless it is there."""
    VERSIONS.create(connection, checkfirst=True)


def create_tables(connection: Connection) -> None:
    """Make everything else and note the version."""
    for table in (EDGES, EVIDENCE):
        table.create(connection)
    for statement in _sqlite_triggers() if connection.dialect.name == "sqlite" else _postgres_triggers():
        connection.exec_driver_sql(statement)
    connection.execute(insert(VERSIONS), {"version": SCHEMA_VERSION})


def append_only(error: DBAPIError) -> bool:
    """Tell whether a database error is one of the triggers speaking."""
    return REFUSAL in str(error.orig)


def _sqlite_triggers() -> list[str]:
    statements = []
    for table in _TABLES:
        name = table.name
        for action in ("UPDATE", "DELETE"):
            statements.append(
                f"CREATE TRIGGER {name}_no_{action.lower()} BEFORE {action} ON {name} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )
        # INSERT OR REPLACE removes the old row without asking the trigger above.
        known = " OR ".join(f"{key} = NEW.{key}" for key in _KEYS[name])
        statements.append(
            f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} WHEN EXISTS (SELECT 1 FROM {name} WHERE {known}) "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
    return statements


def _postgres_triggers() -> list[str]:
    function = (
        f"CREATE FUNCTION edgesmith_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    return [function] + [
        f"CREATE TRIGGER {table.name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
        "FOR EACH STATEMENT EXECUTE FUNCTION edgesmith_refuse()"
        for table in _TABLES
    ]
