"""What the vault needs of whoever measures an edge for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.vault_records import Evaluation
from edgesmith.lake.catalog import Partition

Onsets = NDArray[np.int64]


class Profits(NamedTuple):
    """Net profit in bps summed over the trades of each block that has data, and the number of trades."""

    sums_bps: NDArray[np.float64]
    trades: int


class Evaluator(Protocol):
    """How a frozen edge is measured on partitions of its instrument, and of its leader; deterministic."""

    @property
    def name(self) -> str:
        """Return what it does and in which version; part of the seal."""
        ...

    def regimes_sha256(self, spec: EdgeSpec) -> str | None:
        """Return the hash of the regime model it uses for an edge; None where the edge needs none."""
        ...

    def check(self, spec: EdgeSpec, outside: Sequence[Partition], first_ns: int) -> None:
        """Raise InputError for an edge it cannot measure from `first_ns` on; `outside` is what may be seen of its instrument."""
        ...

    def onsets(self, specs: Sequence[EdgeSpec], partitions: Sequence[Partition]) -> list[Onsets]:
        """Return the instants at which each trigger became true."""
        ...

    def profits(self, spec: EdgeSpec, partitions: Sequence[Partition], block_ns: int) -> Profits:
        """Return what the edge earned in each block."""
        ...

    def evaluate(self, spec: EdgeSpec, partitions: Sequence[Partition]) -> Evaluation:
        """Measure the edge."""
        ...
