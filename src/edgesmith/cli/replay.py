"""`edgesmith lake replay`: events as JSON lines, in decision order, as fast as possible or at the pace they came."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from edgesmith.cli.groups import grouped
from edgesmith.cli.selection import Selections, one_of
from edgesmith.errors import InputError


@grouped
def replay_command(
    data: Selections,
    streams: Annotated[list[str] | None, typer.Option("--stream", help="Only this stream; repeat for several.")] = None,
    order: Annotated[str, typer.Option("--order", help="receive (decisions are made in it) or venue.")] = "receive",
    speed: Annotated[str, typer.Option("--speed", help="asap, realtime, or a multiple such as 10x.")] = "asap",
    cursor: Annotated[str | None, typer.Option("--cursor", help="Start strictly after this event.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Stop after so many events; 0 for no limit.")] = 0,
) -> None:
    """Print events as JSON lines; the last cursor goes to standard error, to go on from with --cursor."""
    from edgesmith.clock import SystemClock
    from edgesmith.domain.events import Cursor
    from edgesmith.lake.replay import Replay, paced
    from edgesmith.lake.schema import parse_stream

    one_of("--order", order, ("receive", "venue"))
    wanted = {parse_stream(name) for name in streams or ()}
    chosen = [one for one in data.partitions() if not wanted or one.key.stream in wanted]
    after = Cursor.decode(cursor) if cursor else None
    replay = Replay(chosen, order="receive" if order == "receive" else "venue", cursor=after)
    left = limit if limit > 0 else None
    last: Any = None
    for batch in paced(replay.batches(), SystemClock(), speed_of(speed)):
        shown = batch if left is None else batch[:left]
        sys.stdout.write("".join(_line(event, replay.instruments) for event in shown))
        sys.stdout.flush()
        last = shown[-1] if len(shown) else last
        left = None if left is None else left - len(shown)
        if left == 0:
            break
    if last is not None:
        names = ("ts_recv", "ts_event", "instrument", "kind", "seq")
        sys.stderr.write(f"cursor {Cursor(*(int(last[name]) for name in names)).encode()}\n")


def speed_of(text: str) -> float | None:
    """Parse `asap`, `realtime` or `<number>x`."""
    if text == "asap":
        return None
    if text == "realtime":
        return 1.0
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not (text.endswith("x") and 0.0 < speed < 1e9):
        raise InputError(f"--speed was '{text}', expected asap, realtime or a multiple such as 10x")
    return speed


def _line(event: Any, instruments: tuple[tuple[str, str], ...]) -> str:
    import msgspec

    from edgesmith.domain.events import PAYLOAD_FIELDS, Stream

    stream = Stream(int(event["kind"]))
    venue, symbol = instruments[int(event["instrument"])]
    fields = {"ts_recv": int(event["ts_recv"]), "ts_event": int(event["ts_event"]), "seq": int(event["seq"])}
    payload = {name: event[name].item() for name in PAYLOAD_FIELDS[stream]}
    line = {**fields, "venue": venue, "symbol": symbol, "stream": stream.label, **payload}
    return msgspec.json.encode(line).decode() + "\n"
