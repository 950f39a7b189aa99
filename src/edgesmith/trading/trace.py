"""The decision trace: what a compiled strategy wrote down about its decisions, streamed to `trace.parquet`.

A strategy that can be traced names its columns and its codes; `decide` fills `view.trace` and sets `view.trace_code`. Which
decisions are traced changes nothing but this file: a run with and without it has the same id and the same hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgesmith.domain.instruments import Instrument
from edgesmith.errors import InputError
from edgesmith.trading.state import MAX_TRACE

TRACE_NAME = "trace.parquet"


class TraceLevel(StrEnum):
    """What is traced: nothing, every decision that wants another position, or every refused signal too."""

    OFF = "off"
    DECISIONS = "decisions"
    REFUSALS = "refusals"

    @property
    def number(self) -> int:
        """Return what compiled code finds in `view.trace_level`."""
        return list(TraceLevel).index(self)


class TraceColumn(msgspec.Struct, frozen=True):
    """One column: the name of a number, or of a word that the number picks from `words`."""

    name: str
    words: tuple[str, ...] = ()


class DecisionLogger:
    """Writes rows of the trace, whatever their number, in the memory of one buffer.

    `codes` gives each code its stable name (column `gate`) and its sentence (column `why`).
    """

    def __init__(
        self,
        path: Path,
        instruments: Sequence[Instrument],
        columns: Sequence[TraceColumn],
        codes: Mapping[int, tuple[str, str]],
    ) -> None:
        if len(columns) > MAX_TRACE:
            raise InputError(f"a trace has {len(columns)} columns, expected at most {MAX_TRACE}")
        self._columns = tuple(columns)
        self._names = np.array([""] * (max(codes) + 1), object)
        self._sentences = self._names.copy()
        for code, (name, sentence) in codes.items():
            self._names[code], self._sentences[code] = name, sentence
        self._symbols = np.array([instrument.symbol for instrument in instruments], object)
        fields = [(column.name, pa.string() if column.words else pa.float64()) for column in columns]
        head = [("ts", pa.int64()), ("event_index", pa.int64()), ("symbol", pa.string())]
        tail = [("gate", pa.string()), ("qty", pa.float64()), ("why", pa.string())]
        self._writer = pq.ParquetWriter(path, pa.schema([*head, *fields, *tail]), compression="zstd")

    def write(self, rows: NDArray[Any]) -> None:
        """Append `TRACE` rows."""
        columns: dict[str, Any] = {
            "ts": rows["ts"],
            "event_index": rows["event_index"],
            "symbol": self._symbols[rows["instrument"]],
        }
        for place, column in enumerate(self._columns):
            values = rows["values"][:, place]
            columns[column.name] = np.array(column.words, object)[values.astype(np.int64)] if column.words else values
        columns |= {"gate": self._names[rows["code"]], "qty": rows["target"], "why": self._sentences[rows["code"]]}
        self._writer.write_table(pa.table(columns, schema=self._writer.schema))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
