"""The tearsheet: what it says for ordinary, empty, hostile and broken runs."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders_report import build_discovery, build_truth
from builders_run import build_run
from edgesmith.edges import verdict as verdict_words
from edgesmith.edges.discovery import result
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.trading.report import charting, discovery, formats, write_report
from edgesmith.trading.report.backtest import cost_bars
from edgesmith.trading.report.series import thinned
from edgesmith.worlds import claims, plant, regions, world

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def page_of(folder: Path, **arguments: Any) -> str:
    return write_report(folder, **arguments).read_text(encoding="utf-8")


def payload_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)
    assert found
    payload: dict[str, Any] = json.loads(found.group(1))
    return payload


def numbers(text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.frombuffer(base64.b64decode(text), dtype="<f8")


def visible(page: str) -> str:
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_run_without_orders_says_so(tmp_path: Path) -> None:
    page = page_of(build_run(tmp_path, fills=0, refused=0))
    text = visible(page)
    assert "No order was sent, so nothing was traded" in text
    assert "No order was filled." in text
    assert "The strategy decided nothing in this run." in text
    assert payload_of(page)["panes"][0]["fills"]["total"] == 0
    assert "nan" not in text.lower() and "None" not in text


def test_orders_without_fills_are_no_performance(tmp_path: Path) -> None:
    text = visible(page_of(build_run(tmp_path, fills=0, changes={"result": {"orders": 12, "fills": 0}})))
    assert "12 orders were sent and none was filled" in text


def test_two_thousand_fills_reach_the_chart_exactly(tmp_path: Path) -> None:
    path = write_report(build_run(tmp_path, fills=2_000, buckets=4_096))
    page = path.read_text(encoding="utf-8")
    fills = payload_of(page)["panes"][0]["fills"]
    assert (fills["total"], fills["kept"]) == (2_000, 2_000)
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "fills.parquet")
    assert numbers(fills["price"]).tolist() == table["price"].to_pylist()
    assert numbers(fills["t"]).tolist() == (table["ts_match"].to_numpy() / 1e9).tolist()
    assert path.stat().st_size < 1_500_000
    assert "first and last 20 of 2,000" in visible(page) and "1,960 more between" in visible(page)


def test_thinning_keeps_both_sides_of_an_alternating_strategy() -> None:
    sides = np.where(np.arange(40_000) % 2 == 0, 1, -1)
    kept = thinned(sides, 10_000)
    assert len(kept) == 10_000 and (np.diff(kept) > 0).all()
    assert (sides[kept] > 0).sum() == (sides[kept] < 0).sum() == 5_000
    assert thinned(sides[:7], 10_000).tolist() == list(range(7))
    assert thinned(sides[:0], 10_000).tolist() == []


def test_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    pages = [
        page_of(build_run(tmp_path / name, fills=300), discovery=build_discovery(), truth=build_truth()) for name in ("a", "b")
    ]
    assert pages[0] == pages[1]
    assert not list((tmp_path / "a").glob(".writing-*"))


def test_simulated_data_are_announced_and_real_data_are_not(tmp_path: Path) -> None:
    assert "Simulated market" in visible(page_of(build_run(tmp_path / "s", simulated=True)))
    real = visible(page_of(build_run(tmp_path / "r", simulated=False, venue="binance_usdm")))
    assert "Simulated market" not in real and "recorded from the venue" in real


def test_discovery_stands_beside_the_truth(tmp_path: Path) -> None:
    text = visible(page_of(build_run(tmp_path), discovery=build_discovery(), truth=build_truth()))
    assert "1 real after costs; 3 more are real, but costs eat them" in text
    assert re.search(r"imbalance \u2265 0\.6 real tradable: buy 14\.20 bps in 30 s", text)
    assert "(the price moves 50% of the time by 28.00 bps), and its mirror image" in text
    assert "real, but costs eat it real, but costs eat it: buy 3.10 bps in 1 s" in text
    assert "nothing planted" in text
    assert "none can pay" in text
    assert "Refined triggers" not in text


def test_refined_triggers_show_what_their_onsets_keep(tmp_path: Path) -> None:
    found = build_discovery()
    paying = next(cell for cell in found["cells"] if cell["verdict"] == "CANDIDATE")
    found["refined"] = [paying | {"onsets": 321, "onset_net_bps": 4.25, "onset_low_bps": 1.5}]
    text = visible(page_of(build_run(tmp_path), discovery=found, truth=build_truth()))
    assert re.search(
        r"Refined triggers.*imbalance \u2265 0\.6 tradable: buy 14\.20 bps in 30 s 30 s buy 321 \+4\.25 \+1\.50", text
    )


def test_reader_and_writers_use_the_same_names() -> None:
    def names(kind: Any) -> set[str]:
        return set(kind.__struct_fields__)

    assert names(discovery.SearchRecord) <= names(result.DiscoveryResult)
    assert names(discovery.SearchCell) <= names(result.Cell)
    assert names(discovery.SearchBound) <= names(result.CellBound)
    assert names(discovery.SearchDepth) <= names(result.DepthCount)
    assert names(discovery.TruthRecord) <= names(world.TruthRecord)
    assert names(discovery.TruthClaim) <= names(claims.ClaimTruth)
    assert names(discovery.PlantedEffect) <= names(plant.Plant)
    assert names(discovery.PlantedRegion) <= names(regions.Region)
    ladder = sorted(verdict_words.Verdict, key=lambda verdict: verdict.rank)
    assert list(discovery.VERDICTS) == [verdict.value for verdict in ladder]
    assert set(discovery.TRUTHS) == set(claims.Verdict.__args__)


def test_mirrored_plants_are_told_on_both_sides(tmp_path: Path) -> None:
    found = build_discovery(found=False)
    mirror = next(cell for cell in found["cells"] if cell["feature"] == "imbalance" and cell["bin"] == 0)
    between = next(cell for cell in found["cells"] if cell["feature"] == "imbalance" and cell["bin"] == 2)
    missing = {**between, "bin": 255, "lower": None, "upper": None}
    for cell, truth in ((mirror, "sell 14.00 bps within 30 s"), (between, "nothing planted"), (missing, "nothing planted")):
        page = page_of(build_run(tmp_path), discovery=found | {"best": [cell]}, truth=build_truth() | {"claims": []})
        assert f"<td>{truth}</td>" in page


def test_search_that_found_nothing_says_what_it_could_not_see(tmp_path: Path) -> None:
    text = visible(page_of(build_run(tmp_path), discovery=build_discovery(found=False)))
    assert "nothing found. The smallest effect that could have been seen is 1.90 bps" in text
    assert "What this world really contains" not in text


def test_discovery_is_read_from_the_run_folder(tmp_path: Path) -> None:
    folder = build_run(tmp_path)
    assert 'id="discovery"' not in page_of(folder)
    (folder / "discovery.json").write_text(json.dumps(build_discovery()))
    assert 'id="discovery"' in page_of(folder)


def test_run_without_a_backtest_needs_no_parquet(tmp_path: Path) -> None:
    folder = build_run(tmp_path, changes={"kind": "discovery", "metrics": None, "result": None})
    for path in folder.glob("*.parquet"):
        path.unlink()
    page = page_of(folder, discovery=build_discovery())
    assert 'id="backtest"' not in page and 'id="discovery"' in page


def test_hostile_names_are_text(tmp_path: Path) -> None:
    found = build_discovery()
    found["cells"][0]["feature"] = found["best"][0]["feature"] = HOSTILE
    folder = build_run(tmp_path, symbols=(HOSTILE,), strategy=HOSTILE)
    page = page_of(folder, discovery=found, truth={"summary": HOSTILE, "plants": []}, title=HOSTILE)
    assert "<script>alert" not in page and "<img src=x" not in page
    assert page.count("<script") == 3 and page.count("</script>") == 3
    assert payload_of(page)["panes"][0]["label"].startswith(HOSTILE)


def test_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    page = page_of(build_run(tmp_path), discovery=build_discovery())
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0])
    assert policy.startswith("default-src 'none'")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 2 and all(f"'sha256-{digest}'" in policy for digest in digests)
    assert not re.findall(r'(?:src|srcset)="(?!data:)', page) and "url(" not in page and "@import" not in page
    assert re.findall(r'href="([^"#]*)', page.replace('href="#', "")) == ["data:,", charting.CREDIT_URL]


def test_instruments_get_a_pane_each_with_their_own_fills(tmp_path: Path) -> None:
    panes = payload_of(page_of(build_run(tmp_path, symbols=("BTCUSDT", "ETHUSDT"), fills=50)))["panes"]
    assert [pane["label"] for pane in panes] == ["BTCUSDT on simulated", "ETHUSDT on simulated"]
    assert sum(pane["fills"]["total"] for pane in panes) == 50 and all(pane["fills"]["total"] for pane in panes)


def test_partitions_may_be_plain_names(tmp_path: Path) -> None:
    folder = build_run(tmp_path, changes={"instruments": ["simulated:BTCUSDT"]})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["data"]["partitions"] = [f"simulated/bbo/btcusdt/{day}" for day in range(100)]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    page = page_of(folder)
    assert "simulated/bbo/btcusdt/0" in page and "60 of 100 partitions shown" in visible(page)
    assert payload_of(page)["panes"][0]["label"] == "BTCUSDT on simulated"


def test_negative_clock_skew_is_explained(tmp_path: Path) -> None:
    clock = {"event_clock": "venue", "recv_clock": "local", "skew_ns_min": -1_300_000_000, "skew_ns_p50": -1_270_000_000}
    folder = build_run(tmp_path, simulated=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["data"]["partitions"][0]["clock"] = clock
    (folder / "manifest.json").write_text(json.dumps(manifest))
    text = visible(page_of(folder))
    assert "\u22121.27 s" in text and "our clock ran behind the venue" in text


def test_skew_of_the_manifest_is_shown(tmp_path: Path) -> None:
    folder = build_run(tmp_path, simulated=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["data"] |= {
        "partitions": ["a/bbo", "a/trade"],
        "clock_skew_ns": {"a/bbo": -1_270_000_000, "a/trade": 4_000_000},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    text = visible(page_of(folder))
    assert "a/bbo \u22121.27 s" in text and "a/trade 4 ms" in text
    assert "our clock ran behind the venue" in text


def test_cost_bars_lead_from_gross_to_net() -> None:
    bars = cost_bars({"pnl_gross": 10.0, "fees": 12.0, "funding": -1.0, "pnl_net": -3.0, "spread_cost": 4.0})
    assert [bar["value"] for bar in bars] == ["+14.00", "\u22124.00", "+10.00", "\u221212.00", "\u22121.00", "\u22123.00"]
    assert [float(bar["left"]) + float(bar["width"]) <= 100.01 for bar in bars] == [True] * 6
    assert cost_bars({"pnl_gross": None}) == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, DataError),
        ("{", CorruptDataError),
        ('{"run_id": "a", "kind": "backtest"}', CorruptDataError),
        ('{"run_id": 5, "kind": "backtest", "data": {"simulated": true}}', CorruptDataError),
        ('{"run_id": "a", "kind": "backtest", "data": {}}', CorruptDataError),
        ("\x00\xff", CorruptDataError),
    ],
)
def test_broken_manifest_is_one_clear_line(tmp_path: Path, content: str | None, error: type[Exception]) -> None:
    folder = build_run(tmp_path)
    path = folder / "manifest.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(error, match=r"manifest\.json was .*run again") as raised:
        write_report(folder)
    assert len(str(raised.value).splitlines()) == 1
    assert not (folder / "report.html").exists()


def test_missing_folder_is_the_users_to_fix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which does not exist"):
        write_report(tmp_path / "absent")


@pytest.mark.parametrize("damage", ["missing", "garbage", "columns"])
def test_broken_table_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    folder = build_run(tmp_path)
    path = folder / "fills.parquet"
    path.unlink()
    if damage == "garbage":
        path.write_bytes(b"not parquet at all")
    if damage == "columns":
        path.write_bytes((folder / "curve.parquet").read_bytes())
    with pytest.raises(DataError, match=r"fills\.parquet was .*run the backtest again") as raised:
        write_report(folder)
    assert len(str(raised.value).splitlines()) == 1


def test_discovery_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match="discovery result was not what a report can show"):
        write_report(build_run(tmp_path), discovery={"cells": "none"})


def test_changed_chart_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "uPlot" in charting.chart_library().script
    monkeypatch.setitem(charting._SHA256_OF, "youplot/vendor/uplot.min.css", "0" * 64)
    with pytest.raises(InputError, match=r"was not uPlot 1\.6\.31"):
        charting.chart_library()
    monkeypatch.setattr(charting, "CARRIER", "no-such-package")
    with pytest.raises(InputError, match="was not installed"):
        charting.chart_library()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formats.number(-1234.5), "\u22121,234.50"),
        (formats.number(-0.001), "0.00"),
        (formats.number(float("nan")), "\u2013"),
        (formats.number(True), "\u2013"),
        (formats.money(0.0123456, "USDT"), "0.01235 USDT"),
        (formats.money(None, "USDT"), "\u2013"),
        (formats.percent(0.0123, signed=True), "+1.23%"),
        (formats.percent(0.0000012), "0.00012%"),
        (formats.plain(61234.5), "61,234.5"),
        (formats.plain(-0.0), "0"),
        (formats.instant(1_723_161_256_299_000_000), "2024-08-08 23:54:16"),
        (formats.instant(1_723_161_256_299_000_000, short=True), "08-08 23:54:16.299"),
        (formats.duration(-1_270_000_000), "\u22121.27 s"),
        (formats.tone(-3), "down"),
        (formats.tone(0), ""),
    ],
)
def test_numbers_for_people(text: str, expected: str) -> None:
    assert text == expected
