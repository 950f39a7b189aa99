"""Put the page together: sections, charts, style and scripts into one file that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgesmith.canonical import canonical_json
from edgesmith.trading.report import formats
from edgesmith.trading.report.data import data_view, instrument_labels
from edgesmith.trading.report.page import render_page, write_page
from edgesmith.trading.report.run_folder import RunRecord, read_discovery, read_record, read_table

REPORT_NAME = "report.html"


def write_report(
    run_folder: Path,
    *,
    discovery: Mapping[str, Any] | None = None,
    truth: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> Path:
    """Write `report.html` into a run's folder and return its path; the same run gives the same bytes.

    Parameters
    ----------
    run_folder
        Holds `manifest.json`, the Parquet files of a backtest if it was one, and `discovery.json` if discovery ran.
    discovery
        What discovery found; taken from `discovery.json` of the folder when None.
    truth
        What a simulated world really contained, shown beside what was found.
    """
    run = read_record(run_folder)
    found = discovery if discovery is not None else read_discovery(run_folder)
    return write_page(run_folder / REPORT_NAME, _render(run, run_folder, found, truth, title))


def _render(
    run: RunRecord, folder: Path, found: Mapping[str, Any] | None, truth: Mapping[str, Any] | None, title: str | None
) -> str:
    from edgesmith.trading.report.discovery import discovery_view

    backtest, payload = _backtest(run, folder)
    return render_page(
        "page.html.j2",
        payload,
        title=title or _title(run),
        subtitle=_subtitle(run),
        simulated=run.data.simulated,
        edgesmith_version=run.edgesmith_version,
        run=run,
        data=data_view(run),
        discovery=None if found is None else discovery_view(found, truth),
        backtest=backtest,
        has_charts=bool(payload["curve"] or payload["panes"]),
        has_curve=payload["curve"] is not None,
        manifest=_manifest(run),
    )


def _backtest(run: RunRecord, folder: Path) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    if run.metrics is None:
        return None, {"currency": "", "equity_start": None, "curve": None, "panes": []}
    from edgesmith.trading.report.backtest import backtest_view, chart_payload

    fills, decisions, curve, prices = (read_table(folder, name) for name in ("fills", "decisions", "curve", "prices"))
    return backtest_view(run, fills, decisions, prices), chart_payload(run, fills, curve, prices)


def _title(run: RunRecord) -> str:
    name = run.strategy.get("name")
    what = {"backtest": "Backtest", "discovery": "Discovery", "demo": "Demo"}.get(run.kind, run.kind)
    return f"{what}: {name}" if name else what


def _subtitle(run: RunRecord) -> list[str]:
    data = run.data
    parts = [*instrument_labels(run), f"{formats.count(data.events)} events"]
    if data.first_ns is not None and data.last_ns is not None:
        parts.append(f"{formats.instant(data.first_ns)} UTC")
        parts.append(formats.duration(data.last_ns - data.first_ns))
    return parts


def _manifest(run: RunRecord) -> list[tuple[str, list[tuple[str, str]]]]:
    identity = {"run_id": run.run_id, "kind": run.kind, "seed": run.seed, "data_fingerprint": run.data.fingerprint}
    return [
        ("Run", list(_flat(identity | (run.result or {})))),
        ("Strategy", list(_flat(run.strategy))),
        ("Execution", list(_flat(run.execution))),
        ("Risk", list(_flat(run.risk))),
        ("Risk and guard counters", list(_flat({**run.risk_counters, **run.guard_counters}))),
        ("Versions", list(_flat({"edgesmith": run.edgesmith_version, **run.versions}))),
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            yield from _flat(entry, f"{prefix}{key}.")
        else:
            text = entry if isinstance(entry, str) else canonical_json(entry).decode()
            yield f"{prefix}{key}", text
