"""Is a cell different from the rest, and does it pay: self-normalized sign-flip tests on block sums.

Ticks overlap, cluster and come in heavy tails; a test that counts rows finds edges everywhere. Here the unit is the time
block. With n_cg rows and a label sum S_cg of cell c in block g, r the rest of the rows, m the pooled mean:

    psi_g = (S_cg - m n_cg) / n_c - (S_rg - m n_rg) / n_r        D = sum psi_g = mean_c - mean_r
    T = sum psi_g / sqrt(sum psi_g^2)                            T* = sum w_g psi_g / sqrt(sum psi_g^2),  w_g = +-1

The same signs flip every cell of a block length, so the maximum of |T*| over the family knows how the cells move together.
Families of several block lengths draw their signs independently, which can only raise that maximum (Royen 2014).

References: Canay, Romano, Shaikh 2017, Randomization tests under an approximate symmetry assumption; Romano, Wolf 2005,
Stepwise multiple testing as formalized data snooping; Benjamini, Hochberg 1995, Controlling the false discovery rate;
Benjamini, Yekutieli 2001; Simes 1986; Bentkus, Dzindzalieta 2015, A tight Gaussian bound for weighted sums of Rademacher random
variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.parallel import Progress, map_ordered

Floats = NDArray[np.float64]

# Influences are rounded to this fraction of their norm: every partial sum is then exact in float64, so the result does not
# depend on the order in which a matrix product adds, nor on threads or processor.
QUANTUM = 2.0**-32
FLIPS_PER_CHUNK = 256
NORM_COLUMNS = 256
# P(|sum a_g w_g| >= x) <= TAIL P(|Z| >= x) for any weights with sum a_g^2 = 1 (Bentkus, Dzindzalieta 2015).
TAIL = 1.0 / (2.0 * math.erfc(1.0))


class Influence(NamedTuple):
    """Block influences of a set of cells and what follows from them; arrays over cells unless said otherwise."""

    psi: Floats  # (blocks, cells)
    mean: Floats  # of the cell
    excess: Floats  # cell mean minus rest mean, D
    standard_error: Floats  # sqrt(sum psi^2)
    blocks: NDArray[np.int64]  # blocks with rows of the cell
    blocks_effective: Floats  # (sum |psi|)^2 / sum psi^2
    blocks_by_rows: Floats  # n_c^2 / sum n_cg^2: blocks, were the rows spread evenly


class FlipResult(NamedTuple):
    """Sign-flip p-values over one family; p is never below 1 / (flips + 1)."""

    t: Floats
    p_cell: Floats
    p_family: Floats
    maxima: Floats  # (flips,) of the statistic over the family, ascending


def excess_influence(n: Floats, s: Floats, n_all: Floats, s_all: Floats) -> Influence:
    """Return the influences of "cell minus rest" with the null imposed.

    Parameters
    ----------
    n, s : (blocks, cells) counts and label sums of the cells
    n_all, s_all : (blocks, 1) or (blocks, cells) counts and sums of all rows
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        n_cell, n_rest = n.sum(axis=0), (n_all - n).sum(axis=0)
        pooled = s_all.sum(axis=0) / n_all.sum(axis=0)
        psi = (s - pooled * n) / n_cell - ((s_all - s) - pooled * (n_all - n)) / n_rest
        mean = s.sum(axis=0) / n_cell
    return _influence(psi, n, mean)


def mean_influence(n: Floats, s: Floats) -> Influence:
    """Return the influences of "mean of the cell against zero"."""
    with np.errstate(divide="ignore", invalid="ignore"):
        psi = s / n.sum(axis=0)
        mean = s.sum(axis=0) / n.sum(axis=0)
    return _influence(psi, n, mean)


def _influence(psi: Floats, n: Floats, mean: Floats) -> Influence:
    psi = np.where(np.isfinite(psi), psi, 0.0)
    squares = (psi * psi).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(squares > 0, np.abs(psi).sum(axis=0) ** 2 / squares, 0.0)
        by_rows = np.where(n.any(axis=0), n.sum(axis=0) ** 2 / (n * n).sum(axis=0), 0.0)
    return Influence(psi, mean, psi.sum(axis=0), np.sqrt(squares), (n > 0).sum(axis=0), effective, by_rows)


