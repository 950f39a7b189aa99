"""T01 to T08, looking ahead: what was not received yet, on whichever clock, must change nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builders import put
from builders_discovery import QuoteProgram, TapeSource, instrument, planted_tape
from builders_features import default_program, mixed_tape
from builders_worlds import START_DAY
from edgesmith.domain.events import KIND_BBO, KIND_TRADE, PAYLOAD_FIELDS, Stream
from edgesmith.domain.records import joined, taken
from edgesmith.domain.units import NS_PER_DAY, NS_PER_MS, NS_PER_S, date_of_ns, ns_of_date
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.errors import InputError
from edgesmith.evaluation.decisions import DecisionSampler, sampled
from edgesmith.evaluation.leak import leaking_columns
from edgesmith.features.program import Program
from edgesmith.features.regime_model import Candidate, RegimeInput, RegimeModel
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.replay import Replay
from edgesmith.lake.schema import ClockRecord
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.traps import TRAPS, forward_bps
from edgesmith.worlds.world import World

GRID_NS = 100 * NS_PER_MS
CONFIG = DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=(0,), flips=199)


def same_bits(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@cache
def world_of(name: str) -> World:
    return World(find_scenario(name), seed=1, start_day=START_DAY, hours=1)


@pytest.mark.parametrize("name", sorted(TRAPS))
def test_t01_to_t08_planted_columns_leak_and_their_honest_twins_do_not(name: str) -> None:
    trap, hour = TRAPS[name], world_of(name).hour(0)
    tape = hour.events
    first_ns = int(tape["ts_recv"].min()) + 90 * NS_PER_S
    at = np.arange(first_ns, int(tape["ts_recv"].max()) - 30 * NS_PER_S, NS_PER_S)
    moves = forward_bps(tape, at)
    gains = []
    for column in (trap.leaking, trap.honest):
        values = column(tape, at)
        ok = np.isfinite(values)
        rank = np.argsort(np.argsort(values[ok])) / ok.sum()
        gains.append(moves[ok][rank > 0.95].mean() - moves[ok][rank < 0.05].mean())
    assert gains[0] > 15.0 and abs(gains[1]) < 15.0, "believing it must pay, or it is no trap"
    ordered = taken(tape, np.argsort(tape["ts_recv"], kind="stable"))

    def columns(known: Any, until_ns: int) -> Any:
        early = at[at <= until_ns]
        return np.stack([trap.honest(known, early), trap.leaking(known, early)], axis=1)

    assert leaking_columns(columns, ordered, [int(cut) for cut in at[50::150]]) == (1,)
    truth = world_of(name).truth([hour]).trap
    assert truth is not None and truth.right == "LEAK"


def rows_at_instants(tape: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Instants and feature rows of the decisions a search makes on `tape`, every feature there is."""
    program = default_program()
    sampler = DecisionSampler(program.width, grid_ns=GRID_NS, gap_ns=60 * NS_PER_S)
    found = list(sampled([tape], program, sampler))
    return np.concatenate([one.ts_ns for one in found]), np.concatenate([one.features for one in found])


def test_t01_a_decision_knows_nothing_received_after_it_even_if_it_was_sent_before() -> None:
    tape = mixed_tape(4_000, seed=3)
    # What is sent is received up to a second later: at every cut some has been sent that nobody has yet.
    tape["ts_event"] = tape["ts_recv"] - np.random.default_rng(1).integers(0, NS_PER_S, len(tape))
    at_ns, rows = rows_at_instants(tape)
    for cut_ns in np.random.default_rng(2).choice(at_ns[500:-200], 12, replace=False):
        late = tape["ts_recv"] > cut_ns
        assert (tape["ts_event"][late] <= cut_ns).any()
        other = tape.copy()
        for name in ("bid_price", "ask_price", "price", "mark_price", "qty", "bid_qty"):
            kinds = {"price": KIND_TRADE, "qty": KIND_TRADE, "mark_price": int(Stream.MARK_PRICE)}
            chosen = late & (other["kind"] == kinds.get(name, KIND_BBO))
            other[name][chosen] *= 1.25
        other["side"][late & (other["kind"] == KIND_TRADE)] *= -1
        other_ns, changed = rows_at_instants(other)
        known = at_ns <= cut_ns
        assert np.array_equal(at_ns[known], other_ns[: known.sum()])
        assert same_bits(changed[: known.sum()], rows[known]), f"cut at {cut_ns}"
        assert not same_bits(changed[known.sum() : len(rows)], rows[known.sum() :]), "the change shows later"


