"""T26, T27 and T28: what reconnects, repeats and disorder do to features, and research beside live."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders import DAY, put
from builders_features import TICK, bbo_tape, default_program, mixed_tape, small_program
from builders_import import only, quote, trade, write_lines
from edgesmith.domain.events import (
    FLAG_AFTER_GAP,
    KIND_BBO,
    KIND_TRADE,
    PAYLOAD_FIELDS,
    SILENCE_NS,
    Stream,
)
from edgesmith.domain.records import joined
from edgesmith.domain.units import NS_PER_DAY, NS_PER_MS, NS_PER_S, ns_of_date
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.importers import import_files
from edgesmith.lake.replay import Replay

# What measures how the book or the price moved from one quote to the next.
OF_FLOW = (
    "order_flow_imbalance", "order_flow_shift", "order_flow_impact", "kyle_lambda", "absorbed_flow", "realized_volatility",
    "jump_ratio", "bid_absorption", "ask_absorption", "bid_refills", "ask_refills",
)  # fmt: skip
JUMP_TICKS = 4_000


@cache
def plain_tape() -> NDArray[Any]:
    return mixed_tape(3_000, seed=21)


def reconnected(jump_ticks: int, flags: int) -> tuple[NDArray[Any], int]:
    """The tape with a book that is elsewhere from the middle on, and the place of its first quote there."""
    tape = plain_tape().copy()
    quotes = np.flatnonzero(tape["kind"] == KIND_BBO)
    at = int(quotes[len(quotes) // 2])
    later = np.arange(len(tape)) >= at
    for kind, names in ((KIND_BBO, ("bid_price", "ask_price")), (KIND_TRADE, ("price",))):
        for name in names:
            tape[name][later & (tape["kind"] == kind)] += jump_ticks * TICK
    tape["flags"][at] = flags
    return tape, at


@pytest.mark.parametrize("name", OF_FLOW)
def test_t26_a_book_that_is_elsewhere_after_a_gap_has_not_moved_there(name: str) -> None:
    program = small_program()
    column = program.names.index(name)

    def after(jump_ticks: int, flags: int) -> NDArray[np.float64]:
        tape, at = reconnected(jump_ticks, flags)
        return program.compute(tape)[at:, column]

    up, down = (after(jump, FLAG_AFTER_GAP) for jump in (JUMP_TICKS, -JUMP_TICKS))
    assert np.isfinite(up).sum() > 100
    # The price level differs by 0.8 %, and with it what a tick is worth.
    np.testing.assert_allclose(up, down, rtol=0.03, atol=0.03 * np.nanmax(np.abs(up)))
    blind = [after(jump, 0) for jump in (JUMP_TICKS, -JUMP_TICKS)]
    if name in ("order_flow_imbalance", "order_flow_shift", "order_flow_impact", "realized_volatility"):
        assert np.nanmax(np.abs(blind[0] - up)[:50]) > 0.1 * np.nanmax(np.abs(up)), "without the flag it would show"


def quotes_lake(root: Path, silence_ns: int) -> Catalog:
    """Two days of quotes with a silence in the middle of the first, and one from day to day."""
    for number in range(2):
        rows = bbo_tape(400, seed=number)
        start_ns = ns_of_date(DAY + timedelta(days=number)) + NS_PER_DAY // 2
        at = start_ns + rows["ts_recv"] + np.where(np.arange(400) >= 200, silence_ns, 0)
        columns: dict[str, Any] = {name: rows[name] for name in PAYLOAD_FIELDS[Stream.BBO]}
        put(root, Stream.BBO, columns | {"ts_recv": at, "ts_event": at - NS_PER_MS}, day=DAY + timedelta(days=number))
    return Catalog(root)


@pytest.mark.parametrize(("silence_s", "flagged"), [(29, [400]), (31, [200, 400, 600])])
def test_t26_a_replay_marks_the_first_quote_after_a_silence(tmp_path: Path, silence_s: int, flagged: list[int]) -> None:
    assert SILENCE_NS == 30 * NS_PER_S
    partitions = quotes_lake(tmp_path, silence_s * NS_PER_S).partitions()
    whole = joined([batch.copy() for batch in Replay(partitions, batch_events=77).batches()])
    assert np.flatnonzero(whole["flags"]).tolist() == flagged
    # A replay that starts at midnight knows when the day before ended.
    midnight = Replay(partitions, start_ns=ns_of_date(DAY + timedelta(days=1)))
    assert np.concatenate([batch["flags"] for batch in midnight.batches()]).tolist() == whole["flags"][400:].tolist()


def resent(frame: bytes, late: int) -> bytes:
    """The same frame, received that many ms later."""
    received, rest = frame.split(b" ", 1)
    return b"%d %s" % (int(received) + late * NS_PER_MS, rest)


def test_t27_what_a_new_connection_sends_again_is_stored_once_and_old_updates_not_at_all(tmp_path: Path) -> None:
    clean, raw = [], []
    for index in range(400):
        frame = quote(index, B=f"{1 + index % 5}.5") if index % 3 else trade(index, q=f"0.{1 + index % 7}")
        clean.append(frame)
        raw.append(frame)
        if index % 80 == 79:
            # The last 30 messages again, in the order they come in now, and an update that is older than what is known.
            raw += [resent(one, 31 - back) for back, one in enumerate(clean[-30:])]
            raw += [resent(quote(index, u=900, b="1.0", a="99000.0"), 32), resent(trade(index, t=4_000, q="900"), 32)]
    reports, tapes = [], []
    for name, lines in (("clean", clean), ("raw", raw)):
        path = write_lines(tmp_path / f"{name}.gz", lines)
        reports.append(only(import_files("binance-capture", [path], tmp_path / name, market="usdm", symbol="BTCUSDT")))
        tapes.append(joined([batch.copy() for batch in Replay(Catalog(tmp_path / name).partitions()).batches()]))
    assert reports[1].reasons == {"duplicate": 150, "non_monotone_id": 10} and not reports[0].reasons
    assert tapes[0].tobytes() == tapes[1].tobytes()
    rows = [small_program().compute(tape) for tape in tapes]
    assert rows[0].tobytes() == rows[1].tobytes()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), restart=st.integers(100, 900))
def test_t28_research_and_live_compute_the_same_bits(seed: int, restart: int) -> None:
    program, tape = default_program(), mixed_tape(1_200, seed=seed)
    batch = program.compute(tape)
    state, out, live = program.new_state(), np.empty(program.width), []
    for place in range(len(tape)):
        if place == restart:
            # A process that dies and comes back with the state it saved.
            saved, state = state.snapshot(), program.new_state()
            state.restore(saved)
        program.step(tape[place : place + 1], out, state)
        live.append(out.copy())
    assert np.array(live).tobytes() == np.ascontiguousarray(batch).tobytes()
