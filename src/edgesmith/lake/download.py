"""Fetch Binance's public dumps: resumed where a transfer broke, and in place only with the checksum the site publishes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import TypeVar

import httpx

from edgesmith.clock import Clock, SystemClock
from edgesmith.domain.units import NS_PER_S
from edgesmith.errors import CorruptDataError, InputError, TransportError, UnknownNameError

BASE_URL = "https://data.binance.vision/data"
STREAMS = ("trades", "aggTrades", "bookTicker")
MARKET_FOLDERS: dict[str, str] = {"spot": "spot", "usdm": "futures/um", "coinm": "futures/cm"}

# Waits of 1, 2, 4 and 8 s: long enough for a passing fault, short enough to say soon that the site is down.
ATTEMPTS_MAX = 5
_CHUNK_BYTES = 256 << 10
_TIMEOUT_S = 30.0

# (bytes done, bytes in all or None where the site does not say).
Progress = Callable[[int, int | None], None]

ResultT = TypeVar("ResultT")


def download_vision(
    market: str,
    symbol: str,
    day: date,
    stream: str,
    folder: Path,
    *,
    base_url: str = BASE_URL,
    client: httpx.Client | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download one daily dump into `folder` and return its path; a sound file already there is kept.

    Raises
    ------
    InputError
        There is no such dump.
    CorruptDataError
        What arrives does not have the published checksum, twice.
    TransportError
        The site cannot be reached, or keeps failing, after `ATTEMPTS_MAX` attempts.
    """
    url = dump_url(market, symbol, day, stream, base_url)
    target = folder / url.rpartition("/")[2]
    part = target.with_name(target.name + ".part")
    folder.mkdir(parents=True, exist_ok=True)
    with _client(client) as session:
        fetch = _Fetch(session, clock or SystemClock(), progress)
        expected = _parsed_checksum(fetch.text(url + ".CHECKSUM", _missing(market, symbol, day, stream)), url)
        if target.is_file() and _sha256(target) == expected:
            return target
        resumed = part.exists()
        fetch.file(url, part)
        if _sha256(part) != expected and resumed:
            # The first part may stem from an older version of the file.
            part.unlink()
            fetch.file(url, part)
        if (was := _sha256(part)) != expected:
            part.unlink()
            raise CorruptDataError(
                f"{url} arrived with sha256 {was[:12]}.., expected {expected[:12]}..; nothing was kept: try again"
            )
        part.replace(target)
    return target


def dump_url(market: str, symbol: str, day: date, stream: str, base_url: str = BASE_URL) -> str:
    """Return the address of a daily dump; raises InputError for what the site does not have at all."""
    if market not in MARKET_FOLDERS:
        raise UnknownNameError("market", market, MARKET_FOLDERS)
    if stream not in STREAMS:
        raise UnknownNameError("stream of public dumps", stream, STREAMS)
    if market == "spot" and stream == "bookTicker":
        raise InputError("the spot market has no bookTicker dumps; its streams are trades and aggTrades")
    name = symbol.upper()
    return f"{base_url}/{MARKET_FOLDERS[market]}/daily/{stream}/{name}/{name}-{stream}-{day.isoformat()}.zip"


def _missing(market: str, symbol: str, day: date, stream: str) -> str:
    likely = "is the symbol right, was it listed then, and is the day over (dumps appear the day after)?"
    if stream == "bookTicker":
        likely = "bookTicker dumps ended in 2024-03 (usdm) and 2024-10 (coinm) when this was written; " + likely
    return f"there is no {market} {stream} dump of {symbol.upper()} for {day.isoformat()}: {likely}"


def _parsed_checksum(text: str, url: str) -> str:
    digest = text.split()[0].lower() if text.split() else ""
    if len(digest) != 64 or not all(character in "0123456789abcdef" for character in digest):
        raise CorruptDataError(f"{url}.CHECKSUM was '{text[:80]}', expected a sha256 and a file name; try again later")
    return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _client(given: httpx.Client | None) -> Iterator[httpx.Client]:
    with nullcontext(given) if given is not None else httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True) as client:
        yield client


class _Fetch:
    # Requests with bounded retries over one client.
    def __init__(self, client: httpx.Client, clock: Clock, progress: Progress | None) -> None:
        self._client = client
        self._clock = clock
        self._progress = progress

    def text(self, url: str, missing: str) -> str:
        def attempt() -> str:
            response = self._client.get(url)
            if response.status_code == httpx.codes.NOT_FOUND:
                raise InputError(missing)
            return response.raise_for_status().text

        return self._retried(url, attempt)

    def file(self, url: str, part: Path) -> None:
        self._retried(url, lambda: self._append(url, part))

    def _append(self, url: str, part: Path) -> None:
        done = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # the part is already as long as the file; the checksum decides
            response.raise_for_status()
            if response.status_code != httpx.codes.PARTIAL_CONTENT:
                done = 0
            length = response.headers.get("Content-Length")
            total = done + int(length) if length is not None and length.isdigit() else None
            with part.open("ab" if done else "wb") as file:
                for chunk in response.iter_raw(_CHUNK_BYTES):
                    file.write(chunk)
                    done += len(chunk)
                    if self._progress is not None:
                        self._progress(done, total)

    def _retried(self, url: str, attempt: Callable[[], ResultT]) -> ResultT:
        for count in range(1, ATTEMPTS_MAX + 1):
            try:
                return attempt()
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                problem = f"answered {status}"
                if status < 500 and status not in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT):
                    raise TransportError(f"{url} {problem}, expected a file; is there a proxy in between?") from None
            except httpx.TransportError as error:
                problem = f"failed ({error or type(error).__name__})"
            if count < ATTEMPTS_MAX:
                self._clock.sleep_until_ns(self._clock.now_ns() + 2 ** (count - 1) * NS_PER_S)
        raise TransportError(
            f"{url} {problem} in all of {ATTEMPTS_MAX} attempts; try again later, what arrived is kept and resumed"
        )
