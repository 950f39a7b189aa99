"""Markets with known truth for tests of discovery: rows of features and labels, and whole tapes of quotes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import lfilter

from edgesmith.canonical import content_hash
from edgesmith.domain.events import EVENT, KIND_BBO
from edgesmith.domain.instruments import ContractKind, Instrument
from edgesmith.domain.records import as_records
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.judge import Judged, judge
from edgesmith.errors import DataError
from edgesmith.evaluation.bins import FeatureBins, cut_matrix, encode_columns, fit_bins
from edgesmith.evaluation.labels import MOMENTS, ColumnGroup
from edgesmith.evaluation.sums import BlockSums, SingleCells, add_rows, reserve

START_NS = 1_723_075_200_000_000_000
HORIZON_ROWS = 10
GROUP = ColumnGroup(300 * NS_PER_S, NS_PER_S, ((0, HORIZON_ROWS * NS_PER_S),))
DECILES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)
WORLD_FEATURES = ("momentum", "persistent", "quick", "volatility", "volatility_ratio")


class World(NamedTuple):
    """One row per second: features (rows, 5), forward move over 10 s and cost of the round trip, both bps."""

    features: np.ndarray
    gross_bps: np.ndarray
    cost_bps: np.ndarray


def null_world(seed: int, rows: int = 48_000, drift_bps: float = 0.0) -> World:
    """Zero-mean heavy-tailed returns with clustered volatility, and features that know all of it but the future."""
    rng = np.random.default_rng(seed)
    log_volatility = lfilter([0.1], [1.0, -0.995], rng.normal(size=rows + HORIZON_ROWS))
    returns = np.exp(0.5 * log_volatility) * rng.standard_t(3.5, rows + HORIZON_ROWS) + drift_bps
    past, size = returns[:rows], np.abs(returns[:rows])
    fast, slow = lfilter([0.1], [1.0, -0.9], size), lfilter([0.01], [1.0, -0.99], size)
    features = np.stack(
        [
            lfilter([0.1], [1.0, -0.9], past),
            lfilter([1.0], [1.0, -0.999], rng.normal(size=rows)),
            lfilter([1.0], [1.0, -0.8], rng.normal(size=rows)),
            slow,
            fast / slow,
        ],
        axis=1,
    )
    path = np.cumsum(returns)
    # Entry after the row's own return: features up to and with row i, the move of the 10 rows after it.
    return World(features, path[HORIZON_ROWS:] - path[:rows], np.full(rows, 4.0))


def sums_of(world: World, *, edges_ratio: float = 0.2) -> tuple[tuple[FeatureBins, ...], BlockSums, np.ndarray]:
    """Return bins from the leading part, the block sums of the rest, and the codes (rows, features) of all rows."""
    split = int(edges_ratio * len(world.features))
    bins = tuple(fit_bins(name, world.features[:split, f], DECILES) for f, name in enumerate(WORLD_FEATURES))
    codes = codes_of(world.features, bins)
    keys = (START_NS + np.arange(split, len(codes), dtype=np.int64) * NS_PER_S) // GROUP.block_ns
    cells = SingleCells(bins)
    sums = reserve(int(keys[0]), int(keys[-1] - keys[0]) + 1, cells.count, 1)
    add_rows(cells, keys, np.ascontiguousarray(codes[split:].T), labels_of(world)[split:], sums)
    return bins, sums, codes


def codes_of(features: np.ndarray, bins: tuple[FeatureBins, ...]) -> np.ndarray:
    cuts, counts = cut_matrix(bins)
    codes = np.empty(features.T.shape, np.uint8)
    encode_columns(np.ascontiguousarray(features), np.arange(features.shape[1]), cuts, counts, codes)
    return codes.T


def pooled(world: World) -> np.ndarray:
    """Return n, sum g and sum g^2 of each bin over all blocks: float64 (features, slots, 3)."""
    bins, sums, _ = sums_of(world)
    totals = sums.sums.sum(axis=0)[:, :2, 0]
    return np.concatenate([totals, sums.squares], axis=1).reshape(len(bins), -1, 3).astype(float)


def labels_of(world: World) -> np.ndarray:
    """Return the integer moments of every row, one column."""
    g, c = np.rint(world.gross_bps * 10_000), np.rint(world.cost_bps * 10_000)
    labels = np.stack([np.ones_like(g), g, c, np.rint(g * g / 1e4), np.rint(g * c / 1e4), np.rint(c * c / 1e4)], axis=1)
    assert labels.shape[1] == MOMENTS
    return labels.astype(np.int64)


def judged(world: World, **config: Any) -> Judged:
    """Judge a world with 999 flips."""
    bins, sums, _ = sums_of(world)
    return judge(bins, (GROUP,), (sums,), DiscoveryConfig(**({"flips": 999} | config)))


class TapeSource:
    """A source of events held in memory."""

    instruments = (("simulated", "AUSDT"), ("simulated", "BUSDT"))

    def __init__(self, events: np.ndarray, batch_events: int = 65_536) -> None:
        self._events = events
        self._batch_events = batch_events
        self.fingerprint = content_hash(events.tobytes().hex())

    def span(self, instrument: int) -> tuple[int, int]:
        own = self._events[(self._events["instrument"] == instrument) & (self._events["kind"] == KIND_BBO)]
        if not len(own):
            raise DataError("no quotes")
        return int(own["ts_recv"][0]), int(own["ts_recv"][-1])

    def window_fingerprint(self, start_ns: int, end_ns: int) -> str:
        return self.fingerprint

    def window(self, start_ns: int, end_ns: int) -> Iterator[np.ndarray]:
        chosen = self._events[(self._events["ts_recv"] >= start_ns) & (self._events["ts_recv"] < end_ns)]
        for begin in range(0, len(chosen), self._batch_events):
            yield as_records(chosen[begin : begin + self._batch_events].copy())


class QuoteProgram:
    """Features of the quote in force: imbalance (NaN where a size is 0), spread, and the bid's size alone."""

    def __init__(self, names: tuple[str, ...] = ("imbalance", "spread", "bid_size")) -> None:
        self.names = names
        self.width = len(names)
        self.program_id = "quotes " + " ".join(names)

    def new_state(self, instruments: int = 1) -> np.ndarray:
        return np.full((instruments, len(self.names)), np.nan)

    def run(self, events: np.ndarray, out: np.ndarray, state: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            total = events["bid_qty"] + events["ask_qty"]
            values = {
                "imbalance": np.where(total > 0, (events["bid_qty"] - events["ask_qty"]) / total, np.nan),
                "spread": np.round(events["ask_price"] - events["bid_price"], 6),
                "bid_size": events["bid_qty"],
            }
        for column, name in enumerate(self.names):
            out[:, column] = values[name]


def instrument(taker_fee_ratio: float) -> Instrument:
    return Instrument(
        venue="simulated", symbol="BUSDT", kind=ContractKind.LINEAR, tick_size="0.1", lot_size="0.001", settle="USDT",
        taker_fee_ratio=taker_fee_ratio, simulated=True,
    )  # fmt: skip


def planted_tape(seed: int, *, minutes: int = 60, effect_bps: float = 0.0, missing_effect_bps: float = 0.0) -> np.ndarray:
    """Quotes every 100 ms on average; the next second drifts by about `effect_bps` while imbalance is in its top decile.

    Sizes go missing (0) in 5 % of the time; the price then drifts by `missing_effect_bps` per second.
    """
    rng = np.random.default_rng(seed)
    count = minutes * 600
    latent = lfilter([np.sqrt(1 - 0.995**2)], [1.0, -0.995], rng.normal(size=count))
    absent = lfilter([np.sqrt(1 - 0.995**2)], [1.0, -0.995], rng.normal(size=count)) > 1.645
    drift_bps = (effect_bps * (latent > 1.2816) * ~absent + missing_effect_bps * absent) / 10.0
    steps_bps = np.concatenate([[0.0], 0.3 * rng.standard_t(4.0, count - 1) + drift_bps[:-1]])
    mid = 10_000.0 * np.exp(np.cumsum(steps_bps) * 1e-4)
    spread = rng.choice([0.1, 0.2, 0.3], count, p=[0.8, 0.15, 0.05])
    events = np.zeros(count, EVENT)
    events["ts_recv"] = START_NS + np.arange(count) * 100 * NS_PER_MS + rng.integers(0, 90 * NS_PER_MS, count)
    events["ts_event"] = events["ts_recv"] - 5 * NS_PER_MS
    events["instrument"] = 1
    imbalance = np.tanh(latent)
    events["bid_price"], events["ask_price"] = mid - spread / 2, mid + spread / 2
    events["bid_qty"], events["ask_qty"] = np.where(absent, 0.0, 1 + imbalance), np.where(absent, 0.0, 1 - imbalance)
    return events
