"""A researcher's desk for one world: its lake in a temporary folder, and the same calls a user's commands make."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from edgesmith.cli.world import DEFAULT_START_DAY, write_world
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.records import joined
from edgesmith.domain.units import NS_PER_MS, NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.edges.discovery.result import DiscoveryResult
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.validation.options import bins_with_bounds
from edgesmith.evaluation.coded import CodedPanel, code_panel
from edgesmith.evaluation.sources import LakeSource, instrument_index
from edgesmith.features.catalog import feature, feature_set
from edgesmith.features.operator import FeatureSpec
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Catalog, Partition
from edgesmith.trading.backtest import instruments_of
from edgesmith.worlds.scenario import Scenario
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

FEATURES = "stationary"
# What a chimera's sizes and sides say, which belong to another market than its prices. Features of prices are not null there:
# they know this market's own memory, and in one that drifts the quiet moments do not drift as much as the busy ones.
FOREIGN: tuple[tuple[str, dict[str, float]], ...] = (
    *(("imbalance_ema", {"period": period}) for period in (5, 20, 100)),
    *(("trade_flow_imbalance", {"half_life_ns": seconds * NS_PER_S}) for seconds in (1, 10, 60)),
    *(("trade_sign_memory", {"half_life_ns": seconds * NS_PER_S}) for seconds in (1, 10)),
    ("queue_imbalance", {}),
    ("liquidity_pressure", {}),
    ("imbalance_acceleration", {}),
)
# Blocks of a minute for a horizon of up to 3 s: an hour has enough of them.
QUICK = DiscoveryConfig(
    horizons_ns=(NS_PER_S // 2, NS_PER_S, 2 * NS_PER_S), latencies_ns=(0, 50 * NS_PER_MS), flips=1_999, depth=1
)


class Desk(NamedTuple):
    """One instrument in one lake, and the features it is searched with."""

    partitions: tuple[Partition, ...]
    source: LakeSource
    instrument: Instrument
    program: Program
    world: World

    @property
    def claim(self) -> dict[str, Any]:
        """Return what the record of the first day says of the first claim."""
        return self.claims[0]

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Return what the record of the first day says of each claim."""
        truth = self.partitions[0].meta.truth
        assert truth is not None, "a simulated world without its truth"
        found: list[dict[str, Any]] = truth["claims"]
        return found

    def events(self, first_ns: int, last_ns: int) -> NDArray[Any]:
        """Return what was received from `first_ns` to `last_ns`."""
        return joined(list(self.source.window(first_ns, last_ns + 1)))

    @property
    def index(self) -> int:
        """Return the place of the instrument in the source."""
        return instrument_index(self.source, self.instrument.venue, self.instrument.symbol)

    def search(self, config: DiscoveryConfig, until_ns: int | None = None) -> DiscoveryResult:
        """Run discovery over everything received before `until_ns`."""
        return discover(self.until(until_ns), self.instrument, self.program, config)

    def until(self, until_ns: int | None) -> LakeSource:
        """Return the source, cut at an instant."""
        return self.source if until_ns is None else CutSource(self.partitions, until_ns)

    def panel(
        self, result: DiscoveryResult, config: DiscoveryConfig, first_ns: int, last_ns: int, specs: Sequence[EdgeSpec] = ()
    ) -> CodedPanel:
        """Return the decisions of a span, coded with the bins a search froze, cut also where `specs` are."""
        labels = config.labels_at(result.fee_in_bps, result.fee_out_bps)
        bins = bins_with_bounds(result.bins, specs, {str(one): one.name for one in self.program.features})
        return code_panel(self.source, self.index, self.program, labels, bins, first_ns, last_ns, lake=None)


class CutSource(LakeSource):
    """A lake of which nothing received from an instant on can be seen."""

    def __init__(self, partitions: Sequence[Partition], until_ns: int) -> None:
        super().__init__(partitions)
        self._until_ns = until_ns

    def span(self, instrument: int) -> tuple[int, int]:
        """Return the first quote, and the last instant before the cut."""
        first_ns, last_ns = super().span(instrument)
        return first_ns, min(last_ns, self._until_ns - 1)

    def window(self, start_ns, end_ns):  # type: ignore[no-untyped-def]
        """Yield the events of a window, up to the cut."""
        return super().window(start_ns, min(end_ns, self._until_ns))


@contextmanager
def desk_of(world: str | Scenario, seed: int, hours: int, *, foreign: bool = False, names: Sequence[str] = ()) -> Iterator[Desk]:
    """Make a world in a lake of its own, and take it away afterwards.

    `foreign` searches FOREIGN instead of FEATURES, `names` those features alone.
    """
    scenario = find_scenario(world) if isinstance(world, str) else world
    with tempfile.TemporaryDirectory(prefix="edgesmith-truth-") as folder:
        root = Path(folder)
        made = World(scenario, seed=seed, start_day=DEFAULT_START_DAY, hours=hours)
        written = write_world(made, root, workers=1)
        partitions = Catalog(root).partitions(symbol=written.instrument.symbol)
        source = LakeSource(partitions)
        instrument = instruments_of(partitions, source.instruments)[0]
        specs = feature_set(FEATURES) if not foreign else [_named(name, params) for name, params in FOREIGN]
        specs = [feature(name) for name in names] or specs
        yield Desk(tuple(partitions), source, instrument, Program(specs), made)


def _named(name: str, params: dict[str, float]) -> FeatureSpec:
    return feature(name, **params).named("_".join([name, *(f"{value:g}" for value in params.values())]).replace("+", ""))
