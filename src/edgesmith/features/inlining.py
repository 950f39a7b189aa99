"""Turn an operator's function into plain statements on local variables.

Compiled calls that pass arrays cost reference counting and keep state in memory: the 15 base features take 600 ns per event as
calls and under 100 ns as one flat function. So operators are written as small functions, and this module writes their
bodies out in place: parameters become the caller's names and numbers, state slots become local variables, locals get the
node's suffix, `return` becomes an assignment, and branches that the numbers rule out are left out.

An operator may use assignments, `if`, `for` without `return` inside, and calls of module-level functions. A `return`
inside an `if` ends that branch.
"""

from __future__ import annotations

import ast
import functools
import inspect
import operator
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
    whole_numbers = {name: repr(value) for name, value in constants_used(function).items() if isinstance(value, int)}
    rename = _Rename({**whole_numbers, **arguments, **{name: name + suffix for name in local}}, slots)
    whole = _Fold().visit(ast.Module([rename.visit(statement) for statement in _definition(function).body], []))
    flat = ast.Module(_without_returns(whole.body, result), [])
    return ast.unparse(ast.fix_missing_locations(flat))


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters of `function`, in order."""
    return [argument.arg for argument in _definition(function).args.args]


def constants_used(function: Callable[..., Any]) -> dict[str, int | float]:
    """Return the numbers among the globals that `function` reads."""
    used = inspect.getclosurevars(function).globals
    return {name: value for name, value in used.items() if isinstance(value, int | float)}


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


class _Fold(ast.NodeTransformer):
    # Decides comparisons of two numbers, and drops the branches never taken.
    _COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        compare = self._COMPARE.get(type(node.ops[0]))
        if compare is None or not isinstance(node.left, ast.Constant) or not isinstance(node.comparators[0], ast.Constant):
            return node
        return ast.Constant(compare(node.left.value, node.comparators[0].value))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        decisive = isinstance(node.op, ast.Or)
        values = [value for value in node.values if not (isinstance(value, ast.Constant) and value.value is not decisive)]
        for value in values:
            if isinstance(value, ast.Constant) and value.value is decisive:
                return value
        if not values:
            return ast.Constant(not decisive)
        return ast.BoolOp(node.op, values) if len(values) > 1 else values[0]

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        if not node.body:
            return ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, []) if node.orelse else []
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node


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
