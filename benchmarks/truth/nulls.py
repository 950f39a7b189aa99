"""Worlds with nothing in them: how often does a method find something, and are its p-values what they say."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from benchmarks.truth.desk import QUICK, Desk, desk_of
from edgesmith.domain.events import KIND_BBO
from edgesmith.domain.records import joined, taken
from edgesmith.edges.baselines.prior_method import RETURN_MIN, PriorOutcome, run_prior_method
from edgesmith.edges.baselines.textbook import ic_t, iid_permutation, newey_west, welch
from edgesmith.edges.discovery.result import Cell, DiscoveryResult
from edgesmith.edges.null_report.calibration import ks_distance
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.bins import MISSING
from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program

FOUND = (Verdict.CANDIDATE, Verdict.REJECT_COST)
PERMUTATIONS = 199
METHODS = ("ours", "welch", "newey_west", "permutation", "ic")


class NullRow(msgspec.Struct, frozen=True, kw_only=True):
    """One null world: p-values of one random cell by four methods, and what each method would have promoted."""

    world: str
    seed: int
    cells: int
    p_ours: float
    p_welch: float
    p_newey_west: float
    p_permutation: float
    p_ic: float
    found: int
    candidates: int
    prior_kept: int
    prior_accepted: int
    prior_validated: int
    unfiltered_accepted: int
    unfiltered_validated: int


def null_row(job: tuple[str, int, int]) -> NullRow | None:
    """Search some hours of a null world; None where no cell could be tested."""
    name, seed, hours = job
    with desk_of(name, seed, hours, foreign=True) as desk:
        result = desk.search(QUICK)
        tested = [cell for cell in result.cells if cell.p_cell is not None and cell.bin != MISSING]
        if not tested:
            return None
        cell = tested[int(np.random.default_rng(seed).integers(len(tested)))]
        inside, y, codes = _rows(desk, result, cell)
        prior = _prior(desk)
    return NullRow(
        world=name,
        seed=seed,
        cells=len(tested),
        p_ours=cell.p_cell or 1.0,
        p_welch=welch(inside, y),
        p_newey_west=newey_west(inside, y),
        p_permutation=iid_permutation(inside, y, draws=PERMUTATIONS, seed=seed),
        p_ic=ic_t(codes, y),
        found=sum(one.verdict in FOUND for one in result.cells),
        candidates=sum(one.verdict is Verdict.CANDIDATE for one in result.cells),
        prior_kept=prior[0].kept,
        prior_accepted=len(prior[0].accepted),
        prior_validated=len(prior[0].validated),
        unfiltered_accepted=len(prior[1].accepted),
        unfiltered_validated=len(prior[1].validated),
    )


def _rows(desk: Desk, result: DiscoveryResult, cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # The same decisions and moves our test summed, row by row for those who count rows.
    span = result.edges_span
    panel = desk.panel(result, QUICK, span.test_first_ns, span.test_last_ns)
    day = panel.open_day(panel.days[0])
    shift = cell.horizon_ns // QUICK.grid_ns
    mids = day.grid.mids[panel.labels.latencies_ns.index(cell.latency_ns)]
    codes = day.codes[panel.place_of(cell.feature), : day.grid.rows]
    reach = min(day.grid.rows, len(mids) - shift)
    moves = (mids[shift : shift + reach] / mids[:reach] - 1.0) * 1e4
    known = np.isfinite(moves) & (day.grid.segment_last[:reach] >= np.arange(reach) + shift)
    kept = codes[:reach][known]
    return kept == cell.bin, moves[known], kept


def _prior(desk: Desk) -> tuple[PriorOutcome, PriorOutcome]:
    first_ns, last_ns = desk.source.span(0)
    events = joined(list(desk.source.window(first_ns, last_ns + 1)))
    quotes = taken(events, np.flatnonzero(events["kind"] == KIND_BBO))
    program = Program([*feature_set("behavior"), *feature_set("regime")])
    rows = program.compute(quotes)
    mid = (quotes["bid_price"] + quotes["ask_price"]) / 2.0
    # It cut its clusters on the data it searched; quarters of the volatility ratio stand for them.
    place = program.names.index("volatility_ratio")
    order = np.argsort(np.argsort(np.nan_to_num(rows[:, place], nan=1.0)))
    clusters = (order * 4 // len(order)).astype(np.int64)
    # As it was run, and without the filter of 5 bps that no mean of tick returns passes here.
    as_run, unfiltered = (
        run_prior_method(program.names[:9], rows[:, :9], mid, clusters, return_min=least) for least in (RETURN_MIN, 0.0)
    )
    return as_run, unfiltered


def summary(rows: list[NullRow]) -> dict[str, Any]:
    """Return sizes, distances from uniform and false finds of every method."""
    table: dict[str, Any] = {"worlds": len(rows)}
    for method in METHODS:
        p = np.array([getattr(row, f"p_{method}") for row in rows])
        table[method] = {"size_5": float((p <= 0.05).mean()), "size_1": float((p <= 0.01).mean()), "ks": ks_distance(p)}
    table["ours"]["any_found"] = float(np.mean([row.found > 0 for row in rows]))
    table["ours"]["candidates"] = sum(row.candidates for row in rows)
    table["prior"] = {
        "kept": sum(row.prior_kept for row in rows),
        "accepted": sum(row.prior_accepted for row in rows),
        "validated": sum(row.prior_validated for row in rows),
        "unfiltered_accepted": sum(row.unfiltered_accepted for row in rows),
        "unfiltered_any_validated": float(np.mean([row.unfiltered_validated > 0 for row in rows])),
    }
    return table
