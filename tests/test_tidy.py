"""The style is a test: sizes, names, bans, spelling and the links between documents."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SRC_LINES_MAX = 600
TEST_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
ADR_LINES_MAX = 60

# The ratchet: functions longer than the cap, with their length today. Entries may shrink or go, never grow or come.
# The event loop: splitting it costs what it is there for.
LONG_FUNCTIONS: dict[str, int] = {
    "src/edgesmith/trading/kernel.py::advance": 78,
}

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "handy", "stuff"}
UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b", r"raise\s+NotImplemented" + "Error")))
CLOCK_MODULES = {"time", "random", "uuid", "secrets"}
NOW_CALLS = {"now", "utcnow", "today"}
BRITISH = re.compile(
    r"\b(?:behaviou?r(?<!behavior)|(?:un)?cancelled|cancelling|colou?r(?<!color)|favou?r(?<!favor)|neighbou?r(?<!neighbor)|honour"
    r"|(?:un)?labell(?:ed|ing)|modell(?:ed|ing)|signall(?:ed|ing)|travell(?:ed|ing)|totall(?:ed|ing)|centre|artefact|grey|licence"
    r"|defence|whilst|learnt|analyse(?!s)|analys(?:ed|ing)|catalogue"
    r"|(?:normal|initial|serial|deserial|optim|recogn|summar|annual|random|minim|maxim|standard|real|organ|synchron|general|categor"
    r"|emphas|capital|final|util|visual|vector|token|discret|winsor|parameter|author|material|prior|anonym|local|central|regular"
    r"|character|custom|special|stabil|penal|neutral|memor|equal|ideal|item|formal|quant)is(?:e|es|ed|er|ers|ing|ation|ations))s?\b",
    re.IGNORECASE,
)


@cache
def tree() -> tuple[Path, ...]:
    """Every file that is, or would be, under version control."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(sorted({ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()}))


def files(folder: str, *suffixes: str) -> list[Path]:
    return [path for path in tree() if path.is_relative_to(ROOT / folder) and path.suffix in suffixes]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def documents() -> list[Path]:
    return [path for path in tree() if path.suffix == ".md"]


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield `file::Class.function` and its length in lines, the docstring not counted."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{relative(path)}::{prefix}{child.name}", code_lines(child)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")
            else:
                yield from walk(child, prefix)

    return walk(syntax(path), "")


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring_lines = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring_lines


def test_files_stay_small() -> None:
    caps = {"src": SRC_LINES_MAX, "tests": TEST_LINES_MAX, "benchmarks": SRC_LINES_MAX, "examples": SRC_LINES_MAX}
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for folder in caps for path in files(folder, ".py")}
    assert lengths, "no sources were found"
    too_long = {relative(path): n for path, n in lengths.items() if n > caps[path.relative_to(ROOT).parts[0]]}
    assert not too_long, f"split these by concept: {too_long}"


def test_functions_stay_short() -> None:
    lengths = dict(
        item for folder in ("src", "benchmarks", "examples") for path in files(folder, ".py") for item in functions(path)
    )
    long = {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}
    assert {name: lines for name, lines in long.items() if lines > LONG_FUNCTIONS.get(name, 0)} == {}, "split these functions"
    assert {name: lines for name, lines in LONG_FUNCTIONS.items() if long.get(name) != lines} == {}, "lower or drop these entries"


@pytest.mark.parametrize("text", ["# TO" + "DO later", "# FIX" + "ME", "raise NotImplemented" + "Error"])
def test_unfinished_work_is_recognized(text: str) -> None:
    assert UNFINISHED.search(text)


def test_nothing_is_unfinished() -> None:
    sources = [
        path for folder in ("src", "benchmarks", "examples") for path in files(folder, ".py", ".html", ".j2", ".js", ".css")
    ]
    found = [relative(path) for path in sources if UNFINISHED.search(path.read_text(encoding="utf-8"))]
    assert not found


def test_names_say_what_is_inside() -> None:
    modules = files("src", ".py") + files("tests", ".py") + files("benchmarks", ".py") + files("examples", ".py")
    vague = [relative(path) for path in modules if {*path.relative_to(ROOT).parts[:-1], path.stem} & FORBIDDEN_NAMES]
    classes = [
        f"{relative(path)}::{node.name}"
        for path in files("src", ".py")
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.ClassDef) and re.search(r"Managers?$|Helpers?$|Utils?$", node.name)
    ]
    assert vague + classes == []


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def calls_now(path: Path) -> bool:
    calls = [node.func for node in ast.walk(syntax(path)) if isinstance(node, ast.Call)]
    return any(isinstance(function, ast.Attribute) and function.attr in NOW_CALLS for function in calls)


