"""What every import must obey: counts add up, the fast way equals the slow way, a torn file gives a prefix."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders_import import line, only, quarantined, quote, rows, trade, tree_bytes, write_lines
from edgesmith.lake.importers import REASONS, FileReport, import_files, report
from edgesmith.lake.importers.csv_rows import CsvBlock
from edgesmith.lake.importers.increments import decimal_step
from edgesmith.lake.importers.intake import Intake
from edgesmith.lake.importers.sources import LineSource

FEW = settings(max_examples=25, deadline=None)

LINES = st.builds(
    lambda kind, index, cut, flip: _damaged((quote, trade)[kind](index), cut, flip),
    st.integers(0, 1),
    st.integers(0, 60),
    st.one_of(st.none(), st.integers(1, 200)),
    st.one_of(st.none(), st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=3))),
)


def _damaged(text: bytes, cut: int | None, flip: tuple[int, bytes] | None) -> bytes:
    if flip is not None:
        text = text[: flip[0]] + flip[1] + text[flip[0] + len(flip[1]) :]
    return text[:cut].replace(b"\n", b"?")


def imported(root: Path, path: Path) -> FileReport:
    return only(import_files("binance-capture", [path], root, market="usdm", symbol="BTCUSDT"))


@FEW
@given(st.lists(LINES, max_size=40))
def test_counts_add_up_whatever_the_lines(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file = imported(root / "lake", write_lines(root / "capture.txt", lines))
        assert file.lines == len(lines) and set(file.reasons) <= set(REASONS)
        assert len(quarantined(file)) == file.quarantined
        held = sum(partition.rows_added for partition in file.partitions)
        assert held + sum(partition.duplicates for partition in file.partitions) == file.accepted
        before = tree_bytes(root / "lake")
        imported(root / "lake", root / "capture.txt")
        assert tree_bytes(root / "lake") == before


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.booleans()), min_size=1, max_size=30), st.integers(1, 2_000))
def test_fast_and_slow_decoding_agree(frames: list[tuple[int, int, bool]], block_bytes: int) -> None:
    # A space after the first colon is JSON all the same, but not how Binance writes it: such lines go the slow way.
    makers = (quote, trade, lambda index: line(index, {"e": "depthUpdate", "s": "BTCUSDT"}, "btcusdt@depth"))
    fast = [makers[kind](index) for kind, index, _ in frames]
    slow = [text.replace(b":", b": ", 1) if odd else text for text, (_, _, odd) in zip(fast, frames, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        one = imported(root / "one", write_lines(root / "one.txt", fast))
        two = imported(root / "two", write_lines(root / "two.txt", slow))
        assert (one.rows, one.reasons, one.accepted) == (two.rows, two.reasons, two.accepted)
        for stream in one.rows:
            first, second = (rows(root / name, "binance_usdm", stream, "BTCUSDT", "20240808") for name in ("one", "two"))
            assert first.equals(second)
        three = _in_blocks(root, slow, block_bytes)
        assert (three.rows, three.reasons, three.accepted) == (two.rows, two.reasons, two.accepted)


def _in_blocks(root: Path, lines: list[bytes], block_bytes: int) -> FileReport:
    from edgesmith.lake.importers.binance_capture import CaptureImporter

    path = write_lines(root / "three.gz", lines)
    intake = Intake(root / "three", path, "binance-capture")
    CaptureImporter("usdm", "BTCUSDT").read(LineSource(path, block_bytes=block_bytes), intake)
    return intake.finish()


WHOLE = gzip.compress(b"".join(quote(index) + b"\n" for index in range(300)), mtime=0)


@FEW
@given(st.integers(0, len(WHOLE) - 1))
def test_a_torn_gzip_gives_a_prefix_and_says_so(length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "whole.gz").write_bytes(WHOLE)
        (root / "torn.gz").write_bytes(WHOLE[:length])
        imported(root / "whole", root / "whole.gz")
        file = imported(root / "torn", root / "torn.gz")
        assert not file.ok and file.truncated == (length >= 2), "two bytes are the least that gzip is known by"
        assert file.lines == file.accepted + sum(file.reasons.values())
        assert set(file.reasons) <= {"truncated_gzip", "no_timestamp"}
        if length >= 2:
            assert any("truncated" in message for message in file.messages)
        if file.accepted:
            every = rows(root / "whole", "binance_usdm", "bbo", "BTCUSDT", "20240808")
            assert rows(root / "torn", "binance_usdm", "bbo", "BTCUSDT", "20240808").equals(every.head(file.accepted))
            assert file.accepted < 300 or length > len(WHOLE) - 9, "only the checksum at the end may be missing"


@FEW
@given(st.integers(20, len(WHOLE) - 1), st.integers(1, 255))
def test_damaged_gzip_stores_nothing(position: int, change: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position] ^= change
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "damaged.gz").write_bytes(damaged)
        file = imported(root / "lake", root / "damaged.gz")
        assert not file.ok and (file.failure is not None or file.truncated)
        if file.failure is not None:
            assert file.accepted == 0 and not list((root / "lake").glob("exchange=*")) and file.quarantine is None


@FEW
@given(
    st.lists(
        st.tuples(
            st.integers(-(10**6), 10**18), st.one_of(st.none(), st.floats(0.001, 1e6)), st.sampled_from(["buy", "sell", "x"])
        ),
        min_size=1,
        max_size=20,
    ),
    st.lists(st.sampled_from(["1,2", "a,b,c", "1,2,3,4", ",,", "1.5,2,buy", "\xff,1,2"]), max_size=3),
)
def test_csv_rows_one_by_one_equal_rows_at_once(values: list[tuple[int, float | None, str]], wrong: list[str]) -> None:
    import polars as pl

    layout = {"id": pl.Int64, "price": pl.Float64, "side": pl.String}
    lines = [f"{id_},{'' if price is None else price},{side}" for id_, price, side in values]
    block = "".join(each + "\n" for each in lines).encode()
    at_once = CsvBlock(block, layout)
    mixed = CsvBlock(b"".join(each.encode("latin-1") + b"\n" for each in [*lines, *wrong]), layout)
    assert at_once.wrong == [] and mixed.wrong == [each.encode("latin-1") for each in wrong]
    assert mixed.frame.equals(at_once.frame)
    assert [at_once.raw(row) for row in range(len(lines))] == [each.encode() for each in lines]


@FEW
@given(st.integers(0, 8), st.lists(st.integers(1, 10**7), min_size=1, max_size=50))
def test_decimal_step_is_the_coarsest_that_fits(places: int, steps: list[int]) -> None:
    exact = [step if places == 0 or step % 10 else step + 1 for step in steps]
    values = np.array([float(f"{step}e-{places}") for step in exact])
    assert decimal_step([values]) == ("1" if places == 0 else f"0.{'1'.rjust(places, '0')}")


def test_numbers_without_a_grid_have_no_step() -> None:
    assert decimal_step([np.array([np.pi])]) is None


def test_one_finer_value_far_down_makes_the_step_finer() -> None:
    assert decimal_step([np.full(10, 1.0), np.append(np.full(5_000, 1.5), 1.25)]) == "0.01"


def test_every_reason_is_explained_once() -> None:
    assert not report.SET_ASIDE.keys() & report.QUARANTINED.keys()
    with pytest.raises(AssertionError):
        Intake.reject(object.__new__(Intake), "bad_luck", b"")
