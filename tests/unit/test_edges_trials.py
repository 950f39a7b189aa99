from __future__ import annotations

import errno
import json
import os
import resource
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesmith.canonical import canonical_json, content_hash
from edgesmith.edges.online import next_level, wealth_left
from edgesmith.edges.trials import DataUse, TrialLedger, TrialRecord
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.lake.atomic import write_atomically


def filled(path: Path, count: int = 4) -> TrialLedger:
    ledger = TrialLedger(path)
    for index in range(count):
        ledger.record(kind="discovery", data_fingerprint="data" + str(index % 2), cells_hash=f"cells{index}", trials=10 + index)
    return ledger


def test_records_come_back_and_are_counted(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "deep" / "trials.jsonl")
    assert ledger.verify() == 4
    assert [record.sequence for record in ledger.records()] == [0, 1, 2, 3]
    assert ledger.trials_total() == 46
    assert ledger.trials_total("data0") == 22
    assert TrialLedger(tmp_path / "absent").records() == ()


def test_the_same_search_is_one_trial(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "trials.jsonl")
    before = (tmp_path / "trials.jsonl").read_bytes()
    again = ledger.record(kind="discovery", data_fingerprint="data1", cells_hash="cells1", trials=11)
    assert again.sequence == 1
    assert (tmp_path / "trials.jsonl").read_bytes() == before
    assert ledger.record(kind="discovery", data_fingerprint="data0", cells_hash="cells1", trials=11).sequence == 4


@pytest.mark.parametrize("change", ["edit", "remove", "swap", "forge", "garbage"])
def test_tampering_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "trials.jsonl"
    ledger = filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    if change == "edit":
        lines[1] = lines[1].replace(b'"trials":11', b'"trials":1')
    elif change == "remove":
        del lines[1]
    elif change == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    elif change == "garbage":
        lines[1] = b"{}\n"
    else:
        body = json.loads(lines[1]) | {"trials": 1}
        lines[1] = json.dumps(body, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(CorruptDataError, match="line 2"):
        ledger.verify()
    with pytest.raises(CorruptDataError):
        ledger.record(kind="discovery", data_fingerprint="x", cells_hash="y", trials=1)


def test_a_line_cut_by_a_crash_never_was(tmp_path: Path) -> None:
    path, head = tmp_path / "trials.jsonl", tmp_path / "trials.jsonl.head"
    filled(path, 3)
    before = head.read_bytes()
    ledger = filled(path)
    whole = path.read_bytes()
    for cut in range(1, 60, 7):
        path.write_bytes(whole[:-cut])
        head.write_bytes(before)
        assert ledger.verify() == 3
        ledger.record(kind="discovery", data_fingerprint="data1", cells_hash="cells3", trials=13)
        assert path.read_bytes() == whole


def test_a_crash_between_record_and_head_loses_nothing(tmp_path: Path) -> None:
    path, head = tmp_path / "trials.jsonl", tmp_path / "trials.jsonl.head"
    filled(path, 3)
    before = head.read_bytes()
    ledger = filled(path)
    head.write_bytes(before)
    assert ledger.verify() == 4
    ledger.record(kind="discovery", data_fingerprint="data9", cells_hash="cells9", trials=1)
    assert ledger.verify() == 5


@pytest.mark.parametrize("change", ["cut the end", "delete", "delete the head", "old head", "another copy"])
def test_what_a_chain_alone_cannot_see_is_found_by_its_head(tmp_path: Path, change: str) -> None:
    path, head = tmp_path / "trials.jsonl", tmp_path / "trials.jsonl.head"
    filled(path, 2)
    before, old_head = path.read_bytes(), head.read_bytes()
    ledger = filled(path)
    if change == "cut the end":
        path.write_bytes(before)
    elif change == "delete":
        path.unlink()
    elif change == "delete the head":
        head.unlink()
    elif change == "old head":
        head.write_bytes(old_head)
    else:
        # A fork: both copies go on from the same two records.
        path.write_bytes(before)
        head.write_bytes(old_head)
        theirs = TrialLedger(tmp_path / "copy" / "trials.jsonl")
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "trials.jsonl").write_bytes(before)
        (tmp_path / "copy" / "trials.jsonl.head").write_bytes(old_head)
        for name in "xyz":
            theirs.record(kind="discovery", data_fingerprint=name, cells_hash=name, trials=1)
            ledger.record(kind="discovery", data_fingerprint=name + "2", cells_hash=name, trials=1)
        path.write_bytes((tmp_path / "copy" / "trials.jsonl").read_bytes())
    with pytest.raises(CorruptDataError, match=r"head|missing"):
        ledger.verify()
    with pytest.raises(CorruptDataError):
        ledger.record(kind="discovery", data_fingerprint="x", cells_hash="y", trials=1)


def use(instrument: str = "simulated:AUSDT", first: int = 0, last: int = 9, *partitions: str) -> DataUse:
    """Return a look at some minutes."""
    return DataUse(instrument=instrument, first_ns=first * 60 * 10**9, last_ns=last * 60 * 10**9, partitions=partitions)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (use(first=0, last=9), use(first=8, last=20), True),
        (use(first=0, last=9), use(first=3, last=4), True),
        (use(first=0, last=9), use(first=10, last=20), False),
        # Days follow each other within milliseconds.
        (use(first=0, last=9), use(first=9, last=20), False),
        (use("a:X"), use("a:Y"), False),
        # The same rows under another name are the same rows; other hours of the same file are not.
        (use("a:X", 0, 9, "p", "q"), use("b:X", 5, 60, "q"), True),
        (use("a:X", 0, 9, "p"), use("a:X", 9, 60, "p"), False),
    ],
)
def test_overlap(one: DataUse, other: DataUse, together: bool) -> None:
    assert one.overlaps(other) is together and other.overlaps(one) is together


