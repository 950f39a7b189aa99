"""The page on one edge: the claim, the verdict with the numbers that decided, the curves and the splits behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesmith.domain.units import NS_PER_DAY
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.report.plots import band_plot
from edgesmith.edges.validation.card import EdgeCard, Walk
from edgesmith.edges.validation.curves import Point
from edgesmith.edges.validation.gates import Gates
from edgesmith.edges.verdict import Verdict
from edgesmith.trading.report import formats
from edgesmith.trading.report.features_plots import interval_plot
from edgesmith.trading.report.page import render_page, write_page

STYLES = {
    Verdict.VALIDATED: "strong",
    Verdict.CANDIDATE: "strong",
    Verdict.REJECT_DECAYED: "half",
    Verdict.REJECT_UNSTABLE: "half",
    Verdict.REJECT_COST: "half",
    Verdict.REJECT_NULL: "",
    Verdict.INSUFFICIENT: "faint",
    Verdict.LEAK: "faint",
}
# Fees per side, in and out in bps, that an edge is held against.
FEE_LADDER_BPS = ((0.0, 0.0), (0.0, 1.7), (1.7, 1.7), (2.5, 2.5), (2.0, 5.0), (5.0, 5.0))
NO_CHART: dict[str, Any] = {"currency": "", "equity_start": None, "curve": None, "panes": [], "lines": []}


def write_card(card: EdgeCard, gates: Gates, path: Path, *, simulated: bool, truth: str | None = None) -> Path:
    """Write the page on `card` to `path`; `truth` is what a world says of it. The same card gives the same bytes."""
    from edgesmith import __version__

    view = card_view(card, gates)
    page = render_page("edge_card.html.j2", NO_CHART, edgesmith_version=__version__, simulated=simulated, truth=truth, **view)
    return write_page(path, page)


def card_view(card: EdgeCard, gates: Gates) -> dict[str, Any]:
    """Return what the template shows."""
    spec, found = card.spec, card.findings
    return {
        "title": f"{spec.edge_id}: {'buy' if spec.side > 0 else 'sell'} {spec.symbol}",
        "claim": spec.sentence,
        "verdict": card.verdict.value,
        "tone": STYLES[card.verdict],
        "sentence": card.sentence,
        "subtitle": [
            f"validated on {formats.instant(card.first_ns)} to {formats.instant(card.last_ns)} UTC",
            f"{formats.count(card.trials)} candidates tried on this data",
        ],
        "cards": _headline(card),
        "gates": _gates(card, gates),
        "response": band_plot(card.response_curve, gross=True, label=formats.duration),
        "latency": band_plot(card.latency_curve, gross=False, label=formats.duration),
        "days": _groups(card.by_day, lambda at: formats.instant(at)[:10]),
        "hours": _groups(card.by_hour, lambda at: f"{at:02d} to {(at + 1) % 24:02d} h"),
        "regimes": _groups(card.by_regime, lambda at: f"regime {at}"),
        "walks": [_walk("everything before", card.anchored), _walk("the part before", card.rolling)],
        "lives": [_life(row.kind, row.value_ns, row.low_ns, row.high_ns) for row in card.half_lives],
        "placebos": [
            (one.name, formats.count(one.n), formats.bps(one.excess_bps), formats.number(one.p, 4)) for one in card.placebos
        ],
        "endings": _endings(card),
        "kept": _kept(card),
        "beside": _beside(card),
        "makers": _makers(card),
        "maker_fees": "" if card.maker is None else f"{card.maker.fee_in_bps:g} in and {card.maker.fee_out_bps:g} out",
        "sharpe": _sharpe(card),
        "ladder": _ladder(card),
        "paths": [formats.bps(value) for value in card.cpcv_path_net_bps if any(card.cpcv_path_net_bps)],
        "combined": bool(card.cpcv_path_net_bps),
        "identity": [
            ("Edge", spec.edge_id),
            ("Trigger", str(spec.trigger)),
            ("Horizon, latency", f"{formats.duration(spec.horizon_ns)}, {formats.duration(spec.latency_ns)}"),
            ("Entry, exit", _ways(spec)),
            ("Fees in and out", f"{spec.fee_in_bps:g} and {spec.fee_out_bps:g} bps ({spec.cost_tier})"),
            ("Rows, blocks", f"{formats.count(found.onsets)} trades, {formats.count(found.blocks)} blocks of time"),
            ("Content of the claim", spec.spec_hash),
        ],
    }


def _ways(spec: EdgeSpec) -> str:
    judged = ", judged behind the whole queue" if spec.entry == "maker_touch" else ""
    units = spec.exit.stop_volatility_units
    return f"{spec.entry}{judged}; {spec.exit.kind}" + ("" if units is None else f" at {units:g} of the horizon's volatility")


def _headline(card: EdgeCard) -> list[tuple[str, str, str]]:
    found = card.findings
    low = formats.bps(found.net_low_bps)
    return [
        ("Net per trade", formats.bps(found.net_bps), f"at least {low} with 95 % confidence"),
        ("Move, cost", formats.bps(found.gross_bps), f"{formats.bps(found.cost_bps, signed=False)} of spread, fees, funding"),
        ("Break-even fee", formats.bps(found.break_even_fee_bps), "a side, at the lower end"),
        ("Trades a day", formats.number(card.trades_per_day, 1), f"{formats.percent(card.hit_ratio, 0)} with a profit"),
        ("Capacity", formats.rough_money(card.capacity_usd, "USD"), "notional that earns most, capped"),
        ("At least a day", formats.rough_money(card.net_low_usd_per_day, "USD"), "lower end, at that capacity"),
    ]


def _gates(card: EdgeCard, gates: Gates) -> list[tuple[str, str, str, bool | None]]:
    found = card.findings

    def passed(value: float | None, bar: float, *, above: bool) -> bool | None:
        if value is None:
            return None
        # What must be above zero is not at zero.
        return value > bar if above and bar == 0.0 else value >= bar if above else value <= bar

    number, percent, bps = formats.number, formats.percent, formats.bps
    rows: list[tuple[str, float | None, float, bool, Any]] = [
        ("Differs from other times, p", found.p_excess, gates.alpha, False, lambda v: number(v, 4)),
        ("No profit, p", found.p_net, gates.alpha, False, lambda v: number(v, 4)),
        ("Net, lower end", found.net_low_bps, 0.0, True, bps),
        (f"Net {formats.duration(found.stressed_latency_ns)} late, lower end", found.stressed_net_low_bps, 0.0, True, bps),
        ("Walk forward, lower end", found.walk_forward_low_bps, 0.0, True, bps),
        ("Probability of overfitting", found.pbo, gates.pbo_max, False, number),
        ("Without the best day", found.without_best_day_bps, 0.0, True, bps),
        ("Largest results cut", found.winsorized_bps, 0.0, True, bps),
        ("Move in units of volatility", found.per_volatility, 0.0, True, lambda v: number(v, 3)),
        ("Days with a profit", found.positive_days_ratio, gates.positive_days_min, True, lambda v: percent(v, 0)),
        ("Deflated Sharpe", found.dsr, gates.dsr_min, True, lambda v: number(v, 3)),
        ("Placebos, smallest p", found.placebo_p, gates.placebo_alpha, True, lambda v: number(v, 4)),
        ("Trades", found.onsets, gates.onsets_min, True, formats.count),
        ("Days", found.days, gates.days_min, True, formats.count),
    ]
    return [
        (name, show(value), _asked(show(bar), bar, above), passed(value, bar, above=above))
        for name, value, bar, above, show in rows
    ]


def _asked(bar: str, value: float, above: bool) -> str:
    if value == 0.0:
        return f"above {bar}"
    return f"{'at least' if above else 'at most'} {bar}"


def _groups(points: tuple[Point, ...], name: Any) -> dict[str, Any] | None:
    if len(points) < 2:
        return None
    rows = [
        (name(point.at), point.net_bps, point.net_low_bps, point.net_high_bps, f"{formats.count(point.n)} rows")
        for point in points
    ]
    return interval_plot(rows, decimals=1)


def _walk(name: str, walk: Walk | None) -> tuple[str, ...]:
    if walk is None:
        return (name, *[formats.UNKNOWN] * 4)
    ends = _ends(walk.net_low_bps, walk.net_high_bps)
    return (
        name,
        formats.bps(walk.net_bps),
        ends,
        f"{walk.positive_folds} of {walk.folds}",
        f"{walk.same_cell_folds} of {walk.folds}",
    )


def _life(kind: str, value: float | None, low: float | None, high: float | None) -> tuple[str, str, str]:
    if value is None:
        return kind, "not identifiable", ""
    until = "no end in sight" if high is None else _span(high)
    return kind, _span(value), f"{_span(low or 0.0)} to {until}"


def _endings(card: EdgeCard) -> list[tuple[str, ...]]:
    watch = card.noticing
    if watch is None:
        return []

    def after(blocks: int | None) -> str:
        return (
            "not within what was simulated"
            if blocks is None
            else f"{formats.count(blocks)} blocks, {_span(blocks * watch.block_ns)}"
        )

    return [
        (name, after(end.warned_blocks), after(end.stopped_blocks), formats.bps(end.lost_bps, signed=False))
        for name, end in (("died: it keeps nothing", watch.died), ("turned: it loses what it kept", watch.turned))
    ]


def _span(ns: float) -> str:
    return f"{ns / NS_PER_DAY:.1f} days" if ns >= NS_PER_DAY else formats.duration(round(ns))


def _kept(card: EdgeCard) -> list[tuple[str, str]]:
    found, parts = card.findings, card.cost_parts
    if found.net_bps is None:
        return []
    rows: list[tuple[str, float | None]] = [
        ("move of the mid price", found.gross_bps),
        ("half spreads, in and out", -parts.spread_bps),
        ("fee in", -parts.fee_in_bps),
        ("fee out", -parts.fee_out_bps),
        ("funding while held", None if parts.funding_bps is None else -parts.funding_bps),
        ("kept", found.net_bps),
    ]
    return [(name, "not in the data" if value is None else formats.bps(value)) for name, value in rows]


def _beside(card: EdgeCard) -> list[tuple[str, str, str]]:
    found, labels, bps = card.findings, card.labeled, formats.bps
    return [
        ("how many", formats.count(labels.n), formats.count(found.onsets)),
        ("move", bps(labels.gross_bps), bps(found.gross_bps)),
        ("cost", bps(labels.cost_bps, signed=False), bps(found.cost_bps, signed=False)),
        ("of it funding", "not known", bps(card.cost_parts.funding_bps, signed=False)),
        ("kept", bps(labels.net_bps), bps(found.net_bps)),
        ("90 % between", _ends(labels.net_low_bps, labels.net_high_bps), _ends(found.net_low_bps, card.net_high_bps)),
    ]


def _makers(card: EdgeCard) -> list[tuple[str, ...]]:
    if card.maker is None:
        return []
    return [
        (
            name,
            f"{formats.count(bound.fills)} of {formats.count(bound.decisions)}, {formats.percent(bound.fill_ratio, 0)}",
            formats.duration(bound.waited_ns),
            formats.bps(bound.net_bps),
            _ends(bound.net_low_bps, bound.net_high_bps),
            formats.bps(bound.decision_bps),
            formats.bps(bound.adverse_bps),
        )
        for name, bound in (("as soon as touched", card.maker.touch), ("behind the whole queue", card.maker.queue))
    ]


def _sharpe(card: EdgeCard) -> list[tuple[str, str]]:
    if card.sharpe_daily is None:
        return []
    days = card.track_record_min_days
    return [
        ("Sharpe ratio of a day", formats.number(card.sharpe_daily)),
        ("Sure that it is above zero", formats.percent(card.psr, 1)),
        ("The same, allowing for all tried", formats.percent(card.findings.dsr, 1)),
        ("Time needed to be 95 % sure", "no time is enough" if days is None else _span(days * NS_PER_DAY)),
    ]


def _ends(low: float | None, high: float | None) -> str:
    return formats.UNKNOWN if low is None and high is None else f"{formats.bps(low)} to {formats.bps(high)}"


def _ladder(card: EdgeCard) -> list[tuple[str, str, str, bool | None]]:
    found, spec = card.findings, card.spec
    if found.net_bps is None or found.net_low_bps is None:
        return []
    paid = spec.fee_in_bps + spec.fee_out_bps
    tiers = sorted({*FEE_LADDER_BPS, (spec.fee_in_bps, spec.fee_out_bps)}, key=sum)
    return [
        (
            f"{fee_in:g} + {fee_out:g} bps{' (assumed)' if (fee_in, fee_out) == (spec.fee_in_bps, spec.fee_out_bps) else ''}",
            formats.bps(found.net_bps + paid - fee_in - fee_out),
            formats.bps(found.net_low_bps + paid - fee_in - fee_out),
            found.net_low_bps + paid - fee_in - fee_out > 0.0,
        )
        for fee_in, fee_out in tiers
    ]
