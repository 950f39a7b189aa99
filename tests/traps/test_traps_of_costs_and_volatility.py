"""T16 and T24: costs that rise with the signal, and shifts of features that follow volatility."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from builders_discovery import START_NS, QuoteProgram, TapeSource, instrument
from edgesmith.domain.events import EVENT
from edgesmith.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S, date_of_ns
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.bins import cut_matrix, encode_columns, fit_bins
from edgesmith.evaluation.coded import CodedDay, CodedPanel
from edgesmith.evaluation.decisions import GridDay
from edgesmith.evaluation.labels import ColumnGroup, LabelSpec
from edgesmith.evaluation.placebos import shifted
from edgesmith.evaluation.significance import excess_influence, sign_flip
from edgesmith.evaluation.sums import TESTED_MOMENTS, SingleCells

NOMINAL = 0.05
WORLDS, ROWS, HORIZON_ROWS = 60, 24_000, 10
GROUP = ColumnGroup(5 * NS_PER_MINUTE, NS_PER_S, ((0, HORIZON_ROWS * NS_PER_S),))


def signaled_tape(seed: int, *, wide_at_signal: bool, minutes: int = 100) -> NDArray[np.void]:
    """A book that leans in a tenth of the time, and a price that then goes its way; the mean spread is the same either way."""
    rng = np.random.default_rng(seed)
    count = minutes * 600
    latent = lfilter([np.sqrt(1 - 0.995**2)], [1.0, -0.995], rng.normal(size=count))
    leans = latent > 1.2816
    elsewhere = np.roll(leans, count // 2)
    mid = 10_000.0 * np.exp(np.cumsum(np.r_[0.0, 0.7 * leans[:-1] + 0.3 * rng.standard_t(4.0, count - 1)]) * 1e-4)
    spread = np.where(leans if wide_at_signal else elsewhere, 9.0, 0.2)
    events = np.zeros(count, EVENT)
    events["ts_recv"] = START_NS + np.arange(count) * 100 * NS_PER_MS
    events["instrument"] = 1
    events["bid_price"], events["ask_price"] = mid - spread / 2, mid + spread / 2
    lean = np.tanh(latent)
    events["bid_qty"], events["ask_qty"] = 1 + lean, 1 - lean
    return events


def test_t16_a_spread_that_widens_at_the_signal_is_its_cost() -> None:
    config = DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=(0,), flips=499, blocks_min=10, blocks_effective_min=7.0)
    cells = {}
    for wide in (False, True):
        tape = signaled_tape(1, wide_at_signal=wide)
        assert np.mean(tape["ask_price"] - tape["bid_price"]) == pytest.approx(0.81, abs=0.01), "the mean spread tells nothing"
        result = discover(TapeSource(tape), instrument(0.0001), QuoteProgram(("imbalance",)), config)
        cells[wide] = next(cell for cell in result.cells if cell.lower is not None and cell.lower > 0.9 and cell.p_family)
    kind, dear = cells[False], cells[True]
    assert dear.gross_bps == kind.gross_bps and kind.gross_bps is not None and kind.gross_bps > 6.0
    assert kind.verdict is Verdict.CANDIDATE and dear.verdict is Verdict.REJECT_COST
    assert kind.cost_bps is not None and dear.cost_bps is not None and dear.cost_bps > kind.cost_bps + 5.0


@cache
def volatility_null(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As N3: features (rows, 2) that foretell variance tenfold and nothing else; the log path in bps, which has no mean."""
    rng = np.random.default_rng(seed)
    log_volatility = lfilter([0.1], [1.0, -0.998], rng.normal(size=ROWS + HORIZON_ROWS))
    returns = np.exp(0.6 * log_volatility) * rng.standard_t(3.5, ROWS + HORIZON_ROWS)
    size = np.abs(returns)
    slow, fast = lfilter([0.005], [1.0, -0.995], size), lfilter([0.1], [1.0, -0.9], size)
    return np.stack([slow, fast / slow], axis=1)[:ROWS], np.cumsum(returns)


