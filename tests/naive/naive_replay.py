"""The obvious replay: read everything as Python tuples and sort it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from edgesmith.domain.events import PAYLOAD_FIELDS
from edgesmith.lake.catalog import Partition


def naive_replay(partitions: Sequence[Partition], order: str = "receive") -> list[tuple[Any, ...]]:
    """Return (ts_recv, ts_event, instrument, kind, seq, payload) of every row in the order asked for."""
    instruments = sorted({(partition.key.venue, partition.key.symbol) for partition in partitions})
    found = []
    for partition in partitions:
        instrument = instruments.index((partition.key.venue, partition.key.symbol))
        kind = int(partition.key.stream)
        for row in pq.read_table(partition.data_path).to_pylist():
            payload = tuple(row[name] for name in PAYLOAD_FIELDS[partition.key.stream])
            found.append((row["ts_recv"], row["ts_event"], instrument, kind, row["seq"], payload))
    return sorted(found, key=lambda row: row[:5] if order == "receive" else row[1:5])
