"""Downloads against a real HTTP server that breaks, stalls half-way and lies."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builders_import import NOON_MS, csv, write_zip
from edgesmith.clock import ManualClock
from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import CorruptDataError, InputError, TransportError, UnknownNameError
from edgesmith.lake.download import ATTEMPTS_MAX, download_vision, dump_url
from edgesmith.lake.importers import import_files

DAY = date(2024, 8, 8)
ZIP = "/futures/um/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip"


class Site:
    """What the server has and how it misbehaves; `log` is (path, Range header or empty)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []
        self.break_after_bytes: list[int] = []
        self.statuses: list[int] = []
        self.ranges = True
        self.url = ""

    def put(self, content: bytes, published: bytes | None = None) -> None:
        digest = hashlib.sha256(content if published is None else published).hexdigest()
        self.files = {ZIP: content, ZIP + ".CHECKSUM": f"{digest}  BTCUSDT-trades-2024-08-08.zip\n".encode()}


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site, asked = self.site, self.headers.get("Range", "")
        site.log.append((self.path, asked))
        content = site.files.get(self.path)
        if site.statuses:
            self.send_error(site.statuses.pop(0))
            return
        if content is None:
            self.send_error(404)
            return
        start = int(re.findall(r"bytes=(\d+)-", asked)[0]) if asked and site.ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path.endswith(".zip") and site.break_after_bytes:
            self.wfile.write(body[: site.break_after_bytes.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(site: Site, folder: Path, clock: ManualClock | None = None) -> Path:
    return download_vision("usdm", "btcusdt", DAY, "trades", folder, base_url=site.url, clock=clock or ManualClock())


def test_a_dump_arrives_and_imports(site: Site, tmp_path: Path) -> None:
    text = csv(None, [(1, "60000.1", "0.5", "1", NOON_MS, "true")])
    site.put(write_zip(tmp_path / "made.zip", text).read_bytes())
    seen: list[tuple[int, int | None]] = []
    path = download_vision(
        "usdm", "BTCUSDT", DAY, "trades", tmp_path / "in", base_url=site.url, progress=lambda *at: seen.append(at)
    )
    size = len(site.files[ZIP])
    assert path.name == "BTCUSDT-trades-2024-08-08.zip" and seen[-1] == (size, size)
    assert [each.name for each in (tmp_path / "in").iterdir()] == [path.name]
    assert import_files("binance-vision", [path], tmp_path / "lake", market="usdm").rows == {"trade": 1}


def test_a_sound_file_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    site.put(b"content")
    fetch(site, tmp_path)
    fetch(site, tmp_path)
    assert [path for path, _ in site.log].count(ZIP) == 1
    site.put(b"changed content")
    assert fetch(site, tmp_path).read_bytes() == b"changed content"


def test_a_broken_transfer_goes_on_where_it_broke(site: Site, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4_000
    site.put(content)
    site.break_after_bytes = [300_000, 100_000]
    clock = ManualClock()
    assert fetch(site, tmp_path, clock).read_bytes() == content
    ranges = [asked for path, asked in site.log if path == ZIP]
    assert ranges[0] == "" and all(re.fullmatch(r"bytes=\d+-", asked) for asked in ranges[1:]) and len(ranges) == 3
    assert clock.now_ns() == 3 * NS_PER_S, "waits of 1 and 2 s"


def test_a_part_of_an_earlier_run_is_used(site: Site, tmp_path: Path) -> None:
    site.put(b"0123456789")
    part = tmp_path / "BTCUSDT-trades-2024-08-08.zip.part"
    for held in (b"0123", b"0123456789", b"WRONG", b"far too long to be it"):
        (tmp_path / "BTCUSDT-trades-2024-08-08.zip").unlink(missing_ok=True)
        part.write_bytes(held)
        assert fetch(site, tmp_path).read_bytes() == b"0123456789" and not part.exists()


def test_a_server_without_ranges_starts_over(site: Site, tmp_path: Path) -> None:
    site.put(b"0123456789")
    site.ranges = False
    (tmp_path / "BTCUSDT-trades-2024-08-08.zip.part").write_bytes(b"0123")
    assert fetch(site, tmp_path).read_bytes() == b"0123456789"
    assert [asked for path, asked in site.log if path == ZIP] == ["bytes=4-"], "and needs no second request"


def test_a_wrong_checksum_keeps_nothing(site: Site, tmp_path: Path) -> None:
    site.put(b"tampered", published=b"published")
    with pytest.raises(CorruptDataError, match="sha256"):
        fetch(site, tmp_path)
    assert list(tmp_path.iterdir()) == []
    site.files[ZIP + ".CHECKSUM"] = b"<html>"
    with pytest.raises(CorruptDataError, match="CHECKSUM was '<html>'"):
        fetch(site, tmp_path)


def test_what_does_not_exist_is_said(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no usdm trades dump of BTCUSDT for 2024-08-08.*listed"):
        fetch(site, tmp_path)
    with pytest.raises(InputError, match="spot market has no bookTicker"):
        dump_url("spot", "BTCUSDT", DAY, "bookTicker")
    with pytest.raises(UnknownNameError, match="aggTrades, bookTicker, trades"):
        dump_url("usdm", "BTCUSDT", DAY, "klines")
    with pytest.raises(UnknownNameError, match="coinm, spot, usdm"):
        dump_url("um", "BTCUSDT", DAY, "trades")


def test_retries_are_bounded(site: Site, tmp_path: Path) -> None:
    site.put(b"content")
    site.statuses = [503, 429]
    assert fetch(site, tmp_path).read_bytes() == b"content"
    (tmp_path / "BTCUSDT-trades-2024-08-08.zip").unlink()
    site.statuses = [503] * 20
    site.log.clear()
    with pytest.raises(TransportError, match=f"answered 503 in all of {ATTEMPTS_MAX} attempts"):
        fetch(site, tmp_path)
    assert len(site.log) == ATTEMPTS_MAX
    site.statuses = [403]
    with pytest.raises(TransportError, match="answered 403"):
        fetch(site, tmp_path)


def test_an_unreachable_site_is_a_transport_error(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="failed"):
        download_vision("usdm", "BTCUSDT", DAY, "trades", tmp_path, base_url="http://127.0.0.1:9", clock=ManualClock())
