"""Trades whose truth is known, from the replay's record to the word: what fades, dies, turns or worked on one day."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from builders_edges import GOOD
from edgesmith.domain.units import NS_PER_DAY, NS_PER_MINUTE
from edgesmith.edges.validation import frozen, pipeline
from edgesmith.edges.validation.frozen import Trades
from edgesmith.edges.validation.gates import Findings, Gates, judge_findings
from edgesmith.edges.validation.pipeline import ValidationConfig
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.significance import mean_influence, sign_flip

BLOCK_NS = 30 * NS_PER_MINUTE
TRADES_PER_DAY = 100
FEES_BPS = 5.0


def judged(days: int, gross_bps: Callable[[np.ndarray], np.ndarray], seed: int) -> Verdict:
    draw = np.random.default_rng(seed)
    ts_ns = np.sort(draw.integers(0, days * NS_PER_DAY, TRADES_PER_DAY * days))
    gross = gross_bps(ts_ns / NS_PER_DAY) + 12.0 * draw.standard_t(4, len(ts_ns))
    trades = Trades(ts_ns, gross, np.full(len(ts_ns), FEES_BPS))
    rows, net = pipeline._trade_blocks(trades, BLOCK_NS)
    influence = mean_influence(rows[:, None], net[:, None])
    interval = frozen._interval(trades, BLOCK_NS, seed)
    span: Any = SimpleNamespace(first_ns=0, last_ns=days * NS_PER_DAY)
    early, late = pipeline._early_and_late(trades, span, BLOCK_NS, seed)
    by_day = frozen._by_day(trades)
    whole: Any = SimpleNamespace(trades=trades, days=by_day)
    p_net = float(sign_flip([(1, influence.psi)], flips=1_999, seed=seed, one_sided=True).p_cell[0])
    found = Findings(
        **GOOD
        | {
            "onsets": len(ts_ns),
            "days": len(by_day),
            "p_net": p_net,
            "net_low_bps": interval.low,
            "stressed_net_low_bps": interval.low,
            "positive_days_ratio": float(np.mean([mean > 0 for _, _, mean in by_day])),
            "without_best_day_bps": frozen._without_best_day(by_day),
            "best_day_low_bps": pipeline._best_day(whole, BLOCK_NS, ValidationConfig()).low,
            "early_low_bps": early.low,
            "late_low_bps": late.low,
            "late_high_bps": late.high,
        }
    )
    return judge_findings(found, Gates()).verdict


@pytest.mark.parametrize(
    ("days", "gross_bps", "expected"),
    [
        (20, lambda day: 20.0 * np.exp2(-day / 5.0), Verdict.REJECT_DECAYED),  # P7
        (10, lambda day: 15.0 * (day < 5), Verdict.REJECT_DECAYED),  # P8_dies
        (10, lambda day: np.where(day < 5, 15.0, -15.0), Verdict.REJECT_DECAYED),  # P8_turns
        (30, lambda day: 90.0 * (np.floor(day) == 17), Verdict.REJECT_UNSTABLE),  # P10
        (12, lambda day: np.full(len(day), 16.0), Verdict.VALIDATED),  # P1_16
        (12, lambda day: np.full(len(day), 2.0), Verdict.REJECT_COST),  # P1_2
        (12, lambda day: np.full(len(day), 4.0), Verdict.REJECT_COST),
        (20, lambda day: -8.0 - day, Verdict.REJECT_COST),
    ],
    ids=["fades", "dies", "turns", "one day", "steady", "small", "nearly pays", "always lost"],
)
def test_the_word_fits_what_was_planted(days: int, gross_bps: Any, expected: Verdict) -> None:
    words = [judged(days, gross_bps, seed) for seed in range(5)]
    assert words.count(expected) >= 4, words


def test_level_of_the_best_day_falls_with_the_days_it_was_chosen_from() -> None:
    draw = np.random.default_rng(3)
    ts_ns = np.sort(draw.integers(0, 30 * NS_PER_DAY, 3_000))
    trades = Trades(ts_ns, 5.0 + draw.normal(0.0, 12.0, 3_000), np.full(3_000, FEES_BPS))
    days = frozen._by_day(trades)
    whole: Any = SimpleNamespace(trades=trades, days=days)
    config = msgspec.structs.replace(ValidationConfig(), flips=999)
    many = pipeline._best_day(whole, BLOCK_NS, config)
    best = max(days, key=lambda one: one[1] * one[2])
    few: Any = SimpleNamespace(trades=trades, days=(best,))
    assert many.low < pipeline._best_day(few, BLOCK_NS, config).low
