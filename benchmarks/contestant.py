"""One side of a race, in a process of its own: prepare, then time one run for every line on standard input.

`python -m benchmarks.contestant MODULE:FUNCTION OPTIONS` calls the function with the options (JSON); it returns the callable
to time, which returns facts (fills, equity, ...). A fact named `seconds` replaces the measured time, for work that times
itself. Standard library only, so that a peer's environment can run it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from typing import Any

from benchmarks.machine import forget_peak_rss, peak_rss_mib, rss_mib
from edgesmith.clock import monotonic_s


def main() -> None:
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        where, _, name = sys.argv[1].partition(":")
        run = getattr(importlib.import_module(where), name)(**json.loads(sys.argv[2]))
        answers.write(json.dumps({"ready": True}) + "\n")
        for _ in sys.stdin:
            answers.write(json.dumps(_timed(run)) + "\n")
    except Exception as error:
        traceback.print_exc()
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")


def _timed(run: Any) -> dict[str, Any]:
    gc.collect()
    before_mib = rss_mib()
    forget_peak_rss()
    start_s = monotonic_s()
    facts = run() or {}
    seconds = monotonic_s() - start_s
    seconds = facts.pop("seconds", seconds)
    return {"seconds": seconds, "facts": {**facts, "peak_rss_mib": round(peak_rss_mib() - before_mib, 1)}}


if __name__ == "__main__":
    main()
