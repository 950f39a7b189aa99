"""The seeded market every side is given; plain columns, NumPy only, so that a peer's environment can read it.

80 % quote updates and 20 % trades of one instrument over about a day: tick 0.1, around 60,000, the bid moves a geometric number
of ticks on 30 % of the quotes, spreads of 1 to 3 ticks, exponential sizes, trades at the touch, 23 ms between events.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parent / "_data"
SEED = 20240808
TICK = 0.1
START_NS = 1_723_161_600_000_000_000
GAP_NS_MEAN = 23_000_000
TRADE_RATIO = 0.20
QTY_MIN = 0.001

Columns = dict[str, NDArray[np.generic]]


def simulate(events: int, seed: int = SEED) -> Columns:
    """Return the columns: ts, kind (0 quote, 1 trade), bid, ask, bid_qty, ask_qty (in force at the event), price, qty, side."""
    random = np.random.default_rng(seed)
    quote = random.random(events) >= TRADE_RATIO
    quote[0] = True
    ts = START_NS + np.cumsum(1_000 + random.exponential(GAP_NS_MEAN, events).astype(np.int64))
    moved = quote & (random.random(events) < 0.30)
    steps = random.geometric(0.35, events) * random.choice((-1, 1), events)
    bid_ticks = 600_000 + np.cumsum(np.where(moved, steps, 0))
    respread = moved | (quote & (random.random(events) < 0.05))
    ask_ticks = bid_ticks + _held(random.choice((1, 2, 3), events, p=(0.85, 0.11, 0.04)), respread)
    # A plain update changes the size of one side, a move those of both.
    bid_side = random.random(events) < 0.5
    bid_qty = _held(_sizes(random, 5.0, events), quote & (respread | bid_side))
    ask_qty = _held(_sizes(random, 5.0, events), quote & (respread | ~bid_side))
    side = np.where(random.random(events) < 0.5, -1, 1)
    price_ticks = np.where(side < 0, bid_ticks, ask_ticks)
    return {
        "ts": ts,
        "kind": (~quote).astype(np.uint8),
        "bid": np.round(bid_ticks * TICK, 1),
        "ask": np.round(ask_ticks * TICK, 1),
        "bid_qty": bid_qty,
        "ask_qty": ask_qty,
        "price": np.where(quote, 0.0, np.round(price_ticks * TICK, 1)),
        "qty": np.where(quote, 0.0, _sizes(random, 0.05, events)),
        "side": np.where(quote, 0, side).astype(np.int8),
    }


def write_tape(events: int) -> None:
    """Write the tape of `events` events where it is not there yet."""
    folder = _folder(events)
    if folder.is_dir():
        return
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True, exist_ok=True)
    for name, column in simulate(events).items():
        np.save(partial / f"{name}.npy", column)
    partial.rename(folder)


def read_tape(events: int, first: int | None = None) -> Columns:
    """Return the columns of the tape of `events` events, or of its `first` ones."""
    return {path.stem: np.load(path)[:first] for path in sorted(_folder(events).glob("*.npy"))}


def _folder(events: int) -> Path:
    return DATA / f"tape_{events}_seed_{SEED}"


def _held(values: NDArray[np.generic], drawn: NDArray[np.bool_]) -> NDArray[np.generic]:
    """Return `values` where drawn, carried forward elsewhere; the first is always taken."""
    places = np.where(drawn, np.arange(len(drawn)), 0)
    return values[np.maximum.accumulate(places)]


def _sizes(random: np.random.Generator, mean_qty: float, count: int) -> NDArray[np.float64]:
    return np.maximum(np.round(random.exponential(mean_qty, count), 3), QTY_MIN)
