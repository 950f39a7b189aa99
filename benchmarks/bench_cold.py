"""From nothing to running: what the demo compiles in an empty cache, and how soon a second process handles its first event."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import ROOT, Options, Row, at_most_check
from benchmarks.tape import DATA
from edgesmith.clock import monotonic_s

TITLE = "cold start"
COMPILE_SECONDS_MAX = 25.0
FIRST_EVENT_SECONDS_MAX = 2.0
FIRST_EVENT = "from benchmarks.bench_cold import first_event; first_event()"


def rows(options: Options) -> list[Row]:
    """Run the demo cold and warm, then start processes on the warm cache."""
    demo = Row(
        who="edgesmith demo, compile time",
        count=1,
        unit="demo",
        note="empty cache minus warm cache, both from an empty lake; one hour of market; each run a new process",
    )
    first = Row(
        who="edgesmith, process start to first event",
        count=1,
        unit="process",
        note="warm cache: interpreter, imports, 15 features and baseline in the engine, one event",
    )
    try:
        _measure(options.repeats, demo, first)
    except subprocess.CalledProcessError as error:
        words = (error.stderr or "").strip().splitlines()
        demo.error = words[-1] if words else str(error)
        return [demo, first]
    at_most_check(demo, "compile s", statistics.median(demo.seconds), COMPILE_SECONDS_MAX, "s")
    at_most_check(first, "first event s", statistics.median(first.seconds), FIRST_EVENT_SECONDS_MAX, "s")
    return [demo, first]


def _measure(repeats: int, demo: Row, first: Row) -> None:
    cold_s, warm_s = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="edgesmith_bench_") as text:
            folder = Path(text)
            environment = {
                **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
                "EDGESMITH_CACHE_DIR": str(folder / "cache"),
                "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src"))),
                # Bytecode of packages is an installation's work, not ours: it stays from the first round on.
                "PYTHONPYCACHEPREFIX": str(DATA / "bytecode"),
            }
            for times, name in ((cold_s, "cold"), (warm_s, "warm")):
                (folder / name).mkdir()
                command = ["-c", "from edgesmith.cli import main; main()", "demo", "--hours", "1"]
                times.append(_seconds(command, folder / name, environment))
            _seconds(["-c", FIRST_EVENT], folder, environment)
            first.seconds.append(round(_seconds(["-c", FIRST_EVENT], folder, environment), 4))
    demo.seconds = [round(cold - warm, 4) for cold, warm in zip(cold_s, warm_s, strict=True)]
    demo.facts = [{"cold_s": round(cold, 3), "warm_s": round(warm, 3)} for cold, warm in zip(cold_s, warm_s, strict=True)]


def _seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    start_s = monotonic_s()
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return monotonic_s() - start_s


def first_event() -> None:
    """Handle one event from a standing start."""
    from benchmarks.bench_live import WideBaseline
    from benchmarks.market import INSTRUMENT, engine_config, records_of
    from benchmarks.tape import simulate
    from edgesmith.features.catalog import feature
    from edgesmith.features.program import Program
    from edgesmith.trading.compiled_driver import CompiledDriver
    from edgesmith.trading.engine import Engine

    strategy = WideBaseline()
    program = Program([feature(name) for name in strategy.features])
    engine = Engine([INSTRUMENT], engine_config("honest"), CompiledDriver(strategy), program=program)
    engine.feed(records_of(simulate(1)))
    assert int(engine.run[0]["events"]) == 1
