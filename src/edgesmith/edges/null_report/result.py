"""What a null report holds, as plain records that go to `null_report.json` and come back."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from edgesmith.canonical import canonical_json
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.errors import InputError

NULL_REPORT_SCHEMA_VERSION = 1
NULL_REPORT_FILE = "null_report.json"
# The 5 % point of the largest distance of n uniform values from their distribution, times sqrt(n) (Kolmogorov).
KS_FACTOR = 1.36
# A sign-flip p-value comes in steps, which no sample of this size or less can see.
PLACEBOS_MAX = 500


class NullConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to search and how many placebos of each kind to search; part of what makes a report reproducible."""

    search: DiscoveryConfig
    placebos: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.placebos <= PLACEBOS_MAX:
            raise InputError(f"placebos was {self.placebos}, expected 1..{PLACEBOS_MAX}")


class PlaceboRow(msgspec.Struct, frozen=True, kw_only=True):
    """One placebo: what the search found in it, and the p-values of one cell drawn at random by four methods.

    `tested` cells of `trials` had blocks enough; p-values are None where none had. `welch_found` are the cells that Welch's test
    calls real at the same level, adjusted for all of them (Bonferroni).
    """

    kind: str
    words: str
    trials: int
    tested: int
    found: int
    candidates: int
    p_family_least: float | None
    p: float | None
    p_welch: float | None
    p_newey_west: float | None
    p_permutation: float | None
    welch_found: int


class KindRow(msgspec.Struct, frozen=True, kw_only=True):
    """All placebos of one kind: in how many anything was found, and the shares of all tested cells with p <= 5 % and 1 %."""

    kind: str
    placebos: int
    any_found: int
    found: int
    candidates: int
    share_5: float | None
    share_1: float | None


class MethodRow(msgspec.Struct, frozen=True, kw_only=True):
    """One way to compute p, on one cell of each placebo: shares below 5 % and 1 %, and the distance from uniform.

    `any_found`: placebos in which it calls at least one cell real, adjusted for all; None where it was asked about one cell only.
    """

    method: str
    p_values: int
    share_5: float
    share_1: float
    ks: float
    ks_bar: float
    any_found: int | None


class PriorRow(msgspec.Struct, frozen=True, kw_only=True):
    """The prior system's method on placebos of the first quotes: how far its patterns came, and in how many placebos."""

    return_min_bps: float
    placebos: int
    patterns: int
    kept: int
    accepted: int
    validated: int
    any_validated: int


class TierNeed(msgspec.Struct, frozen=True):
    """What a top-decile signal must know to pay the cost of a tier: above 1 nothing can."""

    tier: str
    cost_bps: float
    needed_ic: float


class HorizonRow(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen and what can pay at one horizon.

    `mde_bps` is the excess that half of the cells would have been found with, at the power asked for; `hidden_ratio` the share of
    cells in which no effect of any size would have been found.
    """

    horizon_ns: int
    mde_bps: float | None
    hidden_ratio: float | None
    gross_sd_bps: float | None
    tiers: tuple[TierNeed, ...]


class QuantileCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of p against those of uniform values, and where nine in ten single placebos lie."""

    kind: str
    level: tuple[float, ...]
    p: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class NullReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the null report established; the same bytes for the same data and config."""

    instrument: str
    simulated: bool
    data_fingerprint: str
    config: NullConfig
    cost_tier: str
    first_ns: int
    last_ns: int
    days: int
    features: tuple[str, ...]
    placebos: tuple[PlaceboRow, ...]
    kinds: tuple[KindRow, ...]
    methods: tuple[MethodRow, ...]
    prior: tuple[PriorRow, ...]
    horizons: tuple[HorizonRow, ...]
    curves: tuple[QuantileCurve, ...]
    notes: tuple[str, ...]
    schema_version: int = NULL_REPORT_SCHEMA_VERSION

    @property
    def searched(self) -> int:
        """Return the number of placebos in which any cell could be tested."""
        return sum(row.tested > 0 for row in self.placebos)

    @property
    def any_found(self) -> int:
        """Return the number of placebos in which the search found something."""
        return sum(row.found > 0 for row in self.placebos)

    @property
    def allowed(self) -> float:
        """Return the share of placebos with a find that the level and twice its standard error allow."""
        alpha = self.config.search.alpha
        return alpha + 2.0 * math.sqrt(alpha * (1.0 - alpha) / max(1, self.searched))

    @property
    def is_calibrated(self) -> bool | None:
        """Tell whether the search keeps its promise here: few enough finds, p-values uniform. None where nothing was testable."""
        if not self.searched:
            return None
        own = self.methods[0]
        return self.any_found <= self.allowed * self.searched and own.ks <= own.ks_bar

    @property
    def sentence(self) -> str:
        """Return the outcome in one sentence."""
        if self.is_calibrated is None:
            return f"{len(self.placebos)} placebos: too little data, not one cell could be tested"
        own = self.methods[0]
        verdict = "keeps its promise" if self.is_calibrated else "does not keep its promise"
        return (
            f"the search {verdict} on this data: it found something in {self.any_found} of {self.searched} placebos "
            f"(up to {int(self.allowed * self.searched)} by chance), and p lies {own.ks:.3f} from uniform "
            f"(at most {own.ks_bar:.3f})"
        )

    def save(self, folder: Path) -> Path:
        """Write `null_report.json` into `folder` and return its path."""
        path = folder / NULL_REPORT_FILE
        path.write_bytes(canonical_json(self))
        return path
