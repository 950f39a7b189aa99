"""What features are worth before any strategy uses them: eight small analyses of one set of rows, and a score made of them.

Fits on the first part of the time only, judges on the rest, and never treats overlapping labels as independent. Knows nothing
of strategies. Reading order: `rows` (what is read), `layout` (train, held out, blocks, periods, regimes), `coded` (values as
ranks), then one module for each analysis (`correlation`, `label_correlation`, `label_distribution`, `importance`,
`distribution`, `stability`), `score`, and `analyze`, which puts them together.
"""

from edgesmith.evaluation.analysis.analyze import Source, analyze
from edgesmith.evaluation.analysis.config import AnalysisConfig
from edgesmith.evaluation.analysis.rows import AnalysisRows, read_rows

__all__ = ["AnalysisConfig", "AnalysisRows", "Source", "analyze", "read_rows"]
