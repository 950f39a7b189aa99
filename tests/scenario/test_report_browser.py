"""The report in a real browser, at desktop and phone width: it draws, fits, zooms, and asks the network for nothing."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builders_report import build_discovery, build_truth
from builders_run import build_run
from edgesmith.trading.report import write_report

WIDTHS = (1280, 390)
CHARTS = 4  # equity, drawdown, position, one price pane
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=8000",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)

# Looks into the report from a frame of the same origin, since the report's own policy admits no further script.
PROBE = """<!doctype html><body><pre id="result"></pre><script>
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
function inked(canvas) {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set(new Uint32Array(pixels.buffer));
  seen.delete(0);
  return seen.size;
}
function mouse(view, target, type, x, y) {
  const at = { clientX: x, clientY: y, movementX: 5 };
  target.dispatchEvent(new view.MouseEvent(type, { ...at, bubbles: true, button: 0, buttons: 1, view }));
}
async function look(width) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:2400px;border:0`;
  frame.src = "report.html";
  await new Promise((done) => { frame.onload = done; document.body.append(frame); });
  await pause(300);
  const page = frame.contentDocument, view = frame.contentWindow;
  const note = () => page.getElementById("chart-price-0-note").textContent;
  const found = {
    width, drawn: page.documentElement.dataset.charts, overflow: page.documentElement.scrollWidth - width,
    colors: [...page.querySelectorAll("canvas")].map(inked),
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name), note: note(),
  };
  const over = page.querySelector("#chart-equity .u-over"), box = over.getBoundingClientRect(), y = box.top + 20;
  mouse(view, over, "mousemove", box.left + box.width * 0.5, y);
  await pause(100);
  found.readout = page.getElementById("chart-equity-readout").textContent;
  found.followed = page.getElementById("chart-price-0-readout").textContent;
  mouse(view, over, "mousedown", box.left + box.width * 0.4, y);
  mouse(view, over, "mousemove", box.left + box.width * 0.6, y);
  await pause(100);
  mouse(view, page, "mouseup", box.left + box.width * 0.6, y);
  await pause(200);
  const reset = page.getElementById("zoom-reset");
  found.zoomed = { note: note(), reset: !reset.hidden };
  reset.click();
  await pause(200);
  found.back = { note: note(), reset: !reset.hidden };
  const finger = (type, pointerId, share) => over.dispatchEvent(new view.PointerEvent(type, {
    bubbles: true, pointerId, pointerType: "touch", clientX: box.left + box.width * share, clientY: y }));
  finger("pointerdown", 1, 0.4);
  finger("pointerdown", 2, 0.6);
  finger("pointermove", 1, 0.4);
  finger("pointermove", 1, 0.2);
  finger("pointermove", 2, 0.8);
  await pause(200);
  found.pinched = note();
  return found;
}
(async () => {
  const results = [];
  for (const width of WIDTHS) results.push(await look(width));
  document.getElementById("result").textContent = JSON.stringify(results);
})().catch((error) => { document.getElementById("result").textContent = JSON.stringify(String(error)); });
</script></body>"""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve a folder and remember what was asked for."""

    asked: list[str] = []  # noqa: RUF012 -- one list for the one server of this module

    def log_message(self, format: str, *arguments: object) -> None:
        self.asked.append(self.path)


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium on this machine; tests/servers/install_chromium.sh installs it where it can")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = build_run(tmp_path_factory.mktemp("report"), fills=2_000, buckets=4_096)
    write_report(folder, discovery=build_discovery(), truth=build_truth())
    (folder / "probe.html").write_text(PROBE.replace("WIDTHS", json.dumps(WIDTHS)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def browse(chromium: str, profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return subprocess.run(
        [chromium, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def seen(chromium: str, site: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], str]:
    done = browse(chromium, tmp_path_factory.mktemp("profile"), "--window-size=1400,2500", "--dump-dom", f"{site[1]}/probe.html")
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found.group(1), f"the probe did not finish:\n{done.stderr[-2000:]}"
    results = json.loads(html.unescape(found.group(1)))
    assert isinstance(results, list), results
    return results, done.stderr


def test_charts_are_drawn_at_every_width(seen: tuple[list[dict[str, Any]], str]) -> None:
    assert [result["width"] for result in seen[0]] == list(WIDTHS)
    for result in seen[0]:
        assert result["drawn"] == str(CHARTS) and len(result["colors"]) == CHARTS
        # An empty frame has grid and labels in two colors; a drawn line adds its own and its edges.
        assert min(result["colors"]) > 10, result


def test_page_never_scrolls_sideways(seen: tuple[list[dict[str, Any]], str]) -> None:
    assert [result["overflow"] for result in seen[0]] == [0] * len(WIDTHS)


def test_console_stays_clean_and_nothing_is_fetched(seen: tuple[list[dict[str, Any]], str]) -> None:
    results, log = seen
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []
    assert [result["requests"] for result in results] == [[]] * len(WIDTHS)
    assert {path for path in QuietHandler.asked if "favicon" not in path} == {"/probe.html", "/report.html"}


def test_hover_and_zoom_move_all_charts(seen: tuple[list[dict[str, Any]], str]) -> None:
    for result in seen[0]:
        assert re.match(r"2024-08-0[89] \d\d:\d\d:\d\d\.\d{3} UTC .*USDT", result["readout"]), result
        assert "mid " in result["followed"] and result["followed"][:16] == result["readout"][:16]
        assert result["note"].startswith("2,000 fills in view, 1 in 4 drawn")
        inside = int(re.match(r"([\d,]+) fills in view", result["zoomed"]["note"])[1].replace(",", ""))  # type: ignore[index]
        assert 300 < inside < 500 and result["zoomed"]["reset"]
        pinched = int(re.match(r"([\d,]+) fills in view", result["pinched"])[1].replace(",", ""))  # type: ignore[index]
        assert 500 < pinched < 850, "fingers three times as far apart show a third"
        assert result["back"] == {"note": result["note"], "reset": False}


@pytest.mark.parametrize("width", WIDTHS)
def test_screenshot_is_taken(chromium: str, site: tuple[Path, str], tmp_path: Path, width: int) -> None:
    shot = tmp_path / f"report_{width}.png"
    browse(
        chromium, tmp_path / "profile", f"--window-size={width},2400", f"--screenshot={shot}", f"file://{site[0] / 'report.html'}"
    )
    content = shot.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(content[16:20], "big") == width
    # A blank page of this size compresses to a few kilobytes.
    assert len(content) > 40_000
