"""The tearsheet of a run, and the page on an analysis of features: HTML files that need nothing else, not even a network.

Reads what a run left in its folder and shows it; computes no result of its own, and never imports `edges`: what discovery
found and what the truth was arrive as plain mappings. Reading order: `tearsheet` (puts the page of a run together),
`run_folder` (reads and checks), `data`, `discovery`, `backtest` (one section each), `features` (the page on features),
`series` (numbers for the charts), `formats` (numbers for people), `page` and `charting` (one file out of all that).
"""

from edgesmith.trading.report.features import write_feature_report
from edgesmith.trading.report.tearsheet import REPORT_NAME, write_report

__all__ = ["REPORT_NAME", "write_feature_report", "write_report"]
