"""What to search for and how strict to be."""

from __future__ import annotations

import msgspec

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import BPS, NS_PER_MS, NS_PER_S
from edgesmith.errors import InputError
from edgesmith.evaluation.bins import DEFAULT_QUANTILES
from edgesmith.evaluation.labels import LabelSpec

DEFAULT_HORIZONS_NS = tuple(tenths * NS_PER_S // 10 for tenths in (1, 5, 10, 50, 100, 300, 600, 3_000, 9_000, 36_000))
DEFAULT_LATENCIES_NS = tuple(latency_ms * NS_PER_MS for latency_ms in (0, 5, 20, 50, 100, 250))

# What a trader of some standing pays, (in, out) in bps: public fee schedules of large venues for linear perpetuals.
COST_TIERS = {
    "vip0_taker": (5.0, 5.0),
    "vip0_maker_taker": (2.0, 5.0),
    "top_taker": (1.7, 1.7),
    "top_maker_taker": (0.0, 1.7),
}
# The instrument's own taker fee twice, which is the worst a trade can pay there.
INSTRUMENT_TIER = "instrument_taker"
CUSTOM_TIER = "custom"


class DiscoveryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a search; part of what makes a run reproducible.

    Parameters
    ----------
    horizons_ns, latencies_ns : every horizon is tried with every latency
    cost_tier : name of the fees, one of COST_TIERS; by default the instrument's taker fee on both sides
    fee_in_bps, fee_out_bps : fee per side in place of the tier's
    grid_ns : distance of the decision times, a part of a second; those of horizons above 10 s are a second apart
    gap_ns : no quote for longer is a gap that no label may cross
    edges_span_ratio : leading part of the data that only sets bin edges, 0.05..0.5; the tests never see it
    quantiles : cut points of a continuous feature, ascending in (0, 1), at most 15
    flips : sign flips per test, 199..99,999; alpha must be at least 1 / (flips + 1)
    alpha : bound on the chance of even one false discovery, (0, 0.2]
    power : chance with which an effect of `mde_bps` would have been found, 0.5..0.99
    blocks_min, blocks_effective_min : fewer blocks than these and the verdict is INSUFFICIENT
    depth : conditions of a trigger, 1..3; what is shallower is searched first
    features_max : features whose bins are paired, the strongest ones; regimes and leaders always are
    beam : pairs that are refined to triples, and triggers of each depth that are tested
    """

    horizons_ns: tuple[int, ...] = DEFAULT_HORIZONS_NS
    latencies_ns: tuple[int, ...] = DEFAULT_LATENCIES_NS
    cost_tier: str | None = None
    fee_in_bps: float | None = None
    fee_out_bps: float | None = None
    gap_ns: int = 30 * NS_PER_S
    grid_ns: int = 100 * NS_PER_MS
    edges_span_ratio: float = 0.2
    quantiles: tuple[float, ...] = DEFAULT_QUANTILES
    flips: int = 9_999
    seed: int = 1
    alpha: float = 0.05
    power: float = 0.8
    blocks_min: int = 30
    blocks_effective_min: float = 20.0
    depth: int = 1
    features_max: int = 24
    beam: int = 64

    def __post_init__(self) -> None:
        _within("edges_span_ratio", self.edges_span_ratio, 0.05, 0.5)
        _within("flips", self.flips, 199, 99_999)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("alpha", self.alpha, 1.0 / (self.flips + 1), 0.2)
        _within("power", self.power, 0.5, 0.99)
        _within("blocks_min", self.blocks_min, 10, 100_000)
        _within("blocks_effective_min", self.blocks_effective_min, 5.0, 100_000.0)
        _within("depth", self.depth, 1, 3)
        _within("features_max", self.features_max, 2, 64)
        _within("beam", self.beam, 1, 512)
        if self.cost_tier is not None and self.cost_tier not in COST_TIERS:
            raise InputError(f"cost_tier was '{self.cost_tier}', expected one of {', '.join(COST_TIERS)}")
        for name in ("fee_in_bps", "fee_out_bps"):
            if getattr(self, name) is not None:
                _within(name, getattr(self, name), -100.0, 100.0)
        ascending = all(low < high for low, high in zip((0.0, *self.quantiles), (*self.quantiles, 1.0), strict=True))
        if not ascending or not 1 <= len(self.quantiles) <= 15:
            raise InputError(f"quantiles were {self.quantiles}, expected 1 to 15 ascending values between 0 and 1")

    def fees_bps(self, instrument: Instrument) -> tuple[float, float]:
        """Return the fees of entry and exit."""
        taker_bps = instrument.taker_fee_ratio / BPS
        fee_in_bps, fee_out_bps = (taker_bps, taker_bps) if self.cost_tier is None else COST_TIERS[self.cost_tier]
        return (
            fee_in_bps if self.fee_in_bps is None else self.fee_in_bps,
            fee_out_bps if self.fee_out_bps is None else self.fee_out_bps,
        )

    def labels_at(self, fee_in_bps: float, fee_out_bps: float) -> LabelSpec:
        """Return the labels a search of these settings has at the fees of entry and exit."""
        return LabelSpec(
            horizons_ns=tuple(sorted(set(self.horizons_ns))),
            latencies_ns=tuple(sorted(set(self.latencies_ns))),
            fee_in_bps=fee_in_bps,
            fee_out_bps=fee_out_bps,
            gap_ns=self.gap_ns,
            grid_ns=self.grid_ns,
        )

    @property
    def tier_name(self) -> str:
        """Return what the fees are called."""
        if self.fee_in_bps is not None or self.fee_out_bps is not None:
            return CUSTOM_TIER
        return self.cost_tier or INSTRUMENT_TIER


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} was {value}, expected {low:g}..{high:g}")
