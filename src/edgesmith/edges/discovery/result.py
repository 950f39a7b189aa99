"""What a search found, as plain records that go to `discovery.json` and come back."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgesmith.canonical import canonical_json
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import CorruptDataError
from edgesmith.evaluation.bins import MISSING

DISCOVERY_SCHEMA_VERSION = 3
RESULT_FILE = "discovery.json"


class NeededIC(msgspec.Struct, frozen=True, kw_only=True):
    """How good a forecast must be for its best tenth to pay the cost of trading, at one horizon.

    needed_ic = cost / (1.755 sd(g)): the top decile of a normal signal lies 1.755 deviations out. Above 1 no forecast can pay.
    Both numbers are None where the edges span held no complete label. `mde_bps` is the excess a cell with a tenth of the rows
    must show to be found with the power asked for, foretold from the length of the data; None where no effect would be found.
    """

    horizon_ns: int
    latency_ns: int
    n: int
    gross_sd_bps: float | None
    cost_bps: float | None
    needed_ic: float | None
    possible: bool
    mde_bps: float | None = None


class Bins(msgspec.Struct, frozen=True):
    """The frozen cut points of a feature."""

    feature: str
    cuts: tuple[float, ...]


class EdgesSpan(msgspec.Struct, frozen=True):
    """The leading part of the data that set the bin edges, and the part that was tested, by receive time."""

    first_ns: int
    test_first_ns: int
    test_last_ns: int


class CellBound(msgspec.Struct, frozen=True):
    """One condition of a cell: bins `first` to `last` of a feature, lower <= x < upper, or its missing value (bin 255)."""

    feature: str
    first: int
    last: int
    lower: float | None
    upper: float | None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One bin of one feature, or a conjunction of two or three, at one horizon and latency.

    `gross_bps` is the mean move, `excess_bps` that minus the mean of the other rows, `side` the direction of the excess,
    `net_bps_best_side` the mean a trade to that side keeps after cost, 90 % sure to lie between `net_low_bps` and `net_high_bps`.
    Numbers are None where there were no rows, or where the cell could not be tested. `bin` is 255 for missing values.

    A real cell that gains a fair part of its cost was also entered when its trigger began, one position at a time: `onsets` round
    trips, what they gained, cost and kept on average, 90 % sure to lie between `onset_low_bps` and `onset_high_bps`. `p_net` is
    that of "these make no profit". Of a refined trigger these come from data its bounds were not chosen on.

    Of a conjunction `feature` names all features, `bounds` has the conditions, and `gain_bps` is how much more it moves than the
    best of its parts; it is real only if that is. `q_value` is the false discovery rate over triggers, `q_value_any` whatever
    their dependence.
    """

    feature: str
    bin: int
    lower: float | None
    upper: float | None
    bounds: tuple[CellBound, ...]
    text: str
    horizon_ns: int
    latency_ns: int
    n: int
    n_eff: float | None
    blocks: int
    blocks_effective: float
    side: int
    gross_bps: float | None
    excess_bps: float | None
    gain_bps: float | None = None
    cost_bps: float | None
    net_bps_best_side: float | None
    net_low_bps: float | None
    net_high_bps: float | None
    t_excess: float | None
    p_cell: float | None
    p_family: float | None
    q_value: float | None
    q_value_any: float | None
    p_net: float | None
    p_net_family: float | None
    mde_bps: float | None
    verdict: Verdict
    sentence: str
    onsets: int | None = None
    onset_gross_bps: float | None = None
    onset_cost_bps: float | None = None
    onset_net_bps: float | None = None
    onset_low_bps: float | None = None
    onset_high_bps: float | None = None

    @property
    def depth(self) -> int:
        """Return the number of conditions."""
        return len(self.bounds)

    @property
    def strength(self) -> tuple[int, float, float, str, int, int, int]:
        """Return a sort key: the best verdict first, then the surest, then the name."""
        size = abs(self.t_excess) if self.t_excess is not None else 0.0
        p = self.p_family if self.p_family is not None else 1.0
        return self.verdict.rank, p, -size, self.feature, self.horizon_ns, self.latency_ns, self.bin


