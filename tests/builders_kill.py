"""A process that is killed in the middle of its work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable


def killed_after(delay_s: float, work: Callable[[], None]) -> None:
    """Run `work`, which must not end, in a child process and kill it `delay_s` after it began."""
    ready, say_ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(say_ready, b"x")
            work()
        finally:
            os._exit(1)
    os.close(say_ready)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself: it failed before it was killed"
