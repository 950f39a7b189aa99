"""When a plant counts as found, fixed before anything was searched: the rule of the truth table, and how sure a plant could be.

A real cell of a search (CANDIDATE or REJECT_COST) matches one side of a plant when it goes to that side, its horizon is within a
factor of two of the claim's, and the phi coefficient of its rows and the planted ones is at least one half, over the decisions
that were searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.truth.desk import Desk
from benchmarks.truth.effects import truth_of
from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.records import as_records
from edgesmith.domain.units import BPS, NS_PER_MINUTE, NS_PER_MS
from edgesmith.edges.discovery.result import Cell, DiscoveryResult
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.significance import excess_influence
from edgesmith.worlds.claims import Claim
from edgesmith.worlds.regions import signs_at

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

PHI_MIN = 0.5
HORIZON_FACTOR = 2.0
REAL = (Verdict.CANDIDATE, Verdict.REJECT_COST)
BLOCK_NS = 5 * NS_PER_MINUTE
BATCH_EVENTS = 262_144


class SideMatch(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a plant: how sure it could be at best, and the real cell that comes nearest to it.

    `true_t` is what the test of the planted rows themselves would come to without luck: what the world planted there, and the
    natural effect of its record, more than elsewhere, over the standard error of that difference by blocks of the searched span.
    `phi` is None where no real cell goes to that side at such a horizon.
    """

    side: int
    true_t: float | None
    phi: float | None
    cell: str
    matched: bool


def matches(desk: Desk, result: DiscoveryResult, claim: Claim, natural_bps: float) -> tuple[SideMatch, ...]:
    """Return the match of each side of what a claim is about; `natural_bps` is what happens there without a plant."""
    span = result.edges_span
    grid_ns = result.config.grid_ns
    first = -(-span.test_first_ns // grid_ns)
    instants_ns = np.arange(first, span.test_last_ns // grid_ns + 1, dtype=np.int64) * grid_ns
    events = desk.events(desk.source.span(desk.index)[0], span.test_last_ns)
    values = _values_at(desk, events, instants_ns)
    own, watched = _tapes(desk, events, claim)
    planted = claim.side * signs_at(watched, claim.region, instants_ns)
    from_ns = instants_ns + claim.latency_ms * NS_PER_MS
    to_ns = from_ns + claim.horizon_ms * NS_PER_MS
    moves, expected = _moves(own, from_ns, to_ns), truth_of(desk).planted_bps(from_ns, to_ns)
    found = []
    for side in (1, -1):
        if not (planted == side).any():
            continue
        real = [one for one in (*result.cells, *result.refined) if one.verdict in REAL]
        cells = [one for one in real if one.side == side and _near(one, claim)]
        fits = [(_phi(_rows(desk, values, one), planted == side), one) for one in _distinct(cells)]
        phi, cell = max(fits, key=lambda fit: fit[0], default=(None, None))
        found.append(
            SideMatch(
                side=side,
                true_t=_true_t(planted == side, side * moves, side * expected, natural_bps, instants_ns // BLOCK_NS),
                phi=phi,
                cell="" if cell is None else cell.text,
                matched=phi is not None and phi >= PHI_MIN,
            )
        )
    return tuple(found)


def _tapes(desk: Desk, events: NDArray[Any], claim: Claim) -> tuple[NDArray[Any], NDArray[Any]]:
    # The symbol's own tape, and the one the claim looks at.
    own = events[events["instrument"] == desk.index]
    return own, events[events["instrument"] != desk.index] if claim.by_leader else own


def _moves(own: NDArray[Any], from_ns: NDArray[np.int64], to_ns: NDArray[np.int64]) -> Floats:
    # From mid to mid; a move that ends after the last quote is missing.
    quotes = own[own["kind"] == KIND_BBO]
    mids = (quotes["bid_price"] + quotes["ask_price"]) / 2.0
    now, then = (np.maximum(np.searchsorted(quotes["ts_recv"], at, "right") - 1, 0) for at in (from_ns, to_ns))
    return np.where(to_ns <= quotes["ts_recv"][-1], (mids[then] / mids[now] - 1.0) / BPS, np.nan)


def _near(cell: Cell, claim: Claim) -> bool:
    ratio = cell.horizon_ns / (claim.horizon_ms * NS_PER_MS)
    return 1.0 / HORIZON_FACTOR <= ratio <= HORIZON_FACTOR


def _distinct(cells: Sequence[Cell]) -> list[Cell]:
    # The same trigger at several horizons and latencies is one set of rows.
    return list({one.bounds: one for one in cells}.values())


def _values_at(desk: Desk, events: NDArray[Any], instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    # The features after the last event received by each instant.
    program, count = desk.program, len(desk.source.instruments)
    state, values = program.new_state(count), np.full((len(instants_ns), program.width), np.nan)
    last = np.full(program.width, np.nan)
    for begin in range(0, len(events), BATCH_EVENTS):
        batch = as_records(events[begin : begin + BATCH_EVENTS])
        rows = np.empty((len(batch), program.width))
        program.run(batch, rows, state)
        mine = batch["instrument"] == desk.index
        known, rows = batch["ts_recv"][mine], np.vstack([last, rows[mine]])
        reached = instants_ns >= batch["ts_recv"][0]
        values[reached] = rows[np.searchsorted(known, instants_ns[reached], "right")]
        last = rows[-1]
    return values


def _rows(desk: Desk, values: NDArray[np.float64], cell: Cell) -> Mask:
    held = np.ones(len(values), bool)
    for bound in cell.bounds:
        column = values[:, desk.program.names.index(bound.feature)]
        if bound.lower is None and bound.upper is None:
            held &= np.isnan(column)
            continue
        held &= column >= (-np.inf if bound.lower is None else bound.lower)
        held &= column < (np.inf if bound.upper is None else bound.upper)
    return held


def _phi(a: Mask, b: Mask) -> float:
    both = a.mean() * (1.0 - a.mean()) * b.mean() * (1.0 - b.mean())
    return float(((a & b).mean() - a.mean() * b.mean()) / both**0.5) if both > 0.0 else 0.0


def _true_t(chosen: Mask, moves: Floats, expected: Floats, natural_bps: float, blocks: NDArray[np.int64]) -> float | None:
    known = np.isfinite(moves)
    if not (chosen & known).any() or (chosen | ~known).all():
        return None
    inside = chosen & known
    _, block = np.unique(blocks[known], return_inverse=True)
    every, own = (np.ones(int(known.sum())), inside[known].astype(np.float64))
    sums = [np.bincount(block, weight)[:, None] for weight in (own, own * moves[known], every, moves[known])]
    error = float(np.sqrt((excess_influence(*sums).psi ** 2).sum()))
    excess = float(expected[inside].mean() - expected[known & ~chosen].mean()) + natural_bps
    return excess / error if error > 0.0 else None
