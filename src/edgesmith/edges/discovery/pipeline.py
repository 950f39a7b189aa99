"""Discovery, first depth: which single-feature cells are real, which of those pay, and what could not have been seen."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edgesmith.canonical import content_hash
from edgesmith.domain.instruments import Instrument
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.judge import Judged, judge, places_of
from edgesmith.edges.discovery.result import Bins, Cell, DiscoveryResult, EdgesSpan, NeededIC
from edgesmith.edges.discovery.scan import EventSource, FeatureProgram, OnSurvey, Progress, Searched, find_span, search
from edgesmith.edges.discovery.verdict import Verdict
from edgesmith.edges.trials import TrialLedger, trial_hash
from edgesmith.errors import InputError, UnknownNameError
from edgesmith.evaluation.labels import LabelSpec, column_groups

TRIAL_KIND = "discovery"


def discover(
    replay: EventSource,
    instrument: Instrument,
    program: FeatureProgram,
    config: DiscoveryConfig,
    *,
    ledger: TrialLedger | None = None,
    progress: Progress | None = None,
    on_survey: OnSurvey | None = None,
) -> DiscoveryResult:
    """Search every bin of every feature at every horizon for an edge in one instrument.

    The replay is read twice: for its span, then for everything else. `progress` is called with (stage, done, total);
    `on_survey` with the needed information coefficients, before the first cell is looked at.
    """
    index = _index_of(replay, instrument)
    if not program.names:
        raise InputError("the feature program has no features; expected at least one")
    report = progress or _silent
    span = find_span(replay, index, report)
    spec = _label_spec(config, instrument)
    test_first_ns = span.first_ns + int(config.edges_span_ratio * (span.last_ns - span.first_ns))
    searched = search(
        replay,
        index,
        program,
        spec,
        column_groups(spec, span.last_ns - test_first_ns),
        test_first_ns=test_first_ns,
        quantiles=config.quantiles,
        progress=report,
        on_survey=on_survey or _unheard,
    )
    edges_span = EdgesSpan(span.first_ns, test_first_ns, span.last_ns)
    trials = len(places_of(searched.bins)) * len(set(spec.horizons_ns)) * len(set(spec.latencies_ns))
    cells_hash = content_hash([instrument.name, spec, searched.bins, edges_span])
    if ledger is not None:
        ledger.record(kind=TRIAL_KIND, data_fingerprint=replay.fingerprint, cells_hash=cells_hash, trials=trials)
    report("testing", 0, trials)
    judged = judge(searched.bins, searched.sums, config)
    report("testing", trials, trials)
    identity = trial_hash(TRIAL_KIND, replay.fingerprint, cells_hash)
    return _result(replay, instrument, config, spec, edges_span, searched, judged, identity)


def _result(
    replay: EventSource,
    instrument: Instrument,
    config: DiscoveryConfig,
    spec: LabelSpec,
    span: EdgesSpan,
    searched: Searched,
    judged: Judged,
    identity: str,
) -> DiscoveryResult:
    counted = Counter(cell.verdict for cell in judged.cells)
    return DiscoveryResult(
        instrument=instrument.name,
        simulated=instrument.simulated,
        data_fingerprint=replay.fingerprint,
        config=config,
        fee_in_bps=spec.fee_in_bps,
        fee_out_bps=spec.fee_out_bps,
        edges_span=span,
        bins=tuple(Bins(one.name, one.cuts) for one in searched.bins),
        needed_ic=searched.needed_ic,
        trials=len(judged.cells),
        trial_hash=identity,
        critical_t=judged.critical_t if np.isfinite(judged.critical_t) else None,
        counts={verdict.value: counted[verdict] for verdict in Verdict},
        cells=judged.cells,
        best=_best(judged.cells),
    )


def _best(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    # The strongest cell of each feature, strongest feature first.
    first: dict[str, Cell] = {}
    for cell in sorted(cells, key=lambda cell: cell.strength):
        first.setdefault(cell.feature, cell)
    return tuple(first.values())


def _label_spec(config: DiscoveryConfig, instrument: Instrument) -> LabelSpec:
    fee_in_bps, fee_out_bps = config.fees_bps(instrument)
    return LabelSpec(
        horizons_ns=tuple(sorted(set(config.horizons_ns))),
        latencies_ns=tuple(sorted(set(config.latencies_ns))),
        fee_in_bps=fee_in_bps,
        fee_out_bps=fee_out_bps,
        gap_ns=config.gap_ns,
        grid_ns=config.grid_ns,
    )


def _index_of(replay: EventSource, instrument: Instrument) -> int:
    for index, (venue, symbol) in enumerate(replay.instruments):
        if (venue, symbol.upper()) == (instrument.venue, instrument.symbol.upper()):
            return index
    raise UnknownNameError("instrument", instrument.name, [f"{venue}:{symbol}" for venue, symbol in replay.instruments])


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass


def _unheard(_table: tuple[NeededIC, ...]) -> None:
    pass