def sign_flip(
    families: Sequence[tuple[int, Floats]],
    *,
    flips: int,
    seed: int,
    one_sided: bool = False,
    widening: Floats | None = None,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> FlipResult:
    """Test every cell by flipping the signs of whole blocks, alone and against the largest of its family.

    Parameters
    ----------
    families : (stream, psi) pairs; psi (blocks, cells). Cells of one pair share their signs, drawn from (`seed`, stream).
        All pairs together are one family; results are in their order.
    one_sided : test for a positive sum instead of any sum but zero
    widening : (cells of all pairs,) what each T is divided by before it is compared; `overlap_widening`

    Notes
    -----
    `p_family` is the step-down max-T p-value: it bounds the chance of even one false discovery in the family.
    Memory O(chunk x cells), time O(flips x blocks x cells); the same for any number of workers.
    """
    units = [_normalize(psi) for _, psi in families]
    t = np.concatenate([unit.sum(axis=0) for unit in units]) if units else np.empty(0)
    if widening is not None:
        t = t / widening
    strength = t if one_sided else np.abs(t)
    if not len(t):
        return FlipResult(t, t, t, np.empty(0))
    order = np.argsort(-strength, kind="stable")
    work = partial(_flip_chunk, units, [stream for stream, _ in families], seed, one_sided, order, strength[order])
    chunks = [(begin, min(FLIPS_PER_CHUNK, flips - begin)) for begin in range(0, flips, FLIPS_PER_CHUNK)]
    beaten, beaten_by_max = np.zeros(len(t), np.int64), np.zeros(len(t), np.int64)
    maxima = []
    for one, by_max, largest in map_ordered(work, chunks, workers=workers, mode="threads", progress=progress):
        beaten += one
        beaten_by_max += by_max
        maxima.append(largest)
    p_cell, p_family = np.empty(len(t)), np.empty(len(t))
    p_cell[order] = (1 + beaten) / (flips + 1)
    p_family[order] = np.maximum.accumulate((1 + beaten_by_max) / (flips + 1))
    return FlipResult(t, p_cell, p_family, np.sort(np.concatenate(maxima)))


def _flip_chunk(
    units: list[Floats],
    streams: list[int],
    seed: int,
    one_sided: bool,
    order: NDArray[np.int64],
    ranked: Floats,
    chunk: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    # Each chunk has signs of its own, so chunks can be worked on apart.
    begin, count = chunk
    drawn = np.empty((count, len(ranked)))
    at = 0
    for stream, unit in zip(streams, units, strict=True):
        draw = np.random.Generator(np.random.PCG64([seed, stream, begin]))
        np.matmul(_signs(draw, count, len(unit)), unit, out=drawn[:, at : at + unit.shape[1]])
        at += unit.shape[1]
    beaten, beaten_by_max, maxima = np.zeros(len(ranked), np.int64), np.zeros(len(ranked), np.int64), np.empty(count)
    step_down(drawn, order, ranked, one_sided, beaten, beaten_by_max, maxima)
    return beaten, beaten_by_max, maxima


@kernel
def step_down(
    drawn: Floats,
    order: NDArray[np.int64],
    ranked: Floats,
    one_sided: bool,
    beaten: NDArray[np.int64],
    beaten_by_max: NDArray[np.int64],
    maxima: Floats,
) -> None:
    """Count, for the r-th strongest cell, the flips that reach it: its own, and the largest of its own and all weaker ones'.

    `drawn` (flips, cells); `order` and `ranked` are the cells and their strengths, strongest first; `maxima` (flips,) takes the
    largest of each flip.
    """
    for i in range(drawn.shape[0]):
        largest = -np.inf
        for r in range(ranked.shape[0] - 1, -1, -1):
            value = drawn[i, order[r]] if one_sided else abs(drawn[i, order[r]])
            largest = max(largest, value)
            beaten[r] += value >= ranked[r]
            beaten_by_max[r] += largest >= ranked[r]
        maxima[i] = largest


def _normalize(psi: Floats) -> Floats:
    # A few columns at a time: the squares of all would take as much memory as they do.
    parts = np.array_split(np.arange(psi.shape[1]), max(1, psi.shape[1] // NORM_COLUMNS))
    norm = np.concatenate([np.sqrt((psi[:, at] * psi[:, at]).sum(axis=0)) for at in parts])
    unit: Floats = psi / np.where(norm > 0, norm, 1.0)
    # In place: for a large family each array of this shape is a hundred megabytes.
    unit /= QUANTUM
    np.rint(unit, out=unit)
    unit *= QUANTUM
    return unit


def _signs(draw: np.random.Generator, count: int, blocks: int) -> Floats:
    return draw.integers(0, 2, (count, blocks), dtype=np.int8).astype(np.float64) * 2.0 - 1.0


def critical_value(result: FlipResult, alpha: float) -> float:
    """Return the |T| a lone cell needs for a family-wise p of at most `alpha`; infinite when the flips cannot resolve it."""
    flips = len(result.maxima)
    allowed = math.floor(alpha * (flips + 1) + 1e-9) - 1
    return float(result.maxima[flips - 1 - allowed]) if 0 <= allowed < flips else math.inf


def detectable_effect(influence: Influence, critical: float, power_t: float) -> Floats:
    """Return the smallest excess that reaches `critical` with the power `power_t` (0.84 for 80 %) stands for; inf if none can.

    An effect also feeds the norm it is divided by: spread over the blocks as the rows are, it adds D^2 / G_rows to the sum of
    squares, so T never exceeds sqrt(G_rows). Solving D = t sqrt(se0^2 + D^2 / G_rows) for D allows for that.
    """
    t = critical + power_t
    by_rows = influence.blocks_by_rows
    with np.errstate(divide="ignore", invalid="ignore"):
        null_square = np.maximum(influence.standard_error**2 - influence.excess**2 / by_rows, 0.0)
        room = 1.0 - t * t / by_rows
        return np.where(
            (room > 0) & (influence.standard_error > 0), t * np.sqrt(null_square / np.where(room > 0, room, 1.0)), np.inf
        )


def effective_rows(
    n: Floats, s: Floats, ss: Floats, n_all: Floats, s_all: Floats, ss_all: Floats, standard_error: Floats
) -> Floats:
    """Return N_eff: how many independent rows would have given the cell its block standard error.

    All arguments are pooled over blocks: counts, sums and sums of squares of the cell and of all rows.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        n_rest = n_all - n
        variance = ss / n - (s / n) ** 2
        variance_rest = (ss_all - ss) / n_rest - ((s_all - s) / n_rest) ** 2
        naive = np.maximum(variance, 0.0) / n + np.maximum(variance_rest, 0.0) / n_rest
        rows = n * naive / standard_error**2
    return np.where(np.isfinite(rows), np.minimum(rows, n), 0.0)


def effective_cells(psis: Iterable[Floats]) -> float:
    """Return m_eff = (sum lambda)^2 / sum lambda^2 of the correlation of the cells, from their block influences (blocks, cells).

    Influences on blocks of different lengths count as independent, so it is rather too large. Rounded to three digits: it is
    for information, and sums of floats may differ in the last ones.
    """
    cells, square = 0, 0.0
    for psi in psis:
        norm = np.sqrt((psi * psi).sum(axis=0))
        unit = psi[:, norm > 0] / norm[norm > 0]
        # Blocks times blocks has the same eigenvalues as cells times cells, and is the smaller.
        gram = unit @ unit.T if len(unit) < unit.shape[1] else unit.T @ unit
        cells, square = cells + unit.shape[1], square + float((gram * gram).sum())
    return float(f"{cells * cells / square:.3g}") if square > 0.0 else 0.0


def overlap_widening(horizon_ns: int, block_ns: int) -> float:
    """Return the factor by which T is too wide because labels reach from one block into the next.

    Labels of neighboring blocks share moves: for a trigger that is on across the edge the covariance of two block sums is h^3/6
    against a variance of L h^2, so Var(sum psi) is 1 + h / 3L times the sum of squares. At L = 20 h that is 0.8 % of T.
    """
    return math.sqrt(1.0 + horizon_ns / (3.0 * block_ns))


def flip_tail(t: Floats) -> Floats:
    """Bound the two-sided sign-flip p-value far below what flips can resolve, whatever the weights of the blocks.

    At most 3.2 times the normal tail; at a hundred thousand trials that costs 0.25 of T.
    """
    erfc = np.array([math.erfc(abs(float(one)) / math.sqrt(2.0)) if math.isfinite(one) else 1.0 for one in t.ravel()])
    return np.minimum(1.0, TAIL * erfc).reshape(t.shape)


def tail_critical(alpha: float, trials: int) -> float:
    """Return the |T| at which `flip_tail` falls to alpha / trials."""
    tail = alpha / trials / TAIL
    return NormalDist().inv_cdf(1.0 - tail / 2.0) if tail > 1e-15 else math.sqrt(-2.0 * math.log(tail))


def simes(p: Floats) -> Floats:
    """Return, for each p-value of each row, the level at which it would be accepted within its row; a row's least is Simes's p.

    `p` (hypotheses, tests) with 1 where nothing was tested.
    """
    count = p.shape[1]
    order = np.argsort(p, axis=1, kind="stable")
    scaled = np.take_along_axis(p, order, axis=1) * count / np.arange(1, count + 1)
    stepped = np.minimum.accumulate(scaled[:, ::-1], axis=1)[:, ::-1]
    accepted = np.empty_like(p)
    np.put_along_axis(accepted, order, np.minimum(stepped, 1.0), axis=1)
    return accepted


def benjamini_hochberg(p: Floats, trials: int | None = None) -> Floats:
    """Return q-values: the false discovery rate at which each p-value would just be accepted.

    `trials` counts hypotheses that were looked at and left out as well; they stand with p = 1.
    """
    count = len(p)
    if not count:
        return p.copy()
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (trials or count) / np.arange(1, count + 1)
    q = np.empty(count)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def benjamini_yekutieli(p: Floats, trials: int | None = None) -> Floats:
    """Return q-values that hold however the hypotheses depend on each other: those of BH times 1 + 1/2 + ... + 1/m."""
    count = trials or len(p)
    # Euler's constant; exact to 1/12 m^2.
    harmonic = sum(1.0 / k for k in range(1, count + 1)) if count < 1_000 else math.log(count) + 0.5772156649 + 0.5 / count
    return np.minimum(benjamini_hochberg(p, trials) * harmonic, 1.0)
