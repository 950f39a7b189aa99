"""How large an effect is said to be, held against the truth layer of the world itself, like with like.

A world knows what it planted at every instant: the base tape and the expected offset, given the tape, are the truth of any span
in which something is held. So an estimate has a truth of its own definition: labels that of the record's own decisions, a replay
that of the very spans in which it held a position.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.truth.desk import Desk, desk_of
from edgesmith.domain.events import KIND_BBO, KIND_TRADE
from edgesmith.domain.units import BPS, NS_PER_HOUR, NS_PER_MS, NS_PER_S
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.validation.frozen import frozen_replay
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import code_panel
from edgesmith.evaluation.labels import LabelSpec
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program
from edgesmith.worlds.plant import plant_edges
from edgesmith.worlds.regions import SETTLE_NS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The edge whose size is measured: what P1 plants.
BOOK, BOOK_HIGH = "imbalance_ema", 0.93
HORIZON_NS, LATENCY_NS, GRID_NS = 5 * NS_PER_S, 50 * NS_PER_MS, 500 * NS_PER_MS
BLOCK_NS = 300 * NS_PER_S
FEE_BPS = 2.5
# Within an hour a record counts decisions from SETTLE_NS on, up to the horizon and this long before its end.
CLOSE_NS = 20 * NS_PER_S


class EffectRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world; all moves are in bps from mid price to mid price, and sums are over decisions or trades.

    `planted_bps` is the truth of the record's decisions, `drawn_bps` what this tape got of it. `label_sum_bps` and
    `late_label_sum_bps` are labels of `labeled` decisions at the same instants, at no latency and at that of the edge;
    `every_sum_bps` those of all `every` onsets of the tape, also where a record does not count. `free_sum_bps` is of the `free`
    buying onsets at which nothing is held. `held_sum_bps` is the truth of the spans in which the replay's `trades` were open,
    `gross_bps` what it says they moved.
    """

    seed: int
    decisions: int
    planted_bps: float
    drawn_bps: float
    labeled: int
    label_sum_bps: float
    late_label_sum_bps: float
    every: int
    every_sum_bps: float
    free: int
    free_sum_bps: float
    trades: int
    held_sum_bps: float
    gross_bps: float
    gross_error_bps: float
    spread_bps: float
    net_bps: float
    net_low_bps: float
    net_high_bps: float


def book_edge(desk: Desk, *, fee_bps: float = FEE_BPS) -> EdgeSpec:
    """Return the edge that P1 plants, to the buying side."""
    text = next(str(one) for one in desk.program.features if one.name == BOOK)
    return edge(desk, Trigger(bounds=(Bound(feature=text, low=BOOK_HIGH),)), HORIZON_NS, fee_bps)


def edge(desk: Desk, trigger: Trigger, horizon_ns: int, fee_bps: float, grid_ns: int = GRID_NS) -> EdgeSpec:
    """Return the edge of a trigger that is known, not found."""
    return EdgeSpec(
        venue=desk.instrument.venue,
        symbol=desk.instrument.symbol,
        trigger=trigger,
        side=1,
        horizon_ns=horizon_ns,
        latency_ns=LATENCY_NS,
        cost_tier="truth",
        fee_in_bps=fee_bps,
        fee_out_bps=fee_bps,
        grid_ns=grid_ns,
        gap_ns=30 * NS_PER_S,
        features_hash=desk.program.program_id,
        bins_hash="truth",
        code_sha256="truth",
    )


