from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesmith.edges.trials import TrialLedger
from edgesmith.errors import CorruptDataError, InputError


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
    path = tmp_path / "trials.jsonl"
    ledger = filled(path)
    whole = path.read_bytes()
    for cut in range(1, 60, 7):
        path.write_bytes(whole[:-cut])
        assert ledger.verify() == 3
        ledger.record(kind="discovery", data_fingerprint="data1", cells_hash="cells3", trials=13)
        assert path.read_bytes() == whole


def test_negative_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be >= 0"):
        TrialLedger(tmp_path / "t").record(kind="discovery", data_fingerprint="a", cells_hash="b", trials=-1)
