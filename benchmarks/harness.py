"""Races: every side in its own process, run in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

import msgspec

from benchmarks.environments import InstallError, interpreter

ROOT = Path(__file__).resolve().parents[1]
# A peer that compiles itself or converts its input takes minutes; one that takes longer than this hangs.
ANSWER_SECONDS_MAX = 900.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    events: int = 3_700_000
    repeats: int = 5
    quick: bool = False
    peers: bool = True


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A figure beside what it has to reach."""

    what: str
    value: float
    target: str
    reached: bool


class Row(msgspec.Struct, kw_only=True):
    """What one side did, every round: `seconds` and `facts`; `faster_ratio` is our rate over its rate, median of the rounds."""

    who: str
    count: int
    unit: str = "events"
    seconds: list[float] = []
    faster_ratio: float | None = None
    checks: list[Check] = []
    facts: list[dict[str, Any]] = []
    note: str = ""
    error: str = ""

    @property
    def rate(self) -> float:
        """Return units of work per second at the median; 0 where nothing was timed."""
        return self.count / statistics.median(self.seconds) if self.seconds else 0.0

    def fact(self, name: str) -> Any:
        """Return a fact that is the same every round."""
        return self.facts[-1][name]

    def median_fact(self, name: str) -> float:
        """Return the median of a measured fact over the rounds."""
        return statistics.median(facts[name] for facts in self.facts)


class Contestant(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a race: a `MODULE:FUNCTION` that prepares, its options, and the environment it needs (ours when empty)."""

    who: str
    prepare: str
    options: dict[str, Any] = {}
    count: int
    unit: str = "events"
    environment: str = ""
    # Another way to use edgesmith, or other work: its time is not compared with ours.
    ours: bool = False
    # A new process for every round: NautilusTrader cannot run twice, and memory is only clean the first time.
    once: bool = False
    note: str = ""


class ContestantError(Exception):
    """A side could not do its work; the message says why."""


class _Process:
    def __init__(self, contestant: Contestant) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
        work = [contestant.prepare, json.dumps(contestant.options)]
        command = [interpreter(contestant.environment), "-m", "benchmarks.contestant", *work]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        try:
            self._answer()
        except ContestantError:
            self.close()
            raise

    def run(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS_MAX)
        if not ready:
            self._process.kill()
            raise ContestantError(f"no answer within {ANSWER_SECONDS_MAX:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise ContestantError(f"process ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContestantError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}"


def race(contestants: list[Contestant], repeats: int) -> list[Row]:
    """Run every side `repeats` times in turns; the first is ours, and the others are compared with it."""
    rows = [
        Row(who=one.who, count=one.count, unit=one.unit, note=one.note, seconds=[], facts=[], checks=[]) for one in contestants
    ]
    processes: list[_Process | None] = []
    try:
        for one, row in zip(contestants, rows, strict=True):
            processes.append(None if one.once else _started(one, row))
        for _ in range(repeats):
            for one, row, process in zip(contestants, rows, processes, strict=True):
                _take_turn(one, row, process)
    finally:
        for process in processes:
            if process is not None:
                process.close()
    for one, row in zip(contestants[1:], rows[1:], strict=True):
        if not one.ours:
            compare(rows[0], row)
    return rows


def _started(contestant: Contestant, row: Row) -> _Process | None:
    try:
        return _Process(contestant)
    except (ContestantError, InstallError, OSError) as error:
        row.error = str(error)
        return None


def _take_turn(contestant: Contestant, row: Row, process: _Process | None) -> None:
    if row.error:
        return
    turn = _started(contestant, row) if contestant.once else process
    if turn is None:
        return
    try:
        answer = turn.run()
    except ContestantError as error:
        row.error = str(error)
        return
    finally:
        if contestant.once:
            turn.close()
    row.seconds.append(round(answer["seconds"], 9))
    row.facts.append(answer["facts"])


def compare(ours: Row, other: Row) -> None:
    """Note how many times as fast as `other` ours is, round by round."""
    if ours.seconds and len(ours.seconds) == len(other.seconds):
        ratios = [(b / other.count) / (a / ours.count) for a, b in zip(ours.seconds, other.seconds, strict=True)]
        other.faster_ratio = statistics.median(ratios)


def rate_check(row: Row, at_least: float) -> None:
    """Note whether `row` does at least so many units a second."""
    if row.seconds:
        _note(row, f"{row.unit}/s", row.rate, f">= {compact(at_least)}", row.rate >= at_least)


def faster_check(row: Row, at_least: float) -> None:
    """Note whether ours is at least so many times as fast as `row`."""
    if row.faster_ratio is not None:
        _note(row, "ours / it", row.faster_ratio, f">= {at_least:g}x", row.faster_ratio >= at_least)


def at_most_check(row: Row, what: str, value: float, limit: float, unit: str) -> None:
    """Note whether a figure stays within its limit."""
    _note(row, what, value, f"<= {limit:g} {unit}", value <= limit)


def at_least_check(row: Row, what: str, value: float, limit: float, unit: str) -> None:
    """Note whether a figure reaches its limit."""
    _note(row, what, value, f">= {limit:g} {unit}", value >= limit)


def same_check(row: Row, what: str, value: float, expected: float, tolerance: float = 0.0) -> None:
    """Note whether `row` found what ours found: otherwise it did not do the same work."""
    text = f"= {expected:,.2f}" if tolerance else f"= {expected:,.0f}"
    _note(row, what, value, text, abs(value - expected) <= tolerance)


def compact(number: float) -> str:
    """Format a number as a person would say it: `29.7 M`, `903 k`."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _note(row: Row, what: str, value: float, target: str, reached: bool) -> None:
    row.checks = [*row.checks, Check(what=what, value=float(value), target=target, reached=bool(reached))]
