"""The tearsheet of a run: one HTML file that needs nothing else, not even a network.

Reads what a run left in its folder and shows it; computes no result of its own, and never imports `edges`: what discovery
found and what the truth was arrive as plain mappings. Reading order: `tearsheet` (puts the page together), `run_folder`
(reads and checks), `data`, `discovery`, `backtest` (one section each), `series` (numbers for the charts), `formats`
(numbers for people), `charting` (where the chart library comes from).
"""

from edgesmith.trading.report.tearsheet import REPORT_NAME, write_report

__all__ = ["REPORT_NAME", "write_report"]
