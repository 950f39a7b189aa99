"""A mistyped command is one line that says what was wrong and where to look, and exit code 2."""

from __future__ import annotations

import pytest

from edgesmith.cli.app import run


@pytest.mark.parametrize(
    ("words", "said", "command"),
    [
        (["world", "make", "--nosuch"], "No such option: --nosuch", "edgesmith world make --help"),
        (["nosuch"], "No such command 'nosuch'", "edgesmith --help"),
        (["discover"], "Missing option '--symbol'", "edgesmith discover --help"),
        (["world", "make", "P1_1", "--hours", "x"], "Invalid value for '--hours'", "edgesmith world make --help"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], said: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "internal error" not in shown
    assert said in shown and command in shown
