"""A search that needs no derivatives: an evolution strategy with one step size per direction.

References
----------
Ros, Hansen (2008), A simple modification in CMA-ES achieving linear time and space complexity.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

# Steps grow no further than this: the search is about neighborhoods.
_STEP_MAX = 0.5
# A path of steps longer than this says that the step size lags; the directions then wait for it.
_LENGTH_MAX = 1.6


class Search(msgspec.Struct):
    """Where the search is, how far it looks in each direction, and how it got there."""

    mean: NDArray[np.float64]
    step: float
    variance: NDArray[np.float64]
    path: NDArray[np.float64]
    step_path: NDArray[np.float64]
    weights: NDArray[np.float64]
    population: int

    @classmethod
    def around(cls, mean: NDArray[np.float64], step: float) -> Search:
        """Start at `mean` with steps of this size in every direction."""
        population = 4 + int(3.0 * math.log(len(mean)))
        ranks = np.arange(population // 2)
        weights = math.log(population / 2 + 0.5) - np.log(ranks + 1)
        zeros = np.zeros(len(mean))
        return cls(mean, step, np.ones(len(mean)), zeros, zeros, weights / weights.sum(), population)

    def sample(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw one generation of points."""
        return self.mean + self.step * np.sqrt(self.variance) * rng.standard_normal((self.population, len(self.mean)))

    def learn(self, points: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
        """Move towards the points of the lowest scores, and stretch the directions that led there."""
        size = len(self.mean)
        mass = 1.0 / float((self.weights**2).sum())
        best = points[np.argsort(scores, kind="stable")[: len(self.weights)]]
        moves = (best - self.mean) / self.step
        move = self.weights @ moves
        step_rate = (mass + 2.0) / (size + mass + 3.0)
        self.step_path = _blended(self.step_path, move / np.sqrt(self.variance), step_rate, mass)
        length = float(np.linalg.norm(self.step_path)) / math.sqrt(size)
        self.path = _blended(self.path, move * (length < _LENGTH_MAX), 4.0 / (size + 4.0), mass)
        learning = (size + 2.0) / 3.0
        one_rate = min(0.5, learning * 2.0 / ((size + 1.3) ** 2 + mass))
        all_rate = min(1.0 - one_rate, learning * 2.0 * (mass - 2.0 + 1.0 / mass) / ((size + 2.0) ** 2 + mass))
        self.variance = (1.0 - one_rate - all_rate) * self.variance
        self.variance = self.variance + one_rate * self.path**2 + all_rate * (self.weights @ moves**2)
        self.mean = self.mean + self.step * move
        self.step = min(self.step * math.exp(step_rate / (1.0 + step_rate) * (length - 1.0)), _STEP_MAX)


def _blended(path: NDArray[np.float64], move: NDArray[np.float64], rate: float, mass: float) -> NDArray[np.float64]:
    return (1.0 - rate) * path + math.sqrt(rate * (2.0 - rate) * mass) * move