def lake_with_venue_clock(root: Path, trades_late_ns: int) -> Catalog:
    """A lake of one tape whose trades the venue stamps by so much too late or too early; we receive everything as we did."""
    tape = mixed_tape(2_000, seed=5)
    day_ns = ns_of_date(START_DAY) + NS_PER_DAY // 2
    for stream in (Stream.BBO, Stream.TRADE):
        rows = tape[tape["kind"] == stream]
        shift_ns = trades_late_ns if stream == Stream.TRADE else 0
        columns: dict[str, Any] = {name: rows[name] for name in PAYLOAD_FIELDS[stream]}
        columns |= {"ts_recv": rows["ts_recv"] + day_ns, "ts_event": rows["ts_event"] + day_ns + shift_ns}
        if stream == Stream.TRADE:
            columns["trade_id"] = np.arange(len(rows))
        put(root, stream, columns, day=date_of_ns(day_ns), clock=ClockRecord("venue", "local"))
    return Catalog(root)


@pytest.mark.parametrize("late_s", [2, -2])
def test_t02_a_clock_of_the_venue_that_is_off_changes_the_declared_skew_and_nothing_else(tmp_path: Path, late_s: int) -> None:
    lakes = [lake_with_venue_clock(tmp_path / name, shift) for name, shift in (("right", 0), ("off", late_s * NS_PER_S))]
    program = default_program()
    tapes = [joined([batch.copy() for batch in Replay(lake.partitions()).batches()]) for lake in lakes]
    assert (tapes[0]["ts_event"] != tapes[1]["ts_event"]).sum() == (tapes[0]["kind"] == KIND_TRADE).sum()
    assert np.array_equal(tapes[0]["ts_recv"], tapes[1]["ts_recv"])
    rows = [program.compute(tape) for tape in tapes]
    assert same_bits(*rows) and np.isfinite(rows[0]).any()
    skews = [[one.meta.clock.skew_ns_p50 for one in lake.partitions()] for lake in lakes]
    assert [b - a for a, b in zip(*skews, strict=True)] == [0, -late_s * NS_PER_S]


def test_t02_a_search_reads_our_clock_alone() -> None:
    tape = planted_tape(4, effect_bps=6.0, minutes=40)
    moved = tape.copy()
    moved["ts_event"] += np.random.default_rng(1).integers(-2, 3, len(tape)) * NS_PER_S
    plain, off = (discover(TapeSource(one), instrument(0.0001), QuoteProgram(), CONFIG) for one in (tape, moved))
    assert off.cells == plain.cells and off.bins == plain.bins and off.edges_span == plain.edges_span


def test_t05_regimes_fitted_on_what_is_tested_are_refused() -> None:
    tape = planted_tape(2, minutes=40)
    test_first_ns = discover(TapeSource(tape), instrument(0.0001), QuoteProgram(), CONFIG).edges_span.test_first_ns
    model = RegimeModel(
        instrument="simulated BUSDT",
        data_fingerprint="",
        fit_first_ns=int(tape["ts_recv"][0]),
        fit_last_ns=test_first_ns,
        rows=1,
        inputs=(RegimeInput(feature="spread", is_log=False, floor=0.0, center=0.1, scale=0.5),),
        weights=(0.5, 0.5),
        means=((-1.0,), (1.0,)),
        stds=((0.7,), (0.8,)),
        volatilities=(1.0, 2.0),
        candidates=(Candidate(regimes=2, bic=0.0, stability=1.0),),
        is_stable=True,
    )
    program = Program(model.features()[:1])
    with pytest.raises(InputError, match="its labels there know their future"):
        discover(TapeSource(tape), instrument(0.0001), program, CONFIG, regimes=model)
