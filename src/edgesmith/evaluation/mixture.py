"""Mixtures of Gaussians with independent inputs: fitting, choosing their number, comparing two partitions of the same rows.

References
----------
Arthur, Vassilvitskii (2007), k-means++: the advantages of careful seeding.
Hubert, Arabie (1985), Comparing partitions (the adjusted Rand index).
Schwarz (1978), Estimating the dimension of a model (BIC).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A component cannot be narrower than this many scales: a heap of equal values is not a regime of infinite density.
STD_MIN = 0.1
STEPS_MAX = 100
# A step that gains less of the log likelihood, as a share of it, is the last.
TOLERANCE = 1e-5
STARTS = 4

Rows = NDArray[np.float64]


class Mixture(NamedTuple):
    """Weights (k), means (k, inputs) and standard deviations (k, inputs)."""

    weights: Rows
    means: Rows
    stds: Rows


def fit_mixture(rows: Rows, components: int, random: np.random.Generator, starts: int = STARTS) -> tuple[Mixture, float]:
    """Return the likeliest of `starts` fits of `components`, and its log likelihood."""
    fits = [_improved(rows, _started(rows, components, random)) for _ in range(starts)]
    return max(fits, key=lambda fit: fit[1])


def bic(log_likelihood: float, rows: float, components: int, inputs: int) -> float:
    """Return Schwarz's criterion, smaller is better; `rows` counts independent ones."""
    parameters = components * 2 * inputs + components - 1
    return parameters * float(np.log(rows)) - 2.0 * log_likelihood


def posteriors(rows: Rows, mixture: Mixture) -> tuple[Rows, float]:
    """Return the posterior of each component for each row, and the log likelihood of all rows."""
    distances = (rows[:, None, :] - mixture.means) / mixture.stds
    constants = np.log(mixture.weights) - np.log(mixture.stds).sum(axis=1) - 0.5 * rows.shape[1] * np.log(2.0 * np.pi)
    logs = constants - 0.5 * np.einsum("rkj,rkj->rk", distances, distances)
    largest = logs.max(axis=1, keepdims=True)
    densities = np.exp(logs - largest)
    totals = densities.sum(axis=1, keepdims=True)
    return densities / totals, float((np.log(totals) + largest).sum())


def adjusted_rand(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Return how far two partitions of the same rows agree beyond chance: 1 the same, about 0 unrelated."""
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a, b), 1.0)
    pairs = (_pairs(table), _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0)), _pairs(np.array([float(len(a))])))
    together, in_a, in_b, every = pairs
    expected = in_a * in_b / every
    largest = (in_a + in_b) / 2.0
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def _pairs(counts: Rows) -> float:
    return float((counts * (counts - 1.0) / 2.0).sum())


def _started(rows: Rows, components: int, random: np.random.Generator) -> Mixture:
    # k-means++: each further mean is a row drawn in proportion to its squared distance from those there are.
    means = rows[random.integers(len(rows))][None, :]
    for _ in range(components - 1):
        nearest = ((rows[:, None, :] - means) ** 2).sum(axis=2).min(axis=1)
        total = nearest.sum()
        chances = nearest / total if total > 0.0 else None
        means = np.vstack([means, rows[random.choice(len(rows), p=chances)]])
    spread = np.maximum(rows.std(axis=0), STD_MIN)
    return Mixture(np.full(components, 1.0 / components), means, np.tile(spread, (components, 1)))


def _improved(rows: Rows, mixture: Mixture) -> tuple[Mixture, float]:
    before = -np.inf
    for _ in range(STEPS_MAX):
        shares, likelihood = posteriors(rows, mixture)
        if likelihood - before <= TOLERANCE * abs(likelihood):
            break
        before = likelihood
        counts = shares.sum(axis=0) + 1e-9
        means = (shares.T @ rows) / counts[:, None]
        variances = np.maximum((shares.T @ rows**2) / counts[:, None] - means**2, STD_MIN**2)
        mixture = Mixture(counts / counts.sum(), means, np.sqrt(variances))
    return mixture, likelihood
