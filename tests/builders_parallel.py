"""Functions that worker processes can import: one that dies, one that fails, one that is slow now and then."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path


def square(item: int) -> int:
    return item * item


def square_after_a_while(item: int) -> int:
    time.sleep(0.002 * (item % 3))
    return item * item


def process_of(item: int) -> tuple[int, int, int]:
    return item, os.getpid(), threading.get_ident()


def fail_at_five(item: int) -> int:
    if item == 5:
        raise ValueError("five")
    return item


def die_once(task: tuple[int, str]) -> int:
    """Kill this process the first time anybody works on the item; leaves a mark in the folder."""
    item, folder = task
    mark = Path(folder, str(item))
    if item % 4 == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def die_at_three(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item
