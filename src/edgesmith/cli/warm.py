"""Compile the engine in a second process while the first is busy; afterwards both find it in the disk cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENGINE = "from edgesmith.trading.entry import advance; advance()"


@contextmanager
def engine_compiling() -> Iterator[None]:
    """Have the engine compiled by the end of the block; nothing is started when it is compiled already."""
    from edgesmith.compiled import is_compiled
    from edgesmith.trading import kernel

    if is_compiled(Path(kernel.__file__)):
        yield
        return
    helper = subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        helper.wait()
    finally:
        # What it compiled so far is kept; what it did not, this process compiles when it needs it.
        helper.kill()
        helper.wait()
