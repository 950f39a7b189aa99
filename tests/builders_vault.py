"""A small lake with a vault, and an evaluator whose answers are known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from builders import DAY, put, random_columns
from builders_edges import spec
from edgesmith.clock import ManualClock
from edgesmith.domain.events import Stream
from edgesmith.domain.units import ns_of_date
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.evaluator import Profits
from edgesmith.edges.trials import TrialLedger
from edgesmith.edges.vault import Vault
from edgesmith.edges.vault_records import Evaluation
from edgesmith.lake.catalog import Catalog, Partition


class Canned:
    """An evaluator whose onsets follow from the bound, and which remembers what it was shown.

    Outside the vault an edge earns the width of its bound per trade, inside `inside_bps`.
    """

    name = "canned 1"

    def __init__(
        self, p: float = 0.5, n: int = 500, sleep_in: str = "", model: str | None = None, inside_bps: float = 0.0, trades: int = 2
    ) -> None:
        self.p, self.n, self.sleep_in, self.model, self.inside_bps, self.trades = p, n, sleep_in, model, inside_bps, trades
        self.shown: list[tuple[Partition, ...]] = []

    def regimes_sha256(self, spec: EdgeSpec) -> str | None:
        return self.model

    def check(self, spec: EdgeSpec, outside: Sequence[Partition], first_ns: int) -> None:
        if self.sleep_in == "check":
            time.sleep(60)

    def onsets(self, specs: Sequence[EdgeSpec], partitions: Sequence[Partition]) -> list[np.ndarray]:
        # 1,000 onsets, of which edges at low 0.5 and 0.5 + k share 1,000 - 10 k.
        firsts = [round(1_000 * (spec.trigger.bounds[0].low or 0.0)) * 10 for spec in specs]
        return [np.arange(first, first + 1_000, dtype=np.int64) * 1_000_000_000 for first in firsts]

    def profits(self, spec: EdgeSpec, partitions: Sequence[Partition], block_ns: int) -> Profits:
        self.shown.append(tuple(partitions))
        days = sorted({one.key.day for one in partitions})
        within = "vault" in partitions[0].folder.parts
        (bound,) = spec.trigger.bounds
        mean_bps = self.inside_bps if within else 0.0 if bound.high is None else bound.high - (bound.low or 0.0)
        drawn = np.random.default_rng([int(spec.spec_hash[:8], 16), within]).normal(0.0, 1.0, 100 * len(days))
        return Profits(self.trades * (mean_bps + drawn), self.trades * len(drawn))

    def evaluate(self, spec: EdgeSpec, partitions: Sequence[Partition]) -> Evaluation:
        if self.sleep_in == "evaluate":
            time.sleep(60)
        self.shown.append(tuple(partitions))
        numbers: dict[str, Any] = {"gross_bps": 12.0, "cost_bps": 10.0, "net_bps": 2.0, "net_low_bps": 1.0, "net_high_bps": 3.0}
        return Evaluation(first_ns=1, last_ns=2, n=self.n, blocks=30, p=self.p, p_gross=0.0001, **numbers)


def edge(number: int = 0, earns_bps: float | None = None, **change: Any) -> EdgeSpec:
    """Edge `number` shares no onset with any other; outside the vault it earns `earns_bps`."""
    low = 0.5 + number
    high = low + earns_bps if earns_bps else None
    trigger = Trigger(bounds=(Bound(feature="imbalance_ema(period=20)", low=low, high=high),))
    return spec(venue="binance_usdm", symbol="BTCUSDT", trigger=trigger, **change)


def vault_of(lake: Path, at_ns: int = 1_000) -> Vault:
    return Vault(lake, TrialLedger(lake.parent / "trials.jsonl"), ManualClock(at_ns), lambda count: bytes(range(count)))


def days(lake: Path, symbol: str = "BTCUSDT") -> list[int]:
    return sorted({one.key.day.day for one in Catalog(lake).partitions(symbol=symbol)})


def some_quotes(day: date) -> dict[str, Any]:
    return random_columns(Stream.BBO, 50, start_ns=ns_of_date(day) + 3_600_000_000_000)


def five_days(root: Path) -> Path:
    """Put five days of quotes of two symbols into a lake."""
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for offset in range(5):
            day = DAY + timedelta(days=offset)
            put(root, Stream.BBO, some_quotes(day), symbol=symbol, day=day)
    return root
