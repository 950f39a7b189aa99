"""Predicates over a feature row: `imbalance_ema > 0.6 and not (spread > 0.2 or rsi < 30)`.

The language has feature names, numbers, the comparisons `< <= > >= == !=` (also chained), `and`, `or`, `not` and parentheses.
A row with NaN in any feature the condition names does not satisfy it, whatever stands around that feature: before warm-up
nothing is known, and `not unknown` is not known either.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import parsed
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.features import predicate

TEXT_LENGTH_MAX = 2_000
# The evaluation stack is the bits of one int64.
COMPARISONS_MAX = 60

_OPERATIONS: dict[type[ast.cmpop], tuple[int, str]] = {
    ast.Lt: (predicate.LESS, "<"),
    ast.LtE: (predicate.LESS_EQUAL, "<="),
    ast.Gt: (predicate.GREATER, ">"),
    ast.GtE: (predicate.GREATER_EQUAL, ">="),
    ast.Eq: (predicate.EQUAL, "=="),
    ast.NotEq: (predicate.NOT_EQUAL, "!="),
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_LANGUAGE = "possible are feature names, numbers, < <= > >= == !=, and, or, not, parentheses"


@dataclass(frozen=True, eq=False)
class Condition:
    """A parsed condition, bound to the columns of a program.

    Attributes
    ----------
    text : str
        Canonical text: parsing it gives the same condition and the same text; hash this.
    features : tuple of str
        Names it uses, in order of first use.
    program, constants, columns : arrays
        What `features.predicate.holds` takes, for kernels that test rows themselves.
    """

    text: str
    features: tuple[str, ...]
    program: NDArray[np.int64]
    constants: NDArray[np.float64]
    columns: NDArray[np.int64]

    @classmethod
    def parse(cls, text: str, names: Sequence[str]) -> Condition:
        """Parse `text` over rows whose columns are called `names`; raise InputError that points at what is wrong."""
        return _Parser(text, names).parse()

    def evaluate(self, matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return for each row of a float64 matrix (n, width) whether it satisfies the condition."""
        out = np.empty(len(matrix), np.bool_)
        predicate.holds_each(self.program, self.constants, self.columns, np.ascontiguousarray(matrix, np.float64), out)
        return out

    def holds(self, row: NDArray[np.float64]) -> bool:
        """Tell whether one feature row satisfies the condition."""
        return bool(predicate.holds(self.program, self.constants, self.columns, row))

    def __eq__(self, other: object) -> bool:
        """Tell whether `other` is the same condition over the same columns."""
        return isinstance(other, Condition) and self.text == other.text and np.array_equal(self.columns, other.columns)

    def __hash__(self) -> int:
        """Hash the canonical text."""
        return hash(self.text)

    def __str__(self) -> str:
        """Return the canonical text."""
        return self.text


class _Parser:
    # Walks the syntax tree once, emitting postfix instructions and returning canonical text.
    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._text = text
        self._column_of = {name: column for column, name in enumerate(names)}
        self._program: list[tuple[int, int, int]] = []
        self._constants: list[float] = []
        self._used: dict[str, int] = {}
        self._comparisons = 0

    def parse(self) -> Condition:
        if len(self._text) > TEXT_LENGTH_MAX:
            raise InputError(f"condition was {len(self._text)} characters long, expected at most {TEXT_LENGTH_MAX}")
        if not self._text.strip():
            raise InputError(f"condition was empty, expected one such as 'spread < 0.2'; {_LANGUAGE}")
        try:
            tree = parsed(self._text.strip(), "eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            where = f" at character {error.offset}" if isinstance(error, SyntaxError) and error.offset else " to its end"
            raise InputError(f"condition '{self._text}' could not be read{where}; {_LANGUAGE}") from None
        text = self._predicate(tree, outermost=True)
        return Condition(
            text,
            tuple(self._used),
            np.array(self._program, np.int64).reshape(-1, 3),
            np.array(self._constants, np.float64),
            np.array(list(self._used.values()), np.int64),
        )

    def _predicate(self, node: ast.expr, *, outermost: bool = False) -> str:
        if isinstance(node, ast.Compare):
            return self._comparison_chain(node, outermost=outermost)
        if isinstance(node, ast.BoolOp):
            operation, word = (predicate.AND, "and") if isinstance(node.op, ast.And) else (predicate.OR, "or")
            parts = [self._predicate(node.values[0])]
            for value in node.values[1:]:
                parts.append(self._predicate(value))
                self._program.append((operation, 0, 0))
            return _joined(parts, word, outermost=outermost)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._predicate(node.operand)
            self._program.append((predicate.NOT, 0, 0))
            return f"not {inner}" if inner.startswith("(") else f"not ({inner})"
        if isinstance(node, ast.Name):
            raise self._refusal(node, "stands alone, expected a comparison such as 'name > 0'")
        raise self._refusal(node, "is not possible here, expected a comparison")

    def _comparison_chain(self, node: ast.Compare, *, outermost: bool) -> str:
        operands = [node.left, *node.comparators]
        parts: list[str] = []
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            if type(operator) not in _OPERATIONS:
                raise self._refusal(node, "uses a comparison that is not possible")
            parts.append(self._comparison(node, left, _OPERATIONS[type(operator)], right))
            if len(parts) > 1:
                self._program.append((predicate.AND, 0, 0))
        return _joined(parts, "and", outermost=outermost)

    def _comparison(self, node: ast.Compare, left: ast.expr, operation: tuple[int, str], right: ast.expr) -> str:
        self._comparisons += 1
        if self._comparisons > COMPARISONS_MAX:
            raise InputError(f"condition had more than {COMPARISONS_MAX} comparisons; split it")
        (left_place, left_text), (right_place, right_text) = self._operand(left), self._operand(right)
        if left_place < 0 and right_place < 0:
            raise self._refusal(node, "compares two numbers, expected a feature name on one side")
        self._program.append((operation[0], left_place, right_place))
        if left_place < 0:
            return f"{right_text} {_MIRRORED[operation[1]]} {left_text}"
        return f"{left_text} {operation[1]} {right_text}"

    def _operand(self, node: ast.expr) -> tuple[int, str]:
        if isinstance(node, ast.Name):
            if node.id not in self._column_of:
                raise UnknownNameError("feature in condition", node.id, self._column_of)
            return self._used.setdefault(node.id, self._column_of[node.id]), node.id
        number = self._number(node)
        self._constants.append(number)
        return -len(self._constants), repr(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)

    def _number(self, node: ast.expr) -> float:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return -self._number(node.operand) if isinstance(node.op, ast.USub) else self._number(node.operand)
        value: Any = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refusal(node, "is neither a feature name nor a number")
        if abs(value) > 1e300 or not math.isfinite(value):
            raise self._refusal(node, "is too large")
        return float(value) + 0.0

    def _refusal(self, node: ast.expr, problem: str) -> InputError:
        part = ast.get_source_segment(self._text.strip(), node) or self._text
        return InputError(f"condition '{self._text}': '{part}' at character {node.col_offset + 1} {problem}; {_LANGUAGE}")


def _joined(parts: list[str], word: str, *, outermost: bool) -> str:
    if len(parts) == 1:
        return parts[0]
    text = f" {word} ".join(parts)
    return text if outermost else f"({text})"
