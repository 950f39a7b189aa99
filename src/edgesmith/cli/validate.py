"""`edgesmith validate`: candidates of a search, on data that search never touched."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgesmith.cli.edges import open_registry
from edgesmith.cli.output import number, print_json, print_table, progress
from edgesmith.cli.selection import (
    DEFAULT_LAKE,
    DEFAULT_RUNS,
    EndOption,
    JsonOption,
    LakeOption,
    RegistryOption,
    RunsOption,
    StartOption,
    WorkersOption,
    days_of,
)
from edgesmith.domain.units import NS_PER_DAY, format_ns
from edgesmith.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from edgesmith.domain.instruments import Instrument
    from edgesmith.edges.discovery.result import DiscoveryResult
    from edgesmith.edges.edge import EdgeSpec, EntryKind, Exit
    from edgesmith.edges.registry import EdgeRegistry
    from edgesmith.edges.trials import TrialRecord
    from edgesmith.edges.validation.card import EdgeCard
    from edgesmith.edges.validation.pipeline import ValidationConfig
    from edgesmith.evaluation.coded import CodedPanel
    from edgesmith.features.operator import FeatureSpec
    from edgesmith.features.program import Program
    from edgesmith.lake.catalog import Partition

CARDS_NAME = "validation.json"
TOP = 20
TRIAL_KIND = "validation"
# Events of the validated span whose future is taken away to see whether a feature knew it: as many as it takes until every
# feature has values, up to the most that fit in memory easily.
LEAK_EVENTS_MAX, LEAK_CUTS = 1_000_000, 3


def validate_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Discovery run: its id or its folder.")],
    edge: Annotated[list[str] | None, typer.Option("--edge", help="Only this edge; repeat for several.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many candidates to carry, the surest first.")] = TOP,
    start: StartOption = None,
    end: EndOption = None,
    days_min: Annotated[int, typer.Option("--days-min", min=1, help="Days with trades that VALIDATED asks for.")] = 10,
    onsets_min: Annotated[int, typer.Option("--trades-min", min=30, help="Trades that VALIDATED asks for.")] = 200,
    regimes: Annotated[Path | None, typer.Option("--regimes", metavar="MODEL", help="The regime model the search used.")] = None,
    entry: Annotated[
        str | None,
        typer.Option("--entry", metavar="HOW", help="Enter as maker_queue, or maker_touch (judged behind the queue too)."),
    ] = None,
    leave: Annotated[
        str | None,
        typer.Option("--exit", metavar="HOW", help="Leave by trigger_off too, or stop:UNITS of the horizon's volatility."),
    ] = None,
    workers: WorkersOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    runs: RunsOption = DEFAULT_RUNS,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the candidates of a search against data it never touched, and give each its verdict and its card."""
    from edgesmith.edges.validation.gates import Gates
    from edgesmith.edges.validation.pipeline import ValidationConfig

    config = ValidationConfig(gates=Gates(days_min=days_min, onsets_min=onsets_min))
    first, last = days_of(None, start, end)
    asked = Asked(
        folder=_folder(run, runs),
        runs=runs,
        lake=lake,
        registry=open_registry(registry, runs),
        only=tuple(edge or ()),
        top=top,
        first_ns=None if first is None else (first.toordinal() - EPOCH_ORDINAL) * NS_PER_DAY,
        last_ns=None if last is None else (last.toordinal() - EPOCH_ORDINAL + 1) * NS_PER_DAY - 1,
        regimes=regimes,
        workers=workers,
        entry=_entry(entry),
        leave=_exit(leave),
    )
    cards, folder = run_validation(asked, config)
    if as_json:
        print_json(cards)
        return
    show_cards(cards)
    typer.echo(f"report: {folder}/report.html")


# 1970-01-01 as a day number of the calendar.
EPOCH_ORDINAL = 719_163


class Asked(NamedTuple):
    """One validation from the command line."""

    folder: Path
    runs: Path
    lake: Path
    registry: EdgeRegistry
    only: tuple[str, ...] = ()
    top: int = TOP
    first_ns: int | None = None
    last_ns: int | None = None
    regimes: Path | None = None
    workers: int | None = None
    truths: Any = None
    entry: EntryKind | None = None
    leave: Exit | None = None


