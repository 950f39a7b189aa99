"""Units of instants, and lines of wrapped files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from edgesmith.errors import CorruptDataError
from edgesmith.lake.importers import sources
from edgesmith.lake.importers.sources import LineSource
from edgesmith.lake.importers.timestamps import to_ns

S = 1_723_118_400


@pytest.mark.parametrize(("per_s", "unit"), [(10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")])
def test_one_unit(per_s: int, unit: str) -> None:
    ns, clear, units = to_ns(np.array([S * per_s, S * per_s + 1]))
    assert ns.tolist() == [S * 10**9, S * 10**9 + 10**9 // per_s] and clear.all() and units == {unit: 2}


def test_mixed_and_unclear_units() -> None:
    ns, clear, units = to_ns(np.array([S, 0, -5, S * 10**3, S * 10**6, 2**62 + 2**61, 1_262_303_999_999, 1_262_304_000_000]))
    assert clear.tolist() == [False, False, False, True, True, False, False, True]
    assert ns.tolist() == [0, 0, 0, S * 10**9, S * 10**9, 0, 0, 1_262_304_000 * 10**9]
    assert units == {"microseconds": 1, "milliseconds": 2}
    assert to_ns(np.array([], np.int64))[2] == {}


def test_blocks_end_with_lines_and_lose_nothing(tmp_path: Path) -> None:
    lines = [b"%d" % (index**3) for index in range(2_000)]
    content = b"\n".join(lines)
    members = gzip.compress(content[:700]) + gzip.compress(content[700:]) + b"\0" * 20
    for name, written in (("plain", content), ("gzip", members)):
        path = tmp_path / name
        path.write_bytes(written)
        source = LineSource(path, block_bytes=256)
        blocks = list(source)
        assert all(block.endswith(b"\n") for block in blocks) and b"".join(blocks) == content + b"\n"
        assert not source.truncated and source.torn_line is None


def test_empty_files_have_no_lines(tmp_path: Path) -> None:
    for name, content in (("plain", b""), ("gzip", gzip.compress(b""))):
        (tmp_path / name).write_bytes(content)
        assert list(LineSource(tmp_path / name)) == []


def test_a_file_without_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LINE_BYTES_MAX", 1_000)
    (tmp_path / "binary").write_bytes(b"x" * 5_000)
    with pytest.raises(CorruptDataError, match="no newline"):
        list(LineSource(tmp_path / "binary", block_bytes=512))


def test_garbage_after_gzip_is_damage(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(gzip.compress(b"line\n") + b"garbage")
    with pytest.raises(CorruptDataError, match="damaged"):
        list(LineSource(tmp_path / "file.gz"))
