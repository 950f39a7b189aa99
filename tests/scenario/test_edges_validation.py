"""A planted edge is validated by what it is, a bin beside it is called nothing, and costs are told from effects."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from builders_edges import spec
from edgesmith.cli.world import make_world
from edgesmith.domain.instruments import ContractKind
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.validation import frozen
from edgesmith.edges.validation.frozen import frozen_replay
from edgesmith.edges.validation.gates import Gates
from edgesmith.edges.validation.maker import maker_tasks
from edgesmith.edges.validation.pipeline import ValidationConfig, validate
from edgesmith.edges.validation.replays import replay_edges
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import CodedPanel, code_panel
from edgesmith.evaluation.labels import LabelSpec
from edgesmith.evaluation.sources import LakeSource
from edgesmith.features.catalog import feature
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Catalog, Partition
from edgesmith.lake.replay import Replay

MS, S = 10**6, 10**9
FEATURE = str(feature("imbalance_ema"))
CUTS = (-0.93, -0.5, 0.0, 0.5, 0.93)
GATES = Gates(days_min=1, onsets_min=50, blocks_effective_min=10.0)


@pytest.fixture(scope="module")
def partitions(tmp_path_factory: pytest.TempPathFactory) -> list[Partition]:
    root: Path = tmp_path_factory.mktemp("lake")
    make_world("P1_16", seed=1, root=root, hours=3)
    return Catalog(root).partitions()


@pytest.fixture(scope="module")
def panel(partitions: list[Partition]) -> CodedPanel:
    source = LakeSource(partitions)
    first_ns, last_ns = source.span(0)
    labels = LabelSpec(horizons_ns=(S, 5 * S), latencies_ns=(0, 50 * MS, 250 * MS), fee_in_bps=2.5, fee_out_bps=2.5)
    bins = (FeatureBins("imbalance_ema", CUTS), FeatureBins("rsi", (30.0, 70.0)))
    return code_panel(source, 0, Program([feature("imbalance_ema"), feature("rsi")]), labels, bins, first_ns, last_ns, lake=None)


def edge(side: int, low: float | None, high: float | None, **change: object) -> EdgeSpec:
    trigger = Trigger(bounds=(Bound(feature=FEATURE, low=low, high=high),))
    fields = {"symbol": "P1X16USDT", "trigger": trigger, "side": side, "fee_in_bps": 2.5, "fee_out_bps": 2.5}
    return spec(**(fields | change))


def test_the_right_word_for_each(panel: CodedPanel, partitions: list[Partition]) -> None:
    specs = [edge(1, 0.93, None), edge(-1, None, -0.93), edge(1, 0.0, 0.5)]
    cards = validate(specs, panel, partitions, ValidationConfig(gates=GATES, folds=3), trials=3)
    assert [card.verdict for card in cards] == [Verdict.VALIDATED, Verdict.VALIDATED, Verdict.REJECT_NULL]
    assert [card.spec for card in cards] == specs
    best = cards[1]
    assert best.anchored is not None and best.anchored.same_cell_folds > 0
    assert best.findings.pbo is not None and best.findings.pbo < 0.1
    assert [point.at for point in best.latency_curve] == [0, 50 * MS, 250 * MS]
    assert len(best.placebos) == 4 and best.findings.placebo_p is not None and best.findings.placebo_p > GATES.placebo_alpha
    assert all(one.n > 500 and one.excess_bps is not None and abs(one.excess_bps) < 4.0 for one in best.placebos)
    assert best.evidence("data").net_low_bps == best.findings.net_low_bps
    # What would be seen had it ended today, and of an edge that keeps nothing no word.
    assert best.noticing is not None and best.noticing.died.stopped_blocks is not None
    assert cards[2].noticing is None


def test_fees_above_the_effect_make_it_untradable(panel: CodedPanel, partitions: list[Partition]) -> None:
    dear = edge(1, 0.93, None, fee_in_bps=12.0, fee_out_bps=12.0)
    (card,) = validate([dear], panel.with_fees(12.0, 12.0), partitions, ValidationConfig(gates=GATES), trials=1)
    assert card.verdict is Verdict.REJECT_COST
    assert card.findings.break_even_fee_bps is not None and 0.0 < card.findings.break_even_fee_bps < 10.0


def test_what_is_gone_a_few_seconds_later_is_not_for_us(panel: CodedPanel, partitions: list[Partition]) -> None:
    gates = msgspec.structs.replace(GATES, latency_stress_min_ns=6 * S)
    (card,) = validate([edge(1, 0.93, None)], panel, partitions, ValidationConfig(gates=gates), trials=1)
    assert card.verdict is Verdict.REJECT_COST and "entered 6 s after the decision" in card.sentence
    assert card.findings.net_low_bps is not None and card.findings.net_low_bps > 0.0


def test_a_leak_is_said_before_anything_else(panel: CodedPanel, partitions: list[Partition]) -> None:
    (card,) = validate(
        [edge(1, 0.93, None)], panel, partitions, ValidationConfig(gates=GATES), trials=1, leaks=lambda _: ("oracle",)
    )
    assert card.verdict is Verdict.LEAK and "oracle" in card.sentence


def test_the_replay_trades_exactly_the_onsets_on_the_grid(partitions: list[Partition]) -> None:
    one = edge(1, 0.93, None)
    found = frozen_replay(partitions, one, block_ns=60 * S, seed=1)
    program = Program([feature("imbalance_ema")])
    state, on, at_grid, index, in_trade_until, entered = program.new_state(1), False, False, 0, None, []
    for events in Replay(partitions).batches():
        rows = np.empty((len(events), 1))
        program.run(events, rows, state)
        for ts, kind, value in zip(events["ts_recv"].tolist(), events["kind"].tolist(), rows[:, 0].tolist(), strict=True):
            if kind > 1:
                continue
            onset = False
            if ts // one.grid_ns > index:
                onset, at_grid, index = on and not at_grid, on, ts // one.grid_ns
            on = value >= 0.93
            if in_trade_until is not None:
                # The way out takes as long as the way in; a new trade waits until the old one is flat.
                in_trade_until = None if ts >= in_trade_until + one.latency_ns else in_trade_until
            elif onset:
                entered.append(ts)
                in_trade_until = ts + one.horizon_ns
    assert len(found.trades.ts_ns) in (len(entered), len(entered) - 1)
    shared = len(found.trades.ts_ns)
    lag = found.trades.ts_ns - np.array(entered[:shared])
    assert (lag >= one.latency_ns).mean() > 0.99 and (lag < one.latency_ns + 50 * MS).mean() > 0.99


def test_a_maker_is_bounded_decision_by_decision(panel: CodedPanel, partitions: list[Partition]) -> None:
    """Those who would be filled behind the queue are those for whom the planted move fails."""
    one = edge(1, 0.93, None)
    (instrument,) = frozen.instruments_of(partitions, [("simulated", "P1X16USDT")])
    touch, queue = replay_edges(partitions, maker_tasks(one, instrument, 60 * S))
    assert touch.decided_ns.tolist() == queue.decided_ns.tolist()
    filled = queue.entered_ns > 0
    assert (touch.entered_ns[filled] > 0).all() and (touch.entered_ns[filled] <= queue.entered_ns[filled]).all()
    (card,) = validate([one], panel, partitions, ValidationConfig(gates=GATES), trials=1)
    assert card.maker is not None and card.maker.touch.fills > card.maker.queue.fills
    touched, queued = card.maker.touch, card.maker.queue
    assert touched.net_bps is not None and queued.net_bps is not None and touched.net_bps > queued.net_bps + 4.0
    assert queued.adverse_bps is not None and touched.adverse_bps is not None and queued.adverse_bps > touched.adverse_bps > 0.0
    # What labels say and what trades kept are told apart.
    assert card.labeled.n > card.findings.onsets and card.cost_parts.funding_bps == 0.0


def test_features_are_warm_when_the_span_begins(partitions: list[Partition]) -> None:
    first_ns, last_ns = LakeSource(partitions).span(0)
    absent = edge(1, None, None, trigger=Trigger(bounds=(Bound(feature=FEATURE, missing=True),)))
    later = frozen_replay(partitions, absent, block_ns=60 * S, seed=1, start_ns=(first_ns + last_ns) // 2)
    assert len(later.trades.ts_ns) == 0
    one = edge(1, 0.93, None)
    whole = frozen_replay(partitions, one, block_ns=60 * S, seed=1).trades.ts_ns
    # Where nothing is held, so that the same onsets are free to be traded.
    free_ns = int(whole[np.flatnonzero(np.diff(whole) > 30 * S)[5]]) + 20 * S
    part = frozen_replay(partitions, one, block_ns=60 * S, seed=1, start_ns=free_ns).trades.ts_ns
    assert np.array_equal(part, whole[whole > free_ns])


def test_no_trade_lies_over_lost_data(partitions: list[Partition]) -> None:
    quotes = np.concatenate([events["ts_recv"][events["kind"] == 0] for events in Replay(partitions).batches()])
    # A few hundred times without quotes stand for lost data.
    one = edge(1, 0.93, None, gap_ns=int(np.sort(np.diff(quotes))[-300]))
    quiet = np.flatnonzero(np.diff(quotes) > one.gap_ns)
    all_of_them = frozen_replay(partitions, edge(1, 0.93, None), block_ns=60 * S, seed=1).trades.ts_ns
    kept = frozen_replay(partitions, one, block_ns=60 * S, seed=1).trades.ts_ns
    assert 0 < len(kept) < len(all_of_them)
    for at in kept.tolist():
        assert not ((quotes[quiet + 1] > at - one.latency_ns) & (quotes[quiet] < at - one.latency_ns + one.horizon_ns)).any()


def test_an_effect_the_other_way_is_none_of_the_edge(panel: CodedPanel, partitions: list[Partition]) -> None:
    """Trap T12: drift sold as an edge; buying at the worst moments of a rising day pays too."""
    (card,) = validate([edge(-1, 0.93, None)], panel, partitions, ValidationConfig(gates=GATES), trials=1)
    assert card.verdict is Verdict.REJECT_NULL and card.findings.p_excess == 1.0


def test_a_spot_market_cannot_be_sold_short(partitions: list[Partition], monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = frozen.instruments_of(partitions, [("simulated", "P1X16USDT")])
    spot = msgspec.structs.replace(found, kind=ContractKind.SPOT)
    monkeypatch.setattr(frozen, "instruments_of", lambda *_: [spot])
    with pytest.raises(InputError, match="sells only what is held"):
        frozen_replay(partitions, edge(-1, None, -0.93), block_ns=60 * S, seed=1)


def test_what_cannot_be_replayed_is_refused(panel: CodedPanel, partitions: list[Partition]) -> None:
    with pytest.raises(InputError, match="of which no data was given"):
        frozen_replay(partitions, edge(1, 0.93, None, symbol="OTHERUSDT"), block_ns=60 * S, seed=1)
    with pytest.raises(InputError, match="other fees"):
        validate([edge(1, 0.93, None, fee_in_bps=1.0)], panel, partitions, ValidationConfig(), trials=1)
    with pytest.raises(InputError, match="no edge was given"):
        validate([], panel, partitions, ValidationConfig(), trials=0)
    with pytest.raises(InputError, match="panel lacks its latency"):
        validate([edge(1, 0.93, None, latency_ns=7 * MS)], panel, partitions, ValidationConfig(), trials=1)
