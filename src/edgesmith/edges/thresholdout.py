"""Thresholdout: answer many questions from one piece of held-out data without wearing it out.

A question is an edge, and its answer is its net profit in bps per expected trade: the profit of each block of time divided by
the trades per block seen outside the vault, clipped at the largest block seen there, averaged over all blocks. Outside the vault
that is the mean net profit of a trade. With error the standard error of the difference of the two averages, sigma = error / 8 and
T = 2.5 error, the edge gets

    gamma ~ Laplace(2 sigma)    once, and again after every disagreement
    eta ~ Laplace(4 sigma)      for every question
    xi ~ Laplace(sigma)         for every question

    |inside - outside| <= T + gamma + eta:  the answer is `outside`, which the user knows already, and costs nothing
    otherwise:                              the answer is inside + xi, rounded to sigma, and costs one unit of the budget

What is known about it. (1) The vault speaks only when it disagrees, at most BUDGET times. With M questions, at most L values an
answer can take, n blocks that are independent, and every block's part of the answer within +-c, there are at most
N = sum over i <= BUDGET of C(M, i) L^i courses a conversation can take, so at most M N different questions can ever come up,
and by Hoeffding's inequality all their averages inside are within

    c sqrt(2 ln(2 M N / beta) / n)

of what the edges are really worth with probability 1 - beta, however each question was made from the answers before it
(`worst_case_bps`). That is proven and wide: it is for an opponent. (2) With n large the noise makes the answers differentially
private, and T and sigma of the reference keep them within tau of the truth for n of the order of
ln(M / beta) sqrt(BUDGET) / tau^2. (3) For people who choose the best of what they saw, the experiment of the reference, repeated
in the tests: averages of hundreds of null edges chosen by their answers look large on an open holdout and null here.

An answer that agrees says no more than that: the edge is worth `outside`, give or take T.

References: Dwork, Feldman, Hardt, Pitassi, Reingold, Roth 2015, The reusable holdout: preserving validity in adaptive data
analysis, Science 349; the same 2015, Generalization in adaptive data analysis and holdout reuse (algorithm and the counting).
"""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How often the vault may disagree in one generation, and how many edges may be asked about.
BUDGET = 20
PEEKS_MAX = 1_000
# In standard errors of the difference.
THRESHOLD_ERRORS = 2.5
NOISE_ERRORS = 0.125
BETA = 0.05
# An answer is one of at most this many values between the clips.
VALUES_MAX = 10_000
_BITS = 53


class Noise:
    """Laplace noise that follows from a key and counters: nobody chooses it, and the same question gets the same."""

    def __init__(self, key: str) -> None:
        self._key = key

    def laplace(self, name: str, counter: int, scale: float) -> float:
        """Return the draw number `counter` of the noise `name`."""
        digest = hashlib.sha256(f"{self._key}:{name}:{counter}".encode()).digest()
        # In the open interval (-0.5, 0.5), symmetric around 0.
        uniform = ((int.from_bytes(digest[:8], "big") >> (64 - _BITS)) + 0.5) / 2.0**_BITS - 0.5
        return -math.copysign(scale * math.log1p(-2.0 * abs(uniform)), uniform)


class Asked(NamedTuple):
    """An edge's profit in bps per expected trade, block by block, outside the vault and inside; `clip_bps` bounds both."""

    outside: Floats
    inside: Floats
    clip_bps: float

    @property
    def error_bps(self) -> float:
        """Return the standard error of the difference of the two averages, from what is known outside."""
        return float(self.outside.std(ddof=1)) * math.sqrt(1.0 / len(self.outside) + 1.0 / len(self.inside))


class Answer(NamedTuple):
    """What Thresholdout says, bps per expected trade; `agrees` where the vault did not contradict what is known outside."""

    agrees: bool
    answer_bps: float
    outside_bps: float
    threshold_bps: float
    noise_bps: float
    worst_case_bps: float


def asked(outside_sums: Floats, trades_outside: int, inside_sums: Floats) -> Asked:
    """Make a question of the net profit (bps, summed over trades) of every block outside and inside the vault."""
    expected = trades_outside / len(outside_sums)
    outside = outside_sums / expected
    clip_bps = float(np.abs(outside).max())
    return Asked(outside, np.clip(inside_sums / expected, -clip_bps, clip_bps), clip_bps)


def thresholdout(question: Asked, noise: Noise, *, peek: int, disagreements: int) -> Answer:
    """Answer question number `peek` after `disagreements` of the ones before it."""
    outside_bps, inside_bps = float(question.outside.mean()), float(question.inside.mean())
    threshold_bps, noise_bps = THRESHOLD_ERRORS * question.error_bps, NOISE_ERRORS * question.error_bps
    limit_bps = (
        threshold_bps
        + noise.laplace("threshold", disagreements, 2.0 * noise_bps)
        + noise.laplace("comparison", peek, 4.0 * noise_bps)
    )
    agrees = abs(inside_bps - outside_bps) <= limit_bps
    noisy_bps = inside_bps + noise.laplace("answer", peek, noise_bps)
    return Answer(
        agrees=agrees,
        answer_bps=outside_bps if agrees else _rounded(noisy_bps, noise_bps, question.clip_bps),
        outside_bps=outside_bps,
        threshold_bps=threshold_bps,
        noise_bps=noise_bps,
        worst_case_bps=worst_case_bps(question.clip_bps, len(question.inside)),
    )


def _rounded(value_bps: float, step_bps: float, clip_bps: float) -> float:
    step_bps = max(step_bps, 2.0 * clip_bps / (VALUES_MAX - 2))
    places = math.floor(clip_bps / step_bps)
    return min(max(round(value_bps / step_bps), -places), places) * step_bps + 0.0


def worst_case_bps(clip_bps: float, blocks: int) -> float:
    """Return how far the average inside is from the truth at most, whatever was asked before, at confidence 1 - BETA."""
    # The largest of the terms of N, times their number, bounds N from above.
    terms = (_log_choose(PEEKS_MAX, i) + i * math.log(VALUES_MAX) for i in range(BUDGET + 1))
    log_n = max(terms) + math.log(BUDGET + 1)
    return clip_bps * math.sqrt(2.0 * (math.log(2.0 * PEEKS_MAX / BETA) + log_n) / blocks)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
