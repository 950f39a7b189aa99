"""The page of a null report: what was found where nothing is, p against uniform, what could be seen and what could pay."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edgesmith.edges.null_report.result import HorizonRow, NullReport, QuantileCurve
from edgesmith.edges.report.card import NO_CHART
from edgesmith.trading.report import formats
from edgesmith.trading.report.page import render_page, write_page

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 42


def write_null_report(found: NullReport, path: Path) -> Path:
    """Write the page on `found` to `path`; the same report gives the same bytes."""
    from edgesmith import __version__

    page = render_page(
        "null_report.html.j2", NO_CHART, edgesmith_version=__version__, simulated=found.simulated, **null_view(found)
    )
    return write_page(path, page)


def null_view(found: NullReport) -> dict[str, Any]:
    """Return what the template shows."""
    own = found.methods[0] if found.methods else None
    config = found.config.search
    days = f"{formats.count(found.days)} day{'s' * (found.days != 1)}"
    return {
        "title": f"Null report of {found.instrument}",
        "verdict": {True: "calibrated", False: "not calibrated", None: "too little data"}[found.is_calibrated],
        "tone": {True: "strong", False: "half", None: "faint"}[found.is_calibrated],
        "subtitle": [
            f"{formats.instant(found.first_ns)} to {formats.instant(found.last_ns)} UTC",
            days,
            f"{len(found.features)} features",
            f"{formats.count(sum(row.trials for row in found.placebos))} cells of {len(found.placebos)} placebos",
        ],
        "sentence": found.sentence[:1].upper() + found.sentence[1:],
        "notes": found.notes,
        "cards": [
            ("Placebos with a find", f"{found.any_found} of {found.searched}", f"level {formats.percent(config.alpha, 0)}"),
            ("p from uniform", formats.number(own and own.ks, 3), f"at most {formats.number(own and own.ks_bar, 3)}"),
            ("p at most 5 %", formats.percent(_share_5(found), 1), "of all cells tested"),
            ("Cells tested", formats.count(sum(row.tested for row in found.placebos)), "in all placebos"),
            *_prior_card(found),
        ],
        "kinds": [
            (
                row.kind,
                formats.count(row.placebos),
                formats.count(row.any_found),
                formats.count(row.found),
                formats.percent(row.share_5, 1),
                formats.percent(row.share_1, 2),
            )
            for row in found.kinds
        ],
        "plots": [{"title": curve.kind, **quantile_plot(curve)} for curve in found.curves],
        **_others(found),
        "tiers": [
            (tier.tier, formats.bps(tier.cost_bps, signed=False))
            for tier in next((row.tiers for row in found.horizons if row.tiers), ())
        ],
        "horizons": [_horizon(row) for row in found.horizons],
        "rows": [
            (
                row.kind,
                row.words,
                formats.count(row.tested),
                formats.count(row.found),
                formats.number(row.p_family_least, 3),
                formats.count(row.welch_found),
            )
            for row in found.placebos
        ],
        "power": formats.percent(config.power, 0),
        "identity": [
            ("Data", found.data_fingerprint),
            ("Features", ", ".join(found.features)),
            ("Sign flips, seed", f"{formats.count(config.flips)}, {config.seed}"),
            ("Latencies", ", ".join(formats.duration(latency) for latency in config.latencies_ns)),
            ("Fees", found.cost_tier),
        ],
    }


def _others(found: NullReport) -> dict[str, Any]:
    own = found.methods[0] if found.methods else None
    return {
        "methods": [
            (
                row.method,
                formats.percent(row.share_5, 1),
                formats.percent(row.share_1, 1),
                formats.number(row.ks, 3),
                formats.UNKNOWN if row.any_found is None else f"{row.any_found} of {found.searched}",
                row.ks <= row.ks_bar,
            )
            for row in found.methods
        ],
        "asked": formats.count(own and own.p_values),
        "ks_bar": formats.number(own and own.ks_bar, 3),
        "prior": [
            (
                f"as it was run, filter of {row.return_min_bps:g} bps" if row.return_min_bps else "without its filter",
                *(formats.count(value) for value in (row.patterns, row.kept, row.accepted, row.validated)),
                f"{row.any_validated} of {row.placebos}",
            )
            for row in found.prior
        ],
    }


def _share_5(found: NullReport) -> float | None:
    tested = {kind.kind: sum(row.tested for row in found.placebos if row.kind == kind.kind) for kind in found.kinds}
    total = sum(tested.values())
    return sum(tested[kind.kind] * (kind.share_5 or 0.0) for kind in found.kinds) / total if total else None


def _prior_card(found: NullReport) -> list[tuple[str, str, str]]:
    free = [row for row in found.prior if not row.return_min_bps]
    welch = [row for row in found.methods if row.method.startswith("Welch")]
    cards = [("Welch's t-test", f"{row.any_found} of {found.searched}", "placebos with a find") for row in welch]
    cards += [("Prior method, no filter", f"{row.any_validated} of {row.placebos}", "placebos with a promotion") for row in free]
    return cards


def _horizon(row: HorizonRow) -> dict[str, Any]:
    return {
        "horizon": formats.duration(row.horizon_ns),
        "mde": formats.bps(row.mde_bps, signed=False),
        "hidden": formats.percent(row.hidden_ratio, 0),
        "sd": formats.bps(row.gross_sd_bps, signed=False),
        "needed": [
            ("never", "mute") if tier.needed_ic > 1.0 else (formats.number(tier.needed_ic, 2), _ease(tier.needed_ic))
            for tier in row.tiers
        ],
    }


def _ease(needed_ic: float) -> str:
    # Books of liquid markets know 0.1 to 0.3 of the next seconds; beyond that nobody is known to.
    return "up" if needed_ic <= 0.1 else "" if needed_ic <= 0.3 else "down"


def quantile_plot(curve: QuantileCurve) -> dict[str, Any]:
    """Place quantiles of p over those of uniform values, both as powers of ten, with the band of single placebos."""
    most = max(-math.log10(min(curve.level)), -math.log10(max(1e-9, min(curve.low))))
    most = max(1.0, math.ceil(most * 2) / 2)

    def x(p: float) -> float:
        return round(LEFT - math.log10(max(p, 1e-9)) / most * (WIDTH - LEFT - RIGHT), 1)

    def y(p: float) -> float:
        return round(HEIGHT - BOTTOM + math.log10(max(p, 1e-9)) / most * (HEIGHT - TOP - BOTTOM), 1)

    ticks = [10.0**-power for power in range(int(most) + 1)]
    band = [f"{x(level)},{y(low)}" for level, low in zip(curve.level, curve.low, strict=True)]
    band += [f"{x(level)},{y(high)}" for level, high in reversed(list(zip(curve.level, curve.high, strict=True)))]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "band": " ".join(band),
        "line": " ".join(f"{x(level)},{y(p)}" for level, p in zip(curve.level, curve.p, strict=True)),
        "diagonal": (x(1.0), y(1.0), x(10.0**-most), y(10.0**-most)),
        "ticks": [(x(p), y(p), f"{p:g}") for p in ticks],
        "dots": [
            {"x": x(level), "y": y(p), "words": f"{formats.percent(level, 2)} of p are at most {p:.4g}"}
            for level, p in zip(curve.level, curve.p, strict=True)
        ],
    }