class DepthCount(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at with one number of conditions, and how far it got.

    `triggers` were looked at, `pruned` of them given up before their sums were complete, `tested` block by block; `trials` are
    triggers times columns. `alpha` is this depth's share of the error, `critical_t` what a lone cell needs for it.
    """

    depth: int
    triggers: int
    pruned: int
    tested: int
    trials: int
    alpha: float
    critical_t: float | None


class Refinement(msgspec.Struct, frozen=True, kw_only=True):
    """How many (tail, column) pairs were looked at, at most, of how many real subjects, and how many of those pay."""

    trials: int
    subjects: int
    paying: int


class DiscoveryResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a search established; the same bytes for the same data and config.

    `cells` are all single cells, and of deeper triggers the real ones and the strongest column of each that was tested; `refined`
    are triggers with bounds of their own that pay. `counts` are of the trials of all depths, a refined trigger that pays counts
    with them. `cells_effective` is how many independent ones the single cells tested are worth, `level` the error level the
    ledger granted, `trials_total` counts all looks at this data.
    """

    instrument: str
    simulated: bool
    data_fingerprint: str
    config: DiscoveryConfig
    cost_tier: str
    fee_in_bps: float
    fee_out_bps: float
    edges_span: EdgesSpan
    bins: tuple[Bins, ...]
    needed_ic: tuple[NeededIC, ...]
    trials: int
    trials_total: int
    level: float
    trial_hash: str
    critical_t: float | None
    depths: tuple[DepthCount, ...]
    counts: dict[str, int]
    cells: tuple[Cell, ...]
    best: tuple[Cell, ...]
    refined: tuple[Cell, ...]
    refinement: Refinement
    cells_effective: float = 0.0
    schema_version: int = DISCOVERY_SCHEMA_VERSION

    @property
    def candidates(self) -> tuple[Cell, ...]:
        """Return what is worth validating: refined triggers, and the cells that pay and are no part of one of those."""
        paying = (cell for cell in self.cells if cell.verdict is Verdict.CANDIDATE)
        return (*self.refined, *(cell for cell in paying if not any(_within(cell, one) for one in self.refined)))

    @property
    def sentence(self) -> str:
        """Return the outcome of the whole search in one sentence."""
        found = [verdict for verdict in (Verdict.CANDIDATE, Verdict.REJECT_COST) if self.counts[verdict]]
        if found:
            return f"{self.trials:,} cells looked at: " + ", ".join(f"{self.counts[one]:,} {one.words}" for one in found)
        effects = sorted(cell.mde_bps for cell in self.cells if cell.verdict is Verdict.REJECT_NULL and cell.mde_bps is not None)
        if not effects:
            return f"{self.trials:,} cells looked at: {Verdict.INSUFFICIENT.words}"
        return (
            f"{self.trials:,} cells looked at: nothing, and the smallest effect we could have seen is {effects[0]:.2f} bps "
            f"(in half of the cells: {effects[len(effects) // 2]:.2f} bps)"
        )

    def save(self, folder: Path) -> Path:
        """Write `discovery.json` into `folder` and return its path."""
        path = folder / RESULT_FILE
        path.write_bytes(canonical_json(self))
        return path


def _within(cell: Cell, refined: Cell) -> bool:
    # Part of what a refined trigger covers, traded to the same side.
    wide = {bound.feature: bound for bound in refined.bounds}
    if cell.side != refined.side or set(wide) != {bound.feature for bound in cell.bounds}:
        return False
    return all(
        wide[own.feature].first <= own.first
        and own.last <= wide[own.feature].last
        and (own.first == MISSING) == (wide[own.feature].first == MISSING)
        for own in cell.bounds
    )


def load_result(folder: Path) -> DiscoveryResult:
    """Read the `discovery.json` of a run folder."""
    path = folder / RESULT_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=DiscoveryResult)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CorruptDataError(f"{path} is not a discovery result ({error}); run the discovery again") from error
