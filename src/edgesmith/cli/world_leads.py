"""`edgesmith world leads`: which of two markets moves first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.output import number, print_json, print_table
from edgesmith.cli.selection import DEFAULT_LAKE, MARKET_TEXT, JsonOption, LakeOption, selection_of
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVENTS_MAX = 40_000_000


def leads_command(
    leader: Annotated[str, typer.Argument(metavar="A", help=f"Market that may lead: {MARKET_TEXT}.")],
    follower: Annotated[str, typer.Argument(metavar="B", help="Market that may follow, written the same way.")],
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Measure whether market B follows market A: lagged correlation, and B's next half second after a move of A."""
    from edgesmith.worlds.leads import MOVE_BPS, lead_facts

    first, second = quotes_of(lake, leader), quotes_of(lake, follower)
    facts, back = lead_facts(first, second), lead_facts(second, first)
    if as_json:
        print_json({"leader": leader, "follower": follower, "facts": facts, "reverse": back})
        return
    correlations = [
        ("the same window", number(facts.same_correlation)),
        ("B in the window after A", number(facts.next_correlation)),
        ("A in the window after B", number(facts.reverse_correlation)),
    ]
    title = f"A {leader}, B {follower}: {facts.span_s:,.0f} s in common"
    print_table(title, ("returns over 50 ms", "correlation"), correlations, right=("correlation",))
    columns = ("reaction after", "B after A (bps)", "error", "A after B (bps)", "its error")
    rows = [
        (f"{one.latency_ms} ms", number(one.mean_bps), number(one.error_bps), number(two.mean_bps), number(two.error_bps))
        for one, two in zip(facts.next, back.next, strict=True)
    ]
    moves = f"{facts.moves:,} of A, {back.moves:,} of B"
    print_table(f"The next 0.5 s after a move of more than {MOVE_BPS:g} bp in 100 ms ({moves})", columns, rows, right=columns[1:])


def quotes_of(lake: Path, text: str) -> NDArray[Any]:
    """Read the quotes of the market `VENUE:SYMBOL` or `VENUE:SYMBOL:DATE` names, as received."""
    from edgesmith.domain.events import Stream
    from edgesmith.domain.records import joined
    from edgesmith.lake.replay import Replay

    chosen = selection_of(lake, text).partitions()
    replay = Replay([one for one in chosen if one.key.stream == Stream.BBO])
    if replay.events_total > EVENTS_MAX:
        raise InputError(
            f"{text} has {replay.events_total:,} quotes, expected at most {EVENTS_MAX:,}: choose one day, VENUE:SYMBOL:YYYY-MM-DD"
        )
    return joined(list(replay.batches()))