def test_levels_and_counts_go_by_overlapping_data(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "trials.jsonl")

    def look(name: str, data: DataUse) -> TrialRecord:
        return ledger.record(kind="discovery", data_fingerprint=name, cells_hash=name, trials=100, data=[data])

    first = look("day 1", use(last=9))
    assert (first.level, first.trials_total) == (next_level([]), 100)
    assert look("elsewhere", use("simulated:BUSDT")).level == first.level
    # Another window over the same hours is another look at the same data.
    second = look("days 1 and 2", use(last=19))
    assert (second.level, second.trials_total) == (next_level([False]), 200)
    # A run that touches only the second day follows the one that touched both.
    third = look("day 2", use(first=10, last=19))
    assert (third.level, third.trials_total) == (next_level([False]), 200)
    ledger.settle(second, p=1e-4)
    account = ledger.account([use(first=10, last=19)])
    assert [one.found for one in account.looks] == [True, False] and [one.p for one in account.looks] == [1e-4, None]
    assert account.level_next == next_level([True, False]) and account.wealth_left == wealth_left([True, False])
    assert account.trials_total == 200 and ledger.account().trials_total == 400


def test_the_same_look_keeps_its_level_and_its_first_outcome(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "trials.jsonl")
    first = ledger.record(kind="d", data_fingerprint="f", cells_hash="c", trials=5, data=[use()])
    assert ledger.settle(first, 0.5).p == 0.5
    again = ledger.record(kind="d", data_fingerprint="f", cells_hash="c", trials=5, data=[use()])
    # Another seed drew another p-value: it is not another chance.
    assert again == first and ledger.settle(again, 1e-4).p == 0.5 and ledger.verify() == 2
    with pytest.raises(InputError, match="expected above 0"):
        ledger.settle(first, 0.0)
    with pytest.raises(InputError, match="record it there first"):
        TrialLedger(tmp_path / "other.jsonl").settle(first, 0.1)


def test_a_ledger_of_the_first_format_still_counts(tmp_path: Path) -> None:
    # Looks written before data was recorded: nobody knows what they saw, so they overlap everything.
    path, previous = tmp_path / "trials.jsonl", "0" * 64
    lines = []
    for sequence in range(3):
        body = {
            "cells_hash": f"c{sequence}",
            "data_fingerprint": "d",
            "kind": "discovery",
            "previous": previous,
            "sequence": sequence,
        }
        body |= {"trials": 10}
        previous = content_hash(body)
        lines.append(canonical_json({**body, "record_hash": previous}) + b"\n")
    path.write_bytes(b"".join(lines))
    ledger = TrialLedger(path)
    assert ledger.account([use()]).trials_total == 30
    assert ledger.record(kind="d", data_fingerprint="f", cells_hash="c", trials=5, data=[use()]).level == next_level([False] * 3)
    assert ledger.verify() == 4


def test_processes_that_record_at_once_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    children = []
    for name in "abcd":
        child = os.fork()
        if child == 0:
            try:
                for index in range(10):
                    TrialLedger(path).record(kind=name, data_fingerprint=str(index), cells_hash="c", trials=1)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert TrialLedger(path).verify() == 40


def test_negative_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be >= 0"):
        TrialLedger(tmp_path / "t").record(kind="discovery", data_fingerprint="a", cells_hash="b", trials=-1)


def child(work: Callable[[], None]) -> int:
    """Run `work` in another process and return its exit code; an assertion that fails there is 1."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("room", [0, 1, 40, 300])
def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path, room: int) -> None:
    path = tmp_path / "trials.jsonl"
    ledger = filled(path, 3)
    before = path.read_bytes()

    def fill_up() -> None:
        # A limit on the size of files is the nearest thing to a full disk that a process can do to itself.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, resource.RLIM_INFINITY))
        with pytest.raises(
            DataError, match=r"trials\.jsonl could not be written \(File too large\), and the record is not in it"
        ):
            ledger.record(kind="discovery", data_fingerprint="new", cells_hash="new", trials=1)

    assert child(fill_up) == 0
    assert path.read_bytes() == before and ledger.verify() == 3
    assert ledger.record(kind="discovery", data_fingerprint="new", cells_hash="new", trials=1).sequence == 3


def test_a_head_that_could_not_be_written_lags_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = filled(tmp_path / "trials.jsonl", 3)

    calls: list[Path] = []

    def full(path: Path, write: Callable[[Path], None]) -> None:
        # The head before the record can be written, the one after it cannot, nor any later.
        calls.append(path)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(path, write)

    with monkeypatch.context() as patched:
        patched.setattr("edgesmith.edges.chain.write_atomically", full)
        assert ledger.record(kind="discovery", data_fingerprint="new", cells_hash="new", trials=1).sequence == 3
        with pytest.raises(DataError, match="No space left on device"):
            ledger.record(kind="discovery", data_fingerprint="newer", cells_hash="newer", trials=1)
    assert ledger.verify() == 4
    assert ledger.record(kind="discovery", data_fingerprint="newer", cells_hash="newer", trials=1).sequence == 4


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ledger = TrialLedger(tmp_path / "file" / "trials.jsonl")
    with pytest.raises(DataError, match=r"cannot be written \(File exists\).*or choose another"):
        ledger.record(kind="discovery", data_fingerprint="a", cells_hash="b", trials=1)
    assert ledger.records() == ()
    (tmp_path / "folder" / "trials.jsonl").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read"):
        TrialLedger(tmp_path / "folder" / "trials.jsonl").records()
