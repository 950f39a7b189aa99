"""Small files in every format the lake imports, and a look at what became of them."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from edgesmith.lake.importers import FileReport, ImportReport

# 2024-08-08 12:00:00 UTC.
NOON_MS = 1_723_118_400_000
NOON_NS = NOON_MS * 1_000_000


def quote(index: int, *, wrapped: bool = True, symbol: str = "BTCUSDT", **changes: Any) -> bytes:
    """One usdm bookTicker line, received 40 ms after its venue time."""
    data = {
        "e": "bookTicker",
        "u": 1_000 + index,
        "s": symbol,
        "b": f"{60_000 + index % 7}.10",
        "B": "1.5",
        "a": f"{60_000 + index % 7}.20",
        "A": "2.25",
        "T": NOON_MS + index,
        "E": NOON_MS + index,
    }
    return line(index, data | changes, f"{symbol.lower()}@bookTicker" if wrapped else None)


def trade(index: int, *, wrapped: bool = True, kind: str = "trade", **changes: Any) -> bytes:
    """One usdm trade (or aggTrade) line."""
    id_name = "t" if kind == "trade" else "a"
    data = {
        "e": kind,
        "E": NOON_MS + index,
        "T": NOON_MS + index,
        "s": "BTCUSDT",
        id_name: 5_000 + index,
        "p": "60000.10",
        "q": "0.125",
        "m": index % 2 == 0,
    }
    return line(index, data | changes, f"btcusdt@{kind}" if wrapped else None)


def line(index: int, data: dict[str, Any], stream: str | None) -> bytes:
    frame = data if stream is None else {"stream": stream, "data": data}
    return b"%d %s" % (NOON_NS + index * 1_000_000 + 40_000_000, json.dumps(frame, separators=(",", ":")).encode())


def write_lines(path: Path, lines: Iterable[bytes]) -> Path:
    content = b"".join(each + b"\n" for each in lines)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_zip(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(path.stem + ".csv", (2024, 8, 9, 0, 0, 0)), text)
    return path


def only(report: ImportReport) -> FileReport:
    """The report of the only file; its counts must add up."""
    (file,) = report.files
    assert adds_up(file), file
    return file


def adds_up(file: FileReport) -> bool:
    given = sum(partition.rows_given for partition in file.partitions)
    merged = all(
        partition.refused is not None or partition.rows_given == partition.rows_added + partition.duplicates
        for partition in file.partitions
    )
    return file.lines == file.accepted + sum(file.reasons.values()) and given == sum(file.rows.values()) and merged


def quarantined(file: FileReport) -> list[tuple[str, str]]:
    """The (reason, raw) pairs in a file's quarantine."""
    if file.quarantine is None:
        return []
    entries = [json.loads(each) for each in Path(file.quarantine).read_text(encoding="utf-8").splitlines()]
    return [(entry["reason"], entry["raw"]) for entry in entries]


def rows(root: Path, venue: str, stream: str, symbol: str, day: str) -> pl.DataFrame:
    folder = root / f"exchange={venue}/stream={stream}/symbol={symbol.lower()}/date={day}"
    (data,) = folder.glob("*.parquet")
    return pl.read_parquet(data, hive_partitioning=False)


def tree_bytes(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def csv(header: str | None, lines: Sequence[Sequence[Any]]) -> str:
    text = "".join(",".join(str(value) for value in values) + "\n" for values in lines)
    return text if header is None else header + "\n" + text
