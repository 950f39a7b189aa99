"""A mistyped command is one line that says what was wrong and where to look, and exit code 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
import typer

from edgesmith.cli.app import app, run
from edgesmith.cli.groups import grouped
from edgesmith.lake.catalog import Catalog


@pytest.mark.parametrize(
    ("words", "said", "command"),
    [
        (["world", "make", "--nosuch"], "No such option: --nosuch", "edgesmith world make --help"),
        (["nosuch"], "No such command 'nosuch'", "edgesmith --help"),
        (["lake", "download", "binance-vision"], "Missing option '--symbol'", "edgesmith lake download --help"),
        (["world", "make", "P1_1", "--hours", "x"], "Invalid value for '--hours'", "edgesmith world make --help"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], said: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "internal error" not in shown
    assert said in shown and command in shown


@pytest.mark.parametrize("words", [[], ["lake"], ["edges"]])
def test_no_command_at_all_is_answered_by_the_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    shown = capsys.readouterr()
    assert "Usage: edgesmith" in shown.out and shown.err == ""


@pytest.mark.parametrize("raised", [KeyboardInterrupt, typer.Abort])
def test_stopped_by_hand_is_one_line_and_130(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise raised

    monkeypatch.setattr(Catalog, "partitions", stopped)
    assert run(["lake", "ls"]) == 130
    assert capsys.readouterr().err == "error: stopped; nothing was left half-written\n"


def test_no_command_has_an_option_twice() -> None:
    def walk(command: Any, words: tuple[str, ...]) -> None:
        said = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
        assert len(said) == len(set(said)), (words, sorted(name for name in said if said.count(name) > 1))
        for word, below in getattr(command, "commands", {}).items():
            walk(below, (*words, word))

    walk(typer.main.get_command(app), ())


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two options."""

    first: Annotated[int, typer.Option("--first")]
    second: Annotated[list[str], typer.Option("--second")] = field(default_factory=lambda: ["b"])


@dataclass(frozen=True, kw_only=True)
class Triple(Pair):
    """One more."""

    third: Annotated[float, typer.Option("--third")] = 0.5


def test_a_group_stands_for_an_option_of_each_field() -> None:
    got: list[Any] = []

    @grouped
    def command(some: Triple, fourth: Annotated[str, typer.Option("--fourth")] = "d") -> None:
        got.append((some, fourth))

    def run_with(*words: str) -> None:
        one = typer.Typer()
        one.command()(command)
        typer.main.get_command(one).main(args=list(words), standalone_mode=False)

    run_with("--first", "1", "--fourth", "x")
    run_with("--third", "2", "--first", "3", "--second", "p", "--second", "q")
    assert got == [(Triple(first=1), "x"), (Triple(first=3, second=["p", "q"], third=2.0), "d")]
    with pytest.raises(Exception, match="first"):
        run_with("--third", "2")
