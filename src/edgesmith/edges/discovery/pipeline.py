"""Discovery: which triggers are real, which of those pay, and what could not have been seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgesmith.canonical import content_hash
from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import format_ns
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.decide import DECIDED
from edgesmith.edges.discovery.deep import DeepSearch, deep_search, looks_of
from edgesmith.edges.discovery.judge import Judged, judge, places_of
from edgesmith.edges.discovery.profit import judge_profit
from edgesmith.edges.discovery.result import Bins, Cell, DepthCount, DiscoveryResult, EdgesSpan, NeededIC, Refinement
from edgesmith.edges.discovery.survey import Survey, foretold, survey
from edgesmith.edges.discovery.tails import tails_looked_at
from edgesmith.edges.trials import DataUse, TrialLedger, TrialRecord, trial_hash
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError
from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.coded import CodedPanel, code_panel
from edgesmith.evaluation.labels import ColumnGroup, column_groups
from edgesmith.evaluation.sources import EventSource, FeatureProgram, instrument_index
from edgesmith.evaluation.sums import TESTED_MOMENTS, BlockSums, SingleCells
from edgesmith.features.regime_model import RegimeModel

TRIAL_KIND = "discovery"

Progress = Callable[[str, int, int], None]
OnSurvey = Callable[[tuple[NeededIC, ...]], None]


class Workplace(NamedTuple):
    """Where a search keeps what it computed, who works on it and who is told; nothing here changes a result.

    `lake`: folder the coded panel is kept in, None for memory.
    """

    lake: Path | None = None
    workers: int | None = 1
    progress: Progress = lambda _stage, _done, _total: None
    on_survey: OnSurvey = lambda _table: None


class PanelSearch(NamedTuple):
    """What was found in single conditions and in deeper ones, what of it pays, and the level the single ones were judged at."""

    singles: Judged
    deep: DeepSearch
    refined: tuple[Cell, ...]
    refinement: Refinement
    share: float


def discover(
    source: EventSource,
    instrument: Instrument,
    program: FeatureProgram,
    config: DiscoveryConfig,
    *,
    ledger: TrialLedger | None = None,
    data: Sequence[DataUse] | None = None,
    regimes: RegimeModel | None = None,
    always: Sequence[str] = (),
    first_ns: int | None = None,
    last_ns: int | None = None,
    workplace: Workplace = Workplace(),  # noqa: B008 - immutable
) -> DiscoveryResult:
    """Search triggers of up to `config.depth` conditions over the features of `program` for edges in one instrument.

    The leading part of the data freezes bins and says what could pay; the rest is coded, summed and tested. Days that an earlier
    run completed are not computed again.

    Parameters
    ----------
    data : what the ledger is told was looked at
    regimes : the model whose labels are among the features; it must have been fitted before what is tested
    always : features that are paired however weak they are alone, such as those of a leader
    first_ns, last_ns : events received before only warm the features up, none received after is read
    """
    index = instrument_index(source, instrument.venue, instrument.symbol)
    if not program.names:
        raise InputError("the feature program has no features; expected at least one")
    first_ns, last_ns = _span(source, index, first_ns, last_ns)
    labels = config.labels_at(*config.fees_bps(instrument))
    test_first_ns = first_ns + int(config.edges_span_ratio * (last_ns - first_ns))
    regime_feature = None
    if regimes is not None:
        regimes.require_after_fit(test_first_ns)
        regime_feature = regimes.features()[0].name
        always = (*always, regime_feature)
    surveyed = survey(
        source,
        index,
        program,
        labels,
        (first_ns, test_first_ns),
        config.quantiles,
        lake=workplace.lake,
        workers=workplace.workers,
        progress=_stage(workplace, "reading the edges span"),
    )
    if regimes is not None:
        bins, fine = (tuple(_in_regimes(one, regimes) for one in some) for some in (surveyed.bins, surveyed.fine))
        surveyed = surveyed._replace(bins=bins, fine=fine)
    columns = len(labels.horizons_ns) * len(labels.latencies_ns)
    table = foretold(surveyed.needed_ic, labels, last_ns - test_first_ns, columns * len(places_of(surveyed.bins)), config)
    surveyed = surveyed._replace(needed_ic=table)
    workplace.on_survey(table)
    panel = code_panel(
        source,
        index,
        program,
        labels,
        surveyed.bins,
        test_first_ns,
        last_ns,
        lake=workplace.lake,
        fine=surveyed.fine,
        regime_feature=regime_feature,
        workers=workplace.workers,
        progress=_stage(workplace, "coding days"),
    )
    span = EdgesSpan(first_ns, test_first_ns, last_ns)
    return _search(source, instrument, panel, surveyed, span, config, ledger, data, always, workplace)


def search_panel(
    panel: CodedPanel,
    config: DiscoveryConfig,
    level: float,
    always: Sequence[str] = (),
    workplace: Workplace = Workplace(),  # noqa: B008 - immutable
) -> PanelSearch:
    """Search coded days at `level`: single conditions, then what lies deeper, then whether what is real pays."""
    groups = column_groups(panel.labels, panel.last_ns - panel.first_ns)
    # Half of the error is kept for what lies deeper.
    share = level if config.depth == 1 else level / 2
    sums = _single_sums(panel, groups, workplace)
    singles = judge(panel.bins, groups, sums, config, share, workplace.workers, _stage(workplace, "testing"))
    # Each depth is a scan of all rows, then the sums of what it chose.
    deeper = _Rounds(_stage(workplace, "searching deeper"), 2 * max(1, config.depth - 1))
    deep = deep_search(panel, singles, config, level - share, always, workplace.workers, deeper)
    asked = (*singles.cells, *deep.cells)
    profit = judge_profit(panel, asked, config, level, workplace.workers, _stage(workplace, "trading what is real"))
    count = len(singles.cells)
    paying = sum(cell.verdict is Verdict.CANDIDATE for cell in profit.cells[count:])
    counts = deep.counts + Counter({Verdict.CANDIDATE: paying})
    counts[Verdict.REJECT_COST] -= paying
    return PanelSearch(
        singles._replace(cells=profit.cells[:count]),
        deep._replace(cells=profit.cells[count:], counts=counts),
        profit.refined,
        profit.refinement,
        share,
    )


def _single_sums(panel: CodedPanel, groups: Sequence[ColumnGroup], workplace: Workplace) -> Iterator[BlockSums]:
    # Group by group: the sums of all would be most of the memory of a search.
    told = _Rounds(_stage(workplace, "summing single conditions"), len(groups))
    for group in groups:
        yield panel.block_sums(SingleCells(panel.bins), [group], moments=TESTED_MOMENTS, progress=told)[0]


class _Rounds:
    # One bar for work that goes through the same pieces several times.
    def __init__(self, told: Callable[[int, int | None], None], rounds: int) -> None:
        self._told, self._rounds = told, rounds
        self._over = 0

    def __call__(self, done: int, total: int | None) -> None:
        self._told(self._over * (total or 0) + done, self._rounds * (total or 0))
        self._over = min(self._over + (done == total), self._rounds - 1)


def _in_regimes(bins: FeatureBins, regimes: RegimeModel) -> FeatureBins:
    # Up to the end of its fit a model says nothing, and that may be most of the edges span: its regimes are known without.
    if bins.name != regimes.features()[0].name:
        return bins
    return FeatureBins(bins.name, tuple(regime + 0.5 for regime in range(regimes.regimes - 1)))


def _span(source: EventSource, instrument: int, first_ns: int | None, last_ns: int | None) -> tuple[int, int]:
    first, last = source.span(instrument)
    first = first if first_ns is None else max(first, first_ns)
    last = last if last_ns is None else min(last, last_ns)
    if last < first:
        raise InputError(f"no quote lies between {format_ns(first)} and {format_ns(last)}; choose a range inside the data")
    return first, last


def _search(
    source: EventSource,
    instrument: Instrument,
    panel: CodedPanel,
    surveyed: Survey,
    span: EdgesSpan,
    config: DiscoveryConfig,
    ledger: TrialLedger | None,
    data: Sequence[DataUse] | None,
    always: Sequence[str],
    workplace: Workplace,
) -> DiscoveryResult:
    columns = len(panel.labels.horizons_ns) * len(panel.labels.latencies_ns)
    looks = looks_of(panel, config, always)
    trials = columns * (len(places_of(panel.bins)) + sum(looks)) + tails_looked_at(panel)
    cells_hash = content_hash([instrument.name, panel.labels, panel.bins, span, _search_space(config, always)])
    identity = trial_hash(TRIAL_KIND, source.fingerprint, cells_hash)
    look: TrialRecord | None = None
    if ledger is not None:
        look = ledger.record(
            kind=TRIAL_KIND, data_fingerprint=source.fingerprint, cells_hash=cells_hash, trials=trials, data=data
        )
    level = min(config.alpha, look.level) if look is not None and look.level is not None else config.alpha
    found = search_panel(panel, config, level, always, workplace)
    counted = DepthCount(
        depth=1,
        triggers=len(places_of(panel.bins)),
        pruned=0,
        tested=len({(cell.feature, cell.bin) for cell in found.singles.cells if cell.p_cell is not None}),
        trials=columns * len(places_of(panel.bins)),
        alpha=found.share,
        critical_t=_finite(found.singles.critical_t),
    )
    result = _result(source, instrument, config, panel, span, surveyed, found, counted, look, level, identity)
    if ledger is not None and look is not None:
        ledger.settle(look, _smallest_p(result))
    return result


def _search_space(config: DiscoveryConfig, always: Sequence[str]) -> list[object]:
    # What decides which triggers are looked at; neither seed nor number of flips do.
    return [config.depth, config.features_max, config.beam, sorted(always)] if config.depth > 1 else [1]


def _smallest_p(result: DiscoveryResult) -> float:
    # Each depth was judged at its share of the level, so its p-values count by that share.
    shares = {depth.depth: depth.alpha / result.level for depth in result.depths}
    return min((min(1.0, cell.p_family / shares[cell.depth]) for cell in result.cells if cell.p_family is not None), default=1.0)


def _result(
    source: EventSource,
    instrument: Instrument,
    config: DiscoveryConfig,
    panel: CodedPanel,
    span: EdgesSpan,
    surveyed: Survey,
    found: PanelSearch,
    counted: DepthCount,
    look: TrialRecord | None,
    level: float,
    identity: str,
) -> DiscoveryResult:
    singles, deep = found.singles, found.deep
    verdicts = Counter(cell.verdict for cell in singles.cells)
    verdicts.update(deep.counts)
    verdicts[Verdict.CANDIDATE] += len(found.refined)
    depths = (counted, *deep.depths)
    trials = sum(depth.trials for depth in depths) + found.refinement.trials
    return DiscoveryResult(
        instrument=instrument.name,
        simulated=instrument.simulated,
        data_fingerprint=source.fingerprint,
        config=config,
        cost_tier=config.tier_name,
        fee_in_bps=panel.labels.fee_in_bps,
        fee_out_bps=panel.labels.fee_out_bps,
        edges_span=span,
        bins=tuple(Bins(one.name, one.cuts) for one in panel.bins),
        needed_ic=surveyed.needed_ic,
        trials=trials,
        trials_total=look.trials_total if look is not None and look.trials_total is not None else trials,
        level=level,
        trial_hash=identity,
        critical_t=_finite(singles.critical_t),
        depths=depths,
        counts={verdict.value: verdicts[verdict] for verdict in DECIDED},
        cells=(*singles.cells, *deep.cells),
        best=_best(singles.cells),
        refined=found.refined,
        refinement=found.refinement,
        cells_effective=singles.effective,
    )


def _best(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    # The strongest cell of each feature, strongest feature first.
    first: dict[str, Cell] = {}
    for cell in sorted(cells, key=lambda cell: cell.strength):
        first.setdefault(cell.feature, cell)
    return tuple(first.values())


def _stage(workplace: Workplace, name: str) -> Callable[[int, int | None], None]:
    return lambda done, total: workplace.progress(name, done, total or done)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
