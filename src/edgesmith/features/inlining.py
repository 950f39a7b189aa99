"""Turn an operator's function into plain statements on local variables.

Compiled calls that pass arrays cost reference counting and keep state in memory: the 15 base features take 600 ns per event as
calls and under 100 ns as one flat function. So operators are written as small functions, and this module writes their
bodies out in place: parameters become the caller's names and numbers, state slots become local variables, locals get the
node's suffix, and `return` becomes an assignment.

An operator may use assignments, `if`, `for` without `return` inside, and calls of module-level functions. A `return`
inside an `if` ends that branch.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from edgesmith.compiled import parsed


def inlined(
    function: Callable[..., Any], arguments: Mapping[str, str], slots: Mapping[str, list[str]], suffix: str, result: str
) -> str:
    """Return the statements of `function`.

    Parameters
    ----------
    function : callable
        The operator's function.
    arguments : mapping
        Text that stands for each parameter.
    slots : mapping
        For each parameter that is an index of state, the variables that hold `[index]`, `[index + 1]`, ...
    suffix : str
        Appended to the function's own local names.
    result : str
        The variable that receives what the function returns.
    """
    definition = _definition(function)
    local = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert local.isdisjoint(arguments), f"{definition.name}: a parameter is assigned to; use a variable of another name"
    rename = _Rename({**arguments, **{name: name + suffix for name in local}}, slots)
    statements = [rename.visit(statement) for statement in _definition(function).body]
    flat = ast.Module(_without_returns(statements, result), [])
    return ast.unparse(ast.fix_missing_locations(flat))


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters of `function`, in order."""
    return [argument.arg for argument in _definition(function).args.args]


def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    definition = parsed(_source(function)).body[0]
    assert isinstance(definition, ast.FunctionDef)
    if ast.get_docstring(definition) is not None:
        del definition.body[0]
    return definition


@functools.cache
def _source(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


class _Rename(ast.NodeTransformer):
    # Replaces names, and reads and writes of state slots, by what the caller calls them.
    def __init__(self, names: Mapping[str, str], slots: Mapping[str, list[str]]) -> None:
        self._names = names
        self._slots = slots

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._names:
            return node
        replacement = parsed(self._names[node.id], "eval").body
        return ast.Name(replacement.id, node.ctx) if isinstance(replacement, ast.Name) else replacement

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        slot = self._slot(node.slice)
        if slot is not None:
            return ast.Name(slot, node.ctx)
        self.generic_visit(node)
        return node

    def _slot(self, index: ast.expr) -> str | None:
        if isinstance(index, ast.Name) and index.id in self._slots:
            return self._slots[index.id][0]
        if isinstance(index, ast.BinOp) and isinstance(index.left, ast.Name) and index.left.id in self._slots:
            assert isinstance(index.right, ast.Constant) and isinstance(index.op, ast.Add), "state is indexed by constants"
            return self._slots[index.left.id][int(str(index.right.value))]
        return None


def _without_returns(statements: list[ast.stmt], result: str) -> list[ast.stmt]:
    for position, statement in enumerate(statements):
        rest = statements[position + 1 :]
        if isinstance(statement, ast.Return):
            assert statement.value is not None
            return [*statements[:position], ast.Assign([ast.Name(result, ast.Store())], statement.value)]
        if isinstance(statement, ast.If) and _returns(statement):
            assert isinstance(statement.body[-1], ast.Return), "a return inside an if ends its branch"
            body, otherwise = _without_returns(statement.body, result), _without_returns([*statement.orelse, *rest], result)
            return [*statements[:position], ast.If(statement.test, body, otherwise)]
        assert not _returns(statement), "a loop in an operator must not return"
    return statements


def _returns(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Return) for node in ast.walk(statement))
