"""LORD++ and e-BH written straight from their papers, one term at a time."""

from __future__ import annotations

import functools


@functools.cache
def total() -> float:
    return sum(j**-1.6 for j in range(1, 200_001)) + 200_000.5**-0.6 / 0.6  # the tail as an integral


def gammas(count: int) -> list[float]:
    return [j**-1.6 / total() for j in range(1, count + 1)]


def lord_plus_plus(p_values: list[float], alpha: float, w0: float) -> tuple[list[float], list[bool], list[float]]:
    """Return levels, rejections and wealth after each test."""
    shares = gammas(len(p_values))
    levels: list[float] = []
    rejected: list[bool] = []
    wealth = [w0]
    for t in range(1, len(p_values) + 1):
        level = shares[t - 1] * w0
        times = [j + 1 for j, one in enumerate(rejected) if one]
        for j, tau in enumerate(times):
            level += ((alpha - w0) if j == 0 else alpha) * shares[t - tau - 1]
        levels.append(level)
        rejected.append(p_values[t - 1] <= level)
        earned = 0.0 if not rejected[-1] else (alpha - w0 if not times else alpha)
        wealth.append(wealth[-1] - level + earned)
    return levels, rejected, wealth[1:]


def e_bh(e_values: list[float], alpha: float) -> list[bool]:
    """Reject the largest set R whose every member has e >= K / (alpha |R|)."""
    count = len(e_values)
    for size in range(count, 0, -1):
        chosen = [e >= count / (alpha * size) for e in e_values]
        if sum(chosen) >= size:
            return chosen
    return [False] * count
