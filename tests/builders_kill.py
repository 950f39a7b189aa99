"""A process that is killed in the middle of its work."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

from edgesmith.clock import monotonic_s

WAIT_S_MAX = 60.0


def killed_after(delay_s: float, work: Callable[[], None]) -> None:
    """Run `work`, which must not end, in a child process and kill it `delay_s` after it began."""
    child = _begun(work)
    time.sleep(delay_s)
    _kill(child)


def killed_when(reached: Callable[[], bool], work: Callable[[], None]) -> None:
    """Run `work`, which must not end before, in a child process and kill it as soon as `reached`."""
    child, begun_s = _begun(work), monotonic_s()
    while not reached() and monotonic_s() < begun_s + WAIT_S_MAX:
        time.sleep(0.001)
    _kill(child)


def _begun(work: Callable[[], None]) -> int:
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
    return child


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself: it failed before it was killed"


def lines_of(work: Callable[[], None], files: Collection[str]) -> int:
    """Return how many lines of modules named `files` run in `work`, which runs in a child process."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def one_more() -> None:
            nonlocal count
            count += 1

        try:
            _traced(work, files, one_more)
        finally:
            os.write(write, str(count).encode())
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    counted = int(os.read(read, 20))
    os.close(read)
    return counted


def killed_at(line: int, work: Callable[[], None], files: Collection[str]) -> None:
    """Run `work` in a child process and kill it before the `line`-th line of modules named `files`."""
    child = os.fork()
    if child == 0:
        left = line

        def one_less() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            _traced(work, files, one_less)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the work ended before it could be killed"


def _traced(work: Callable[[], None], files: Collection[str], on_line: Callable[[], None]) -> None:
    def trace(frame: FrameType, event: str, _: object) -> Any:
        if os.path.basename(frame.f_code.co_filename) not in files:
            return None
        if event == "line":
            on_line()
        return trace

    sys.settrace(trace)
    work()
    sys.settrace(None)