def effect_row(job: tuple[str, int, int]) -> EffectRow | None:
    """Replay book pressure of the planted size over some hours of a world; None where nothing was traded."""
    name, seed, hours = job
    with desk_of(name, seed, hours) as desk:
        found = frozen_replay(desk.partitions, book_edge(desk), block_ns=BLOCK_NS, seed=seed)
        claim, truth = desk.claim, truth_of(desk)
        at_once, late = _onsets(desk, 0), _onsets(desk, LATENCY_NS)
    trades = found.trades
    if not len(trades.ts_ns):
        return None
    moved_bps = trades.gross_bps + found.spread_bps
    left_ns = truth.first_event(trades.ts_ns - LATENCY_NS + HORIZON_NS) + LATENCY_NS
    held_bps = truth.expected_bps(trades.ts_ns, left_ns)
    counted, counted_late = at_once.counted, late.counted
    free = late.free()
    return EffectRow(
        seed=seed,
        decisions=claim["decisions"],
        planted_bps=claim["gross_bps"],
        drawn_bps=claim["drawn_bps"] + claim["natural_bps"],
        labeled=int(counted.sum()),
        label_sum_bps=float(at_once.move_bps[counted].sum()),
        late_label_sum_bps=float(late.move_bps[counted_late].sum()),
        every=len(late.at_ns),
        every_sum_bps=float(late.move_bps.sum()),
        free=int(free.sum()),
        free_sum_bps=float(late.move_bps[free].sum()),
        trades=len(trades.ts_ns),
        held_sum_bps=float(held_bps.sum()),
        gross_bps=float(moved_bps.mean()),
        gross_error_bps=float((moved_bps - held_bps).std() / len(held_bps) ** 0.5),
        spread_bps=found.spread_bps,
        net_bps=found.net_bps.mean,
        net_low_bps=found.net_bps.low,
        net_high_bps=found.net_bps.high,
    )


class TruthLayer(NamedTuple):
    """The base tape and the expected offset at every quote, and the instants of all events; by receive time."""

    at_ns: Ints
    base_mid: Floats
    expected_ticks: Floats
    events_ns: Ints
    tick: float

    def expected_bps(self, from_ns: Ints, to_ns: Ints) -> Floats:
        """Return the move that is expected between instants, given the base tape."""
        now, then = self._quotes(from_ns), self._quotes(to_ns)
        natural: Floats = (self.base_mid[then] - self.base_mid[now]) / self.base_mid[now] / BPS
        return natural + self.planted_bps(from_ns, to_ns)

    def planted_bps(self, from_ns: Ints, to_ns: Ints) -> Floats:
        """Return what is expected of the plants alone."""
        now, then = self._quotes(from_ns), self._quotes(to_ns)
        result: Floats = self.tick * (self.expected_ticks[then] - self.expected_ticks[now]) / self.base_mid[now] / BPS
        return result

    def _quotes(self, at_ns: Ints) -> Ints:
        # The last quote received by then.
        return np.maximum(np.searchsorted(self.at_ns, at_ns, "right") - 1, 0)

    def first_event(self, from_ns: Ints) -> Ints:
        """Return the first event at or after each instant: when a machine that wakes up on events acts."""
        place = np.minimum(np.searchsorted(self.events_ns, from_ns, "left"), len(self.events_ns) - 1)
        result: Ints = self.events_ns[place]
        return result


def truth_of(desk: Desk) -> TruthLayer:
    """Return what the world of a desk planted; the offset is an expectation over draws, so no key of draws matters."""
    world = desk.world
    parts: list[tuple[Any, ...]] = []
    for hour in range(world.hours):
        base = world.received(hour).events
        planted = plant_edges(
            base, world.scenario.plants, instrument=world.instrument, key=np.uint64(0), start_ns=world.market.start_ns
        )
        quote = base["kind"] == KIND_BBO
        mid = (base["bid_price"][quote] + base["ask_price"][quote]) / 2.0
        heard = quote | (base["kind"] == KIND_TRADE)
        parts.append((base["ts_recv"][quote], mid, planted.expected_ticks[quote], np.sort(base["ts_recv"][heard])))
    at_ns, mid, expected, events_ns = (np.concatenate(one) for one in zip(*parts, strict=True))
    return TruthLayer(at_ns, mid, expected, events_ns, world.instrument.tick)


