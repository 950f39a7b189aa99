"""The section on what went in: which data, real or simulated, how long, and what their clocks are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesmith.trading.report import formats
from edgesmith.trading.report.run_folder import RunRecord

# Longer lists belong to `edgesmith lake ls`, not to a page.
PARTITIONS_MAX = 60


def data_view(run: RunRecord) -> dict[str, Any]:
    """Build the data section: facts, and one row per partition the run read."""
    data = run.data
    span_ns = None if data.first_ns is None or data.last_ns is None else data.last_ns - data.first_ns
    facts = [
        ("Source", "simulated by edgesmith" if data.simulated else "recorded from the venue"),
        ("Instruments", ", ".join(instrument_labels(run)) or formats.UNKNOWN),
        ("First event", formats.instant(data.first_ns) + " UTC" if span_ns is not None else formats.UNKNOWN),
        ("Last event", formats.instant(data.last_ns) + " UTC" if span_ns is not None else formats.UNKNOWN),
        ("Span", formats.duration(span_ns)),
        ("Events", formats.count(data.events)),
        ("Fingerprint", data.fingerprint or formats.UNKNOWN),
    ]
    partitions = [_partition(entry, data.clock_skew_ns) for entry in data.partitions[:PARTITIONS_MAX]]
    return {
        "facts": facts,
        "partitions": partitions,
        "partitions_total": len(data.partitions),
        "has_details": any(row["rows"] != formats.UNKNOWN for row in partitions),
        "has_skew": any(row["skew"] for row in partitions),
        "skew_warning": any(row["skew_negative"] for row in partitions) or any(ns < 0 for ns in data.clock_skew_ns.values()),
    }


def instrument_labels(run: RunRecord) -> list[str]:
    """Return `SYMBOL on venue` for every instrument of the run."""
    return [f"{symbol} on {venue}" for venue, symbol in instrument_keys(run)]


def instrument_keys(run: RunRecord) -> list[tuple[str, str]]:
    """Return (venue, symbol) per instrument, in the order the run numbers them."""
    keys = []
    for entry in run.instruments:
        if isinstance(entry, Mapping):
            keys.append((str(entry.get("venue", "")), str(entry.get("symbol", ""))))
        elif isinstance(entry, (list, tuple)) and len(entry) == 2:
            keys.append((str(entry[0]), str(entry[1])))
        else:
            venue, _, symbol = str(entry).rpartition(":")
            keys.append((venue, symbol))
    return keys


def _partition(entry: Any, skews_ns: Mapping[str, int]) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        entry = {"key": str(entry), "clock": {"skew_ns_p50": skews_ns.get(str(entry))}}
    key = entry.get("key", entry)
    name = (
        key if isinstance(key, str) else " ".join(str(key[part]) for part in ("venue", "symbol", "stream", "day") if part in key)
    )
    clock = entry.get("clock") or {}
    skew_ns = formats.as_int(clock.get("skew_ns_p50"))
    return {
        "name": name or formats.UNKNOWN,
        "rows": formats.count(entry.get("rows")),
        "skew": "" if skew_ns is None else formats.duration(skew_ns),
        "clocks": _clock_words(clock),
        "skew_negative": skew_ns is not None and skew_ns < 0,
        "checksum": str(entry.get("content_sha256", ""))[:16],
    }


def _clock_words(clock: Mapping[str, Any]) -> str:
    if "event_clock" not in clock:
        return ""
    if clock.get("event_clock") == "receive":
        return "the venue sent no time; our receive time stands in"
    if clock.get("recv_clock") == "venue":
        return "no receive time recorded; the venue's time stands in"
    return "venue and receive time recorded"
