"""Evaluate a condition's postfix program over feature rows; compiled once for all conditions.

One instruction is three int64: operation, left, right. A comparison pushes a bit, `and` and `or` pop two and push one,
`not` flips the top. Operands of a comparison are columns where >= 0, else constants: -1 is constant 0, -2 constant 1, ...
"""

from __future__ import annotations

from typing import Any

from edgesmith.compiled import kernel

LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL, AND, OR, NOT = range(9)


@kernel
def holds(program: Any, constants: Any, columns: Any, values: Any) -> bool:
    """Tell whether one feature row satisfies the condition; a NaN in any of its `columns` means it does not."""
    for k in range(columns.shape[0]):
        if values[columns[k]] != values[columns[k]]:
            return False
    stack = 0
    for k in range(program.shape[0]):
        operation = program[k, 0]
        if operation == NOT:
            stack ^= 1
        elif operation == AND:
            stack = (stack >> 1) & (stack | -2)
        elif operation == OR:
            stack = (stack >> 1) | (stack & 1)
        else:
            left = values[program[k, 1]] if program[k, 1] >= 0 else constants[-1 - program[k, 1]]
            right = values[program[k, 2]] if program[k, 2] >= 0 else constants[-1 - program[k, 2]]
            stack = (stack << 1) | compare(operation, left, right)
    return stack == 1


@kernel
def compare(operation: int, left: float, right: float) -> int:
    """Return 1 where the comparison holds, else 0."""
    if operation == LESS:
        return 1 if left < right else 0
    if operation == LESS_EQUAL:
        return 1 if left <= right else 0
    if operation == GREATER:
        return 1 if left > right else 0
    if operation == GREATER_EQUAL:
        return 1 if left >= right else 0
    if operation == EQUAL:
        return 1 if left == right else 0
    return 1 if left != right else 0


@kernel
def holds_each(program: Any, constants: Any, columns: Any, matrix: Any, out: Any) -> None:
    """Write for each row of `matrix` whether it satisfies the condition."""
    for row in range(matrix.shape[0]):
        out[row] = holds(program, constants, columns, matrix[row])
