"""What a partition is: its key and folder, its columns, and the metadata beside them.

A partition is one UTC day (of `ts_event`) of one stream of one symbol on one venue. Its folder holds one Parquet file,
named by the checksum of its content, and `meta.json`, which names that file. A partition exists when its meta does.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from edgesmith.domain.events import PAYLOAD_FIELDS, Stream
from edgesmith.errors import CorruptDataError, DataError, InputError, UnknownNameError

SCHEMA_VERSION = 2
ORDERING_COLUMNS = ("ts_event", "seq")
SIMULATED_VENUE = "simulated"
META_NAME = "meta.json"

_VENUE_PATTERN = re.compile(r"[a-z0-9_]+")
_SYMBOL_PATTERN = re.compile(r"\w[\w.\-]*")

_TYPES: dict[str, pa.DataType] = {"side": pa.int8(), "trade_id": pa.string(), "next_funding_ts": pa.int64()}
_NULLABLE = frozenset({"index_price"})


def payload_columns(stream: Stream) -> tuple[str, ...]:
    """Return the stored payload columns of a stream, in schema order."""
    extra = ("trade_id",) if stream == Stream.TRADE else ()
    return PAYLOAD_FIELDS[stream] + extra


def content_columns(stream: Stream) -> tuple[str, ...]:
    """Return the columns an importer gives and the checksum covers; the rest follows from the key and the position."""
    return ("ts_event", "ts_recv", *payload_columns(stream))


def arrow_schema(stream: Stream) -> pa.Schema:
    """Return the Parquet columns of a stream."""
    fixed = [
        pa.field("ts_event", pa.int64(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("ts_recv", pa.int64(), nullable=False),
        pa.field("exchange", pa.string(), nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("stream_version", pa.int8(), nullable=False),
    ]
    payload = [pa.field(name, _TYPES.get(name, pa.float64()), nullable=name in _NULLABLE) for name in payload_columns(stream)]
    return pa.schema(fixed + payload)


def parse_stream(name: str) -> Stream:
    """Return the stream called `name`."""
    for stream in Stream:
        if stream.label == name:
            return stream
    raise UnknownNameError("stream", name, (stream.label for stream in Stream))


class PartitionKey(msgspec.Struct, frozen=True, order=True):
    """One UTC day of one stream of one symbol on one venue; the symbol is in upper case."""

    venue: str
    stream: Stream
    symbol: str
    day: date

    def __post_init__(self) -> None:
        if not _VENUE_PATTERN.fullmatch(self.venue):
            raise InputError(f"venue was '{self.venue}', expected lower case letters, digits and _ such as 'binance_usdm'")
        if not _SYMBOL_PATTERN.fullmatch(self.symbol) or self.symbol != self.symbol.upper():
            raise InputError(
                f"symbol was '{self.symbol}', expected upper case letters, digits, '_', '-' or '.' such as 'BTCUSDT'"
            )

    def folder(self, root: Path) -> Path:
        """Return the folder of this partition in the lake at `root`."""
        series = Path(root, f"exchange={self.venue}", f"stream={self.stream.label}", f"symbol={self.symbol.lower()}")
        return series / f"date={self.day:%Y%m%d}"

    def __str__(self) -> str:
        return f"{self.venue}/{self.stream.label}/{self.symbol}/{self.day}"


class Source(msgspec.Struct, frozen=True, order=True):
    """A file (or simulated world) rows came from."""

    name: str
    sha256: str
    format: str


class ClockRecord(msgspec.Struct, frozen=True):
    """What the two clocks of a partition are, and how far apart.

    `event_clock` is "receive" where the venue sent no time and `ts_event` was set to `ts_recv`; `recv_clock` is "venue" where
    nobody recorded a receive time and `ts_recv` was set to `ts_event`. Skew is `ts_recv - ts_event`, always taken from the rows
    the partition holds: `merge_partition` overwrites what it is given.
    """

    event_clock: Literal["venue", "receive"]
    recv_clock: Literal["local", "venue"]
    skew_ns_min: int = 0
    skew_ns_p50: int = 0


class PartitionMeta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sidecar of a partition; holds nothing that depends on when it was written."""

    schema_version: int = SCHEMA_VERSION
    venue: str
    stream: str
    symbol: str
    day: date
    data_file: str
    rows: int
    ts_event_min: int
    ts_event_max: int
    ts_recv_min: int
    ts_recv_max: int
    content_sha256: str
    ordering_columns: tuple[str, ...] = ORDERING_COLUMNS
    sources: tuple[Source, ...]
    clock: ClockRecord
    price_increment: str | None = None
    qty_increment: str | None = None
    simulated: bool = False
    truth: dict[str, Any] | None = None

    @property
    def key(self) -> PartitionKey:
        """Return the key of the partition."""
        return PartitionKey(self.venue, parse_stream(self.stream), self.symbol, self.day)


def encode_meta(meta: PartitionMeta) -> bytes:
    """Return the bytes of `meta.json`: readable, and the same for the same meta."""
    return msgspec.json.format(msgspec.json.encode(meta, order="deterministic"), indent=2) + b"\n"


def read_meta(folder: Path, name: str = META_NAME) -> PartitionMeta | None:
    """Read the meta of the partition in `folder`; None where there is no partition."""
    path = folder / name
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        version = msgspec.json.decode(content, type=dict[str, Any]).get("schema_version")
        if version == SCHEMA_VERSION:
            return msgspec.json.decode(content, type=PartitionMeta)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{path} is not a partition's meta ({error}); delete {folder} and import that day again") from None
    if version == 1:
        raise DataError(
            f"{path} was written by the prior system (schema_version 1, milliseconds); "
            "import its Parquet file with `edgesmith lake import prior-lake` into another folder"
        )
    raise DataError(f"{path}: schema_version was {version}, expected {SCHEMA_VERSION}; read it with the edgesmith that wrote it")
