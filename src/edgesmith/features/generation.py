"""Write one flat, readable kernel module for a list of columns, and import it.

The module's text is all there is to know about what is computed: functions in which every node is a few statements on local
variables, and the few functions those call. Per instrument, state is loaded into the variables when a span of its events
begins and stored when it ends. The compiler's time grows with the square of a function's length, so many columns are cut into
parts that share nothing: each goes over a block of events after the other, while the block lies in the cache.

The file lies in the cache folder under the hash of its text: an edited operator gives another file, and two processes that
generate the same program write the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgesmith.compiled import cache_root
from edgesmith.domain.events import Stream
from edgesmith.features.arithmetic import finite
from edgesmith.features.inlining import constants_used, inlined, parameter_names
from edgesmith.features.operator import FeatureSpec, Node
from edgesmith.features.rolling import remember

NAN = float("nan")
# Nodes of one part, counted once for each stream they are advanced on.
PART_SIZE_MAX = 48
BLOCK_EVENTS = 512


@dataclass(frozen=True)
class History:
    """Place of the ring buffer kept for the values of one node, and the variable that counts them."""

    ring: int
    mask: int
    tally: str


@dataclass(frozen=True)
class Layout:
    """The nodes of some columns in order of computation, and where everything lies in an instrument's row of state.

    `floats` and `ints` name the variable behind each slot, from slot `first_float` and `first_int` on; behind the last float
    lie ring buffers and workspaces. The first floats are the columns' last values.
    """

    columns: tuple[int, ...]
    names: dict[Node, str]
    first_float: int
    first_int: int
    floats: list[str]
    ints: list[str]
    initial: list[float]
    histories: dict[Node, History]
    workspaces: dict[Node, int]


def lay_out(roots: Sequence[Node]) -> list[Layout]:
    """Cut the columns into parts, each as long as it may be, and lay out each behind the one before."""
    layouts: list[Layout] = []
    first_float = first_int = 0
    for columns in _parts([set(_inputs_first(root)) for root in roots]):
        layouts.append(_lay_out_part({column: roots[column] for column in columns}, first_float, first_int))
        first_float += len(layouts[-1].initial)
        first_int += len(layouts[-1].ints)
    return layouts


def _parts(nodes: Sequence[set[Node]]) -> list[list[int]]:
    # The longest columns first, each to the part it adds least to: what two parts need is computed in both.
    parts: list[tuple[list[int], set[Node]]] = []
    for column in sorted(range(len(nodes)), key=lambda column: -_size(nodes[column])):
        grown = [_size(inside | nodes[column]) for _, inside in parts]
        added = [(size - _size(inside), place) for place, (size, (_, inside)) in enumerate(zip(grown, parts, strict=True))]
        fitting = [pair for pair, size in zip(added, grown, strict=True) if size <= PART_SIZE_MAX]
        if not fitting:
            parts.append(([], set()))
        columns, inside = parts[min(fitting)[1] if fitting else -1]
        columns.append(column)
        inside |= nodes[column]
    return sorted(sorted(columns) for columns, _ in parts)


def _size(nodes: set[Node]) -> int:
    return sum(len(node.consumes) for node in nodes if node.operator is not None)


def _lay_out_part(roots: Mapping[int, Node], first_float: int, first_int: int) -> Layout:
    # Order the nodes below `roots`, inputs first and equal ones once, and give each its state.
    names: dict[Node, str] = {}
    for node in (node for root in roots.values() for node in _inputs_first(root)):
        if node not in names:
            names[node] = node.name if node.operator is None else f"{node.name}_{len(names)}"
    floats, ints, initial = [f"column_{column}" for column in roots], [], [NAN] * len(roots)
    for node, name in names.items():
        if node.operator is not None:
            floats += [f"{name}_f{k}" for k in range(len(node.operator.initial))]
            ints += [f"{name}_i{k}" for k in range(node.operator.counters)]
            initial += node.operator.initial
    histories: dict[Node, History] = {}
    for node, depth in _history_depths(names).items():
        capacity = 1 << depth.bit_length()  # room for `depth` past values and the newest
        histories[node] = History(first_float + len(initial), capacity - 1, f"{names[node]}_count")
        ints.append(histories[node].tally)
        initial += [NAN] * capacity
    workspaces: dict[Node, int] = {}
    for node in names:
        if node.operator is not None and node.operator.workspace is not None:
            workspaces[node] = first_float + len(initial)
            initial += node.operator.workspace(*node.params)
    return Layout(tuple(roots), names, first_float, first_int, floats, ints, initial, histories, workspaces)


def _inputs_first(node: Node) -> Iterator[Node]:
    for child in node.inputs:
        yield from _inputs_first(child)
    yield node


def _history_depths(nodes: dict[Node, str]) -> dict[Node, int]:
    depths: dict[Node, int] = {}
    for node in nodes:
        if node.operator is not None and node.operator.reads_back is not None:
            observed = node.inputs[-1]
            depths[observed] = max(depths.get(observed, 0), node.operator.reads_back(*node.params))
    return depths


def kernel_source(specs: Sequence[FeatureSpec], layouts: Sequence[Layout]) -> str:
    """Return the text of the module that computes `specs`."""
    operators = [node.operator.update for layout in layouts for node in layout.names if node.operator is not None]
    flat: list[Callable[..., Any]] = [finite, remember, *dict.fromkeys(operators)]
    called = _with_callees([callee for function in flat for callee in _functions_used(function)])
    constants = {name: value for function in [*flat, *called] for name, value in constants_used(function).items()}
    columns = "\n".join(f"{column:3d}  {spec.name} = {spec}" for column, spec in enumerate(specs))
    parts = [
        f'"""Compute {len(specs)} features per event; generated by edgesmith, do not edit.\n\n{columns}\n"""',
        "from __future__ import annotations\n\nimport math\n\nfrom edgesmith.compiled import kernel",
        "\n".join(f"{name} = {value!r}" for name, value in sorted(constants.items())),
        *(f"@kernel\n{textwrap.dedent(inspect.getsource(function)).strip()}" for function in called),
        *(_part_source(part, specs, layout) for part, layout in enumerate(layouts)),
        _run_source(len(layouts)),
    ]
    return "\n\n\n".join(part for part in parts if part) + "\n"


def _with_callees(functions: Sequence[Callable[..., Any]]) -> list[Callable[..., Any]]:
    # Callees first, each once.
    found: list[Callable[..., Any]] = []
    for function in functions:
        wanted = [*_with_callees(_functions_used(function)), function]
        found += [callee for callee in wanted if callee not in found]
    return found


def _functions_used(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    return [value for value in inspect.getclosurevars(function).globals.values() if inspect.isfunction(value)]


def _run_source(parts: int) -> str:
    calls = [f"taken = part_{part}(events, out, floats, ints, row, stop)" for part in range(parts)]
    body = [f"stop = min(row + {BLOCK_EVENTS}, events.shape[0])", *calls, "if taken < stop:", "    return taken", "row = stop"]
    docstring = '"""Write the feature row after each event; return how many were taken: fewer where an instrument is unknown."""'
    lines = [docstring, "row = 0", "while row < events.shape[0]:", *_indent(body), "return row"]
    return "\n".join(["@kernel", "def run(events, out, floats, ints):", *_indent(lines)])


def _part_source(part: int, specs: Sequence[FeatureSpec], layout: Layout) -> str:
    roots = {column: specs[column].node for column in layout.columns}
    state = [(f"f[{layout.first_float + k}]", name) for k, name in enumerate(layout.floats)]
    state += [(f"i[{layout.first_int + k}]", name) for k, name in enumerate(layout.ints)]
    branches: list[str] = []
    for stream in (stream for stream in Stream if _advanced_on(stream, roots, layout)):
        branches.append(f"{'elif' if branches else 'if'} event.kind == {int(stream)}:  # {stream.label}")
        branches += _indent(_stream_lines(stream, specs, roots, layout))
    write = [f"out[row, {column}] = column_{column}  # {specs[column].name}" for column in layout.columns]
    span = ["event = events[row]", "if event.instrument != instrument:", "    break", *branches, *write, "row += 1"]
    body = [
        "instrument = events[row].instrument",
        "if instrument >= floats.shape[0]:",
        "    break",
        "f = floats[instrument]",
        "i = ints[instrument]",
        *(f"{name} = {slot}" for slot, name in state),
        "while row < stop:",
        *_indent(span),
        *(f"{slot} = {name}" for slot, name in state),
    ]
    docstring = (
        f'"""Write columns {layout.columns[0]} to {layout.columns[-1]} of events `first` to `stop`; return where it ended."""'
    )
    lines = [docstring, "row = first", "while row < stop:", *_indent(body), "return row"]
    return "\n".join(["@kernel", f"def part_{part}(events, out, floats, ints, first, stop):", *_indent(lines)])


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _advanced_on(stream: Stream, roots: Mapping[int, Node], layout: Layout) -> set[Node]:
    # A node with memory is advanced on all of its events, whoever reads it there: columns do not know each other.
    operators = {node for node in layout.names if node.operator is not None and stream in node.consumes}
    wanted = {*roots.values(), *(child for node in operators for child in node.read)}
    return operators | {node for node in wanted if node.operator is None and stream in node.consumes}


def _stream_lines(stream: Stream, specs: Sequence[FeatureSpec], roots: Mapping[int, Node], layout: Layout) -> list[str]:
    readers: dict[Node, list[str]] = {}
    for column, root in roots.items():
        for node in dict.fromkeys(_inputs_first(root)):
            readers.setdefault(node, []).append(specs[column].name)
    advanced, lines = _advanced_on(stream, roots, layout), []
    for node, name in layout.names.items():
        if node in advanced:
            text = f"# {_expression(node, layout)}, for {', '.join(readers[node])}"
            lines += [text, *_node_lines(node, name, stream, layout)]
    return lines + [f"column_{column} = {layout.names[root]}" for column, root in roots.items() if stream in root.consumes]


def _expression(node: Node, layout: Layout) -> str:
    arguments = [*(layout.names[child] for child in node.inputs), *map(repr, node.params)]
    return f"{layout.names[node]} = {node.name}({', '.join(arguments)})" if node.inputs else node.name


def _node_lines(node: Node, name: str, stream: Stream, layout: Layout) -> list[str]:
    if node.operator is not None:
        lines = _operator_lines(node, name, stream, layout)
    elif node.name == "kind":
        lines = []  # known here: written where it is read
    elif node.name == "flags":
        lines = ['flags = event["flags"]']  # the attribute of that name is NumPy's own
    elif node.name.startswith("ts_"):
        lines = [f"{name} = event.{node.name}"]
    else:
        lines = inlined(finite, {"x": f"event.{node.name}"}, {}, "", name).splitlines()
    if node in layout.histories:
        history = layout.histories[node]
        arguments = {"f": "f", "i": "i", "ring": str(history.ring), "mask": str(history.mask), "tally": "", "x": name}
        lines += inlined(remember, arguments, {"tally": [history.tally]}, f"_{name}", name).splitlines()
    return lines


def _operator_lines(node: Node, name: str, stream: Stream, layout: Layout) -> list[str]:
    operator = node.operator
    assert operator is not None
    slots: dict[str, list[str]] = {}
    groups: list[str] = ["f", "i"] if operator.has_memory else []
    if operator.initial:
        slots["at"] = [f"{name}_f{k}" for k in range(len(operator.initial))]
        groups.append("at")
    if operator.counters:
        slots["n"] = [f"{name}_i{k}" for k in range(operator.counters)]
        groups.append("n")
    if operator.reads_back is not None:
        history = layout.histories[node.inputs[-1]]
        slots["tally"] = [history.tally]
        groups += [str(history.ring), str(history.mask), "tally"]
    if node in layout.workspaces:
        groups.append(str(layout.workspaces[node]))
    if operator.across:
        groups += ["floats", "ints", "instrument", *_memory_of(node.inputs[-1], layout)]
    values = [*groups, *(_value_of(child, stream, layout) for child in node.read), *map(repr, node.params)]
    parameters = parameter_names(operator.update)
    assert len(parameters) == len(values), f"{operator.name} takes {parameters}, expected {len(values)} parameters"
    return inlined(operator.update, dict(zip(parameters, values, strict=True)), slots, f"_{name}", name).splitlines()


def _value_of(node: Node, stream: Stream, layout: Layout) -> str:
    # On events of other streams a node that keeps its value is not advanced: what it kept lies in its one float.
    if node.name == "kind":
        return str(int(stream))
    return layout.names[node] if stream in node.consumes else f"{layout.names[node]}_f0"


def _memory_of(node: Node, layout: Layout) -> list[str]:
    # Where a node's floats, or its workspace if it has one, and its counters begin in every row of state.
    name = layout.names[node]
    there = layout.workspaces[node] if node in layout.workspaces else layout.first_float + layout.floats.index(f"{name}_f0")
    tally = layout.first_int + layout.ints.index(f"{name}_i0") if f"{name}_i0" in layout.ints else 0
    return [str(there), str(tally)]


_LOADING = threading.Lock()


def load_module(source: str) -> ModuleType:
    """Import `source` from its file in the cache folder, writing the file where it is missing or differs."""
    name = f"program_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    path = cache_root() / "programs" / f"{name}.py"
    if not path.is_file() or path.read_text(encoding="utf-8") != source:
        _write_atomically(path, source)
    module_name = f"edgesmith_{name}"
    # Threads ask for the same program at once; nobody may see a module that is still being executed.
    with _LOADING:
        if module_name not in sys.modules:
            spec = importlib.util.spec_from_file_location(module_name, path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[module_name] = module
    return sys.modules[module_name]


def _write_atomically(path: Path, text: str) -> None:
    # Two processes may write the same file at once: each completes its own and renames it into place.
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
