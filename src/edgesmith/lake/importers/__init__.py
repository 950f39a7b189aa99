"""Turn files recorded elsewhere into partitions of the lake; nothing wrong goes in, nothing is dropped unsaid.

Read `entry` first, then `intake` (what happens to every row) and `report` (what is said about it); each format has its file.
"""

from edgesmith.lake.importers.entry import KINDS, import_files
from edgesmith.lake.importers.report import REASONS, FileReport, ImportReport, PartitionReport

__all__ = ["KINDS", "REASONS", "FileReport", "ImportReport", "PartitionReport", "import_files"]
