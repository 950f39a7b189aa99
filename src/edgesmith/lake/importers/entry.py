"""Import files of any known format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from edgesmith.errors import CorruptDataError, InputError, UnknownNameError
from edgesmith.lake.importers.intake import Intake
from edgesmith.lake.importers.report import FileReport, ImportReport
from edgesmith.lake.importers.sources import LineSource

KINDS = ("binance-capture", "binance-vision", "tardis", "prior-lake")

# (bytes done, bytes in all), of the files as they lie on disk.
Progress = Callable[[int, int], None]


class Importer(Protocol):
    """Reads files of one format."""

    def period_ns(self, path: Path) -> tuple[int, int] | None:
        """Return the first instant and the end of what the file's name says it covers; raises InputError for unusable names."""
        ...

    def read(self, source: LineSource, intake: Intake) -> None:
        """Give every line (or row) of `source` to `intake`; raises CorruptDataError when the file cannot be trusted."""
        ...


def import_files(
    kind: str,
    files: Sequence[Path],
    root: Path,
    *,
    market: str | None = None,
    symbol: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import `files` into the lake at `root`; importing a file again changes nothing.

    Raises
    ------
    InputError
        Before anything was read: an unknown kind, a missing file, a market or symbol that must be given.
    """
    importer = _importer(kind, market, symbol)
    paths = [Path(file) for file in files]
    if not paths:
        raise InputError(f"no files were given to import as {kind}; name at least one")
    for path in paths:
        if not path.is_file():
            raise InputError(f"file {path} was not found, expected a {kind} file; check the path")
    periods = [importer.period_ns(path) for path in paths]
    sizes = [path.stat().st_size for path in paths]
    reports = []
    for index, (path, period_ns) in enumerate(zip(paths, periods, strict=True)):
        done = sum(sizes[:index])
        report = _import_file(importer, Intake(root, path, kind, period_ns=period_ns), path, _shifted(progress, done, sum(sizes)))
        reports.append(report)
        if progress is not None:
            progress(done + sizes[index], sum(sizes))
    return ImportReport(kind=kind, files=tuple(reports))


def _importer(kind: str, market: str | None, symbol: str | None) -> Importer:
    # Imported when asked for: a capture import starts without the CSV reader's weight.
    if kind == "binance-capture":
        from edgesmith.lake.importers.binance_capture import CaptureImporter

        return CaptureImporter(market, symbol)
    if kind == "binance-vision":
        from edgesmith.lake.importers.binance_vision import VisionImporter

        return VisionImporter(market, symbol)
    if kind == "tardis":
        from edgesmith.lake.importers.tardis import TardisImporter

        return TardisImporter(market, symbol)
    if kind == "prior-lake":
        from edgesmith.lake.importers.prior_lake import PriorLakeImporter

        return PriorLakeImporter(market, symbol)
    raise UnknownNameError("import format", kind, KINDS)


def _import_file(importer: Importer, intake: Intake, path: Path, progress: Callable[[int], None] | None) -> FileReport:
    try:
        importer.read(LineSource(path, progress), intake)
    except CorruptDataError as error:
        return intake.refuse(str(error))
    return intake.finish()


def _shifted(progress: Progress | None, done: int, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda bytes_read: progress(done + bytes_read, total)
