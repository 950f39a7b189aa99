"""Ordered, bounded, and unmoved by the number of workers or the death of some."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from builders_parallel import die_at_three, die_once, fail_at_five, process_of, square, square_after_a_while
from edgesmith.errors import InputError, WorkerError
from edgesmith.parallel import BREAKS_MAX, Mode, cores, map_ordered

MODES: tuple[tuple[Mode, int], ...] = (("serial", 1), ("threads", 1), ("threads", 3), ("processes", 2))


@pytest.mark.parametrize(("mode", "workers"), MODES)
def test_results_come_in_the_order_of_the_items(mode: Mode, workers: int) -> None:
    told: list[tuple[int, int | None]] = []
    results = map_ordered(
        square_after_a_while, range(20), workers=workers, mode=mode, progress=lambda done, total: told.append((done, total))
    )
    assert list(results) == [item * item for item in range(20)]
    assert told == [(done, 20) for done in range(1, 21)]
    assert list(map_ordered(square, [], workers=workers, mode=mode)) == []


def test_threads_and_processes_are_what_they_say() -> None:
    here = os.getpid(), threading.get_ident()
    assert all((pid, thread) == here for _, pid, thread in map_ordered(process_of, range(3), workers=1, mode="threads"))
    threads = list(map_ordered(process_of, range(8), workers=2, mode="threads"))
    assert all(pid == here[0] and thread != here[1] for _, pid, thread in threads)
    assert all(pid != here[0] for _, pid, _ in map_ordered(process_of, range(2), workers=1, mode="processes"))


@pytest.mark.parametrize(("mode", "workers", "ahead"), [("serial", 1, 0), ("threads", 1, 0), ("threads", 3, 3)])
def test_no_more_is_begun_than_the_caller_and_the_workers_hold(mode: Mode, workers: int, ahead: int) -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for item in count():
            begun.append(item)
            yield item

    told: list[tuple[int, int | None]] = []
    results = map_ordered(square, items(), workers=workers, mode=mode, progress=lambda done, total: told.append((done, total)))
    assert begun == [], "nothing is done before somebody asks"
    for taken in range(1, 30):
        next(results)
        assert len(begun) == taken + ahead
    assert told[-1] == (29, None)


@pytest.mark.parametrize(("mode", "workers"), MODES)
def test_an_exception_comes_in_its_place_and_names_the_item(mode: Mode, workers: int) -> None:
    results = map_ordered(fail_at_five, range(9), workers=workers, mode=mode)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five") as caught:
        next(results)
    assert caught.value.__notes__ == ["while working on item 5: 5"]
    assert list(results) == []


class Box:
    """Something whose life can be watched."""

    def __init__(self, item: int) -> None:
        self.item = item


@pytest.mark.parametrize(("mode", "workers"), [("serial", 1), ("threads", 1), ("threads", 2)])
def test_results_the_caller_dropped_are_not_kept(mode: Mode, workers: int) -> None:
    handed_out: weakref.WeakSet[Box] = weakref.WeakSet()
    alive = 0

    def items() -> Iterator[int]:
        nonlocal alive
        for item in range(20):
            alive = max(alive, len(handed_out))
            yield item

    for box in map_ordered(Box, items(), workers=workers, mode=mode):
        handed_out.add(box)
        del box
    assert alive == 0, "when the next item is taken, what was handed out before is gone"


def test_leaving_early_ends_the_workers() -> None:
    before = threading.active_count()
    results = map_ordered(square_after_a_while, count(), workers=4, mode="threads")
    assert next(results) == 0 and threading.active_count() > before
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_killed_workers_cost_only_time(tmp_path: Path) -> None:
    tasks = [(item, str(tmp_path)) for item in range(10)]
    assert list(map_ordered(die_once, tasks, workers=2, mode="processes")) == [item * item for item in range(10)]
    assert sorted(int(mark.name) for mark in tmp_path.iterdir()) == [1, 5, 9]


def test_an_item_that_kills_every_worker_is_named() -> None:
    results = map_ordered(die_at_three, range(6), workers=2, mode="processes")
    with pytest.raises(WorkerError, match=rf"item 3 \(3\): a worker process died {BREAKS_MAX + 1} times"):
        for expected, found in enumerate(results):
            assert found == expected < 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers was 0, expected 1.."),
        ({"workers": 1, "mode": "ray"}, "mode was 'ray', expected one of serial, threads, processes"),
    ],
)
def test_mistakes_are_named_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        map_ordered(square, [1], **options)  # type: ignore[arg-type]


def test_no_number_of_workers_is_one_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    here = threading.get_ident()
    threads = {thread for _, _, thread in map_ordered(process_of, range(8), workers=None, mode="threads")}
    assert (here in threads) == (cores() == 1)
