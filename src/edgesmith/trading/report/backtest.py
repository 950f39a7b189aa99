"""The section on the backtest: what was earned, what it cost, what was decided and filled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgesmith.domain.orders import Side
from edgesmith.trading.report import formats
from edgesmith.trading.report.data import instrument_keys
from edgesmith.trading.report.run_folder import RunRecord
from edgesmith.trading.report.series import PANES_MAX, curve_series, fill_series, price_series

if TYPE_CHECKING:
    import pyarrow as pa

# A person reads how it began and how it ended; the Parquet files hold everything between.
SAMPLE_ROWS = 20


def backtest_view(run: RunRecord, fills: pa.Table, decisions: pa.Table, prices: pa.Table) -> dict[str, Any]:
    """Build the backtest section from the manifest's metrics and the run's tables."""
    metrics = run.metrics or {}
    currency = str(metrics.get("currency") or "")
    return {
        "currency": currency,
        "headline": headline(run, metrics, currency),
        "cards": _cards(metrics, currency),
        "costs": cost_bars(metrics),
        "cost_note": _cost_note(metrics, currency),
        "metrics": _metric_rows(metrics, currency),
        "funnel": _funnel(run.gate),
        "outcomes": _outcomes(decisions),
        "decisions": [_decision(row) for row in _sample(decisions)],
        "decisions_total": decisions.num_rows,
        "decisions_skipped": max(0, decisions.num_rows - 2 * SAMPLE_ROWS),
        "fills": [_fill(row) for row in _sample(fills)],
        "fills_total": fills.num_rows,
        "fills_skipped": max(0, fills.num_rows - 2 * SAMPLE_ROWS),
        "sample_rows": SAMPLE_ROWS,
        "panes": [_pane_label(key) for key in _pane_keys(run, prices)],
        "panes_hidden": max(0, len(run.instruments) - PANES_MAX),
    }


def chart_payload(run: RunRecord, fills: pa.Table, curve: pa.Table, prices: pa.Table) -> dict[str, Any]:
    """Pack everything the page's charts draw."""
    metrics = run.metrics or {}
    panes = [
        {
            "label": f"{symbol} on {venue}",
            "decimals": price_decimals(run.instruments[index]),
            "price": price_series(prices, index),
            "fills": fill_series(fills, venue, symbol),
        }
        for index, (venue, symbol) in _pane_keys(run, prices)
    ]
    return {
        "currency": str(metrics.get("currency") or ""),
        "equity_start": formats.as_float(metrics.get("equity_start")),
        "curve": curve_series(curve) if curve.num_rows else None,
        "panes": panes,
    }


def price_decimals(instrument: Any) -> int:
    """Return how many decimals a price of an instrument has, 2 where its tick is not known."""
    tick = str(instrument.get("tick_size", "")) if isinstance(instrument, Mapping) else ""
    if not tick or "e" in tick.lower():
        return 2
    return min(8, len(tick.partition(".")[2].rstrip("0")))


def headline(run: RunRecord, metrics: Mapping[str, Any], currency: str) -> str:
    """Say in plain words what came out, and that nothing did where nothing was traded."""
    result = run.result or {}
    fills, orders = formats.as_int(result.get("fills")) or 0, formats.as_int(result.get("orders")) or 0
    if not fills and not orders:
        return "No order was sent, so nothing was traded: every performance number below is zero by construction, not by skill."
    if not fills:
        return f"{formats.count(orders)} orders were sent and none was filled: there is no performance to judge."
    net, gross = formats.as_float(metrics.get("pnl_net")), formats.as_float(metrics.get("pnl_gross"))
    if net is None or gross is None:
        return f"{formats.count(fills)} fills; the run recorded no profit or loss."
    if net == 0:
        return f"Came out even after costs, over {formats.count(fills)} fills."
    verb = "Earned" if net > 0 else "Lost"
    text = f"{verb} {formats.money(abs(net), currency)} after costs over {formats.count(fills)} fills."
    if net < 0 < gross:
        return f"{text} It earned {formats.money(gross, currency)} before fees and funding; the costs ate it."
    return text


