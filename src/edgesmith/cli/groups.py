"""Groups of options: a command takes a dataclass as one parameter, and the user gets an option for each of its fields."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar, cast, get_type_hints

Command = TypeVar("Command", bound=Callable[..., Any])


def grouped(command: Command) -> Command:
    """Return the command with every parameter whose type is a dataclass spread into the options its fields are annotated with."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {name: one.annotation for name, one in signature.parameters.items() if is_dataclass(one.annotation)}
    options: list[inspect.Parameter] = []
    for name, one in signature.parameters.items():
        options += _options(groups[name]) if name in groups else [one.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

    @functools.wraps(command)
    def called(**values: Any) -> Any:
        built = {name: group(**{one.name: values.pop(one.name) for one in fields(group)}) for name, group in groups.items()}
        return command(**built, **values)

    called.__dict__["__signature__"] = signature.replace(parameters=options)
    called.__annotations__ = {one.name: one.annotation for one in options}
    return cast("Command", called)


def _options(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    found = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=_default(one), annotation=hints[one.name])
        for one in fields(group)
    ]
    # What has to be given stands first in the help.
    return sorted(found, key=lambda one: one.default is not inspect.Parameter.empty)


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default
