"""The ladder: every rung is reached by what it names, and an earlier rung wins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders_edges import GOOD, spec
from edgesmith.edges.edge import Bound, Trigger
from edgesmith.edges.validation.curves import break_even_fee_bps, by_day, half_lives, latency_curve, response_curve
from edgesmith.edges.validation.gates import Findings, Gates, judge_findings
from edgesmith.edges.validation.placebos import PlaceboTest, reads_clock, smallest_p
from edgesmith.edges.validation.sums import EdgeSums
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError
from edgesmith.evaluation.labels import C, G, N

FADED = {"net_low_bps": -1.0, "p_net": 0.2, "late_low_bps": -6.0, "late_high_bps": 0.5, "walk_forward_low_bps": -1.0}
ONE_DAY = {"net_low_bps": -1.0, "p_net": 0.4, "without_best_day_bps": -5.0, "best_day_low_bps": 60.0}
# Strongest objection first; each holds together with all that come later.
OBJECTIONS: list[tuple[Verdict, dict[str, Any]]] = [
    (Verdict.LEAK, {"leaks": ("oracle()",)}),
    (Verdict.INSUFFICIENT, {"onsets": 29}),
    (Verdict.REJECT_NULL, {"p_excess": 0.06}),
    (Verdict.REJECT_COST, {"p_net": 0.06}),
    (Verdict.REJECT_UNSTABLE, {"pbo": 0.21}),
    (Verdict.CANDIDATE, {"dsr": 0.94}),
]


def verdict(**change: Any) -> Verdict:
    return judge_findings(Findings(**(GOOD | change)), Gates()).verdict


@pytest.mark.parametrize("place", range(len(OBJECTIONS)))
def test_the_strongest_objection_is_the_verdict(place: int) -> None:
    expected, own = OBJECTIONS[place]
    assert verdict(**own) is expected
    everything = {key: value for _, change in reversed(OBJECTIONS[place:]) for key, value in change.items()}
    assert verdict(**everything) is expected


def test_without_objection_it_is_validated_and_the_sentence_has_the_numbers() -> None:
    found = judge_findings(Findings(**GOOD), Gates())
    assert found.verdict is Verdict.VALIDATED
    for number in ("500 trades", "12 days", "6.00 bps", "10.00 bps", "4.00 bps", "0.990", "0.05"):
        assert number in found.sentence


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"blocks_effective": 19.0}, Verdict.INSUFFICIENT),
        # Thirty trades in one afternoon are one afternoon.
        ({"trade_blocks": 29}, Verdict.INSUFFICIENT),
        ({"trade_blocks_effective": 19.0}, Verdict.INSUFFICIENT),
        ({"net_low_bps": -0.1}, Verdict.REJECT_COST),
        ({"stressed_net_low_bps": -0.1}, Verdict.REJECT_COST),
        ({"walk_forward_low_bps": -0.1}, Verdict.REJECT_UNSTABLE),
        ({"without_best_day_bps": -0.1}, Verdict.REJECT_UNSTABLE),
        ({"positive_days_ratio": 0.5}, Verdict.REJECT_UNSTABLE),
        (FADED, Verdict.REJECT_DECAYED),
        # What fades or turns also seems to be an accident, and over all of the span no effect at all.
        (FADED | {"pbo": 0.5, "p_excess": 0.9, "stressed_net_low_bps": -2.0}, Verdict.REJECT_DECAYED),
        (ONE_DAY, Verdict.REJECT_UNSTABLE),
        (ONE_DAY | {"best_day_low_bps": -0.1}, Verdict.REJECT_COST),
        (ONE_DAY | {"days": 2}, Verdict.REJECT_COST),
        ({"days": 9}, Verdict.CANDIDATE),
        ({"onsets": 199}, Verdict.CANDIDATE),
        ({"pbo": None}, Verdict.CANDIDATE),
        ({"placebo_p": 0.01}, Verdict.CANDIDATE),
        ({"placebo_p": None}, Verdict.CANDIDATE),
        ({"winsorized_bps": -0.2}, Verdict.CANDIDATE),
        ({"per_volatility": 0.0}, Verdict.CANDIDATE),
        ({"p_excess": None}, Verdict.REJECT_NULL),
        ({"net_low_bps": None}, Verdict.REJECT_COST),
        # Nothing was traded late, so nobody knows.
        ({"stressed_net_low_bps": None}, Verdict.REJECT_COST),
        # It always lost and now loses more: nothing faded that was there.
        (FADED | {"early_low_bps": -2.0, "late_high_bps": -3.0}, Verdict.REJECT_COST),
        # The last third has too few blocks to bound its loss from below.
        (FADED | {"late_low_bps": None}, Verdict.REJECT_DECAYED),
    ],
)
def test_each_gate_closes(change: dict[str, Any], expected: Verdict) -> None:
    assert verdict(**change) is expected


def test_a_trigger_that_reads_the_clock_is_told_from_others() -> None:
    texts = {"minute_of_day()": True, "funding_due()": True, "imbalance_ema(period=20)": False}
    for text, clock in texts.items():
        assert reads_clock(spec(trigger=Trigger(bounds=(Bound(feature=text, low=0.5),)))) is clock


def test_placebos_count_together() -> None:
    tests = [PlaceboTest(name="a", n=9, blocks=90, excess_bps=0.1, p=p) for p in (0.5, 0.02, None)]
    assert smallest_p(tests) == pytest.approx(0.04)
    assert smallest_p(tests[2:]) is None and smallest_p(tests[:1] * 4) == 1.0


def test_an_edge_that_needs_no_time_to_act_is_asked_what_a_few_milliseconds_cost() -> None:
    assert Gates().stressed_ns(0) == 10_000_000
    assert Gates().stressed_ns(50_000_000) == 100_000_000


def test_impossible_gates_are_refused() -> None:
    with pytest.raises(InputError, match="alpha was 0"):
        Gates(alpha=0.0)


LATENCIES_NS, HORIZONS_NS = (0, 50_000_000, 250_000_000), (1_000_000_000, 5_000_000_000)


def sums(side: int = 1) -> EdgeSums:
    draw = np.random.default_rng(1)
    columns = tuple((latency_ns, horizon_ns) for horizon_ns in HORIZONS_NS for latency_ns in LATENCIES_NS)
    cell = np.zeros((2_880, len(columns), 6))
    n = draw.poisson(10, 2_880).astype(float)
    for place, (latency_ns, horizon_ns) in enumerate(columns):
        effect = 12.0 * (horizon_ns / 5e9) * np.exp2(-latency_ns / 100e6)
        cell[:, place, N], cell[:, place, C] = n, 4.0 * n
        cell[:, place, G] = side * effect * n + draw.normal(0.0, 10.0, 2_880) * np.sqrt(n)
    return EdgeSums(np.arange(2_880, dtype=np.int64), 60_000_000_000, columns, cell, 3.0 * cell)


@pytest.mark.parametrize("side", [1, -1])
def test_curves_follow_what_was_planted(side: int) -> None:
    found = sums(side)
    curve = latency_curve(found, 5_000_000_000, side, seed=1)
    assert [point.at for point in curve] == list(LATENCIES_NS)
    for point, truth in zip(curve, (8.0, 12.0 * 2**-0.5 - 4.0, 12.0 * 2**-2.5 - 4.0), strict=True):
        assert point.net_low_bps is not None and point.net_high_bps is not None
        assert point.net_low_bps - 0.2 < truth < point.net_high_bps + 0.2
    response = response_curve([found], 0, side, seed=1)
    assert [point.at for point in response] == list(HORIZONS_NS)
    days = by_day(found, found.column(0, 5_000_000_000), side, seed=1)
    assert len(days) == 2 and sum(point.n for point in days) == found.rows(0).sum()
    lives = half_lives([found], 0, 5_000_000_000, side, seed=1)
    # 12 bps fall to 8, so that 4 of 8 are left after cost.
    assert lives["latency"].value_ns == pytest.approx(100e6 * np.log2(1.5), rel=0.25)
    assert not lives["calendar"].identified


def test_the_break_even_fee_takes_what_is_left() -> None:
    assert break_even_fee_bps(4.0, 5.0, 5.0) == 7.0
    assert break_even_fee_bps(-12.0, 5.0, 5.0) == -1.0