def coded(seed: int) -> tuple[CodedPanel, NDArray[np.uint8], NDArray[np.float64]]:
    """The world as a panel of a row a second; its codes, and what follows each row in bps."""
    features, path = volatility_null(seed)
    bins = tuple(fit_bins(name, features[:, f]) for f, name in enumerate(("slow", "slow_ratio")))
    cuts, counts = cut_matrix(bins)
    codes = np.empty((2, ROWS), np.uint8)
    encode_columns(np.ascontiguousarray(features), np.arange(2), cuts, counts, codes)
    total = ROWS + HORIZON_ROWS
    mids = 10_000.0 * np.exp(path * 1e-4)[None]
    grid = GridDay(START_NS // NS_PER_S, ROWS, mids, np.full((1, total), 0.1), np.full(total, total - 1, np.int32))
    day: date = date_of_ns(START_NS)
    panel = CodedPanel(
        bins=bins,
        labels=LabelSpec(
            horizons_ns=(HORIZON_ROWS * NS_PER_S,), latencies_ns=(0,), fee_in_bps=1.0, fee_out_bps=1.0, grid_ns=NS_PER_S
        ),
        first_ns=START_NS,
        last_ns=START_NS + total * NS_PER_S,
        days=(day,),
        open_day={day: CodedDay(grid, codes)}.__getitem__,
        texts={},
    )
    return panel, codes, path[HORIZON_ROWS:] - path[:ROWS]


def p_by_bin(panel: CodedPanel) -> list[dict[int, float]]:
    """The product's p-value of each bin of each feature: block influences, self-normalized, signs flipped."""
    cells = SingleCells(panel.bins)
    (found,) = panel.block_sums(cells, [GROUP], moments=TESTED_MOMENTS)
    n, s = found.sums[:, :, 0, 0].astype(float), found.sums[:, :, 1, 0].astype(float)
    n_all, s_all = n[:, : cells.slots].sum(axis=1, keepdims=True), s[:, : cells.slots].sum(axis=1, keepdims=True)
    found_p = []
    for f, one in enumerate(panel.bins):
        asked = f * cells.slots + np.arange(len(one.cuts) + 1)
        influence = excess_influence(n[:, asked], s[:, asked], n_all, s_all)
        testable = np.flatnonzero(influence.blocks_effective >= 20)
        p = sign_flip([(1, influence.psi[:, testable])], flips=499, seed=1).p_cell
        found_p.append(dict(zip(testable.tolist(), p.tolist(), strict=True)))
    return found_p


def p_of_cells(panel: CodedPanel) -> list[float]:
    return [p for one in p_by_bin(panel) for p in one.values()]


def circular_p(inside: NDArray[np.bool_], follows: NDArray[np.float64]) -> float:
    """What people do: the share of all circular shifts of the mask whose mean lies as far out as the true one."""
    centered = follows - follows.mean()
    orbit = np.fft.irfft(np.fft.rfft(centered) * np.conj(np.fft.rfft(inside.astype(float))), len(follows))
    return float(np.mean(np.abs(orbit) >= np.abs(orbit[0]) * (1 - 1e-9)))


def test_t24_raw_circular_shifts_find_volatility_and_shifts_tested_by_blocks_do_not() -> None:
    raw, plain, placebo = [], [], []
    for seed in range(WORLDS):
        panel, codes, follows = coded(seed)
        # Where volatility is high one shift is as good as another only if the mask is moved onto equal volatility.
        raw += [circular_p(codes[0] == code, follows) for code in (9, 10, 11)]
        plain.extend(p_of_cells(panel))
        for eighths in (3, 5):
            placebo.extend(p_of_cells(shifted(panel, ROWS * NS_PER_S * eighths // 8)))
    sizes = [float(np.mean(np.array(one) < NOMINAL)) for one in (raw, plain, placebo)]
    assert sizes[0] > 3 * NOMINAL, "the trap must be there"
    assert len(plain) > 500 and max(sizes[1:]) <= 0.065, sizes


def test_t11_t24_the_cells_of_high_and_of_low_volatility_keep_their_size() -> None:
    p: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(WORLDS):
        panel, _, _ = coded(seed)
        for at, value in p_by_bin(panel)[0].items():
            p[at >= 6].append(value)
    sizes = {high: float(np.mean(np.array(values) < NOMINAL)) for high, values in p.items()}
    assert min(map(len, p.values())) > 100 and max(sizes.values()) <= 0.08, sizes
