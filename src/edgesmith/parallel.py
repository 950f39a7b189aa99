"""Do the same to many items, in order: in the calling thread, in threads, or in processes that may die.

What comes out does not depend on how many work on it: results are handed out in the order of the items. At most one more item
than there are workers is finished or under way beside the result in the caller's hands, so memory is bounded whoever is slow.

Threads suit kernels, which release the interpreter lock, and calls into Arrow; processes suit plain Python. With processes the
function and the items are pickled, and a worker that is killed (memory, mostly) costs only time: its pool is replaced and what
was under way is done again, so the function must be one that can be repeated.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Generic, Literal, TypeVar, get_args

from edgesmith.errors import InputError, WorkerError

Mode = Literal["serial", "threads", "processes"]
# Called with items handed out and items in all; None where the number of items is not known.
Progress = Callable[[int, int | None], None]

WORKERS_MAX = 256
# How often the pool may break over one item.
BREAKS_MAX = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None,
    mode: Mode = "serial",
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Return an iterator over `function(item)`, in the order of `items`, which are taken as they are needed.

    `workers` None is one a core.

    An exception reaches the caller where its result would have been, with a note that names the item. Leaving the iterator
    early ends the workers after what they are at. One worker in threads is the calling thread.
    """
    workers = cores() if workers is None else workers
    if not 1 <= workers <= WORKERS_MAX:
        raise InputError(f"workers was {workers}, expected 1..{WORKERS_MAX}")
    if mode not in get_args(Mode):
        raise InputError(f"mode was '{mode}', expected one of {', '.join(get_args(Mode))}")
    results = _serial(function, items)
    if mode == "threads" and workers > 1:
        results = _pooled(function, items, workers, partial(ThreadPoolExecutor, workers))
    elif mode == "processes":
        results = _pooled(function, items, workers, partial(_new_processes, workers))
    return _counted(results, len(items) if isinstance(items, Sized) else None, progress)


def _counted(results: Generator[Result], total: int | None, progress: Progress | None) -> Generator[Result]:
    # Here and below: what the caller was given is let go before the next is waited for, or one more would be in memory.
    done = 0
    with closing(results):
        for result in results:
            done += 1
            if progress is not None:
                progress(done, total)
            yield result
            del result


def _serial(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result]:
    for number, item in enumerate(items):
        try:
            result = function(item)
        except Exception as error:
            _name_item(error, number, item)
            raise
        yield result
        del result


def _new_processes(workers: int) -> Executor:
    # Forking a process that has threads can deadlock; a spawned one starts clean.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_caller)


def _leave_interrupts_to_the_caller() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass
class _Task(Generic[Item, Result]):
    number: int
    item: Item
    future: Future[Result] | None = None


def _pooled(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, new_pool: Callable[[], Executor]
) -> Generator[Result]:
    remaining = enumerate(items)
    tasks: deque[_Task[Item, Result]] = deque()
    breaks = 0
    pool = new_pool()
    try:
        while True:
            tasks.extend(_Task(number, item) for number, item in islice(remaining, workers + 1 - len(tasks)))
            if not tasks:
                return
            try:
                # After a break the oldest task runs alone: if the pool breaks again, there is no doubt which one did it.
                for task in [tasks[0]] if breaks else tasks:
                    if task.future is None:
                        task.future = pool.submit(function, task.item)
                result = _result_of(tasks[0])
            except BrokenExecutor:
                breaks += 1
                _check_breaks(breaks, tasks[0])
                pool.shutdown(wait=True, cancel_futures=True)
                pool = new_pool()
                _forget_unfinished(tasks)
                continue
            breaks = 0
            tasks.popleft()
            yield result
            del result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result_of(task: _Task[Item, Result]) -> Result:
    assert task.future is not None
    try:
        return task.future.result()
    except BrokenExecutor:
        raise
    except Exception as error:
        _name_item(error, task.number, task.item)
        raise


def _check_breaks(breaks: int, task: _Task[Item, Result]) -> None:
    if breaks > BREAKS_MAX:
        raise WorkerError(
            f"item {task.number} ({_shown(task.item)}): a worker process died {breaks} times, the last {breaks - 1} times over "
            "this item alone; expected it to finish: see whether memory runs out, and give each worker less to do"
        ) from None


def _forget_unfinished(tasks: Iterable[_Task[Item, Result]]) -> None:
    for task in tasks:
        if task.future is not None and _died(task.future):
            task.future = None


def _died(future: Future[Result]) -> bool:
    try:
        return isinstance(future.exception(timeout=0), BrokenExecutor)
    except (CancelledError, TimeoutError):
        return True


def _name_item(error: Exception, number: int, item: object) -> None:
    error.add_note(f"while working on item {number}: {_shown(item)}")


def _shown(item: object) -> str:
    text = repr(item)
    return text if len(text) <= 200 else text[:197] + "..."
