"""Worlds with something in them: is it found, is it the planted thing, and is it called by the right word."""

from __future__ import annotations

import msgspec

from benchmarks.truth.desk import Desk, desk_of
from benchmarks.truth.matching import SideMatch, matches
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.result import Cell, DiscoveryResult
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.validation.card import EdgeCard
from edgesmith.edges.validation.gates import Gates
from edgesmith.edges.validation.pipeline import ValidationConfig, validate
from edgesmith.edges.verdict import Verdict

# A world of hours instead of weeks: days cannot be asked for, blocks can.
SCALED = ValidationConfig(gates=Gates(days_min=1, onsets_min=100), folds=4)
DISCOVERED = 0.5
CARRIED_MAX = 6


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe of planted worlds: how it is searched, and the right word, "found" where a real cell is all that is asked.

    `worlds` are those of the CI scale and of a release; `features` are searched in place of the usual ones.
    """

    world: str
    right: str
    worlds: tuple[int, int]
    hours: int = 12
    horizons_s: tuple[int, ...] = (1, 5)
    grid_ms: int = 500
    depth: int = 1
    features: tuple[str, ...] = ()

    @property
    def config(self) -> DiscoveryConfig:
        """Return the settings of the search: decisions as far apart as those the plant answers to."""
        return DiscoveryConfig(
            horizons_ns=tuple(one * NS_PER_S for one in self.horizons_s),
            latencies_ns=(0, 50 * NS_PER_MS, 100 * NS_PER_MS),
            grid_ns=self.grid_ms * NS_PER_MS,
            flips=1_999,
            depth=self.depth,
        )


class PlantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One world: how often discovery said what, which sides it found, and the verdict on the best of what it carried over."""

    world: str
    seed: int
    hours: int
    expected: str
    discovered: dict[str, int]
    sides: tuple[SideMatch, ...]
    verdicts: tuple[str, ...]
    verdict: str
    net_bps: float | None
    net_low_bps: float | None
    sentence: str

    @property
    def matched(self) -> bool:
        """Return whether every side of the plant was found."""
        return all(side.matched for side in self.sides)


def plant_row(job: tuple[Planted, int]) -> PlantRow:
    """Search the first part of a world and validate the best candidates on the rest."""
    planted, seed = job
    with desk_of(planted.world, seed, planted.hours, names=planted.features) as desk:
        first_ns, last_ns = desk.source.span(desk.index)
        cut_ns = first_ns + int(DISCOVERED * (last_ns - first_ns))
        config = msgspec.structs.replace(planted.config, seed=seed)
        result = desk.search(config, cut_ns)
        claim = desk.world.scenario.claims[0]
        sides = matches(desk, result, claim, desk.claim["natural_bps"])
        carried = _carried(result)
        cards = _validated(desk, result, carried, cut_ns, last_ns) if carried else []
    best = min(cards, key=lambda card: (card.verdict.rank, -(card.findings.net_bps or 0.0)), default=None)
    return PlantRow(
        world=planted.world,
        seed=seed,
        hours=planted.hours,
        expected=planted.right,
        discovered={key: count for key, count in result.counts.items() if count},
        sides=sides,
        verdicts=tuple(card.verdict.value for card in cards),
        verdict=_said(result) if best is None else best.verdict.value,
        net_bps=None if best is None else best.findings.net_bps,
        net_low_bps=None if best is None else best.findings.net_low_bps,
        sentence=result.sentence if best is None else best.sentence,
    )


def _carried(result: DiscoveryResult) -> list[Cell]:
    return sorted(result.candidates, key=lambda cell: cell.strength)[:CARRIED_MAX]


def _said(result: DiscoveryResult) -> str:
    # Nothing was carried over: the strongest word of the search stands.
    order = (Verdict.REJECT_COST, Verdict.REJECT_NULL, Verdict.INSUFFICIENT)
    return next(one.value for one in order if result.counts.get(one.value, 0) or one is order[-1])


def spec_of(desk: Desk, result: DiscoveryResult, cell: Cell) -> EdgeSpec:
    """Return the edge that a cell claims."""
    texts = {one.name: str(one) for one in desk.program.features}
    bounds = tuple(
        Bound(feature=texts[one.feature], low=one.lower, high=one.upper, missing=one.lower is None and one.upper is None)
        for one in cell.bounds
    )
    return EdgeSpec(
        venue=desk.instrument.venue,
        symbol=desk.instrument.symbol,
        trigger=Trigger(bounds=bounds),
        side=1 if cell.side > 0 else -1,
        horizon_ns=cell.horizon_ns,
        latency_ns=cell.latency_ns,
        cost_tier=result.cost_tier,
        fee_in_bps=result.fee_in_bps,
        fee_out_bps=result.fee_out_bps,
        grid_ns=result.config.grid_ns,
        gap_ns=result.config.gap_ns,
        features_hash=desk.program.program_id,
        bins_hash="truth",
        code_sha256="truth",
    )


def _validated(desk: Desk, result: DiscoveryResult, carried: list[Cell], first_ns: int, last_ns: int) -> list[EdgeCard]:
    specs = [spec_of(desk, result, cell) for cell in carried]
    panel = desk.panel(result, result.config, first_ns, last_ns, specs)
    return validate(specs, panel, desk.partitions, SCALED, trials=len(specs))
