"""Find a strategy by name, or in a user's file as `path/to/file.py:ClassName`."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from edgesmith.errors import InputError, UnknownNameError
from edgesmith.strategies.baseline import Baseline
from edgesmith.strategies.v1.strategy import StrategyV1
from edgesmith.trading.strategy import CompiledStrategy, PythonStrategy, Strategy

STRATEGIES: dict[str, type[Strategy]] = {cls.name: cls for cls in (Baseline, StrategyV1)}


def find_strategy(name: str) -> type[Strategy]:
    """Return the strategy class called `name`, or the one in the file `name` points to."""
    if ".py" in name:
        return _from_file(name)
    if name not in STRATEGIES:
        raise UnknownNameError("strategy", name, [*STRATEGIES, "path/to/file.py:ClassName"])
    return STRATEGIES[name]


def _from_file(reference: str) -> type[Strategy]:
    path_text, _, class_name = reference.partition(":")
    path = Path(path_text)
    if not path.is_file():
        raise InputError(f"strategy file was '{path}', expected a Python file that exists")
    spec = importlib.util.spec_from_file_location(f"edgesmith_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"strategy file was '{path}', expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        line = f"{Path(where.filename).name}:{where.lineno}"
        raise InputError(f"strategy file '{path}' raised {type(error).__name__}: {error} ({line})") from error
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, CompiledStrategy | PythonStrategy) and value.__module__ == spec.name
    }
    if not class_name and len(found) == 1:
        class_name = next(iter(found))
    if class_name not in found:
        raise UnknownNameError(f"strategy class in {path.name}", class_name or "(none given)", found)
    strategy = found[class_name]
    if not strategy.name:
        strategy.name = class_name
    return strategy
