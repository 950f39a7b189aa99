"""How commands speak: tables, JSON, progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class Advance(Protocol):
    """Told how far a piece of work has come."""

    def __call__(self, done: int, total: int | None, step: str = "") -> None:
        """Show `done` of `total` of a step; a new step begins the bar and its time anew."""
        ...


def console() -> Console:
    """Return the console for people: standard output."""
    from rich.console import Console

    return Console(highlight=False)


def print_json(value: Any) -> None:
    """Write `value` as indented JSON."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2).decode() + "\n")


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Write a table; columns named in `right` are aligned right, those and the ones named in `whole` are never broken."""
    from rich import box
    from rich.table import Table

    if title:
        console().print(f"[bold]{title}[/]", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        aligned = name in right
        kept = aligned or name in whole
        table.add_column(name, justify="right" if aligned else "left", no_wrap=kept, overflow="fold", min_width=len(name))
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table)


@contextmanager
def progress(label: str, unit: str = "") -> Iterator[Advance]:
    """Show a bar with the time left, on standard error, while the block runs; silent when nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    counted = [MofNCompleteColumn(), TextColumn(unit)] if unit else []
    columns = [
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *counted,
        TimeRemainingColumn(compact=True),
    ]
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        shown = ""

        def advance(done: int, total: int | None, step: str = "") -> None:
            nonlocal shown
            if step != shown:
                shown = step
                bar.reset(task, description=f"{label}: {step}")
            bar.update(task, completed=done, total=total)

        yield advance


def number(value: float | None, decimals: int = 2) -> str:
    """Format a number for a table; a dash where there is none."""
    return "-" if value is None else f"{value:,.{decimals}f}"


def percent(ratio: float | None, decimals: int = 2) -> str:
    """Format a ratio as percent for a table; a dash where there is none."""
    return "-" if ratio is None else f"{ratio * 100:,.{decimals}f} %"