class _Onsets(NamedTuple):
    # Entries into the region on the grid, buys first, with the move to their side.
    at_ns: Ints
    side: Ints
    move_bps: Floats

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Return those a record counts: not at the ends of an hour, where nothing is planted."""
        into_ns = self.at_ns % NS_PER_HOUR
        found: NDArray[np.bool_] = (into_ns >= SETTLE_NS) & (into_ns <= NS_PER_HOUR - HORIZON_NS - CLOSE_NS)
        return found

    def free(self) -> NDArray[np.bool_]:
        """Return the buys at which nothing is held."""
        kept, held_until_ns = np.zeros(len(self.at_ns), bool), -1
        for place in np.flatnonzero(self.side > 0).tolist():
            if self.at_ns[place] > held_until_ns:
                kept[place] = True
                held_until_ns = int(self.at_ns[place]) + HORIZON_NS
        return kept


def _onsets(desk: Desk, latency_ns: int) -> _Onsets:
    first_ns, last_ns = desk.source.span(desk.index)
    labels = LabelSpec(horizons_ns=(HORIZON_NS,), latencies_ns=(latency_ns,), fee_in_bps=0.0, fee_out_bps=0.0, grid_ns=GRID_NS)
    bins = [FeatureBins(BOOK, (-BOOK_HIGH, BOOK_HIGH))]
    panel = code_panel(desk.source, desk.index, Program([feature(BOOK)]), labels, bins, first_ns, last_ns, lake=None)
    steps, found = HORIZON_NS // GRID_NS, []
    for side, code in ((1, 2), (-1, 0)):
        for at in panel.days:
            day = panel.open_day(at)
            mids, codes = day.grid.mids[0], day.codes[0, : day.grid.rows]
            began = np.flatnonzero((codes == code) & ~np.r_[False, codes[:-1] == code])
            began = began[began + steps < len(mids)]
            moves = side * (mids[began + steps] / mids[began] - 1.0) / BPS
            known = np.isfinite(moves)
            instants = (day.grid.first_index + began[known]) * GRID_NS
            found.append((instants, np.full(int(known.sum()), side), moves[known]))
    return _Onsets(*(np.concatenate(one) for one in zip(*found, strict=True)))


def effect_summary(rows: list[EffectRow]) -> dict[str, float]:
    """Return the share of intervals that hold the truth after cost, and how far labels and replay are from what was planted.

    One world's draws are luck, so the truth of an interval is that of all worlds. `replay_error_ratio` is the standard error of
    the bias of the replay; the other figures say in which order the definitions part.
    """

    def total(name: str) -> float:
        return float(sum(getattr(row, name) for row in rows))

    def pooled(name: str, weight: str) -> float:
        return float(np.average([getattr(row, name) for row in rows], weights=[getattr(row, weight) for row in rows]))

    planted = pooled("planted_bps", "decisions")
    held, replayed = total("held_sum_bps") / total("trades"), pooled("gross_bps", "trades")
    kept = held - pooled("spread_bps", "trades") - 2.0 * FEE_BPS
    error = float(np.sqrt(sum((row.gross_error_bps * row.trades) ** 2 for row in rows))) / total("trades")
    labels = total("label_sum_bps") / total("labeled")
    biases = {"label_bias_ratio": labels / planted - 1.0, "replay_bias_ratio": replayed / held - 1.0}
    return {
        "worlds": len(rows),
        "trades": total("trades"),
        "coverage": float(np.mean([row.net_low_bps <= kept <= row.net_high_bps for row in rows])),
        "kept_bps": kept,
        "planted_bps": planted,
        "drawn_bps": pooled("drawn_bps", "decisions"),
        "label_bps": labels,
        "late_label_bps": total("late_label_sum_bps") / total("labeled"),
        "every_onset_bps": total("every_sum_bps") / total("every"),
        "one_at_a_time_bps": total("free_sum_bps") / total("free"),
        "held_bps": held,
        "replay_bps": replayed,
        **biases,
        "replay_error_ratio": error / held,
        "bias_ratio": max(biases.values(), key=abs),
    }
