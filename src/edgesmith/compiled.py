"""The one way functions are compiled: bit-equal arithmetic, no GIL, and a disk cache that cannot go stale.

numba's own cache looks only at the file a function is defined in; an edit to a kernel it calls, in another file, would be
missed. Here each function is cached in a folder named by the digest of its module and of every edgesmith module that one
imports, with the versions of numba and Python.

`EDGESMITH_CACHE_DIR` moves the cache; `NUMBA_DISABLE_JIT=1` runs everything as plain Python.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
import platform
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numba
from numba.core import config as numba_config

F = TypeVar("F", bound=Callable[..., Any])

# numba's cache folder is a global of the process.
_CHOOSING = threading.RLock()

# CPython 3.11 counts the depth of all parses in one place: two threads at once end in a SystemError (cpython 106905).
_PARSING = threading.Lock()

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}


def cache_root() -> Path:
    """Return the folder compiled code and generated modules are kept in."""
    configured = os.environ.get("EDGESMITH_CACHE_DIR")
    if configured:
        return Path(configured)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "edgesmith"


def parsed(source: str | bytes, mode: Literal["exec", "eval"] = "exec") -> Any:
    """Return the syntax tree of `source`; the only safe way to parse where threads may."""
    with _PARSING:
        return ast.parse(source, mode=mode)


def kernel(function: F) -> F:
    """Compile `function` on first call for the argument types it meets, cached on disk."""
    if numba_config.DISABLE_JIT:
        return function
    dispatcher: Any = numba.njit(**_OPTIONS)(function)
    with _cache_folder(function):
        dispatcher.enable_caching()
    _forget_literals(dispatcher)
    compiled: F = dispatcher
    return compiled


def wide_kernel(function: F) -> F:
    """Compile like `kernel`, neighboring operations joined into wide instructions (LLVM's SLP pass, which numba leaves out).

    For loops whose body is written out lane by lane; the arithmetic and so the results are the same.
    """
    dispatcher: Any = kernel(function)
    if numba_config.DISABLE_JIT:
        return function
    compile_plainly = dispatcher.compile

    def compile_widely(signature: Any) -> Any:
        before, numba_config.SLP_VECTORIZE = numba_config.SLP_VECTORIZE, 1
        try:
            return compile_plainly(signature)
        finally:
            numba_config.SLP_VECTORIZE = before

    dispatcher.compile = compile_widely
    widened: F = dispatcher
    return widened


def typed_kernel(signature: Any, function: F) -> F:
    """Compile `function` now for exactly `signature`, cached on disk; needed wherever a function is passed as argument."""
    if numba_config.DISABLE_JIT:
        return function
    with _cache_folder(function):
        compiled: F = numba.njit(signature, cache=True, **_OPTIONS)(function)
    return compiled


def _forget_literals(dispatcher: Any) -> None:
    # numba compiles a callee again for every literal argument (0, 1, a named constant): ten times the compile time here.
    resolve = dispatcher.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        plain = tuple(numba.types.unliteral(arg) for arg in args)
        return resolve(plain, {name: numba.types.unliteral(arg) for name, arg in kws.items()})

    dispatcher.get_call_template = get_call_template


class _cache_folder:  # noqa: N801 - reads as a verb where it is used
    """Point numba at the cache folder of the module `function` is defined in."""

    def __init__(self, function: Callable[..., Any]) -> None:
        # Cached code looks its module up by name: the same file imported under another name is another entry.
        self._folder = cache_root() / "numba" / source_digest(Path(function.__code__.co_filename)) / function.__module__

    def __enter__(self) -> None:
        _CHOOSING.acquire()
        self._before = numba_config.CACHE_DIR
        numba_config.CACHE_DIR = str(self._folder)

    def __exit__(self, *_: object) -> None:
        numba_config.CACHE_DIR = self._before
        _CHOOSING.release()


def is_compiled(path: Path) -> bool:
    """Return whether the cache holds compiled code of the module at `path` as it stands."""
    return any((cache_root() / "numba" / source_digest(path)).rglob("*.nbc"))


@functools.cache
def source_digest(path: Path) -> str:
    """Return 16 hex digits that change when `path`, or any edgesmith module it imports, changes."""
    digest = hashlib.sha256(f"{numba.__version__} {platform.python_version()} {platform.machine()}".encode())
    for source in sorted(_closure(path)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _closure(path: Path) -> set[Path]:
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen or not current.is_file():
            continue
        seen.add(current)
        waiting.extend(_edgesmith_imports(current))
    return seen


@functools.cache
def _edgesmith_imports(path: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    for node in ast.walk(parsed(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("edgesmith"):
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("edgesmith")]
        else:
            continue
        found.extend(file for name in names if (file := _file_of(name)) is not None)
    return tuple(found)


def _file_of(module_name: str) -> Path | None:
    module = sys.modules.get(module_name)
    if module is not None and getattr(module, "__file__", None):
        return Path(str(module.__file__))
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, AttributeError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None
