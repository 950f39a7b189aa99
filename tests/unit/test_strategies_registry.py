"""Strategies found by name or file; every mistake is one line that says what is possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesmith.errors import InputError, StrategyError, UnknownNameError
from edgesmith.strategies.baseline import Baseline
from edgesmith.strategies.registry import find_strategy
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.python_driver import PythonDriver
from edgesmith.trading.strategy import configure

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

COMPILED = """
from edgesmith.trading.strategy import CompiledStrategy

class {name}(CompiledStrategy):
    @staticmethod
    def decide(view):
        {body}
"""


def a_file(tmp_path: Path, text: str, name: str = "mine.py") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def line_of(error: Exception) -> str:
    text = str(error)
    assert "\n" not in text
    return text


def test_names_and_files_are_found(tmp_path: Path) -> None:
    assert find_strategy("baseline") is Baseline
    assert find_strategy(f"{EXAMPLES / 'ema_cross_python.py'}:EmaCross").name == "ema_cross_python"
    path = a_file(tmp_path, COMPILED.format(name="Only", body="return 0.0"))
    assert find_strategy(str(path)).name == "Only", "a single class needs no name"


def test_an_unknown_name_lists_what_is_possible() -> None:
    with pytest.raises(UnknownNameError) as raised:
        find_strategy("basline")
    assert "'basline'" in line_of(raised.value)
    assert "baseline" in line_of(raised.value)
    assert "path/to/file.py:ClassName" in line_of(raised.value)


def test_a_missing_file_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.py.*expected a Python file that exists"):
        find_strategy(f"{tmp_path / 'nowhere.py'}:X")


@pytest.mark.parametrize(("text", "says"), [("x = 1\nraise KeyError('gone')\n", "KeyError: 'gone'"), ("def (:\n", "SyntaxError")])
def test_a_file_that_raises_is_named_with_its_error(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError) as raised:
        find_strategy(f"{a_file(tmp_path, text)}:X")
    assert says in line_of(raised.value)
    assert "mine.py" in line_of(raised.value)


def test_a_missing_class_lists_the_classes_of_the_file(tmp_path: Path) -> None:
    text = COMPILED.format(name="First", body="return 0.0") + COMPILED.format(name="Second", body="return 0.0")
    path = a_file(tmp_path, text)
    for reference in (f"{path}:Third", str(path)):
        with pytest.raises(UnknownNameError) as raised:
            find_strategy(reference)
        assert "First, Second" in line_of(raised.value)


@pytest.mark.parametrize("body", ["return open('x').read()", "return view.no_such_field", "return {}.get(view.ts, object())"])
def test_what_cannot_be_compiled_is_one_line(tmp_path: Path, body: str) -> None:
    strategy = find_strategy(f"{a_file(tmp_path, COMPILED.format(name='Bad', body=body))}:Bad")
    with pytest.raises(StrategyError, match=r"strategy 'Bad' cannot be compiled: .*\(mine\.py:\d+\)") as raised:
        CompiledDriver(configure(strategy, {}))  # type: ignore[arg-type]
    assert len(line_of(raised.value)) < 300


def test_a_compiled_strategy_without_a_decision_is_told_so(tmp_path: Path) -> None:
    text = "from edgesmith.trading.strategy import CompiledStrategy\nclass Empty(CompiledStrategy):\n    pass\n"
    strategy = find_strategy(f"{a_file(tmp_path, text)}:Empty")
    with pytest.raises(StrategyError, match="no decide"):
        CompiledDriver(configure(strategy, {}))  # type: ignore[arg-type]


def test_settings_are_checked(tmp_path: Path) -> None:
    for settings, says in (({"qty": 1}, "qty"), ({"order_qty": -1}, "order_qty"), ({"cooldown_events": "x"}, "cooldown_events")):
        with pytest.raises(InputError, match=f"strategy 'baseline': .*{says}"):
            configure(Baseline, settings)
    assert configure(Baseline, {"order_qty": "0.5"}).config.order_qty == 0.5


def test_bars_too_short_are_refused(tmp_path: Path) -> None:
    text = "from edgesmith.trading.strategy import PythonStrategy\nclass Fast(PythonStrategy):\n    bar_ns = 10\n"
    strategy = find_strategy(f"{a_file(tmp_path, text)}:Fast")
    with pytest.raises(InputError, match="bar_ns was 10, expected 0 or at least 1000000"):
        PythonDriver(configure(strategy, {}))  # type: ignore[arg-type]