def run_validation(asked: Asked, config: ValidationConfig) -> tuple[list[EdgeCard], Path]:
    """Validate with a progress bar, count the trials, keep the evidence, write the pages; returns cards and folder."""
    from edgesmith.canonical import content_hash
    from edgesmith.edges.discovery.result import load_result
    from edgesmith.edges.trials import LEDGER_NAME, TrialLedger, data_uses
    from edgesmith.edges.validation.pipeline import validate
    from edgesmith.evaluation.coded import WARMUP_NS
    from edgesmith.evaluation.sources import LakeSource, instrument_index
    from edgesmith.lake.catalog import Catalog
    from edgesmith.trading.backtest import instruments_of

    result = load_result(asked.folder)
    venue, symbol = result.instrument.split(":", 1)
    partitions = Catalog(asked.lake).partitions(venue, None, symbol)
    if not partitions:
        raise InputError(f"lake {asked.lake} has no {result.instrument}, which the search was in; name its lake with --lake")
    (instrument,) = instruments_of(partitions, [(venue, symbol)])
    specs = [_as_asked(spec, asked, instrument) for spec in _candidates(asked, result, instrument)]
    leaders = {spec.trigger.leader for spec in specs if spec.trigger.leader is not None}
    partitions += [one for leader in sorted(leaders) for one in Catalog(asked.lake).partitions(venue, None, leader)]
    program, used_bins = _program(specs, result, asked.regimes)
    everything = [one for one in partitions if one.key.stream in _streams(program) | _paid_by()]
    partitions = [one for one in everything if one.key.stream in _streams(program)]
    source = LakeSource(partitions)
    index = instrument_index(source, venue, symbol)
    first_ns, last_ns = _span(asked, result, config, *source.span(index))
    _refuse_seen(asked.registry, specs, result, first_ns, last_ns)
    # What comes before the span warms up the features.
    partitions, traded = (
        [one for one in some if one.meta.ts_recv_max >= first_ns - WARMUP_NS and one.meta.ts_recv_min <= last_ns]
        for some in (partitions, everything)
    )
    ledger = TrialLedger(asked.runs / LEDGER_NAME)
    look = ledger.record(
        kind=TRIAL_KIND,
        data_fingerprint=source.fingerprint,
        cells_hash=content_hash([[spec.edge_id for spec in specs], first_ns, last_ns]),
        trials=len(specs),
        data=data_uses([one for one in partitions if one.meta.ts_recv_max >= first_ns], first_ns, last_ns),
    )
    config = _at_level(config, look)
    with progress("validation") as advance:
        panel = _panel(source, index, program, specs, result, used_bins, (first_ns, last_ns), asked, advance)
        leaking = _leaking(program, partitions, first_ns, last_ns, len(source.instruments))
        cards = validate(
            specs,
            panel,
            traded,
            config,
            trials=look.trials_total or len(specs),
            leaks=lambda spec: tuple(bound.feature for bound in spec.trigger.bounds if bound.feature in leaking),
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    ledger.settle(look, min(max(card.findings.p_excess or 1.0, card.findings.p_net or 1.0) for card in cards))
    asked.registry.record([(card.spec, card.evidence(source.fingerprint)) for card in cards])
    return cards, _write(cards, asked, result, config, simulated=any(one.meta.simulated for one in partitions))


def _entry(words: str | None) -> EntryKind | None:
    known: dict[str | None, EntryKind] = {"taker": "taker", "maker_touch": "maker_touch", "maker_queue": "maker_queue"}
    if words is not None and words not in known:
        raise InputError(f"entry was '{words}', expected taker, maker_touch or maker_queue")
    return known.get(words)


def _exit(words: str | None) -> Exit | None:
    from edgesmith.edges.edge import Exit

    if words is None:
        return None
    kind, _, units = words.partition(":")
    if kind in ("time", "trigger_off") and not units:
        return Exit(kind="time" if kind == "time" else "trigger_off")
    with suppress(ValueError):
        if kind == "stop":
            return Exit(kind="stop", stop_volatility_units=float(units))
    raise InputError(f"exit was '{words}', expected time, trigger_off or stop:UNITS such as stop:1.5")


def _as_asked(spec: EdgeSpec, asked: Asked, instrument: Instrument) -> EdgeSpec:
    # Another way in or out makes another edge, with a name and evidence of its own.
    from msgspec.structs import replace

    from edgesmith.edges.validation.maker import as_maker

    if asked.leave is not None:
        spec = replace(spec, exit=asked.leave)
    if asked.entry in (None, spec.entry):
        return spec
    if asked.entry == "taker":
        raise InputError(f"{spec.edge_id} enters as a maker at a maker's fee; name the edge of the search that it was made of")
    return as_maker(spec, asked.entry, instrument)


def _folder(run: str, runs: Path) -> Path:
    from edgesmith.edges.discovery.result import RESULT_FILE

    for folder in (Path(run), runs / run):
        if (folder / RESULT_FILE).is_file():
            return folder
    raise InputError(
        f"run was '{run}', expected a discovery run: its id or a folder with {RESULT_FILE}; `edgesmith runs` lists them"
    )


def _at_level(config: ValidationConfig, look: TrialRecord) -> ValidationConfig:
    from msgspec.structs import replace

    alpha = min(config.gates.alpha, look.level or config.gates.alpha)
    if alpha < 1.0 / (config.flips + 1):
        raise InputError(
            f"this data has been looked at so often that the level left is {alpha:.2g}, below what {config.flips:,} sign flips "
            "can tell; validate on data nobody has looked at"
        )
    return replace(config, gates=replace(config.gates, alpha=alpha))


def _candidates(asked: Asked, result: DiscoveryResult, instrument: Instrument) -> list[EdgeSpec]:
    from edgesmith.edges.validation.candidates import carried
    from edgesmith.edges.validation.frozen import why_not_replayed

    if asked.only:
        named = [asked.registry.get(name) for name in dict.fromkeys(asked.only)]
        for spec in named:
            _refuse_stranger(spec, result)
            if reason := why_not_replayed(spec, instrument):
                raise InputError(f"edge {spec.edge_id} {reason}")
        return named
    found = carried(asked.registry, result)
    reasons = {spec.edge_id: why_not_replayed(spec, instrument) for spec in found}
    for name, reason in reasons.items():
        if reason:
            typer.echo(f"left out: {name} {reason}", err=True)
    chosen = [spec for spec in found if not reasons[spec.edge_id]][: asked.top]
    if not chosen:
        raise InputError(
            f"the search found no candidates that can be replayed ({result.sentence}), so there is nothing to validate"
        )
    return chosen


def _refuse_stranger(spec: EdgeSpec, result: DiscoveryResult) -> None:
    from edgesmith.canonical import short_hash

    # What a maker pays on the way in is not what the search assumed.
    fee_in_bps = result.fee_in_bps if spec.entry == "taker" else spec.fee_in_bps
    ours = (result.instrument, short_hash(result.bins), fee_in_bps, result.fee_out_bps, result.config.gap_ns)
    if (spec.instrument, spec.bins_hash, spec.fee_in_bps, spec.fee_out_bps, spec.gap_ns) != ours:
        raise InputError(
            f"{spec.edge_id} is not of this search: it is of {spec.instrument} at fees of {spec.fee_in_bps:g} and "
            f"{spec.fee_out_bps:g} bps with bins of its own; validate it with the run that found it"
        )


def _program(specs: Sequence[EdgeSpec], result: DiscoveryResult, regimes: Path | None) -> tuple[Program, set[str]]:
    from edgesmith.features.catalog import feature
    from edgesmith.features.program import Program
    from edgesmith.features.regime_model import load_model

    model = None if regimes is None else load_model(regimes)
    wanted = {bound.feature for spec in specs for bound in spec.trigger.bounds}
    label = None if model is None else model.features()[0]
    chosen = []
    for one in result.bins:
        with suppress(UnknownNameError):
            chosen.append(label if label is not None and one.feature == label.name else _as_led(feature(one.feature), wanted))
    chosen = [one for one in chosen if str(one) in wanted or one is label]
    missing = sorted(wanted - {str(one) for one in chosen})
    if missing:
        raise InputError(
            f"the edges use {', '.join(missing)}, which the search {result.trial_hash[:12]} did not; give its own edges"
        )
    if label is not None and label not in chosen:
        raise InputError(
            f"{regimes} was not a model of the search {result.trial_hash[:12]}; give the one it was made with, or none"
        )
    for spec in specs:
        if spec.trigger.regimes is not None and (model is None or model.model_id != spec.regimes_hash):
            raise InputError(f"{spec.edge_id} acts in some regimes only; give the model of the search with --regimes")
    return Program(chosen), {one.name for one in chosen}


def _as_led(column: FeatureSpec, wanted: set[str]) -> FeatureSpec:
    # Of a leader's feature the edges know the place of the leader among the symbols.
    from dataclasses import replace

    from edgesmith.features.text import parse_feature

    def but_leader(spec: FeatureSpec) -> list[tuple[str, object]]:
        return [pair for pair in spec.params if pair[0] != "leader"]

    for text in sorted(wanted):
        if text.startswith(f"{column.feature}("):
            spec = parse_feature(text)
            if but_leader(spec) == but_leader(column):
                return replace(column, params=spec.params)
    return column


def _streams(program: Program) -> frozenset[Any]:
    from edgesmith.domain.events import Stream

    # The replay sees quotes and trades whatever the features read.
    return program.needs | {Stream.BBO, Stream.TRADE}


def _paid_by() -> frozenset[Any]:
    from edgesmith.domain.events import Stream

    # What a replay must hear besides, to pay funding.
    return frozenset({Stream.MARK_PRICE, Stream.FUNDING})


def _span(asked: Asked, result: DiscoveryResult, config: ValidationConfig, data_first: int, data_last: int) -> tuple[int, int]:
    reach_ns = max(result.config.horizons_ns) + max(result.config.latencies_ns) + config.embargo_ns
    first_ns = asked.first_ns if asked.first_ns is not None else max(data_first, result.edges_span.test_last_ns + reach_ns)
    last_ns = data_last if asked.last_ns is None else min(asked.last_ns, data_last)
    if first_ns >= last_ns:
        raise InputError(
            f"no data is left to validate on: it ends at {format_ns(data_last)[:19]} and the search used it up to "
            f"{format_ns(result.edges_span.test_last_ns)[:19]}; collect more, or search less of it (`discover --part 0.6`)"
        )
    return max(first_ns, data_first), last_ns


def _refuse_seen(registry: EdgeRegistry, specs: Sequence[EdgeSpec], result: DiscoveryResult, first_ns: int, last_ns: int) -> None:
    if result.edges_span.first_ns <= last_ns and first_ns <= result.edges_span.test_last_ns:
        raise InputError(
            f"the search read data up to {format_ns(result.edges_span.test_last_ns)[:19]}, and validation was asked from "
            f"{format_ns(first_ns)[:19]} on; what was searched proves nothing, choose a later --from"
        )
    for spec in specs:
        for seen in registry.evidence(spec.edge_id):
            if seen.stage == "discovery" and seen.first_ns <= last_ns and first_ns <= seen.last_ns:
                raise InputError(
                    f"{spec.edge_id} was found in data up to {format_ns(seen.last_ns)[:19]}, and validation was asked from "
                    f"{format_ns(first_ns)[:19]} on; what was searched proves nothing, choose a later --from"
                )


def _panel(
    source: Any,
    index: int,
    program: Program,
    specs: Sequence[EdgeSpec],
    result: DiscoveryResult,
    names: set[str],
    span: tuple[int, int],
    asked: Asked,
    advance: Any,
) -> CodedPanel:
    from msgspec.structs import replace

    from edgesmith.edges.discovery.config import DEFAULT_HORIZONS_NS, DEFAULT_LATENCIES_NS
    from edgesmith.edges.validation.options import bins_with_bounds
    from edgesmith.evaluation.coded import code_panel

    fees = {(spec.fee_in_bps, spec.fee_out_bps) for spec in specs}
    if len(fees) > 1:
        raise InputError("some of these edges enter as makers and some as takers, at different fees; validate them apart")
    labels = result.config.labels_at(*fees.pop())
    # The way to the move and what acting later costs are asked everywhere up to its end, whatever the search looked at.
    latencies_ns = {*labels.latencies_ns, *DEFAULT_LATENCIES_NS}
    shorter = {one for one in DEFAULT_HORIZONS_NS if one <= max(labels.horizons_ns) and one % labels.grid_of(one) == 0}
    horizons_ns = {*labels.horizons_ns, *shorter}
    labels = replace(labels, latencies_ns=tuple(sorted(latencies_ns)), horizons_ns=tuple(sorted(horizons_ns)))
    texts = {str(one): one.name for one in program.features}
    bins = bins_with_bounds([one for one in result.bins if one.feature in names], specs, texts)
    regime = next((name for name in sorted(names) if name.startswith("regime_label")), None)
    return code_panel(
        source,
        index,
        program,
        labels,
        bins,
        *span,
        lake=asked.lake,
        regime_feature=regime,
        workers=asked.workers,
        progress=advance,
    )


def _leaking(program: Program, partitions: Sequence[Partition], first_ns: int, last_ns: int, instruments: int) -> set[str]:
    import numpy as np

    from edgesmith.domain.records import as_records, joined
    from edgesmith.evaluation.leak import leaking_columns
    from edgesmith.lake.replay import Replay

    state, batches, valued, count = program.new_state(instruments), [], np.zeros(program.width, np.bool_), 0
    for batch in Replay(partitions, start_ns=first_ns, end_ns=last_ns).batches():
        rows = np.empty((len(batch), program.width))
        program.run(as_records(batch), rows, state)
        batches.append(batch.copy())
        valued |= np.isfinite(rows).any(axis=0)
        count += len(batch)
        if valued.all() or count >= LEAK_EVENTS_MAX:
            break
    if not batches:
        raise InputError(
            f"there are no events from {format_ns(first_ns)[:19]} to {format_ns(last_ns)[:19]}, so nothing can be validated; "
            "`edgesmith lake ls` shows what the lake has"
        )
    events = joined(batches)

    def columns(known: Any, until_ns: int) -> Any:
        return program.compute(known, instruments)[known["ts_recv"] <= until_ns]

    cuts_ns = [int(events["ts_recv"][len(events) * place // (LEAK_CUTS + 1)]) for place in range(1, LEAK_CUTS + 1)]
    return {str(program.features[place]) for place in leaking_columns(columns, events, cuts_ns)}


def _write(cards: list[EdgeCard], asked: Asked, result: DiscoveryResult, config: ValidationConfig, *, simulated: bool) -> Path:
    from edgesmith.canonical import canonical_json, short_hash
    from edgesmith.edges.report.card import write_card
    from edgesmith.edges.report.overview import write_overview
    from edgesmith.lake.atomic import write_atomically

    identity = [result.trial_hash, [card.spec.edge_id for card in cards], cards[0].first_ns, cards[0].last_ns, config]
    folder = asked.runs / f"validation_{short_hash(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    truths = {card.spec.edge_id: asked.truths(card.spec) for card in cards} if asked.truths is not None else {}
    for card in cards:
        path = folder / f"{card.spec.edge_id}.html"
        write_card(card, config.gates, path, simulated=simulated, truth=truths.get(card.spec.edge_id))
    write_overview(
        cards, folder / "report.html", instrument=result.instrument, looked_at=result.trials, simulated=simulated, truths=truths
    )

    def write(temporary: Path) -> None:
        temporary.write_bytes(canonical_json(cards))

    write_atomically(folder / CARDS_NAME, write)
    return folder


def show_cards(cards: Sequence[EdgeCard]) -> None:
    """Print the verdict on every candidate, the best first."""
    ranked = sorted(cards, key=lambda card: (card.verdict.rank, -(card.net_low_usd_per_day or 0.0), card.spec.edge_id))
    columns = ("edge", "net bps", "at least", "trades", "USD a day", "verdict")
    print_table(
        f"{len(cards)} candidates on {format_ns(cards[0].first_ns)[:19]} to {format_ns(cards[0].last_ns)[:19]}",
        columns,
        [
            (
                card.spec.edge_id,
                number(card.findings.net_bps),
                number(card.findings.net_low_bps),
                f"{card.findings.onsets:,}",
                number(card.net_low_usd_per_day, 0),
                card.verdict.value,
            )
            for card in ranked
        ],
        right=columns[1:5],
        whole=("edge", "verdict"),
    )
    for card in ranked:
        typer.echo(f"{card.spec.edge_id}: {card.spec.sentence}\n  {card.sentence}")
        if card.noticing is not None:
            typer.echo(f"  had it died today: {card.noticing.sentence_of(card.noticing.died)}")
        if card.maker is not None:
            typer.echo(f"  as a maker: {card.maker.sentence}")