def cost_bars(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay out the way from the result at mid prices to the net result as bars; positions are percent of the track."""
    steps = _cost_steps(metrics)
    if not steps:
        return []
    low = min(0.0, *(min(start, end) for _, start, end, _ in steps))
    high = max(0.0, *(max(start, end) for _, start, end, _ in steps))
    span = (high - low) or 1.0
    zero = -low / span * 100
    return [
        {
            "label": label,
            "value": formats.money(end - start, signed=True),
            "left": f"{(min(start, end) - low) / span * 100:.2f}",
            "width": f"{abs(end - start) / span * 100:.2f}",
            "zero": f"{zero:.2f}",
            "tone": formats.tone(end - start),
            "total": is_total,
        }
        for label, start, end, is_total in steps
    ]


def _cost_steps(metrics: Mapping[str, Any]) -> list[tuple[str, float, float, bool]]:
    gross, net, fees = (formats.as_float(metrics.get(name)) for name in ("pnl_gross", "pnl_net", "fees"))
    if gross is None or net is None or fees is None:
        return []
    spread, funding = formats.as_float(metrics.get("spread_cost")), formats.as_float(metrics.get("funding")) or 0.0
    steps: list[tuple[str, float, float, bool]] = []
    if spread is not None:
        steps += [("At mid prices", 0.0, gross + spread, True), ("Spread crossed", gross + spread, gross, False)]
    steps += [
        ("Before fees (gross)", 0.0, gross, True),
        ("Fees", gross, gross - fees, False),
        ("Funding", gross - fees, gross - fees + funding, False),
        ("Net", 0.0, net, True),
    ]
    return steps


def _cost_note(metrics: Mapping[str, Any], currency: str) -> str:
    turnover, fees, spread = (formats.as_float(metrics.get(name)) for name in ("turnover_notional", "fees", "spread_cost"))
    if not turnover or fees is None:
        return ""
    share = formats.bps((fees + (spread or 0.0)) / turnover * 1e4, signed=False)
    return f"Fees and spread together took {share} of {formats.money(turnover, currency)} traded."


def _cards(metrics: Mapping[str, Any], currency: str) -> list[dict[str, str]]:
    get = metrics.get
    fills = formats.as_int(get("fills")) or 0
    return [
        _card(
            "Net PnL",
            formats.money(get("pnl_net"), signed=True),
            f"{currency} after fees and funding",
            formats.tone(get("pnl_net")),
        ),
        _card(
            "Return",
            formats.percent(get("return_ratio"), signed=True),
            f"on {formats.money(get('equity_start'), currency)}",
            formats.tone(get("return_ratio")),
        ),
        _card("Max drawdown", formats.percent(get("drawdown_ratio_max")), formats.money(get("drawdown_max"), currency)),
        _card("Fees", formats.money(get("fees")), currency),
        _card(
            "Fills", formats.count(fills), f"of {formats.count(get('orders'))} orders, {formats.count(get('refused'))} refused"
        ),
        _card(
            "Round trips",
            formats.count(get("round_trips")),
            f"{formats.percent(get('win_ratio'), 1)} won" if get("round_trips") else "none closed",
        ),
        _card("Sharpe, 1 min", formats.number(get("sharpe_minute"), 3), "mean / sd, not annualized"),
        _card("In the market", formats.percent(get("exposure_time_ratio"), 1), "of the time"),
    ]


def _card(label: str, value: str, note: str, tone: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "note": note.strip(), "tone": tone}


def _metric_rows(metrics: Mapping[str, Any], currency: str) -> list[tuple[str, str]]:
    get = metrics.get
    return [
        ("Equity at start", formats.money(get("equity_start"), currency)),
        ("Equity at end", formats.money(get("equity_end"), currency)),
        ("Gross PnL", formats.money(get("pnl_gross"), currency, signed=True)),
        ("Fees", formats.money(get("fees"), currency)),
        ("Funding", formats.money(get("funding"), currency, signed=True)),
        ("Spread crossed", formats.money(get("spread_cost"), currency)),
        ("Net PnL", formats.money(get("pnl_net"), currency, signed=True)),
        ("PnL per round trip", formats.money(get("pnl_per_round_trip"), currency, signed=True)),
        ("Mean slippage", formats.bps(get("slippage_bps_mean"))),
        ("Mean holding time", formats.duration(get("holding_ns_mean"))),
        ("Turnover", formats.money(get("turnover_notional"), currency)),
        ("Filled as maker", formats.percent(get("maker_fill_ratio"), 1)),
    ]


def _pane_keys(run: RunRecord, prices: pa.Table) -> list[tuple[int, tuple[str, str]]]:
    with_prices = set(prices.column("instrument").to_pylist())
    return [(index, key) for index, key in enumerate(instrument_keys(run)) if index in with_prices][:PANES_MAX]


def _pane_label(key: tuple[int, tuple[str, str]]) -> str:
    venue, symbol = key[1]
    return f"{symbol} on {venue}"


def _funnel(gate: dict[str, Any] | None) -> list[dict[str, str]]:
    """Lay out how many quotes are left after each step; the track is logarithmic, for entries are rare."""
    if gate is None:
        return []
    kept = [step for step in gate["steps"] if step["stopped"]]
    exits = sum(gate["exits"].values())
    rows = [("quotes", "quotes seen", gate["quotes"], "")]
    rows.append(("exits", "a position was left", gate["quotes"] - exits, formats.count(-exits)))
    rows += [(step["reason"].replace("_", " "), step["why"], step["left"], formats.count(-step["stopped"])) for step in kept]
    rows.append(("entered", "every check passed", gate["entered"], ""))
    full = math.log1p(max(gate["quotes"], 1))
    return [
        {
            "label": label,
            "why": why,
            "left": formats.count(left),
            "stopped": stopped,
            "width": f"{math.log1p(max(left, 0)) / full * 100:.2f}",
        }
        for label, why, left, stopped in rows
    ]


def _sample(table: pa.Table) -> list[dict[str, Any]]:
    if table.num_rows <= 2 * SAMPLE_ROWS:
        return list(table.to_pylist())
    return [*table.slice(0, SAMPLE_ROWS).to_pylist(), *table.slice(table.num_rows - SAMPLE_ROWS).to_pylist()]


def _outcomes(decisions: pa.Table) -> list[tuple[str, str]]:
    import pyarrow.compute as pc

    counts = [(entry["values"], entry["counts"]) for entry in pc.value_counts(decisions["outcome"]).to_pylist()]
    return [
        (str(name).replace("_", " "), formats.count(n)) for name, n in sorted(counts, key=lambda pair: (-pair[1], str(pair[0])))
    ]


def _decision(row: dict[str, Any]) -> dict[str, str]:
    return {
        "time": formats.instant(row["ts"], short=True),
        "symbol": str(row["symbol"]),
        "side": _side(row["side"]),
        "tone": formats.tone(row["side"]),
        "type": str(row["order_type"]).lower(),
        "qty": formats.plain(row["qty"]),
        "price": "market" if row["price"] is None else formats.plain(row["price"]),
        "origin": str(row["origin"]).lower().replace("_", " "),
        "outcome": str(row["outcome"]).replace("_", " "),
        "refused": "" if str(row["outcome"]) == "approved" else "refused",
    }


def _fill(row: dict[str, Any]) -> dict[str, str]:
    return {
        "time": formats.instant(row["ts_match"], short=True),
        "symbol": str(row["symbol"]),
        "side": _side(row["side"]),
        "tone": formats.tone(row["side"]),
        "qty": formats.plain(row["qty"]),
        "price": formats.plain(row["price"]),
        "liquidity": "maker" if row["is_maker"] else "taker",
        "fee": formats.number(row["fee"], 4),
        "realized": formats.number(row["realized_pnl"], 4, signed=True),
        "realized_tone": formats.tone(row["realized_pnl"]),
        "position": formats.plain(row["position_qty"]),
        "origin": str(row["origin"]).lower().replace("_", " "),
    }


def _side(value: Any) -> str:
    return Side(value).name.lower() if value in (1, -1) else formats.UNKNOWN
