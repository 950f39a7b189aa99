"""Stylized facts equal their obvious definitions on a small random tape; the acceptance table judges as it is written."""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgesmith.domain.events import EVENT, KIND_BBO, KIND_TRADE
from edgesmith.domain.records import records
from edgesmith.errors import InputError
from edgesmith.worlds.accept import ACCEPTANCE, judge, median_facts, number_of
from edgesmith.worlds.stylized import FACT_NAMES, Facts, facts_of

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
TICK = 0.5


def a_tape(seed: int = 5, quotes: int = 900, trades: int = 300) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    out = records(EVENT, quotes + trades)
    q, t = out[:quotes], out[quotes:]
    q["kind"], t["kind"] = KIND_BBO, KIND_TRADE
    q["ts_event"] = T0 + np.sort(rng.integers(0, 60_000, quotes)) * MS
    t["ts_event"] = T0 + np.sort(rng.integers(0, 6_000, trades)) * 10 * MS
    bid = 10_000 + np.cumsum(rng.integers(-1, 2, quotes))
    q["bid_price"] = bid * TICK
    q["ask_price"] = (bid + rng.choice([1, 1, 1, 3], quotes)) * TICK
    q["bid_qty"], q["ask_qty"] = rng.integers(1, 50, (2, quotes))
    t["price"], t["qty"], t["side"] = (
        5_000.0,
        np.ceil(rng.pareto(1.5, trades) * 3 + 0.5),
        np.repeat(rng.choice([-1, 1], trades // 5), 5),
    )
    for part in (q, t):
        part["ts_recv"] = part["ts_event"] + rng.integers(3, 9, len(part)) * MS
        part["seq"] = np.arange(len(part))
    return out


@pytest.fixture(scope="module")
def tape() -> NDArray[Any]:
    return a_tape()


@pytest.fixture(scope="module")
def facts(tape: NDArray[Any]) -> Facts:
    return facts_of(tape, TICK)


class Naive:
    """The tape as lists, and the mid at any instant by looking at every quote."""

    def __init__(self, tape: NDArray[Any]) -> None:
        self.quotes = [row for row in tape if row["kind"] == KIND_BBO]
        self.trades = [row for row in tape if row["kind"] == KIND_TRADE]
        self.first, self.last = int(self.quotes[0]["ts_event"]), int(self.quotes[-1]["ts_event"])

    def quote(self, instant: int) -> Any:
        return [row for row in self.quotes if row["ts_event"] <= instant][-1]

    def log_mid(self, row: Any) -> float:
        return 1e4 * math.log((row["bid_price"] + row["ask_price"]) / TICK)

    def flow(self, start: int, end: int) -> float:
        total = 0.0
        for old, new in zip(self.quotes[:-1], self.quotes[1:], strict=True):
            if start < new["ts_event"] <= end:
                total += new["bid_qty"] * (new["bid_price"] >= old["bid_price"])
                total -= old["bid_qty"] * (new["bid_price"] <= old["bid_price"])
                total -= new["ask_qty"] * (new["ask_price"] <= old["ask_price"])
                total += old["ask_qty"] * (new["ask_price"] >= old["ask_price"])
        return total


def test_every_number_is_known_on_a_full_tape(facts: Facts) -> None:
    assert facts.clock == "venue" and facts.span_s == pytest.approx(60, abs=1)
    assert [name for name in FACT_NAMES if math.isnan(facts.value(name))] == []


def test_spread_and_moves(tape: NDArray[Any], facts: Facts) -> None:
    naive = Naive(tape)
    one_tick_ns = total_ns = 0
    durations: list[float] = []
    began: int | None = None
    jumps: list[float] = []
    for old, new in zip(naive.quotes[:-1], naive.quotes[1:], strict=True):
        held = int(new["ts_event"] - old["ts_event"])
        narrow = old["ask_price"] - old["bid_price"] == TICK
        total_ns += held
        one_tick_ns += held * bool(narrow)
        if not narrow and began is None:
            began = int(old["ts_event"])
        if began is not None and new["ask_price"] - new["bid_price"] == TICK:
            durations.append((int(new["ts_event"]) - began) / MS)
            began = None
        jump = abs(new["bid_price"] + new["ask_price"] - old["bid_price"] - old["ask_price"]) / TICK
        jumps += [jump] if jump else []
    assert facts.spread_one_tick_time_ratio == pytest.approx(one_tick_ns / total_ns)
    assert facts.wide_episodes_per_s == pytest.approx(len(durations) / facts.span_s)
    assert facts.wide_episode_ms_p90 == pytest.approx(np.percentile(durations, 90))
    assert facts.mid_changes_per_s == pytest.approx(len(jumps) / facts.span_s)
    assert facts.jump_half_ticks_p90 == pytest.approx(np.percentile(jumps, 90))


def test_clock_and_orders(tape: NDArray[Any], facts: Facts) -> None:
    naive = Naive(tape)
    bins = int((naive.last - naive.first) // (1_000 * MS))
    counts = [0] * bins
    for row in naive.quotes:
        at = int((row["ts_event"] - naive.first) // (1_000 * MS))
        if at < bins:
            counts[at] += 1
    assert facts.fano_1_s == pytest.approx(np.var(counts) / np.mean(counts))
    orders: list[list[float]] = []
    for number, row in enumerate(naive.trades):
        before = naive.trades[number - 1]
        if number and row["ts_event"] == before["ts_event"] and row["side"] == before["side"]:
            orders[-1].append(row["qty"])
        else:
            orders.append([row["qty"]])
    assert facts.fills_per_order_mean == pytest.approx(len(naive.trades) / len(orders))
    largest = sorted((sum(order) for order in orders), reverse=True)
    top = int(len(largest) * 0.05)
    assert facts.order_tail_hill == pytest.approx(top / sum(math.log(size / largest[top]) for size in largest[:top]))


def test_returns_flow_and_imbalance(tape: NDArray[Any], facts: Facts) -> None:
    naive = Naive(tape)
    grid = range(naive.first, naive.last + 1, 1_000 * MS)
    moves = [naive.log_mid(naive.quote(end)) - naive.log_mid(naive.quote(start)) for start, end in itertools.pairwise(grid)]
    flow = [naive.flow(start, end) for start, end in itertools.pairwise(grid)]
    bought = [
        sum(row["side"] * row["qty"] for row in naive.trades if start < row["ts_event"] <= end)
        for start, end in itertools.pairwise(grid)
    ]
    assert facts.return_bps_sd_1_s == pytest.approx(np.std(moves))
    assert facts.flow_r2_1_s == pytest.approx(np.corrcoef(flow, moves)[0, 1] ** 2)
    assert facts.trade_r2_1_s == pytest.approx(np.corrcoef(bought, moves)[0, 1] ** 2)
    assert facts.flow_next_return_corr_1_s == pytest.approx(np.corrcoef(flow[:-1], moves[1:])[0, 1])
    instants = [instant for instant in range(naive.first, naive.last + 1, 100 * MS) if instant + 1_000 * MS <= naive.last]
    rows = [naive.quote(instant) for instant in instants]
    imbalance = [(row["bid_qty"] - row["ask_qty"]) / (row["bid_qty"] + row["ask_qty"]) for row in rows]
    ahead = [
        naive.log_mid(naive.quote(instant + 1_000 * MS)) - naive.log_mid(row) for instant, row in zip(instants, rows, strict=True)
    ]
    assert facts.imbalance_return_corr_1_s == pytest.approx(np.corrcoef(imbalance, ahead)[0, 1])
    strong = [math.copysign(1, i) * a for i, a in zip(imbalance, ahead, strict=True) if abs(i) > 0.6]
    assert facts.strong_imbalance_return_bps_1_s == pytest.approx(np.mean(strong))


def test_response_and_foretelling(tape: NDArray[Any], facts: Facts) -> None:
    naive = Naive(tape)
    moves = []
    last = (0, 0)
    for row in naive.trades:
        first_fill = (int(row["ts_event"]), int(row["side"])) != last
        last = (int(row["ts_event"]), int(row["side"]))
        earlier = [quote for quote in naive.quotes if quote["ts_event"] < row["ts_event"]]
        later = int(row["ts_event"]) + 1_000 * MS
        if first_fill and earlier and later <= naive.last:
            moves.append(row["side"] * (naive.log_mid(naive.quote(later)) - naive.log_mid(earlier[-1])))
    assert facts.response_bps_1_s == pytest.approx(np.mean(moves))
    hits = []
    for number, row in enumerate(naive.quotes):
        now = row["bid_price"] + row["ask_price"]
        following = [new for new in naive.quotes[number + 1 :] if new["bid_price"] + new["ask_price"] != now]
        if following and row["bid_qty"] != row["ask_qty"]:
            up = following[0]["bid_price"] + following[0]["ask_price"] > now
            hits.append(up == (row["bid_qty"] > row["ask_qty"]))
    # The last run of one mid ends in no move; inside a run all quotes share the next one.
    assert facts.hit_ratio_events == pytest.approx(np.mean(hits))


def test_quotes_without_a_venue_stamp_are_measured_on_the_receive_clock(tape: NDArray[Any], facts: Facts) -> None:
    bare = tape.copy()
    quotes = bare["kind"] == KIND_BBO
    bare["ts_event"][quotes] = bare["ts_recv"][quotes]
    seen = facts_of(bare, TICK)
    assert seen.clock == "receive" and math.isnan(seen.latency_ms_p50) and math.isnan(seen.same_ms_quote_ratio)
    assert seen.fills_per_order_mean == facts_of(tape, TICK, "receive").fills_per_order_mean
    assert facts_of(tape, TICK, "venue") == facts


def test_what_cannot_be_measured_is_refused(tape: NDArray[Any]) -> None:
    with pytest.raises(InputError, match="expected at least 100 and 1"):
        facts_of(tape[tape["kind"] == KIND_BBO], TICK)
    with pytest.raises(InputError, match="expected at least 40 s"):
        facts_of(tape[tape["ts_event"] < T0 + 20_000 * MS], TICK)


def test_a_tape_is_within_every_relative_range_of_itself(facts: Facts) -> None:
    relative = {accepted.name for accepted in ACCEPTANCE if accepted.scale != "absolute"}
    rows = judge(facts, facts)
    assert len(rows) == len(ACCEPTANCE) and all(row.ok for row in rows if row.name in relative)


def test_a_row_fails_just_outside_its_range_and_where_unknown(facts: Facts) -> None:
    def ok(name: str, value: float, **more: bool) -> bool:
        changed = msgspec.structs.replace(facts, **{name: value})
        return {row.name: row.ok for row in judge(changed, facts, **more)}[name]

    assert ok("quotes_per_s", facts.quotes_per_s * 1.29) and not ok("quotes_per_s", facts.quotes_per_s * 1.31)
    assert ok("fano_1_s", facts.fano_1_s / 1.99) and not ok("fano_1_s", facts.fano_1_s / 2.01)
    assert ok("flow_r2_1_s", 0.4) and not ok("flow_r2_1_s", 0.39) and not ok("flow_r2_1_s", math.nan)
    assert not ok("return_acf_1_s", 0.15) and ok("return_acf_1_s", 0.15, spot=True)


def test_numbers_made_from_several(facts: Facts) -> None:
    assert number_of(facts, "response_ratio_1_s_10_ms") == facts.response_bps_1_s / facts.response_bps_10_ms
    steps = np.diff([facts.value(f"up_ratio_bin_{number}") for number in range(1, 8)])
    assert number_of(facts, "up_ratio_step_min") == pytest.approx(steps.min())


def test_median_of_tapes_leaves_unknown_numbers_out(facts: Facts) -> None:
    several = [msgspec.structs.replace(facts, fano_1_s=value) for value in (1.0, 5.0, math.nan, 3.0)]
    assert median_facts(several).fano_1_s == 3.0
