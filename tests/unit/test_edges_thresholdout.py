"""Thresholdout: noise nobody chooses, answers that hold however questions were chosen, a budget that is spent on disagreement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesmith.edges.thresholdout import (
    BUDGET,
    PEEKS_MAX,
    VALUES_MAX,
    Noise,
    asked,
    thresholdout,
    worst_case_bps,
)

Floats = np.ndarray


class Analyst:
    """Asks about edges of which nothing is true, as the reference's analyst does: once each, then about averages of the best."""

    def __init__(self, seed: int, *, naive: bool, edges: int = 300, blocks: int = 1_000) -> None:
        rng = np.random.default_rng(seed)
        self.outside, self.inside = rng.normal(size=(2, edges, blocks))
        self.noise, self.naive = Noise(f"key {seed}"), naive
        self.peeks = self.disagreements = 0

    def ask(self, outside: Floats, inside: Floats) -> float:
        """Return the answer: on an open holdout what it holds, else Thresholdout's."""
        if self.naive:
            return float(inside.mean())
        assert self.disagreements < BUDGET
        self.peeks += 1
        answer = thresholdout(asked(outside, len(outside), inside), self.noise, peek=self.peeks, disagreements=self.disagreements)
        self.disagreements += not answer.agrees
        return answer.answer_bps

    def best(self, count: int = 30) -> float:
        """Return the answer about the average of the edges that answered best, in standard errors of that average."""
        answers = np.array([self.ask(*pair) for pair in zip(self.outside, self.inside, strict=True)])
        known = self.outside.mean(axis=1)
        least = 1.0 / math.sqrt(self.outside.shape[1])
        good = np.flatnonzero((answers * known > 0) & (np.abs(answers) > least) & (np.abs(known) > least))
        chosen = good[np.argsort(-np.abs(known[good]))][:count]
        sides = np.sign(known[chosen])[:, None]
        found = self.ask((sides * self.outside[chosen]).mean(axis=0), (sides * self.inside[chosen]).mean(axis=0))
        return found * math.sqrt(len(chosen) * self.outside.shape[1])


def test_choosing_among_hundreds_of_null_edges_does_not_overfit_the_vault() -> None:
    naive = [Analyst(seed, naive=True).best() for seed in range(10)]
    noisy = [Analyst(seed, naive=False).best() for seed in range(10)]
    # On an open holdout the chosen average looks proven in every run; the truth is 0.
    assert min(naive) > 3.5 and float(np.mean(naive)) > 5.0
    assert abs(float(np.mean(noisy))) < 2.0 and max(map(abs, noisy)) < 5.0


def test_the_noise_is_laplace_and_belongs_to_its_key() -> None:
    draws = np.array([Noise("key").laplace("answer", counter, 2.0) for counter in range(20_000)])
    assert abs(draws.mean()) < 0.06 and np.abs(draws).mean() == pytest.approx(2.0, rel=0.03)
    assert (np.abs(draws) > 2.0 * math.log(10)).mean() == pytest.approx(0.1, abs=0.01)
    assert Noise("key").laplace("answer", 7, 1.0) == Noise("key").laplace("answer", 7, 1.0)
    others = [Noise("kez").laplace("answer", 7, 1.0), Noise("key").laplace("threshold", 7, 1.0)]
    assert Noise("key").laplace("answer", 7, 1.0) not in others


BLOCKS = st.lists(st.floats(-50.0, 50.0, allow_subnormal=False), min_size=20, max_size=60).filter(lambda x: np.std(x) > 1e-3)


@settings(max_examples=60)
@given(BLOCKS, BLOCKS, st.integers(1, 500), st.integers(1, PEEKS_MAX), st.integers(0, BUDGET - 1), st.text(max_size=4))
def test_what_every_answer_obeys(outside: list[float], inside: list[float], trades: int, peek: int, spent: int, key: str) -> None:
    question = asked(np.array(outside), trades, np.array(inside))
    answer = thresholdout(question, Noise(key), peek=peek, disagreements=spent)
    assert answer == thresholdout(question, Noise(key), peek=peek, disagreements=spent)
    # Outside it is the mean net profit of a trade.
    assert answer.outside_bps == pytest.approx(sum(outside) / trades)
    assert np.abs(question.inside).max() <= question.clip_bps
    if answer.agrees:
        assert answer.answer_bps == answer.outside_bps
    else:
        assert abs(answer.answer_bps) <= question.clip_bps * (1 + 1e-9)
    # A vault that holds the very blocks known outside agrees, whatever the noise of one question, unless it is far out.
    same = thresholdout(question._replace(inside=question.outside), Noise(key), peek=peek, disagreements=spent)
    noise = Noise(key)
    limit = noise.laplace("threshold", spent, 0.25) + noise.laplace("comparison", peek, 0.5)
    assert same.agrees == (limit >= -2.5)


def test_the_proven_bound_by_hand() -> None:
    # With no budget at all the union is over the questions alone; here it is over every course a conversation can take.
    terms = [math.comb(PEEKS_MAX, i) * VALUES_MAX**i for i in range(BUDGET + 1)]
    exact = 3.0 * math.sqrt(2.0 * (math.log(2 * PEEKS_MAX / 0.05) + math.log(sum(terms))) / 5_000)
    assert exact <= worst_case_bps(3.0, 5_000) <= 1.01 * exact
