"""The real USD-M capture: bytes to typed frames, and file to lake, on one core."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Contestant, Options, Row, race, rate_check

TITLE = "import of a real capture, one core"
CAPTURE = ROOT.parent / "shared" / "data" / "captures" / "binance_usdm_btcusdt_20240808.gz"
MARKET, SYMBOL = "usdm", "BTCUSDT"
DECODED_PER_S = 0.9e6
IMPORTED_PER_S = 300e3
_CLOCK_DIGITS = 19


def rows(options: Options) -> list[Row]:
    """Race our decoder with bare ones, then time the whole import."""
    if not CAPTURE.is_file():
        return [Row(who="edgesmith", count=0, unit="frames", error=f"{CAPTURE.name} is absent (../shared/data)")]
    frames, lines = len(market_frames()), len(_lines())
    note = f"{frames:,} bookTicker and trade frames, nothing stored"
    sides = [
        Contestant(
            who=who,
            prepare=f"benchmarks.{prepare}",
            count=frames,
            unit="frames",
            environment=environment,
            ours=who.startswith("edgesmith"),
            note=note,
        )
        for who, prepare, environment in (
            ("edgesmith, typed decode", "bench_import:prepare_decode", ""),
            ("edgesmith, frame by frame", "bench_import:prepare_feed", ""),
            ("msgspec, bare typed decode", "peers.decoders:prepare_msgspec", ""),
            ("orjson and float()", "peers.decoders:prepare_orjson", "peers"),
            ("json and float()", "peers.decoders:prepare_json", ""),
        )
        if options.peers or not environment
    ]
    decoded = race(sides, options.repeats)
    rate_check(decoded[0], DECODED_PER_S)
    note = f"{lines:,} lines: gunzip, decode, check, sort, write, fsync"
    prepare = "benchmarks.bench_import:prepare_import"
    imported = race(
        [Contestant(who="edgesmith, file to lake", prepare=prepare, count=lines, unit="frames", note=note)], options.repeats
    )
    rate_check(imported[0], IMPORTED_PER_S)
    return [*decoded, *imported]


def market_frames() -> list[bytes]:
    """Return the JSON of every quote and trade frame."""
    frames = [line[_CLOCK_DIGITS + 1 :] for line in _lines()]
    return [frame for frame in frames if b'"e":"bookTicker"' in frame[:80] or b'"e":"trade"' in frame[:80]]


def _lines() -> list[bytes]:
    return gzip.decompress(CAPTURE.read_bytes()).splitlines()


def prepare_decode() -> Callable[[], dict[str, Any]]:
    """Return the typed decoding an import does: lines routed by how they begin, each kind decoded in one go."""
    from edgesmith.lake.importers.binance_capture import CaptureImporter

    importer = CaptureImporter(MARKET, SYMBOL)
    wanted = set(market_frames())
    lines = [line for line in _lines() if line[_CLOCK_DIGITS + 1 :] in wanted]

    def run() -> dict[str, Any]:
        quotes, trades, aggregates, _, _ = importer._route(lines)
        groups = importer._fast(lines, quotes, trades, aggregates) or []
        return {"frames": sum(len(group.frames) for group in groups)}

    run()
    return run


def prepare_feed() -> Callable[[], dict[str, Any]]:
    """Return the decoding of one frame after another, of whatever kind, as a socket delivers them."""
    from edgesmith.domain.units import date_of_ns
    from edgesmith.venues.binance.decode import DECODERS

    frames = market_frames()
    decode = DECODERS[MARKET].on(date_of_ns(int(_lines()[0][:_CLOCK_DIGITS]))).decode

    def run() -> dict[str, Any]:
        return {"frames": sum(decode(frame)[1] is not None for frame in frames)}

    run()
    return run


def prepare_import() -> Callable[[], dict[str, Any]]:
    """Return the import of the file into a new lake."""
    from edgesmith.lake.importers.entry import import_files

    folder = Path(tempfile.mkdtemp(prefix="edgesmith_bench_"))

    def run() -> dict[str, Any]:
        shutil.rmtree(folder / "lake", ignore_errors=True)
        report = import_files("binance-capture", [CAPTURE], folder / "lake", market=MARKET, symbol=SYMBOL)
        return {"partitions": sum(len(file.partitions) for file in report.files)}

    run()
    return run