def unseeded(path: Path) -> bool:
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "default_rng":
                return True
    return False


def test_time_and_chance_are_arguments() -> None:
    clock = ROOT / "src/edgesmith/clock.py"
    assert "time" in imported_modules(clock), "the check below would see nothing"
    others = [path for path in files("src", ".py") if path != clock]
    found = [relative(path) for path in others if imported_modules(path) & CLOCK_MODULES or calls_now(path)]
    assert not found, "take a clock, a seed or an id as an argument"


def test_every_generator_is_seeded() -> None:
    found = [
        relative(path) for folder in ("src", "tests", "benchmarks", "examples") for path in files(folder, ".py") if unseeded(path)
    ]
    assert not found, "default_rng() without a seed cannot be repeated"


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in files("tests", ".py") if path.name.startswith("test_")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
    assert not [relative(path) for path in files("tests", ".py") if path.name == "__init__.py"]


def test_lock_holds_versions_and_hashes_only() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock
    requirements = re.findall(r"^[a-zA-Z0-9].*", lock, re.MULTILINE)
    assert requirements and all("==" in line and line.endswith("\\") for line in requirements)


def test_no_foreign_code_or_second_lock() -> None:
    def foreign(path: Path) -> bool:
        if path.name in {"uv.lock", "package-lock.json", "poetry.lock", "Pipfile.lock"} or ".min." in path.name:
            return True
        if path.suffix not in {".js", ".css", ".html", ".j2"}:
            return False
        return any(len(line) > 1_000 or "@license" in line for line in path.read_text(encoding="utf-8").splitlines())

    assert [relative(path) for path in tree() if foreign(path)] == []


def declared_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"].get("optional-dependencies", {})
    groups = project["dependency-groups"]
    lines = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    lines += [line for group in [*extras.values(), *groups.values()] for line in group]
    return {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower() for line in lines}  # type: ignore[index]


def test_every_dependency_is_explained() -> None:
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    explained = {name.lower() for name in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)}
    assert explained == declared_dependencies()


def test_decisions_are_short_and_numbered_once() -> None:
    records = [path for path in files("docs/adr", ".md") if path.name != "README.md"]
    numbers = [path.name[:4] for path in records]
    assert records and len(numbers) == len(set(numbers))
    index = re.findall(r"^\| \[(\d{4})\]\((.+)\) \|", (ROOT / "docs/adr/README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert index == [(path.name[:4], path.name) for path in sorted(records)], "docs/adr/README.md lists every decision once"
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name), path.name
        assert len(text.splitlines()) <= ADR_LINES_MAX, f"{path.name} is longer than {ADR_LINES_MAX} lines"
        assert text.startswith(f"# {path.name[:4]}: "), f"{path.name} must begin with its number and title"
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Status", "Consequences"], path.name


def anchors(path: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(path: Path) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def broken(path: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = path.parent / name if name else path
    return not file.exists() or bool(anchor and file.suffix == ".md" and anchor not in anchors(file))


def test_links_between_documents_resolve() -> None:
    assert any(links(path) for path in documents()), "no links were found"
    found = [f"{relative(path)} -> {target}" for path in documents() for target in links(path) if broken(path, target)]
    assert not found


def test_paths_named_in_documents_exist() -> None:
    """A path in backticks that begins at a top folder must be there; documents rot first in their paths."""
    pattern = re.compile(r"`((?:src|tests|docs|benchmarks|examples)/[\w./-]*\w)`")
    changelog = ROOT / "CHANGELOG.md"
    named = {
        (path, name) for path in documents() if path != changelog for name in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert named, "no paths were found"
    kept = {relative(place) for path in tree() for place in (path, *path.parents) if place.is_relative_to(ROOT)}
    assert sorted(f"{relative(path)}: {name}" for path, name in named if name not in kept) == []


@pytest.mark.parametrize(
    "word", ["behav" + "iour", "cancel" + "led", "normal" + "ised", "model" + "led", "real" + "ise", "colo" + "ur"]
)
def test_british_spelling_is_recognized(word: str) -> None:
    assert BRITISH.search(f"the {word} thing")


@pytest.mark.parametrize(
    "word", ["behavior", "canceled", "cancellation", "normalized", "analyses", "promise", "precise", "color", "realism"]
)
def test_american_spelling_passes(word: str) -> None:
    assert not BRITISH.search(f"the {word} thing")


def test_spelling_is_american() -> None:
    sources = [path for folder in ("src", "tests", "benchmarks", "examples") for path in files(folder, ".py", ".html", ".j2")]
    found = [
        f"{relative(path)}: {match.group()}"
        for path in sources + documents()
        if path != Path(__file__).resolve()
        for match in BRITISH.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found
