"""The null report: code the data once, part features from prices in every way there is, and search each placebo.

Looking at a placebo is no trial: no label it counts belongs to the row it is counted at, so nothing is learned about any trigger,
and nothing is written to the trial ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from edgesmith.domain.instruments import Instrument
from edgesmith.domain.units import NS_PER_DAY, format_duration_ns
from edgesmith.edges.discovery.config import COST_TIERS
from edgesmith.edges.discovery.pipeline import Workplace
from edgesmith.edges.discovery.result import NeededIC
from edgesmith.edges.discovery.survey import TOP_DECILE_MEAN, survey
from edgesmith.edges.null_report.calibration import method_row, quantile_curve, share_below
from edgesmith.edges.null_report.others import prior_rows
from edgesmith.edges.null_report.result import HorizonRow, KindRow, NullConfig, NullReport, TierNeed
from edgesmith.edges.null_report.searched import Searched, search_placebo
from edgesmith.evaluation.chimeras import ChimeraSource, flow_features, offsets_of, piece_ns_of
from edgesmith.evaluation.coded import CodedPanel, code_panel
from edgesmith.evaluation.placebos import OTHER_DAYS, Placebo, draw_placebos
from edgesmith.evaluation.sources import EventSource, FeatureProgram, instrument_index

OURS = "edgesmith: block sign flips"
CHIMERA = "chimera"
# The tape of a chimera is computed again from its events, so there are few, of a week at most.
CHIMERAS_MAX = 4
CHIMERA_SPAN_NS_MAX = 7 * NS_PER_DAY


def null_report(
    source: EventSource,
    instrument: Instrument,
    program: FeatureProgram,
    config: NullConfig,
    *,
    workplace: Workplace = Workplace(),  # noqa: B008 - immutable
) -> NullReport:
    """Search placebos of the data of one instrument with the method `discover` uses, and others beside it."""
    index = instrument_index(source, instrument.venue, instrument.symbol)
    labels = config.search.labels_at(*config.search.fees_bps(instrument))
    first_ns, last_ns = source.span(index)
    test_first_ns = first_ns + int(config.search.edges_span_ratio * (last_ns - first_ns))
    lake, workers = workplace.lake, workplace.workers
    surveyed = survey(
        source, index, program, labels, (first_ns, test_first_ns), config.search.quantiles, lake=lake, workers=workers,
        progress=lambda done, total: workplace.progress("reading the edges span", done, total or done),
    )  # fmt: skip
    workplace.on_survey(surveyed.needed_ic)
    panel = code_panel(
        source, index, program, labels, surveyed.bins, test_first_ns, last_ns, lake=lake, workers=workers,
        progress=lambda done, total: workplace.progress("coding days", done, total or done),
    )  # fmt: skip
    placebos = [
        *draw_placebos(panel, config.placebos, config.search.seed),
        *_chimeras(source, index, program, panel, config),
    ]
    searched = _search_all(placebos, config, workplace)
    prior = prior_rows(source, index, (test_first_ns, last_ns), config.placebos, config.search.seed)
    rows = [one.row for one in searched]
    methods = (
        method_row(OURS, [row.p for row in rows], sum(row.found > 0 for row in rows)),
        method_row("Welch's t-test", [row.p_welch for row in rows], sum(row.welch_found > 0 for row in rows)),
        method_row("Newey-West, usual lag", [row.p_newey_west for row in rows], None),
        method_row("permuted rows", [row.p_permutation for row in rows], None),
    )
    kinds = sorted({row.kind for row in rows})
    curves = [quantile_curve(kind, [one.p for one in searched if one.row.kind == kind]) for kind in kinds]
    return NullReport(
        instrument=instrument.name,
        simulated=instrument.simulated,
        data_fingerprint=source.fingerprint,
        config=config,
        cost_tier=config.search.tier_name,
        first_ns=panel.first_ns,
        last_ns=panel.last_ns,
        days=len(panel.days),
        features=panel.features,
        placebos=tuple(rows),
        kinds=tuple(_kind_row(kind, [one for one in searched if one.row.kind == kind]) for kind in kinds),
        methods=tuple(row for row in methods if row is not None),
        prior=prior,
        horizons=_horizons(panel, surveyed.needed_ic, searched, config),
        curves=tuple(curve for curve in curves if curve is not None),
        notes=_notes(panel, searched, prior_known=bool(prior)),
    )


def _chimeras(
    source: EventSource, instrument: int, program: FeatureProgram, panel: CodedPanel, config: NullConfig
) -> list[Placebo]:
    flow = flow_features(getattr(program, "features", ()))
    bins = [one for one in panel.bins if one.name in flow]
    first_ns, last_ns = source.span(instrument)
    if not bins:
        return []

    def make(offset: int) -> CodedPanel:
        made = ChimeraSource(source, instrument, offset)
        end_ns = min(panel.last_ns, panel.first_ns + CHIMERA_SPAN_NS_MAX)
        # Kept in memory: nothing of a placebo may lie where data is looked for.
        return code_panel(made, instrument, program, panel.labels, bins, panel.first_ns, end_ns, lake=None, workers=panel.workers)

    offsets = offsets_of(last_ns - first_ns, min(config.placebos, CHIMERAS_MAX), config.search.seed)
    piece_ns = piece_ns_of(last_ns - first_ns)
    return [
        Placebo(CHIMERA, f"flow of {format_duration_ns(offset * piece_ns)} later", partial(make, offset)) for offset in offsets
    ]


def _search_all(placebos: Sequence[Placebo], config: NullConfig, workplace: Workplace) -> list[Searched]:
    searched = []
    for number, placebo in enumerate(placebos):
        workplace.progress("searching placebos", number, len(placebos))
        searched.append(search_placebo(placebo, config.search, number, workplace.workers))
    workplace.progress("searching placebos", len(placebos), len(placebos))
    return searched


def _kind_row(kind: str, searched: Sequence[Searched]) -> KindRow:
    p = np.concatenate([one.p for one in searched])
    return KindRow(
        kind=kind,
        placebos=len(searched),
        any_found=sum(one.row.found > 0 for one in searched),
        found=sum(one.row.found for one in searched),
        candidates=sum(one.row.candidates for one in searched),
        share_5=share_below(p, 0.05),
        share_1=share_below(p, 0.01),
    )


def _horizons(
    panel: CodedPanel, needed: Sequence[NeededIC], searched: Sequence[Searched], config: NullConfig
) -> tuple[HorizonRow, ...]:
    fees_bps = panel.labels.fee_in_bps + panel.labels.fee_out_bps
    tiers = {config.search.tier_name: fees_bps} | {name: sum(fees) for name, fees in COST_TIERS.items() if sum(fees) != fees_bps}
    rows = []
    for horizon_ns in sorted(set(panel.labels.horizons_ns)):
        # The survey's shortest latency; the move's size hardly depends on it.
        found = next(row for row in needed if row.horizon_ns == horizon_ns)
        effects = [effect for one in searched for effect in one.mde_bps.get(horizon_ns, [])]
        shown = sorted(effect for effect in effects if effect is not None)
        hidden = 1.0 - len(shown) / len(effects) if effects else None
        sd, cost = found.gross_sd_bps, found.cost_bps
        known = [] if not sd or cost is None else [(name, cost - fees_bps + fees, sd) for name, fees in tiers.items()]
        rows.append(
            HorizonRow(
                horizon_ns=horizon_ns,
                # The median over all cells: none where half of them could show nothing.
                mde_bps=shown[len(effects) // 2] if len(effects) // 2 < len(shown) else None,
                hidden_ratio=hidden,
                gross_sd_bps=sd,
                tiers=tuple(TierNeed(name, cost, max(0.0, cost) / (TOP_DECILE_MEAN * sd)) for name, cost, sd in known),
            )
        )
    return tuple(rows)


def _notes(panel: CodedPanel, searched: Sequence[Searched], *, prior_known: bool) -> tuple[str, ...]:
    notes = []
    if not any(one.row.kind == OTHER_DAYS for one in searched):
        notes.append("one day of data: there is no other day whose codes could be put beside its prices; use two days or more")
    if panel.last_ns - panel.first_ns < 2 * NS_PER_DAY:
        notes.append(
            "less than two days: triggers were shifted by parts of the span, an eighth to seven eighths of it, not by a day"
        )
    if not any(one.row.kind == CHIMERA for one in searched):
        notes.append("no feature reads sizes and sides alone, so there are no chimeras")
    untested = sum(not one.row.tested for one in searched)
    if untested:
        notes.append(f"{untested} of {len(searched)} placebos had too few blocks of time for any test")
    if not prior_known:
        notes.append("too few quotes for the prior system's method")
    return tuple(notes)
