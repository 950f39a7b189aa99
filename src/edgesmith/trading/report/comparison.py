"""The page on a comparison of runs: their equity over each other, their figures side by side, and how sure the order is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgesmith.domain.units import NS_PER_S
from edgesmith.trading.comparison import ComparedRun, Comparison, equity_curves
from edgesmith.trading.report import formats
from edgesmith.trading.report.page import render_page, write_page
from edgesmith.trading.report.series import packed


def write_comparison(comparison: Comparison, folders: Sequence[Path], path: Path) -> Path:
    """Write the page to `path` and return it; the same runs give the same bytes."""
    from edgesmith import __version__

    page = render_page(
        "comparison.html.j2", _payload(comparison, folders), edgesmith_version=__version__, **comparison_view(comparison)
    )
    return write_page(path, page)


def comparison_view(comparison: Comparison) -> dict[str, Any]:
    """Return what the template shows."""
    names = [run.name for run in comparison.runs]
    return {
        "title": " and ".join(names) if len(names) == 2 else f"{len(names)} runs compared",
        "simulated": comparison.simulated,
        "subtitle": [
            ", ".join(comparison.symbols),
            f"{formats.count(comparison.events)} events",
            f"{formats.instant(comparison.first_ns)} UTC",
            formats.duration(comparison.last_ns - comparison.first_ns),
            "same data, same costs",
        ],
        "names": [(name, f"--tone-{place + 1}") for place, name in enumerate(names)],
        "rows": [
            [label, *cells] for label, cells in zip(FIGURES, zip(*map(_figures, comparison.runs), strict=True), strict=True)
        ],
        "pairs": [
            (pair.first, pair.second, formats.percent(pair.earns_more, 1), formats.percent(pair.sharpe_larger, 1))
            for pair in comparison.pairs
        ],
        "method": (
            f"Intervals hold {comparison.level:.0%} of {comparison.resamples:,} resamples of {comparison.block_minutes} "
            f"consecutive minutes out of {comparison.minutes:,}, drawn alike for every run. "
            "The Sharpe ratio is per minute, not annualized."
        ),
        "notes": comparison.notes,
        "settings": [(run.name, _settings(run)) for run in comparison.runs],
        "has_pairs": bool(comparison.pairs),
    }


FIGURES = (
    "Run",
    "Return",
    "Return, interval",
    "Sharpe, 1 min",
    "Sharpe, interval",
    "Largest drawdown",
    "Turnover",
    "Round trips",
    "Won",
    "Costs of what was traded",
    "Costs of what was earned at mid prices",
    "Time in the market",
)


def _figures(run: ComparedRun) -> tuple[str, ...]:
    return (
        run.run_id.removeprefix("run_"),
        formats.percent(run.return_ratio, signed=True),
        _between(formats.percent(run.return_low_ratio, signed=True), formats.percent(run.return_high_ratio, signed=True)),
        formats.number(run.sharpe, 3, signed=True),
        _between(formats.number(run.sharpe_low, 3, signed=True), formats.number(run.sharpe_high, 3, signed=True)),
        formats.percent(run.drawdown_ratio_max),
        f"{formats.number(run.turnover_ratio, 1)} x equity",
        formats.count(run.round_trips),
        formats.percent(run.win_ratio, 1),
        formats.bps(run.cost_bps, signed=False),
        formats.percent(run.cost_share_ratio, 0),
        formats.percent(run.exposure_time_ratio, 1),
    )


def _between(low: str, high: str) -> str:
    return formats.UNKNOWN if formats.UNKNOWN in (low, high) else f"{low} to {high}"


def _settings(run: ComparedRun) -> list[tuple[str, str]]:
    return [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode()) for name, value in run.settings.items()
    ]


def _payload(comparison: Comparison, folders: Sequence[Path]) -> dict[str, Any]:
    manifests = [{"equity_start": 0.0} for _ in folders]
    instants, equity = equity_curves(folders, manifests)
    lines = {
        "id": "chart-equity",
        "t": packed(instants / NS_PER_S),
        "names": [run.name for run in comparison.runs],
        "values": [packed(column) for column in equity.T],
        "decimals": 2,
        "plain": True,
    }
    return {"currency": comparison.currency, "equity_start": None, "curve": None, "panes": [], "lines": [lines]}
